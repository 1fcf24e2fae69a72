//! What is read ahead of whom it is for.
//!
//! When the kernel has said that several parked connections can be read, they are read together, before their owners are
//! told. An owner then reads as ever, and finds what has come in a slot. What nobody has read when the slots are needed
//! again is kept with its connection.

use std::cell::RefCell;
use std::io;

use smallvec::SmallVec;

use super::batch::GROUP;
use super::reactor::{Reactor, Wakeup};
use super::socket::Socket;
use super::source::{Clear, Source};

/// What is read of a connection ahead, at the most: a head, or a message.
const SPACE: usize = 4096;

/// Room for what is read of one connection. The size is no power of two, so that the beginnings of slots, which is what is
/// used of most, don't share the same few lines of the processor's cache.
#[derive(Debug)]
pub(super) struct Slot([u8; SPACE + 320]);

#[cfg(target_os = "linux")]
impl Slot {
    pub(super) fn new() -> Self {
        Self([0; _])
    }

    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.0[..SPACE]
    }
}

/// The slots of a core, and the keys of those whose bytes are in them.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    slots: RefCell<Vec<Slot>>,
    keys: RefCell<Vec<u32>>,
}

/// What was read of a source and not yet taken.
#[derive(Debug)]
pub(super) enum Received {
    Nothing,
    /// From the first to before the second byte of a slot.
    Slot(u16, u16, u16),
    Failed(io::Error),
    /// What is left of what was in a slot.
    Kept(Box<Kept>),
}

#[derive(Debug)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    taken: usize,
}

