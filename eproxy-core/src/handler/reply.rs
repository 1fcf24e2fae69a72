//! Where a response's last word waits for its connection.
//!
//! ```text
//!   waiting ──put──▶ said ──take──▶ taken       put wakes the connection, unless it has not begun to wait
//!      └──close──▶ closed                       the client is gone: what is put then is dropped
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::Error;
use crate::message::{Answer, Headers, PipeReader, PipeWriter};

/// The last word of a response.
#[derive(Debug)]
pub(crate) enum Word {
    /// Send this.
    Answer(Answer),
    /// Switch to another protocol; what the client sends goes into `to_handler`, what the handler sends comes out of
    /// `from_handler`.
    Upgrade { protocol: String, headers: Headers, to_handler: PipeWriter, from_handler: PipeReader },
    /// The handler set a value that can't be sent.
    Refused(Error),
    /// The response was dropped without a word.
    Dropped,
}

/// Shared by a [`Response`](super::Response) and the connection that it answers on.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    word: Option<Word>,
    closed: bool,
    connection: Option<Waker>,
}

impl Reply {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the last word.
    pub(super) fn put(&self, word: Word) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            drop(word);
            return;
        }
        state.word = Some(word);
        let connection = state.connection.take();
        drop(state);
        if let Some(connection) = connection {
            connection.wake();
        }
    }

    /// Takes the last word if it was said.
    pub(crate) fn take(&self) -> Option<Word> {
        self.lock().word.take()
    }

    /// Waits for the last word.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Word> {
        let mut state = self.lock();
        if let Some(word) = state.word.take() {
            return Poll::Ready(word);
        }
        state.connection = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Says that nobody waits for the word any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let (word, connection) = (state.word.take(), state.connection.take());
        drop(state);
        drop((word, connection));
    }

    /// Whether the client is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// A reply for a new exchange: the one of the last exchange, if its response is gone.
    pub(crate) fn renew(reply: &mut Arc<Self>) -> Arc<Self> {
        match Arc::get_mut(reply) {
            Some(free) => {
                let state = free.state.get_mut().unwrap_or_else(PoisonError::into_inner);
                (state.word, state.closed, state.connection) = (None, false, None);
            }
            None => *reply = Arc::default(),
        }
        reply.clone()
    }
}
