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
use std::io::{self, IoSlice};

use smallvec::SmallVec;

use super::batch::{GROUP, Results};
use super::reactor::Reactor;
use super::socket::{Next, Socket};
use super::source::{Clear, Layer, Parting, Source};

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
        if let (Parting::Finishes, Some(socket)) = (self.parting, &self.socket) {
            // Whoever is gone has no use for it.
            let _gone = socket.finish();
        }
        true
    }

    /// Sends bytes behind what is still to be sent; what the kernel does not take is kept.
    pub(super) fn send_behind(&mut self, bytes: &[u8], next: Next) -> io::Result<()> {
        if let Sending::Rest(rest) = &mut self.sending {
            rest.bytes.extend_from_slice(bytes);
            return Ok(());
        }
        let Some(socket) = &self.socket else { return Ok(()) };
        let sent = match socket.send(bytes, next) {
            Ok(sent) if sent == bytes.len() => return Ok(()),
            Ok(sent) => sent,
            Err(error) if is_transient(&error) => 0,
            Err(error) => return Err(error),
        };
        self.sending = Sending::Rest(Box::new(Rest { bytes: bytes[sent..].to_vec(), sent: 0 }));
        // So that the kernel says when there is room.
        self.send_rest();
        Ok(())
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
        let mut bytes = self.outbox.bytes.borrow_mut();
        match &mut source.layer {
            Layer::Nothing => bytes.extend_from_slice(message),
            Layer::Sealed(sealed) => match sealed.cipher.seal(&[IoSlice::new(message)], LONG, &mut bytes) {
                Ok(n) => debug_assert_eq!(n, message.len(), "a cipher takes what it is allowed to"),
                // Whoever writes it otherwise learns why.
                Err(_) => return false,
            },
            Layer::Duct(_) => return false,
        }
        source.sending = Sending::Posted;
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
            let socket = sources[*key as usize].socket.as_ref().expect("streams have one");
            messages.push((socket, &bytes[from..*to]));
            from = *to;
        }
        let results = self.batch.borrow_mut().send(&messages);
        results.unwrap_or_else(|| {
            messages.iter().map(|(socket, message)| socket.send(message, Next::Nothing)).collect()
        })
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;
    use std::rc::Rc;

    use crate::driver::{Core, Stream, Wakeup};

    use super::*;

    /// More than are written to by themselves.
    const MANY: usize = 5;

    fn streams(core: &Rc<Core>) -> Vec<(Stream, UnixStream)> {
        (0..MANY).map(|_| Stream::with_std_peer(core).unwrap()).collect()
    }

    fn heard(other: &mut UnixStream, length: usize) -> String {
        let mut heard = vec![0; length];
        other.read_exact(&mut heard).unwrap();
        String::from_utf8(heard).unwrap()
    }

    #[test]
    fn what_is_posted_leaves_at_the_end_of_the_turn_and_before_what_follows() {
        posts_in_order(&Core::new().unwrap());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn each_message_leaves_by_itself_where_they_can_not_leave_together() {
        let core = Core::new().unwrap();
        core.reactor.batch.replace(super::super::batch::Batch::Nothing);
        posts_in_order(&core);
    }

    fn posts_in_order(core: &Rc<Core>) {
        let mut pairs = streams(core);
        for (number, (stream, _)) in pairs.iter().enumerate() {
            assert!(stream.post(format!("post {number}").as_bytes()));
        }
        // What follows at once is not overtaken.
        assert!(pairs[0].0.post(b", post"));
        assert_eq!(pairs[0].0.try_write(b", write").unwrap().unwrap(), 7);
        assert_eq!(heard(&mut pairs[0].1, 19), "post 0, post, write");
        assert!(!pairs[0].0.is_sending());
        assert!(pairs[1].0.post(b"!"));
        core.spawn({
            let core = core.clone();
            async move { core.stop() }
        });
        core.run(|_| {}, || {}).unwrap();
        for (number, (_, other)) in pairs.iter_mut().enumerate().skip(1) {
            let expected = format!("post {number}{}", if number == 1 { "!" } else { "" });
            assert_eq!(heard(other, expected.len()), expected);
        }
    }

    #[test]
    fn a_connection_that_closes_sends_before() {
        let core = Core::new().unwrap();
        for (stream, mut other) in streams(&core) {
            assert!(stream.post(b"bye"));
            drop(stream);
            let mut heard = String::new();
            other.read_to_string(&mut heard).unwrap();
            assert_eq!(heard, "bye");
        }
    }

    #[test]
    fn what_is_too_long_is_not_posted() {
        let core = Core::new().unwrap();
        let (stream, _other) = Stream::with_std_peer(&core).unwrap();
        assert!(!stream.post(&[0; LONG + 1]));
        assert!(stream.post(&[0; LONG]));
    }

    #[test]
    fn what_there_is_no_room_for_is_sent_when_there_is() {
        let core = Core::new().unwrap();
        let (stream, mut other) = Stream::with_std_peer(&core).unwrap();
        let mut posted = 0;
        while !stream.is_sending() {
            assert!(stream.post(&[b'x'; LONG]));
            posted += LONG;
        }
        assert!(!stream.post(b"y"), "it would overtake");
        assert!(stream.try_write(b"y").is_none());
        assert!(
            core.reactor
                .poll_ready(stream.key(), super::super::Direction::Write, &mut no_task())
                .is_pending()
        );
        stream.watch(7);
        let reader = std::thread::spawn(move || {
            let mut heard = Vec::new();
            other.read_to_end(&mut heard).unwrap();
            heard
        });
        let is_told = std::cell::Cell::new(false);
        core.run(
            |wakeup| {
                // Its owner is told, so that it can go on or close it.
                assert_eq!(wakeup, Wakeup::Readable(7));
                is_told.set(true);
            },
            || match stream.is_sending() {
                true => {}
                false => core.stop(),
            },
        )
        .unwrap();
        assert!(is_told.get());
        let mut context = no_task();
        assert!(stream.poll_write(&mut context, &[IoSlice::new(b"y")]).is_ready());
        drop(stream);
        let heard = reader.join().unwrap();
        assert_eq!(heard.len(), posted + 1);
        assert_eq!(heard.last(), Some(&b'y'));
    }

    #[test]
    fn a_peer_that_is_gone_is_found_out_by_reading() {
        let core = Core::new().unwrap();
        let (stream, other) = Stream::with_std_peer(&core).unwrap();
        drop(other);
        assert!(stream.post(b"hello?"));
        assert!(!stream.is_sending());
        assert!(matches!(stream.try_read(&mut [0]), Some(Ok(0) | Err(_))));
    }

    fn no_task() -> std::task::Context<'static> {
        std::task::Context::from_waker(std::task::Waker::noop())
    }
}
