//! The loop that takes connections in.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use crate::driver::{Listener, Peer, Stream};

use super::door::Entrance;
use super::worker::Worker;

/// How long accepting rests when the system has no descriptor or no memory for another connection.
const REST: Duration = Duration::from_millis(100);

/// Connections taken in before others get a turn.
const BATCH: usize = 64;

/// Accepts until the server drains or the listener is closed. Errors never end it.
pub(super) async fn run(worker: Rc<Worker>, listener: Listener, entrance: Rc<Entrance>) {
    let mut taken = 0;
    let mut fails = false;
    while let Some(accepted) = next(&worker, &listener, &entrance).await {
        match accepted {
            Ok((stream, peer)) => {
                fails = false;
                worker.admit(stream, peer, &entrance);
                taken += 1;
                if taken % BATCH == 0 {
                    futures_lite::future::yield_now().await;
                }
            }
            Err(error) => {
                worker.counters.accept_errors.add();
                // Every failure is counted; one line for a row of them is enough.
                if !std::mem::replace(&mut fails, true) {
                    worker.journal.note(log::Level::Error, || format!("accept failed: {error}"));
                }
                if !is_about_one_connection(&error) {
                    worker.core.sleep(REST).await;
                }
            }
        }
    }
}

/// The next connection, once there is room for it; none when no more are taken in.
async fn next(
    worker: &Worker,
    listener: &Listener,
    entrance: &Entrance,
) -> Option<io::Result<(Stream, Peer)>> {
    poll_fn(|cx| {
        if worker.is_draining() || entrance.is_closed.get() {
            return Poll::Ready(None);
        }
        if !worker.has_room() {
            worker.counters.connection_limit.add();
            return Poll::Pending;
        }
        listener.poll_accept(cx).map(Some)
    })
    .await
}

/// Whether the failure is that of the connection that was to be accepted, so that the next one may fare better
/// (accept(2)).
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        error.kind(),
        K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused | K::PermissionDenied | K::TimedOut
    )
}
