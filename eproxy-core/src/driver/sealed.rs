//! Streams that wear a cipher: what they read was opened, what they write is sealed.
//!
//! ```text
//!   socket ──wire──▶ cipher ──▶ reader; what it did not ask for is kept as `plain`
//!   writer ──▶ cipher ──▶ outbox, or socket; what the kernel does not take is kept as `Sending::Rest`
//! ```
//!
//! The handshake is part of reading: its answers are sent by whoever reads. Nothing is held of a connection on which nothing is
//! on its way.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::cipher::{Cipher, Sink, Then};
use super::reactor::Reactor;
use super::socket::Next;
use super::source::{Direction, Layer, Parting};
use super::stream::Stream;

/// What is taken of a socket at a time; a record has 16 KiB and a little (RFC 8446 §5.2).
const WIRE: usize = 64 * 1024;

/// What is sealed at a time, so that a peer who reads slowly has no more of it kept for it.
const SEAL: usize = 64 * 1024;

/// A core's room for sealed bytes on their way, which are made and used up within a call.
#[derive(Debug, Default)]
pub(super) struct Wire {
    came: RefCell<Vec<u8>>,
    out: RefCell<Vec<u8>>,
}

/// A cipher, and what is on its way through it.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) cipher: Box<dyn Cipher>,
    /// The beginning of a record.
    came: Vec<u8>,
    /// What was opened and not read.
    plain: Vec<u8>,
    taken: usize,
    end: Option<End>,
}

/// How reading has ended.
#[derive(Debug)]
enum End {
    /// The peer has said that this was all.
    Told,
    Failed(io::ErrorKind, String),
}

impl Sealed {
    fn new(cipher: Box<dyn Cipher>) -> Self {
        Self { cipher, came: Vec::new(), plain: Vec::new(), taken: 0, end: None }
    }

    /// Whether a reader would learn something without anything coming.
    pub(super) fn has_news(&self) -> bool {
        self.taken < self.plain.len() || self.end.is_some()
    }

    /// What was opened, then how it has ended; nothing where more has to come.
    fn take(&mut self, into: &mut [u8]) -> Option<io::Result<usize>> {
        let plain = &self.plain[self.taken..];
        if !plain.is_empty() {
            let n = plain.len().min(into.len());
            into[..n].copy_from_slice(&plain[..n]);
            self.taken += n;
            if self.taken == self.plain.len() {
                (self.plain, self.taken) = (Vec::new(), 0);
            }
            return Some(Ok(n));
        }
        Some(match self.end.as_ref()? {
            End::Told => Ok(0),
            End::Failed(kind, text) => Err(io::Error::new(*kind, text.clone())),
        })
    }

    fn fail(&mut self, error: &io::Error) {
        self.end = Some(End::Failed(error.kind(), error.to_string()));
    }
}

impl Reactor {
    fn with_sealed<R>(&self, key: u32, act: impl FnOnce(&mut Sealed) -> R) -> R {
        match &mut self.sources.borrow_mut()[key as usize].layer {
            Layer::Sealed(sealed) => act(sealed),
            _ => unreachable!("a stream keeps its cipher"),
        }
    }

    /// Has a cipher open what came behind the beginning of a record, and sends what the peer has to be sent for it. Says how
    /// many bytes went into `into`.
    fn unseal(&self, key: u32, came: &mut [u8], into: &mut [u8]) -> usize {
        let mut out = self.wire.out.borrow_mut();
        out.clear();
        let filled = self.with_sealed(key, |sealed| {
            let mut sink = Sink::new(into, &mut sealed.plain);
            let opened = sealed.cipher.open(came, &mut sink, &mut out);
            let filled = sink.filled();
            match opened.then {
                Ok(Then::More) => {}
                Ok(Then::End) => sealed.end = Some(End::Told),
                Err(error) => sealed.fail(&error),
            }
            sealed.came = came[opened.taken..].to_vec();
            filled
        });
        if !out.is_empty() {
            self.send_sealed(key, &out, Next::Nothing);
        }
        filled
    }

