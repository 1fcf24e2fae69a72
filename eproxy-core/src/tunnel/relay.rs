//! A tunnel: bytes from one connection to another and back, as they come.
//!
//! A tunnel has no task and, while nothing moves, no buffer: it is two connections that are watched. Each direction ends by
//! itself, and the end is passed on.
//!
//! ```text
//!   a direction:   open ──the source ends──▶ ended ──all is written──▶ shut       both shut, or an error: over
//! ```

use std::io;
use std::time::Duration;

use crate::driver::{Direction, Stream};
use crate::message::{Buffer, LARGE};

/// Bytes that a tunnel moves before others get their turn.
const BUDGET: u64 = 1024 * 1024;

/// Two connections that bytes are moved between.
#[derive(Debug)]
pub(crate) struct Tunnel {
    client: Stream,
    upstream: Stream,
    up: Way,
    down: Way,
    idle: Duration,
    /// What had been moved when the idle limit was last looked at.
    moved_before: u64,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// Read and not yet written.
    pending: Option<Box<Buffer>>,
    state: State,
    moved: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Ended,
    Shut,
}

/// What comes after bytes were moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Something is waited for.
    Wait,
    /// There is more to be moved at once.
    Again,
    Over,
}

impl Tunnel {
    /// A tunnel between two connections; what was read of each and is still to be written to the other comes first. A
    /// tunnel that carries no byte in either direction for `idle` is over; that is noticed after at most twice the time.
    pub(crate) fn new(
        client: Stream,
        upstream: Stream,
        from_client: Buffer,
        from_upstream: Buffer,
        idle: Duration,
    ) -> Self {
        let way = |buffer: Buffer| Way {
            moved: buffer.len() as u64,
            pending: (!buffer.is_empty()).then(|| Box::new(buffer)),
            state: State::Open,
        };
        client.set_deadline(Direction::Read, Some(idle));
        client.set_deadline(Direction::Write, None);
        upstream.set_deadline(Direction::Read, None);
        upstream.set_deadline(Direction::Write, None);
        Self { client, upstream, up: way(from_client), down: way(from_upstream), idle, moved_before: 0 }
    }

    /// Moves what can be moved.
    pub(crate) fn advance(&mut self, scratch: &mut Buffer) -> Next {
        if self.client.has_expired(Direction::Read) {
            let moved = self.up.moved + self.down.moved;
            if moved == self.moved_before {
                return Next::Over;
            }
            self.moved_before = moved;
            self.client.set_deadline(Direction::Read, Some(self.idle));
        }
        let up = self.up.advance(&self.client, &self.upstream, scratch);
        let down = self.down.advance(&self.upstream, &self.client, scratch);
        match (up, down) {
            (Err(_), _) | (_, Err(_)) => {
                self.break_off();
                Next::Over
            }
            _ if self.up.state == State::Shut && self.down.state == State::Shut => Next::Over,
            (Ok(Next::Again), _) | (_, Ok(Next::Again)) => Next::Again,
            _ => Next::Wait,
        }
    }

    /// A stream of HTTP/2 tells an end from a reset (RFC 9113 §8.5), and loses nothing that was written before. A reset of a
    /// socket would take that along.
    fn break_off(&self) {
        [&self.client, &self.upstream]
            .into_iter()
            .filter(|stream| stream.is_duct())
            .for_each(Stream::reset_on_drop);
    }

    /// Has the owner told, under these numbers, when there is something to be moved.
    pub(crate) fn watch(&self, client: u32, upstream: u32) {
        self.client.watch(client);
        self.upstream.watch(upstream);
        if self.down.pending.is_some() {
            self.client.watch_write(client);
        }
        if self.up.pending.is_some() {
            self.upstream.watch_write(upstream);
        }
    }

    /// Bytes that went to the upstream, and that came from it.
    pub(crate) fn moved(&self) -> (u64, u64) {
        (self.up.moved, self.down.moved)
    }
}

impl Way {
    fn advance(&mut self, from: &Stream, to: &Stream, scratch: &mut Buffer) -> io::Result<Next> {
        let until = self.moved.saturating_add(BUDGET);
        loop {
            if let Some(pending) = &mut self.pending {
                if !write(to, pending)? {
                    return Ok(Next::Wait);
                }
                self.pending = None;
            }
            match self.state {
                State::Shut => return Ok(Next::Wait),
                State::Ended if to.is_sending() => return Ok(Next::Wait),
                State::Ended => {
                    self.state = State::Shut;
                    to.finish()?;
                    return Ok(Next::Wait);
                }
                State::Open if self.moved >= until => return Ok(Next::Again),
                State::Open => {}
            }
            if from.is_quiet() {
                return Ok(Next::Wait);
            }
            match from.try_read(scratch.space(LARGE)).transpose()? {
                None => return Ok(Next::Wait),
                Some(0) => self.state = State::Ended,
                Some(n) => {
                    scratch.filled(n);
                    self.moved += n as u64;
                    if !write(to, scratch)? {
                        // What the other end does not take is kept, and nothing more is read until it does.
                        self.pending = Some(Box::new(Buffer::copy_of(scratch.data())));
                        scratch.reset();
                    }
                }
            }
        }
    }
}

