//! Two streams of one core that are connected with each other, without a socket: what is written to one can be read of the
//! other. Whoever owns an end waits, parks and sets deadlines as with any other stream.
//!
//! An end that is dropped leaves what it has written to be read, then the end; one that is dropped with a reset leaves an error
//! there.

use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::Waker;

use super::cores::Core;
use super::reactor::{Reactor, Wakeup};
use super::source::{Layer, Parting, Source, tell};
use super::stream::Stream;

/// One end.
#[derive(Debug)]
pub(super) struct Duct {
    /// The key of the other; none when it was dropped.
    other: Option<u32>,
    /// What the other has written, from the first byte that was not read.
    came: Vec<u8>,
    taken: usize,
    /// Bytes that may be waiting to be read.
    room: usize,
    end: Option<End>,
}

/// What comes behind what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Over,
    Reset,
    /// Nothing of what was written was looked at.
    Refused,
}

impl Duct {
    fn held(&self) -> usize {
        self.came.len() - self.taken
    }

    fn put(&mut self, from: &[IoSlice<'_>]) -> usize {
        let mut room = self.room - self.held();
        let before = room;
        if self.taken > self.held() {
            self.came.drain(..self.taken);
            self.taken = 0;
        }
        for slice in from {
            let n = slice.len().min(room);
            self.came.extend_from_slice(&slice[..n]);
            room -= n;
        }
        before - room
    }

    fn take(&mut self, into: &mut [u8]) -> usize {
        let n = self.held().min(into.len());
        into[..n].copy_from_slice(&self.came[self.taken..self.taken + n]);
        self.taken += n;
        if self.held() == 0 {
            (self.came, self.taken) = (Vec::new(), 0);
        }
        n
    }
}

/// Those who have to be told of something, once nothing is borrowed.
#[derive(Default)]
struct News {
    parked: Vec<(u32, Wakeup)>,
    wakers: Vec<Waker>,
}

impl News {
    fn readable(&mut self, key: u32, source: &mut Source) {
        source.read.ready = true;
        let Self { parked, wakers } = self;
        tell(&mut source.read.waiter, |number| (key, Wakeup::Readable(number)), parked, wakers);
    }

    fn writable(&mut self, key: u32, source: &mut Source) {
        source.write.ready = true;
        let Self { parked, wakers } = self;
        tell(&mut source.write.waiter, |number| (key, Wakeup::Readable(number)), parked, wakers);
    }

    fn spread(self, reactor: &Reactor) {
        reactor.told.borrow_mut().extend(self.parked);
        self.wakers.into_iter().for_each(Waker::wake);
    }
}

fn duct(source: &mut Source) -> Option<&mut Duct> {
    match &mut source.layer {
        Layer::Duct(duct) => Some(duct),
        _ => None,
    }
}

impl Reactor {
    fn add_duct(&self, room: usize) -> u32 {
        let key = self.insert();
        let duct = Duct { other: None, came: Vec::new(), taken: 0, room, end: None };
        self.sources.borrow_mut()[key as usize].layer = Layer::Duct(Box::new(duct));
        key
    }

    /// As [`Stream::try_read`].
    pub(super) fn read_duct(&self, key: u32, into: &mut [u8]) -> Option<io::Result<usize>> {
        let mut news = News::default();
        let n = {
            let mut sources = self.sources.borrow_mut();
            let source = &mut sources[key as usize];
            let duct = duct(source)?;
            let was_full = duct.held() == duct.room;
            let n = match (duct.held(), duct.end) {
                (0, Some(End::Over)) => return Some(Ok(0)),
                (0, Some(End::Reset)) => return Some(Err(io::ErrorKind::ConnectionReset.into())),
                (0, Some(End::Refused)) => return Some(Err(io::ErrorKind::ConnectionRefused.into())),
                (0, None) => {
                    source.read.ready = false;
                    return None;
                }
                _ => duct.take(into),
            };
            let other = duct.other;
            source.read.ready = duct.held() > 0 || duct.end.is_some();
            if was_full && let Some(other) = other {
                news.writable(other, &mut sources[other as usize]);
            }
            n
        };
        news.spread(self);
        Some(Ok(n))
    }