    /// Sends what a cipher has made, behind everything before it. A connection that takes no more is found out by reading.
    fn send_sealed(&self, key: u32, sealed: &[u8], next: Next) {
        self.send_before(key);
        let source = &mut self.sources.borrow_mut()[key as usize];
        if source.send_behind(sealed, next).is_err() {
            (source.broken, source.read.ready, source.read.closed) = (true, true, true);
        }
    }

    /// Says goodbye: what was posted is sent, and behind it what the cipher has to say at the end.
    fn say_goodbye(&self, key: u32) {
        self.send_before(key);
        let mut sources = self.sources.borrow_mut();
        let Some(source) = sources.get_mut(key as usize) else { return };
        if let Layer::Sealed(sealed) = &mut source.layer
            && !source.broken
            && source.parting != Parting::Resets
        {
            let mut out = self.wire.out.borrow_mut();
            out.clear();
            sealed.cipher.close(&mut out);
            if !out.is_empty() {
                // A peer that is gone need not be told.
                let _gone = source.send_behind(&out, Next::Nothing);
            }
        }
    }

    /// What is done before a stream goes.
    pub(super) fn part(&self, key: u32) {
        self.say_goodbye(key);
        self.leave_duct(key);
    }

    /// Says that nothing more will be written, once what is still to be sent has left.
    pub(super) fn finish(&self, key: u32) -> io::Result<()> {
        if self.finish_duct(key) {
            return Ok(());
        }
        self.say_goodbye(key);
        let source = &mut self.sources.borrow_mut()[key as usize];
        match &source.socket {
            Some(socket) if !source.sending.is_something() => socket.finish(),
            _ => {
                source.parting = Parting::Finishes;
                Ok(())
            }
        }
    }
}

impl Stream {
    /// Puts a cipher between this stream and its socket; `came` was read of the socket before, and is the cipher's to open.
    pub(crate) fn wear(&self, cipher: Box<dyn Cipher>, came: &mut [u8]) {
        let reactor = self.reactor();
        reactor.sources.borrow_mut()[self.key() as usize].layer =
            Layer::Sealed(Box::new(Sealed::new(cipher)));
        reactor.unseal(self.key(), came, &mut []);
    }

    /// Goes on with the handshake of the cipher; nothing where something has to come first.
    ///
    /// # Errors
    ///
    /// It has failed: `InvalidData` says why, `UnexpectedEof` that the peer has gone.
    pub(crate) fn try_shake(&self) -> Option<io::Result<()>> {
        loop {
            let over = self.reactor().with_sealed(self.key(), |sealed| match &sealed.end {
                Some(End::Failed(kind, text)) => Some(Err(io::Error::new(*kind, text.clone()))),
                _ if !sealed.cipher.is_shaking() => Some(Ok(())),
                Some(End::Told) => Some(Err(io::ErrorKind::UnexpectedEof.into())),
                None => None,
            });
            if over.is_some() {
                return over;
            }
            self.receive_sealed(&mut [])?;
        }
    }

