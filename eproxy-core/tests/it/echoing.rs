//! Handlers that several files need, which give back what they are sent, and something to send them.

use async_std::task;
use eproxy_core::{Request, Response};
use futures_lite::{AsyncReadExt, AsyncWriteExt};

/// Bytes that differ from place to place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}

/// Echoes a body as it comes, trailers included.
pub(crate) fn relay(mut req: Request, res: Response) {
    let mut body = req.take_body();
    let mut writer = res.stream();
    task::spawn(async move {
        let mut chunk = vec![0; 8192];
        loop {
            match body.read(&mut chunk).await {
                Ok(0) => break,
                Ok(n) if writer.write_all(&chunk[..n]).await.is_ok() => {}
                _ => return,
            }
        }
        match body.trailers() {
            Some(trailers) => writer.finish_with_trailers(trailers),
            None => writer.finish(),
        }
    });
}

/// Answers with a body once all of it is there.
pub(crate) fn echo(req: Request, res: Response) {
    req.read(|body| match body {
        Ok(body) => res.send(body),
        Err(error) => res.status(error.status()).send(error.name()),
    });
}