    /// As [`Stream::try_write`].
    pub(super) fn write_duct(&self, key: u32, from: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
        let mut news = News::default();
        let n = {
            let mut sources = self.sources.borrow_mut();
            let Some(other) = duct(&mut sources[key as usize])?.other else {
                return Some(Err(io::ErrorKind::BrokenPipe.into()));
            };
            let peer = &mut sources[other as usize];
            let ending = duct(peer)?;
            if ending.end.is_some() {
                return Some(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let n = ending.put(from);
            let is_full = ending.held() == ending.room;
            if n > 0 {
                news.readable(other, peer);
            }
            if is_full {
                sources[key as usize].write.ready = false;
            }
            if n == 0 && is_full {
                return None;
            }
            n
        };
        news.spread(self);
        Some(Ok(n))
    }

    /// Says that nothing more will be written to a duct; says no where the stream is none.
    pub(super) fn finish_duct(&self, key: u32) -> bool {
        let mut news = News::default();
        {
            let mut sources = self.sources.borrow_mut();
            let Some(duct_here) = duct(&mut sources[key as usize]) else { return false };
            if let Some(other) = duct_here.other
                && let peer = &mut sources[other as usize]
                && let Some(there) = duct(peer)
            {
                there.end = there.end.or(Some(End::Over));
                peer.read.closed = true;
                news.readable(other, peer);
            }
        }
        news.spread(self);
        true
    }

    /// Tells the other end that this one goes.
    pub(super) fn leave_duct(&self, key: u32) {
        let mut news = News::default();
        {
            let mut sources = self.sources.borrow_mut();
            let Some(source) = sources.get_mut(key as usize) else { return };
            let end = match source.parting {
                Parting::Resets => End::Reset,
                Parting::Refuses => End::Refused,
                Parting::Stays | Parting::Finishes | Parting::Leaves => End::Over,
            };
            let Some(other) = duct(source).and_then(|duct| duct.other) else { return };
            let peer = &mut sources[other as usize];
            if let Some(there) = duct(peer) {
                there.other = None;
                // What was written before is still read.
                there.end = if end == End::Over { there.end.or(Some(end)) } else { Some(end) };
            }
            (peer.broken, peer.read.closed) = (true, true);
            news.readable(other, peer);
            news.writable(other, peer);
        }
        news.spread(self);
    }
}

impl Stream {
    /// Two ends of a duct, each of which takes up to `room` bytes that the other has not read yet.
    pub(crate) fn duct(core: &Rc<Core>, room: usize) -> (Self, Self) {
        let (one, other) = (core.reactor.add_duct(room), core.reactor.add_duct(room));
        for (key, peer) in [(one, other), (other, one)] {
            if let Some(duct) = duct(&mut core.reactor.sources.borrow_mut()[key as usize]) {
                duct.other = Some(peer);
            }
        }
        (Self::of(core, one), Self::of(core, other))
    }

    /// Makes the end of a duct one that says that nothing of what the other end wrote was looked at:
    /// `ConnectionRefused`.
    pub(crate) fn refuse_on_drop(&self) {
        self.reactor().sources.borrow_mut()[self.key() as usize].parting = Parting::Refuses;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::poll_fn;

    use crate::driver::{Direction, on_a_core};

    use super::*;

    async fn write(stream: &Stream, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| stream.poll_write(cx, &[IoSlice::new(bytes)])).await
    }

    async fn read(stream: &Stream) -> io::Result<Vec<u8>> {
        let mut into = [0; 64];
        let n = poll_fn(|cx| stream.poll_read(cx, &mut into)).await?;
        Ok(into[..n].to_vec())
    }

    #[test]
    fn what_is_written_at_one_end_is_read_at_the_other() {
        on_a_core(async |core| {
            let (one, other) = Stream::duct(&core, 8);
            assert_eq!(one.try_read(&mut [0]).map(|read| read.unwrap()), None);
            assert_eq!(write(&one, b"ping").await.unwrap(), 4);
            assert_eq!(write(&other, b"pong").await.unwrap(), 4);
            assert_eq!(read(&other).await.unwrap(), b"ping");
            assert_eq!(read(&one).await.unwrap(), b"pong");
            one.finish().unwrap();
            assert!(other.is_half_closed());
            assert_eq!(read(&other).await.unwrap(), b"");
            assert_eq!(write(&other, b"still").await.unwrap(), 5);
            drop(other);
            assert_eq!(read(&one).await.unwrap(), b"still");
            assert_eq!(read(&one).await.unwrap(), b"");
            assert_eq!(write(&one, b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        });
    }

    #[test]
    fn an_end_that_nobody_reads_takes_no_more_until_somebody_does() {
        on_a_core(async |core| {
            let (one, other) = Stream::duct(&core, 8);
            assert_eq!(write(&one, b"0123456789").await.unwrap(), 8);
            assert!(one.try_write(b"89").is_none());
            let writer = core.clone();
            let done = Rc::new(RefCell::new(false));
            let is_done = done.clone();
            writer.spawn(async move {
                write(&one, b"89").await.unwrap();
                *is_done.borrow_mut() = true;
            });
            futures_lite::future::yield_now().await;
            assert!(!*done.borrow());
            assert_eq!(read(&other).await.unwrap(), b"01234567");
            assert_eq!(read(&other).await.unwrap(), b"89");
            assert!(*done.borrow());
        });
    }

    #[test]
    fn a_reset_is_found_out_by_whoever_waits_and_a_deadline_ends_a_read() {
        on_a_core(async |core| {
            let (one, other) = Stream::duct(&core, 8);
            other.set_deadline(Direction::Read, Some(std::time::Duration::from_millis(20)));
            assert_eq!(read(&other).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
            other.set_deadline(Direction::Read, None);
            write(&one, b"before").await.unwrap();
            one.reset_on_drop();
            drop(one);
            poll_fn(|cx| other.poll_broken(cx)).await;
            assert_eq!(read(&other).await.unwrap(), b"before");
            assert_eq!(read(&other).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        });
    }

    #[test]
    fn whoever_has_parked_an_end_is_told_in_the_same_turn() {
        let core = Core::new().unwrap();
        let (one, other) = Stream::duct(&core, 8);
        assert!(other.park(7));
        core.spawn({
            let one = one.key();
            let core = core.clone();
            async move {
                assert_eq!(core.reactor.write_duct(one, &[IoSlice::new(b"hello")]).unwrap().unwrap(), 5);
            }
        });
        let told = RefCell::new(Vec::new());
        let mut turns = 0;
        core.run(
            |wakeup| told.borrow_mut().push((wakeup, turns_of(&other))),
            || {
                turns += 1;
                assert_eq!(*told.borrow(), [(Wakeup::Readable(7), 5)]);
                core.stop();
            },
        )
        .unwrap();
        assert_eq!(turns, 1);
        drop(one);
    }

    fn turns_of(stream: &Stream) -> usize {
        stream.try_read(&mut [0; 8]).unwrap().unwrap()
    }
}
