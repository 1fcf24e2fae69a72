//! Answers that come later: a handler returns at once and keeps its `Response`, which is answered whenever somebody
//! knows what to say, on whatever thread that is.
//!
//! ```text
//! $ cargo run --example callbacks
//! listening on http://127.0.0.1:8080
//!
//! $ curl http://127.0.0.1:8080/thread             # after half a second
//! answered by a thread
//! $ curl http://127.0.0.1:8080/task               # after half a second
//! answered by a task
//! $ curl -d 'some text' http://127.0.0.1:8080/shout
//! SOME TEXT
//! $ curl http://127.0.0.1:8080/forgotten
//! 500 Internal Server Error
//! ```
//!
//! A response is a value: it can be put aside. Whoever asks for `/bell` waits until somebody rings it:
//!
//! ```text
//! $ curl http://127.0.0.1:8080/bell &             # as many as you like
//! $ curl -X POST http://127.0.0.1:8080/bell
//! rung for 1
//! ding
//! ```
#![expect(clippy::print_stdout, reason = "says where it listens")]

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use async_std::task;
use eproxy_core::{Request, Response, Result, Server, async_handler};

const A_WHILE: Duration = Duration::from_millis(500);

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let bell = Arc::new(Bell::default());
    let rope = bell.clone();
    let server = Server::builder()
        .get("/thread", |_: Request, res: Response| {
            thread::spawn(move || {
                thread::sleep(A_WHILE);
                res.send("answered by a thread\n");
            });
        })
        .get("/task", |_: Request, res: Response| {
            task::spawn(async move {
                task::sleep(A_WHILE).await;
                res.send("answered by a task\n");
            });
        })
        // Calls back once the whole body is there.
        .post("/shout", |req: Request, res: Response| {
            req.read(move |body| match body {
                Ok(bytes) => res.send(bytes.to_ascii_uppercase()),
                Err(error) => res.status(error.status()).send(error.name()),
            });
        })
        // The same for those who like `async` better: what the closure returns is sent.
        .post(
            "/shout/async",
            async_handler(|mut req: Request| async move {
                let bytes = req.take_body().bytes(64 * 1024).await?;
                Result::<_>::Ok(bytes.to_ascii_uppercase())
            }),
        )
        // Forgetting to answer is a bug, but not one that a client has to wait for.
        .get("/forgotten", |_: Request, res: Response| drop(res))
        .get("/bell", move |_: Request, res: Response| bell.wait(res))
        .post("/bell", move |_: Request, res: Response| {
            let rung_for = rope.ring();
            res.send(format!("rung for {rung_for}\n"));
        })
        .bind(address)
        .start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.wait().await;
    Ok(())
}

/// Responses that wait for somebody to ring.
#[derive(Default)]
struct Bell(Mutex<Vec<Response>>);

impl Bell {
    fn wait(&self, res: Response) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those who have hung up need no answer.
        waiting.retain(|res| !res.is_closed());
        waiting.push(res);
    }

    fn ring(&self) -> usize {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let heard = waiting.iter().filter(|res| !res.is_closed()).count();
        waiting.into_iter().for_each(|res| res.send("ding\n"));
        heard
    }
}
