//! The lab's end of a connection, to a client's server or to an upstream's client.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use crate::driver::Stream;

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// How the other side has ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Orderly,
    Reset,
}

/// An end of a connection.
pub(super) struct Line {
    /// None once it was closed from here.
    stream: RefCell<Option<Stream>>,
    /// Heard, and taken by nobody.
    heard: RefCell<Vec<u8>>,
    /// Said, and not written yet.
    unsaid: RefCell<Vec<u8>>,
    end: Cell<Option<End>>,
    /// Nothing more is to be said behind what is unsaid.
    finishes: Cell<bool>,
    /// Nothing is read for now.
    deaf: Cell<bool>,
}

impl Line {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream: RefCell::new(Some(stream)),
            heard: RefCell::default(),
            unsaid: RefCell::default(),
            end: Cell::new(None),
            finishes: Cell::new(false),
            deaf: Cell::new(false),
        }
    }

    /// How the other side has ended the connection, if it has.
    pub(super) fn end(&self) -> Option<End> {
        self.end.get()
    }

    /// Whether it was closed from here.
    pub(super) fn is_closed(&self) -> bool {
        self.stream.borrow().is_none()
    }

    /// Whether nothing will be heard any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_closed() || self.end().is_some()
    }

    /// Looks at what was heard.
    pub(super) fn look<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.heard.borrow())
    }

    /// Looks at what was heard, and takes as much of it off the front as `look` says.
    pub(super) fn take<T>(&self, look: impl FnOnce(&[u8]) -> Option<(T, usize)>) -> Option<T> {
        let (value, used) = look(&self.heard.borrow())?;
        self.heard.borrow_mut().drain(..used);
        Some(value)
    }

    /// Leaves bytes to be said.
    pub(super) fn say(&self, bytes: &[u8]) {
        self.unsaid.borrow_mut().extend_from_slice(bytes);
    }

    /// Says that nothing follows.
    pub(super) fn finish(&self) {
        self.finishes.set(true);
    }

    pub(super) fn set_deaf(&self, deaf: bool) {
        self.deaf.set(deaf);
    }

    /// Closes the connection at once.
    pub(super) fn close(&self) {
        let stream = self.stream.take();
        drop(stream);
    }

    /// Resets the connection at once.
    pub(super) fn reset(&self) {
        if let Some(stream) = self.stream.take() {
            stream.reset_on_drop();
        }
    }

    /// Says and hears; ready when the connection is over.
    pub(super) fn poll_both(&self, cx: &mut Context<'_>) -> Poll<()> {
        let _rest = self.poll_say(cx);
        self.poll_hear(cx)
    }

    /// Hears what there is; ready when nothing will be heard any more.
    fn poll_hear(&self, cx: &mut Context<'_>) -> Poll<()> {
        let stream = self.stream.borrow();
        let Some(stream) = &*stream else { return Poll::Ready(()) };
        let mut chunk = [0; CHUNK];
        while self.end().is_none() {
            if self.deaf.get() {
                return Poll::Pending;
            }
            match stream.poll_read(cx, &mut chunk) {
                Poll::Ready(Ok(0)) => self.end.set(Some(End::Orderly)),
                Poll::Ready(Ok(n)) => self.heard.borrow_mut().extend_from_slice(&chunk[..n]),
                Poll::Ready(Err(_)) => self.end.set(Some(End::Reset)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Says what is to be said; ready when that has been done, or can't be.
    fn poll_say(&self, cx: &mut Context<'_>) -> Poll<()> {
        let stream = self.stream.borrow();
        let Some(stream) = &*stream else { return Poll::Ready(()) };
        let mut unsaid = self.unsaid.borrow_mut();
        while !unsaid.is_empty() {
            match stream.poll_write(cx, &[IoSlice::new(&unsaid)]) {
                Poll::Ready(Ok(n)) => drop(unsaid.drain(..n)),
                // Nobody is there to hear it, which shows in what is heard.
                Poll::Ready(Err(_)) => unsaid.clear(),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.finishes.take() {
            // Whoever is gone need not be told.
            let _gone: io::Result<()> = stream.finish();
        }
        Poll::Ready(())
    }

    /// Says what is to be said, however much was heard; ready when it was closed from here.
    pub(super) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let _rest = self.poll_both(cx);
        if self.is_closed() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Until everything was said, while hearing what comes.
    pub(super) async fn said(&self) {
        poll_fn(|cx| {
            let _over = self.poll_hear(cx);
            self.poll_say(cx)
        })
        .await;
    }

    /// Until nothing will be heard any more.
    pub(super) async fn over(&self) {
        poll_fn(|cx| self.poll_both(cx)).await;
    }

    /// Until what was heard is what `look` looks for, which is then taken off the front; none where the connection is over
    /// before that.
    pub(super) async fn next<T>(&self, mut look: impl FnMut(&[u8]) -> Option<(T, usize)>) -> Option<T> {
        poll_fn(|cx| {
            let over = self.poll_both(cx);
            match self.take(&mut look) {
                Some(found) => Poll::Ready(Some(found)),
                None => over.map(|()| None),
            }
        })
        .await
    }
}
