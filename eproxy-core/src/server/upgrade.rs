//! A connection that a handler has taken over after 101 (Switching Protocols).

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use crate::driver::Stream;
use crate::error::Kind;
use crate::message::{Buffer, Demand, PipeReader, PipeWriter, SMALL};

use super::desk::Desk;
use super::exchange::outbound;
use super::worker::Worker;

/// Moves bytes both ways until both directions have ended: from the client, beginning with what came behind its
/// request, to the handler; and from the handler, behind the 101 that is on the desk, to the client. Says how many bytes went
/// to the handler, and from it.
pub(super) async fn run(
    worker: &Worker,
    stream: &Stream,
    desk: &mut Desk,
    to_handler: PipeWriter,
    mut from_handler: PipeReader,
) -> (u64, u64) {
    let Desk { input, out, .. } = desk;
    let (moved_up, moved_down) = (Cell::new(0_u64), Cell::new(0_u64));
    let mut outbound = outbound(worker, stream, out);
    let mut down = std::pin::pin!(async {
        outbound.flush().await?;
        loop {
            let n = {
                let data = poll_fn(|cx| from_handler.poll_fill(cx).map(|data| data.map(<[u8]>::len)));
                data.await?
            };
            if n == 0 {
                let _gone = stream.finish();
                return Ok::<_, Kind>(());
            }
            outbound.write(from_handler.data(), b"").await?;
            from_handler.consume(n);
            moved_down.set(moved_down.get() + n as u64);
        }
    });
    let mut idle = std::pin::pin!(async {
        let mut before = None;
        while before != Some((moved_up.get(), moved_down.get())) {
            before = Some((moved_up.get(), moved_down.get()));
            worker.core.sleep(worker.edition().timeouts().tunnel_idle).await;
        }
    });
    let (mut up_ended, mut down_ended) = (false, false);
    poll_fn(|cx| {
        if !up_ended {
            up_ended = poll_up(cx, stream, input, &to_handler, &moved_up).is_ready();
        }
        if idle.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !down_ended && let Poll::Ready(end) = down.as_mut().poll(cx) {
            if end.is_err() {
                return Poll::Ready(());
            }
            down_ended = true;
        }
        // A handler that has closed its side and listens no more is done, whatever the client still sends.
        match down_ended && (up_ended || to_handler.is_gone()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    (moved_up.get(), moved_down.get())
}

/// Ready when the client has sent its last byte, or nobody wants more.
fn poll_up(
    cx: &mut Context<'_>,
    stream: &Stream,
    input: &mut Buffer,
    pipe: &PipeWriter,
    moved: &Cell<u64>,
) -> Poll<()> {
    loop {
        let room = match ready!(pipe.poll_room(cx)) {
            Demand::Room(room) => room,
            Demand::Gone => return Poll::Ready(()),
        };
        if input.is_empty() {
            let read: io::Result<usize> = ready!(stream.poll_read(cx, input.space(SMALL)));
            match read {
                Ok(0) => {
                    pipe.finish(None);
                    return Poll::Ready(());
                }
                Ok(n) => input.filled(n),
                Err(_) => {
                    pipe.fail(Kind::DownstreamGone);
                    return Poll::Ready(());
                }
            }
        }
        let n = room.min(input.len());
        pipe.push(&input.data()[..n]);
        input.consume(n);
        moved.set(moved.get() + n as u64);
    }
}