    /// Ready when the handshake of the cipher is over.
    ///
    /// # Errors
    ///
    /// As for [`try_shake`](Self::try_shake), and `TimedOut` past the read deadline.
    pub(crate) fn poll_shake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(over) = self.try_shake() {
                return Poll::Ready(over);
            }
            ready!(self.reactor().poll_ready(self.key(), Direction::Read, cx))?;
        }
    }

    /// Whether what has woken the owner of a parked stream was for the cipher alone, such as a ticket for later sessions; it
    /// is parked again then.
    pub(crate) fn stays(&self, number: u32) -> bool {
        let is_quiet = self.is_sealed() && !self.has_expired(Direction::Read) && self.is_surely_quiet();
        is_quiet && self.park(number)
    }

    /// As [`try_read`](Self::try_read).
    pub(super) fn try_unseal(&self, into: &mut [u8]) -> Option<io::Result<usize>> {
        loop {
            let taken = self.reactor().with_sealed(self.key(), |sealed| sealed.take(into));
            if taken.is_some() {
                return taken;
            }
            match self.receive_sealed(into)? {
                0 => {}
                n => return Some(Ok(n)),
            }
        }
    }

    /// Receives what is there, and has it opened; says how much of it went into `into`. What has gone wrong is kept for
    /// whoever reads on.
    fn receive_sealed(&self, into: &mut [u8]) -> Option<usize> {
        let reactor = self.reactor();
        if !reactor.sources.borrow()[self.key() as usize].may_receive() {
            return None;
        }
        let mut came = reactor.wire.came.borrow_mut();
        let held = reactor.with_sealed(self.key(), |sealed| {
            let held = sealed.came.len();
            if came.len() < held + WIRE {
                came.resize(held + WIRE, 0);
            }
            came[..held].copy_from_slice(&sealed.came);
            held
        });
        let room = came.len();
        let received = self.try_receive(&mut came[held..room])?;
        match received {
            Ok(0) => reactor.with_sealed(self.key(), |sealed| {
                let error =
                    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended without a goodbye");
                sealed.fail(&error);
            }),
            Ok(n) => return Some(reactor.unseal(self.key(), &mut came[..held + n], into)),
            Err(error) => reactor.with_sealed(self.key(), |sealed| sealed.fail(&error)),
        }
        Some(0)
    }

    /// Takes in what the cipher alone needs to know of, such as tickets for later sessions.
    pub(super) fn absorb(&self) {
        let has_news = || self.reactor().with_sealed(self.key(), |sealed| sealed.has_news());
        while !has_news() && self.receive_sealed(&mut []).is_some() {}
    }

    /// Seals what is to be written and sends it; says how much that was. What the kernel does not take is kept, and nothing
    /// else is taken until it has left.
    pub(super) fn seal(&self, from: &[IoSlice<'_>], next: Next) -> io::Result<usize> {
        let reactor = self.reactor();
        let mut out = reactor.wire.out.borrow_mut();
        out.clear();
        let sealed = reactor.with_sealed(self.key(), |sealed| sealed.cipher.seal(from, SEAL, &mut out))?;
        reactor.sources.borrow_mut()[self.key() as usize].send_behind(&out, next)?;
        Ok(sealed)
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read as _, Write as _};

    use crate::driver::{Opened, Wakeup, on_a_core};

    use super::*;

    /// Records are a length and so many bytes, upside down. Each side says `!` before anything else, and an empty record at
    /// the end.
    #[derive(Debug)]
    struct Toy {
        is_shaking: bool,
        is_closed: bool,
    }

    const TOY: Toy = Toy { is_shaking: true, is_closed: false };

    impl Cipher for Toy {
        fn open(&mut self, came: &mut [u8], plain: &mut Sink<'_>, out: &mut Vec<u8>) -> Opened {
            let mut taken = 0;
            if self.is_shaking && !came.is_empty() {
                if came[0] != b'!' {
                    return Opened { taken: 1, then: Err(io::ErrorKind::InvalidData.into()) };
                }
                (self.is_shaking, taken) = (false, 1);
                out.push(b'!');
            }
            while let [length, rest @ ..] = &came[taken..]
                && let Some(record) = rest.get(..*length as usize)
            {
                taken += 1 + record.len();
                if record.is_empty() {
                    return Opened { taken, then: Ok(Then::End) };
                }
                plain.put(&record.iter().map(|byte| !byte).collect::<Vec<_>>());
            }
            Opened { taken, then: Ok(Then::More) }
        }

        fn seal(&mut self, plain: &[IoSlice<'_>], most: usize, out: &mut Vec<u8>) -> io::Result<usize> {
            let bytes: Vec<_> = plain.iter().flat_map(|slice| slice.iter()).take(most).collect();
            for record in bytes.chunks(100) {
                out.push(record.len() as u8);
                out.extend(record.iter().map(|byte| !**byte));
            }
            Ok(bytes.len())
        }

        fn close(&mut self, out: &mut Vec<u8>) {
            if !std::mem::replace(&mut self.is_closed, true) && !self.is_shaking {
                out.push(0);
            }
        }

        fn is_shaking(&self) -> bool {
            self.is_shaking
        }
    }

    fn record(text: &[u8]) -> Vec<u8> {
        [&[text.len() as u8][..], &text.iter().map(|byte| !byte).collect::<Vec<_>>()].concat()
    }

    async fn read(stream: &Stream, most: usize) -> io::Result<Vec<u8>> {
        let mut into = vec![0; most];
        let n = poll_fn(|cx| stream.poll_read(cx, &mut into)).await?;
        into.truncate(n);
        Ok(into)
    }

    #[test]
    fn what_was_opened_and_not_asked_for_is_read_next_and_the_end_behind_it() {
        on_a_core(async |core| {
            let (stream, mut peer) = Stream::with_std_peer(&core).unwrap();
            stream.wear(Box::new(TOY), &mut []);
            assert!(stream.try_shake().is_none());
            peer.write_all(&[b"!", &record(b"hello")[..], &record(b", world")[..4]].concat()).unwrap();
            poll_fn(|cx| stream.poll_shake(cx)).await.unwrap();
            assert!(!stream.park(7), "there is something to be read");
            assert_eq!(read(&stream, 3).await.unwrap(), b"hel");
            assert_eq!(read(&stream, 9).await.unwrap(), b"lo");
            peer.write_all(&[&record(b", world")[4..], &[0]].concat()).unwrap();
            assert_eq!(read(&stream, 99).await.unwrap(), b", world");
            assert_eq!(read(&stream, 99).await.unwrap(), b"");
            assert_eq!(read(&stream, 99).await.unwrap(), b"");
        });
    }

    #[test]
    fn an_end_without_a_goodbye_and_bytes_that_mean_nothing_are_failures() {
        on_a_core(async |core| {
            for (said, kind) in
                [(&b"!"[..], io::ErrorKind::UnexpectedEof), (b"?", io::ErrorKind::InvalidData)]
            {
                let (stream, mut peer) = Stream::with_std_peer(&core).unwrap();
                stream.wear(Box::new(TOY), &mut []);
                peer.write_all(said).unwrap();
                drop(peer);
                assert_eq!(read(&stream, 9).await.unwrap_err().kind(), kind);
                assert_eq!(read(&stream, 9).await.unwrap_err().kind(), kind);
            }
        });
    }

    #[test]
    fn what_is_written_and_posted_leaves_in_order_though_the_owner_has_gone() {
        const LONG: usize = 4 * 1024 * 1024;
        let heard = on_a_core(async |core| {
            let (stream, mut peer) = Stream::with_std_peer(&core).unwrap();
            stream.wear(Box::new(TOY), &mut b"!".to_vec());
            assert!(stream.post(b"posted, "));
            let reader = std::thread::spawn(move || {
                let mut heard = Vec::new();
                peer.read_to_end(&mut heard).unwrap();
                heard
            });
            let long = vec![b'x'; LONG];
            let mut written = 0;
            while written < LONG {
                written +=
                    poll_fn(|cx| stream.poll_write(cx, &[IoSlice::new(&long[written..])])).await.unwrap();
            }
            drop(stream);
            // What the kernel had no room for leaves in the turns that follow.
            while !reader.is_finished() {
                core.sleep(std::time::Duration::from_millis(1)).await;
            }
            reader.join().unwrap()
        });
        let mut plain = Vec::new();
        let mut beyond = Vec::new();
        let mut toy = TOY;
        let opened = toy.open(&mut heard.clone(), &mut Sink::new(&mut [], &mut beyond), &mut plain);
        assert!(matches!(opened.then, Ok(Then::End)) && opened.taken == heard.len());
        assert!(beyond.starts_with(b"posted, xx") && beyond.len() == LONG + 8);
    }

    #[test]
    fn what_is_for_the_cipher_alone_does_not_end_a_parked_connection() {
        let core = crate::driver::Core::new().unwrap();
        let (stream, mut peer) = Stream::with_std_peer(&core).unwrap();
        stream.wear(Box::new(TOY), &mut []);
        peer.write_all(b"!").unwrap();
        assert!(stream.park(7));
        let turns = std::cell::Cell::new(0);
        core.run(
            |wakeup| {
                assert_eq!(wakeup, Wakeup::Readable(7));
                let stays = stream.stays(7);
                match turns.replace(turns.get() + 1) {
                    0 => assert!(stays),
                    _ => assert!(!stays && stream.holds_bytes()),
                }
                peer.write_all(&record(b"hello")).unwrap();
            },
            || match turns.get() {
                0 | 1 => {}
                _ => core.stop(),
            },
        )
        .unwrap();
    }
}
