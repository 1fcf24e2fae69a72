//! A bounded pipe of bytes between a connection and whoever reads or writes a body, on whatever thread.
//!
//! The writer fills one buffer while the reader works on another; they are swapped under the lock, so nobody copies or
//! makes a system call while holding it. The writer stops when its buffer is full, which is how back-pressure travels.
//!
//! ```text
//!   open ──finish──▶ finished     the reader gets what is left, then the end (and the trailers)
//!     └────fail────▶ failed       the reader gets what is left, then the error; dropping the writer fails it too
//! ```

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use crate::error::{Error, Kind};

use super::headers::Headers;

/// A pipe that holds up to `capacity` bytes that its reader has not taken.
pub(crate) fn pipe(capacity: usize) -> (PipeWriter, PipeReader) {
    let shared = Arc::new(Shared { capacity, state: Mutex::new(State::default()) });
    (PipeWriter(shared.clone()), PipeReader { shared, front: Vec::new(), at: 0 })
}

#[derive(Debug)]
struct Shared {
    capacity: usize,
    state: Mutex<State>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct State {
    /// Written and not yet taken.
    back: Vec<u8>,
    end: End,
    /// The reader has asked for bytes at least once.
    wanted: bool,
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    trailers: Option<Headers>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Finished,
    Failed(Kind),
}

/// What the writer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Write up to so many bytes.
    Room(usize),
    /// Stop: the reader is gone.
    Gone,
}

/// The end that bytes go in at. Dropping it without [`finish`](Self::finish) fails the pipe.
#[derive(Debug)]
pub(crate) struct PipeWriter(Arc<Shared>);

impl PipeWriter {
    /// Ready when the reader wants bytes and there is room for them, or when it is gone.
    pub(crate) fn poll_demand(&self, cx: &mut Context<'_>) -> Poll<Demand> {
        self.poll_when(cx, |state| state.wanted)
    }

    /// Ready when there is room, whether or not the reader has asked yet, or when it is gone.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Demand> {
        self.poll_when(cx, |_| true)
    }

    fn poll_when(&self, cx: &mut Context<'_>, may: fn(&State) -> bool) -> Poll<Demand> {
        let mut state = self.0.lock();
        if state.reader_gone {
            return Poll::Ready(Demand::Gone);
        }
        let room = self.0.capacity.saturating_sub(state.back.len());
        if room > 0 && may(&state) {
            return Poll::Ready(Demand::Room(room));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ready when the reader is gone.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.reader_gone {
            return Poll::Ready(());
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether the reader is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.lock().reader_gone
    }

    /// Whether the reader has asked for bytes.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.lock().wanted
    }

    /// Adds bytes; [`Demand::Room`] said how many there is room for.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut state = self.0.lock();
        if !state.reader_gone {
            state.back.extend_from_slice(bytes);
        }
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// Adds bytes if there is room for all of them; says no where there is not, or where the reader is gone.
    pub(crate) fn try_push(&self, bytes: &[u8]) -> bool {
        let mut state = self.0.lock();
        if state.reader_gone || state.back.len() + bytes.len() > self.0.capacity {
            return false;
        }
        state.back.extend_from_slice(bytes);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        true
    }

    /// Ends the pipe in good order.
    pub(crate) fn finish(&self, trailers: Option<Headers>) {
        self.end(End::Finished, trailers);
    }

    /// Ends the pipe with a failure that the reader will see.
    pub(crate) fn fail(&self, kind: Kind) {
        self.end(End::Failed(kind), None);
    }

    fn end(&self, end: End, trailers: Option<Headers>) {
        let mut state = self.0.lock();
        if state.end != End::Open {
            return;
        }
        state.end = end;
        state.trailers = trailers;
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.fail(Kind::BodyFailed);
        // Whoever has waited here is not to be woken any more, however long the reader is kept.
        let own = self.0.lock().writer.take();
        drop(own);
    }
}

