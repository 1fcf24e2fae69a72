//! What is written behind those who wrote it.
//!
//! A message that is posted counts as written; it is sent at the end of the turn, together with all others. What the kernel
//! does not take is kept with its connection and sent when there is room; until then the connection takes nothing else.
//!
//! ```text
//!   nothing ──post──▶ posted ──sent──▶ nothing
//!                        └──in part──▶ rest ──room──▶ nothing       a reset: whoever reads finds out
//! ```

use std::cell::RefCell;
use std::io;

use smallvec::SmallVec;

use super::batch::{GROUP, Results};
use super::reactor::{Clear, Reactor, Source};
use super::socket::{Next, Socket};

/// The longest message that is posted; longer ones are sent at once, from where they are.
const LONG: usize = 4096;

/// What was posted in this turn: keys, each with the end of its message.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    posted: RefCell<Vec<(u32, usize)>>,
    bytes: RefCell<Vec<u8>>,
}

/// What is still to be sent to a source.
#[derive(Debug)]
pub(super) enum Sending {
    Nothing,
    Posted,
    Rest(Box<Rest>),
}

#[derive(Debug)]
pub(super) struct Rest {
    bytes: Vec<u8>,
    sent: usize,
}

impl Sending {
    pub(super) fn is_something(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

impl Source {
    /// Takes what came of sending a message.
    fn sent(&mut self, message: &[u8], result: io::Result<usize>) {
        self.sending = Sending::Nothing;
        match result {
            Ok(n) if n == message.len() => return,
            Ok(n) => self.sending = Sending::Rest(Box::new(Rest { bytes: message[n..].to_vec(), sent: 0 })),
            Err(error) if is_transient(&error) => {
                self.sending = Sending::Rest(Box::new(Rest { bytes: message.to_vec(), sent: 0 }));
            }
            Err(_) => return self.is_lost(),
        }
        // So that the kernel says when there is room.
        self.send_rest();
    }

    /// Sends what is left of a message; says whether that is all of it.
    pub(super) fn send_rest(&mut self) -> bool {
        let (Sending::Rest(rest), Some(socket)) = (&mut self.sending, &self.socket) else { return true };
        loop {
            match socket.send(&rest.bytes[rest.sent..], Next::Nothing) {
                Ok(n) if rest.sent + n == rest.bytes.len() => break,
                Ok(n) => rest.sent += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.write.clear(Clear::WouldBlock);
                    return false;
                }
                Err(_) => {
                    self.is_lost();
                    break;
                }
            }
        }
        self.sending = Sending::Nothing;
        true
    }

    fn is_lost(&mut self) {
        (self.broken, self.read.ready, self.read.closed) = (true, true, true);
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Reactor {
    /// Takes a message that is sent at the end of this turn; says no where it is too long for that, or where something
    /// is before it.
    pub(super) fn post(&self, key: u32, message: &[u8]) -> bool {
        if message.len() > LONG || !self.is_writable(key) {
            return false;
        }
        if self.outbox.posted.borrow().len() == GROUP {
            self.send();
        }
        let source = &mut self.sources.borrow_mut()[key as usize];
        source.sending = Sending::Posted;
        let mut bytes = self.outbox.bytes.borrow_mut();
        bytes.extend_from_slice(message);
        self.outbox.posted.borrow_mut().push((key, bytes.len()));
        true
    }

    /// Sends what was posted, if something of it is for this source: nothing may overtake it.
    pub(super) fn send_before(&self, key: u32) {
        let is_posted = |source: &Source| matches!(source.sending, Sending::Posted);
        if self.sources.borrow().get(key as usize).is_some_and(is_posted) {
            self.send();
        }
    }

    /// Whether something is still to be sent to a source.
    pub(super) fn is_sending(&self, key: u32) -> bool {
        self.send_before(key);
        self.sources.borrow()[key as usize].sending.is_something()
    }

    /// Sends everything that was posted.
    pub(super) fn send(&self) {
        let mut posted = self.outbox.posted.borrow_mut();
        if posted.is_empty() {
            return;
        }
        let mut bytes = self.outbox.bytes.borrow_mut();
        let mut from = 0;
        for group in posted.chunks(GROUP) {
            let results = self.send_group(group, from, &bytes);
            let mut sources = self.sources.borrow_mut();
            for ((key, to), result) in group.iter().zip(results) {
                sources[*key as usize].sent(&bytes[from..*to], result);
                from = *to;
            }
        }
        posted.clear();
        bytes.clear();
    }

    fn send_group(&self, group: &[(u32, usize)], mut from: usize, bytes: &[u8]) -> Results {
        let sources = self.sources.borrow();
        let mut messages = SmallVec::<[(&Socket, &[u8]); GROUP]>::new();
        for (key, to) in group {
            let socket = sources[*key as usize].socket.as_deref().expect("only streams are posted to");
            messages.push((socket, &bytes[from..*to]));
            from = *to;
        }
        let results = self.batch.borrow_mut().send(&messages);
        results.unwrap_or_else(|| {
            messages.iter().map(|(socket, message)| socket.send(message, Next::Nothing)).collect()
        })
    }
}
