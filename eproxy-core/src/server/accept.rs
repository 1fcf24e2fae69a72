//! The loop that takes connections in.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use crate::driver::{Listener, Peer, Stream};

use super::door::{Entrance, Keeper};
use super::life::Legacy;
use super::worker::Worker;

/// How long accepting rests when the system has no descriptor or no memory for another connection.
const REST: Duration = Duration::from_millis(100);

/// Connections taken in before others get a turn.
const BATCH: usize = 64;

/// How long connections that have begun when listening ends may take to be complete: a round trip to the other side of the
/// world. Newcomers are overlooked meanwhile, and ask again after a second (RFC 6298 §2.1).
const LAST: Duration = Duration::from_millis(200);

/// Accepts until the server drains or the listener is closed, and then what has connected before. Errors never end it.
pub(super) async fn run(worker: Rc<Worker>, listener: Listener, entrance: Rc<Entrance>) {
    // The worker does not end before this has.
    let _place = worker.acceptor();
    let mut intake = Intake { worker: &worker, entrance: &entrance, taken: 0, fails: false };
    while let Some(accepted) = next(&worker, &listener, &entrance).await {
        // Where the system has nothing left, it may have something later.
        let _rested = intake.take(accepted).await;
    }
    match (worker.life.legacy(), entrance.keeper) {
        // Whoever waits there is served by somebody else.
        (Legacy::HandedOn, _) => return,
        (Legacy::Closed, Keeper::Nobody) => wait_for_last(&mut intake, &listener).await,
        // What would be done to the socket is done to theirs.
        (Legacy::Lent, _) | (_, Keeper::Somebody) => {}
    }
    // The limit on connections does not hold here: they are no more than the kernel has kept, and nobody else would serve
    // them.
    while let Some(accepted) = listener.try_accept() {
        if intake.take(accepted).await.is_err() {
            return;
        }
    }
}

/// Has nobody connect any more, and takes those in that have begun to.
async fn wait_for_last(intake: &mut Intake<'_>, listener: &Listener) {
    let worker = intake.worker.clone();
    let time = worker.patience(LAST);
    if !listener.overlook_newcomers() || time.is_zero() {
        return;
    }
    let mut over = pin!(worker.core.sleep(time));
    while let Some(accepted) = poll_fn(|cx| match listener.poll_accept(cx) {
        Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
        Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    })
    .await
    {
        if intake.take(accepted).await.is_err() {
            return;
        }
    }
}

/// What takes the connections of a listener in.
struct Intake<'w> {
    worker: &'w Rc<Worker>,
    entrance: &'w Entrance,
    taken: usize,
    fails: bool,
}

/// The system has nothing left for connections.
struct Exhausted;

impl Intake<'_> {
    async fn take(&mut self, accepted: io::Result<(Stream, Peer)>) -> Result<(), Exhausted> {
        let worker = self.worker;
        match accepted {
            Ok((stream, peer)) => {
                self.fails = false;
                worker.admit(stream, peer, self.entrance);
                self.taken += 1;
                if self.taken.is_multiple_of(BATCH) {
                    futures_lite::future::yield_now().await;
                }
            }
            Err(error) => {
                worker.counters.accept_errors.add();
                // Every failure is counted; one line for a row of them is enough.
                if !std::mem::replace(&mut self.fails, true) {
                    worker.journal.note(log::Level::Error, || format!("accept failed: {error}"));
                }
                if !is_about_one_connection(&error) {
                    worker.core.sleep(REST).await;
                    return Err(Exhausted);
                }
            }
        }
        Ok(())
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