/// The end that bytes come out of.
#[derive(Debug)]
pub(crate) struct PipeReader {
    shared: Arc<Shared>,
    /// Taken from the pipe; `at..` is still to be consumed.
    front: Vec<u8>,
    at: usize,
}

impl PipeReader {
    /// Waits for bytes; an empty slice is the end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Kind>> {
        if self.at == self.front.len() {
            ready!(self.poll_swap(cx))?;
        }
        Poll::Ready(Ok(self.data()))
    }

    /// What [`poll_fill`](Self::poll_fill) gave and was not consumed.
    pub(crate) fn data(&self) -> &[u8] {
        &self.front[self.at..]
    }

    fn poll_swap(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Kind>> {
        let mut state = self.shared.lock();
        if state.back.is_empty() {
            match state.end {
                End::Finished => return Poll::Ready(Ok(())),
                End::Failed(kind) => return Poll::Ready(Err(kind)),
                End::Open => {}
            }
            let first = !mem::replace(&mut state.wanted, true);
            state.reader = Some(cx.waker().clone());
            let writer = if first { state.writer.take() } else { None };
            drop(state);
            wake(writer);
            return Poll::Pending;
        }
        self.front.clear();
        self.at = 0;
        mem::swap(&mut self.front, &mut state.back);
        let writer = state.writer.take();
        drop(state);
        wake(writer);
        Poll::Ready(Ok(()))
    }

    /// Says that `n` bytes of what [`poll_fill`](Self::poll_fill) gave were used.
    pub(crate) fn consume(&mut self, n: usize) {
        self.at += n;
        debug_assert!(self.at <= self.front.len());
    }

    /// The trailers, once the end was reached.
    pub(crate) fn trailers(&self) -> Option<Headers> {
        self.shared.lock().trailers.clone()
    }

    /// As [`AsyncRead`](futures_io::AsyncRead) has it.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let data = ready!(self.poll_fill(cx)).map_err(|kind| io::Error::from(Error::new(kind)))?;
        let n = data.len().min(into.len());
        into[..n].copy_from_slice(&data[..n]);
        self.consume(n);
        Poll::Ready(Ok(n))
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.reader_gone = true;
        state.back = Vec::new();
        let (writer, own) = (state.writer.take(), state.reader.take());
        drop(state);
        drop(own);
        wake(writer);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_fn};

    use super::*;

    fn now<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn room_shrinks_as_bytes_go_in_and_returns_as_they_come_out() {
        let (writer, mut reader) = pipe(4);
        assert!(now(|cx| writer.poll_demand(cx)).is_pending(), "nobody has asked yet");
        assert!(now(|cx| reader.poll_fill(cx).map(|_| ())).is_pending());
        assert_eq!(now(|cx| writer.poll_demand(cx)), Poll::Ready(Demand::Room(4)));
        writer.push(b"abcd");
        assert!(now(|cx| writer.poll_demand(cx)).is_pending());
        assert_eq!(
            now(|cx| reader.poll_fill(cx).map(|data| data.unwrap().to_vec())),
            Poll::Ready(b"abcd".to_vec())
        );
        reader.consume(4);
        assert_eq!(now(|cx| writer.poll_room(cx)), Poll::Ready(Demand::Room(4)));
    }

    #[test]
    fn a_failure_comes_after_the_bytes_before_it() {
        let (writer, mut reader) = pipe(4);
        writer.push(b"ab");
        drop(writer);
        block_on(async {
            assert_eq!(poll_fn(|cx| reader.poll_fill(cx).map(|data| data.map(<[u8]>::len))).await, Ok(2));
            reader.consume(2);
            assert_eq!(
                poll_fn(|cx| reader.poll_fill(cx).map(|data| data.map(<[u8]>::len))).await,
                Err(Kind::BodyFailed)
            );
        });
    }

    #[test]
    fn a_writer_learns_that_its_reader_is_gone() {
        let (writer, reader) = pipe(4);
        drop(reader);
        assert_eq!(now(|cx| writer.poll_room(cx)), Poll::Ready(Demand::Gone));
        writer.push(b"lost");
        assert!(writer.is_gone());
    }
}