/// Writes from the front of a buffer, as far as the kernel takes it; says whether that is all of it.
fn write(to: &Stream, buffer: &mut Buffer) -> io::Result<bool> {
    if to.post(buffer.data()) {
        buffer.consume(buffer.len());
    }
    while !buffer.is_empty() {
        match to.try_write(buffer.data()).transpose()? {
            None => return Ok(false),
            Some(0) => return Err(io::ErrorKind::WriteZero.into()),
            Some(n) => buffer.consume(n),
        }
    }
    Ok(true)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use crate::driver::{Core, Wakeup};

    use super::*;

    /// The other ends of a tunnel, as the standard library has them.
    type Ends = (std::os::unix::net::UnixStream, std::os::unix::net::UnixStream);

    /// Runs a tunnel until it is over, with `others` on a thread beside it.
    fn run(idle: Duration, first: [&[u8]; 2], others: impl FnOnce(Ends) + Send + 'static) -> (u64, u64) {
        let core = Core::new().unwrap();
        let (client, one) = Stream::with_std_peer(&core).unwrap();
        let (upstream, other) = Stream::with_std_peer(&core).unwrap();
        let helper = std::thread::spawn(move || others((one, other)));
        let [from_client, from_upstream] = first.map(Buffer::copy_of);
        let tunnel = Tunnel::new(client, upstream, from_client, from_upstream, idle);
        let tunnel = Rc::new(RefCell::new(tunnel));
        let advance = {
            let (core, tunnel) = (core.clone(), tunnel.clone());
            move || loop {
                let next = tunnel.borrow_mut().advance(&mut Buffer::new());
                match next {
                    Next::Again => {}
                    Next::Wait => return tunnel.borrow().watch(1, 2),
                    Next::Over => return core.stop(),
                }
            }
        };
        core.spawn({
            let advance = advance.clone();
            async move { advance() }
        });
        let on_wakeup = |wakeup| {
            assert!(matches!(wakeup, Wakeup::Readable(1 | 2) | Wakeup::Expired(1)));
            advance();
        };
        core.run(on_wakeup, || {}).unwrap();
        let moved = tunnel.borrow().moved();
        drop((advance, tunnel));
        helper.join().unwrap();
        moved
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn first_bytes_come_first_and_each_direction_ends_by_itself() {
        use std::io::{Read as _, Write as _};
        let moved = run(LONG, [b"early", b"hello"], |(mut client, mut upstream)| {
            client.write_all(b" bird").unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let mut heard = String::new();
            upstream.read_to_string(&mut heard).unwrap();
            assert_eq!(heard, "early bird");
            upstream.write_all(b", and bye").unwrap();
            drop(upstream);
            let mut heard = String::new();
            client.read_to_string(&mut heard).unwrap();
            assert_eq!(heard, "hello, and bye");
        });
        assert_eq!(moved, (10, 14));
    }

    #[test]
    fn nothing_is_lost_when_an_end_is_slow() {
        use std::io::{Read as _, Write as _};
        const SIZE: usize = 8 * 1024 * 1024;
        let moved = run(LONG, [b"", b""], |(mut client, mut upstream)| {
            let writer = std::thread::spawn(move || {
                let bytes: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
                upstream.write_all(&bytes).unwrap();
            });
            let mut read = 0;
            let mut chunk = vec![0; 10_007];
            loop {
                let n = client.read(&mut chunk).unwrap();
                if n == 0 {
                    break;
                }
                assert!(chunk[..n].iter().enumerate().all(|(at, byte)| *byte == ((read + at) % 251) as u8));
                read += n;
            }
            assert_eq!(read, SIZE);
            writer.join().unwrap();
        });
        assert_eq!(moved, (0, SIZE as u64));
    }

    #[test]
    fn a_tunnel_that_carries_nothing_is_closed() {
        use std::io::Read as _;
        run(Duration::from_millis(40), [b"", b""], |(mut client, _upstream)| {
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        });
    }
}