impl Received {
    pub(super) fn is_something(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

impl Source {
    fn wants_reading(&self) -> Option<&Socket> {
        let is_readable = self.read.ready && !self.read.expired && !self.received.is_something();
        self.socket.as_ref().filter(|_| is_readable)
    }

    fn receive(&mut self, slot: usize, result: io::Result<usize>) {
        match result {
            // Whoever reads finds the end again.
            Ok(0) => {}
            Ok(n) => {
                self.received = Received::Slot(slot as u16, 0, n as u16);
                if n < SPACE {
                    self.read.clear(Clear::ShortRead);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.read.clear(Clear::WouldBlock),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.received = Received::Failed(error),
        }
    }
}

impl Reactor {
    /// Reads of those of a group that can be read, if they can be read together.
    pub(super) fn receive(&self, group: &[(u32, Wakeup)]) {
        self.keep();
        let mut keys = self.inbox.keys.borrow_mut();
        let results = {
            let sources = self.sources.borrow();
            let mut sockets = SmallVec::<[&Socket; GROUP]>::new();
            for (key, _) in group {
                // A socket whose two directions both woke somebody is in the group twice.
                if let Some(socket) = sources.get(*key as usize).and_then(Source::wants_reading)
                    && !keys.contains(key)
                {
                    sockets.push(socket);
                    keys.push(*key);
                }
            }
            self.batch.borrow_mut().receive(&sockets, &mut self.inbox.slots.borrow_mut())
        };
        let Some(results) = results else { return keys.clear() };
        let mut sources = self.sources.borrow_mut();
        for (slot, (key, result)) in keys.iter().zip(results).enumerate() {
            sources[*key as usize].receive(slot, result);
        }
    }

    /// Keeps what nobody has read so far with its connection, and empties the slots.
    pub(super) fn keep(&self) {
        let mut keys = self.inbox.keys.borrow_mut();
        if keys.is_empty() {
            return;
        }
        let mut sources = self.sources.borrow_mut();
        let slots = self.inbox.slots.borrow();
        for key in keys.drain(..) {
            // It may be gone, and its key another's by now, of which nothing was read.
            if let Some(Source { received, .. }) = sources.get_mut(key as usize)
                && let Received::Slot(slot, from, to) = received
            {
                let bytes = &slots[*slot as usize].0[*from as usize..*to as usize];
                *received = Received::Kept(Box::new(Kept { bytes: bytes.to_vec(), taken: 0 }));
            }
        }
    }

    /// Takes what was read of a source ahead; `None` when that is nothing.
    pub(super) fn take(&self, key: u32, into: &mut [u8]) -> Option<io::Result<usize>> {
        let received = &mut self.sources.borrow_mut()[key as usize].received;
        match received {
            Received::Nothing => None,
            Received::Slot(slot, from, to) => {
                let slots = self.inbox.slots.borrow();
                let bytes = &slots[*slot as usize].0[*from as usize..*to as usize];
                let n = copy(bytes, into);
                *from += n as u16;
                if from == to {
                    *received = Received::Nothing;
                }
                Some(Ok(n))
            }
            Received::Kept(kept) => {
                let n = copy(&kept.bytes[kept.taken..], into);
                kept.taken += n;
                if kept.taken == kept.bytes.len() {
                    *received = Received::Nothing;
                }
                Some(Ok(n))
            }
            Received::Failed(_) => match std::mem::replace(received, Received::Nothing) {
                Received::Failed(error) => Some(Err(error)),
                _ => None,
            },
        }
    }
}

/// Copies as much as there is room for.
fn copy(from: &[u8], into: &mut [u8]) -> usize {
    let n = from.len().min(into.len());
    into[..n].copy_from_slice(&from[..n]);
    n
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use crate::driver::{Core, Stream};

    use super::*;

    /// More than are read by themselves.
    const MANY: usize = 5;

    /// Streams whose other ends have said something.
    fn told(core: &std::rc::Rc<Core>) -> Vec<(Stream, UnixStream)> {
        let mut pairs: Vec<_> = (0..MANY).map(|_| Stream::with_std_peer(core).unwrap()).collect();
        for (number, (stream, other)) in pairs.iter_mut().enumerate() {
            stream.watch(number as u32);
            write!(other, "hello {number}").unwrap();
        }
        pairs
    }

    fn read(stream: &Stream, most: usize) -> Option<String> {
        let mut into = vec![0; most];
        let read = stream.try_read(&mut into).transpose().unwrap();
        read.map(|n| String::from_utf8(into[..n].to_vec()).unwrap())
    }

    #[test]
    fn what_was_read_ahead_comes_first_whenever_it_is_read() {
        let core = Core::new().unwrap();
        let pairs = told(&core);
        let mut turns = 0;
        let is_quiet = || pairs.iter().all(|(stream, _)| stream.is_quiet());
        core.run(
            |wakeup| {
                let Wakeup::Readable(number) = wakeup else { panic!("{wakeup:?}") };
                // Some of it now, and the rest when the slots are others'.
                let stream = &pairs[number as usize].0;
                assert!(!stream.is_surely_quiet());
                assert_eq!(read(stream, 3).unwrap(), "hel");
            },
            || {
                turns += 1;
                match turns {
                    1 => core.hurry(),
                    2 => {
                        for (number, (stream, other)) in pairs.iter().enumerate() {
                            (&*other).write_all(b", again").unwrap();
                            assert_eq!(read(stream, 2).unwrap(), "lo");
                            assert_eq!(read(stream, 2).unwrap(), format!(" {number}"));
                        }
                        core.hurry();
                    }
                    _ => {
                        for (stream, _) in &pairs {
                            assert_eq!(read(stream, 99).as_deref(), Some(", again"));
                            assert_eq!(read(stream, 99), None);
                        }
                        core.stop();
                    }
                }
            },
        )
        .unwrap();
        assert!(is_quiet());
    }

    #[test]
    fn the_end_of_a_stream_comes_behind_what_was_read_ahead() {
        let core = Core::new().unwrap();
        let mut pairs = told(&core);
        pairs.iter_mut().for_each(|(_, other)| other.shutdown(std::net::Shutdown::Write).unwrap());
        let mut heard = 0;
        core.run(
            |wakeup| {
                let Wakeup::Readable(number) = wakeup else { panic!("{wakeup:?}") };
                let stream = &pairs[number as usize].0;
                assert_eq!(read(stream, 99).unwrap(), format!("hello {number}"));
                assert_eq!(read(stream, 99).unwrap(), "");
                heard += 1;
            },
            || core.stop(),
        )
        .unwrap();
        assert_eq!(heard, MANY);
    }

    #[test]
    fn a_stream_that_goes_leaves_its_slot_to_nobody() {
        let core = Core::new().unwrap();
        let mut pairs: Vec<_> = told(&core).into_iter().map(Some).collect();
        let mut next = None;
        core.run(
            |wakeup| {
                let Wakeup::Readable(number) = wakeup else { panic!("{wakeup:?}") };
                pairs[number as usize] = None;
                // It gets the same key.
                next = Some(Stream::with_std_peer(&core).unwrap());
                assert!(next.as_ref().is_some_and(|(stream, _)| read(stream, 99).is_none()));
            },
            || core.stop(),
        )
        .unwrap();
        let (stream, mut other) = next.unwrap();
        assert!(stream.is_quiet());
        drop(stream);
        assert_eq!(other.read(&mut [0]).unwrap(), 0);
    }
}
