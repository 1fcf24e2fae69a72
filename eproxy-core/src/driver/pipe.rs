//! Bytes from one socket to another that are never copied to this program: they go through a pipe of the kernel's
//! (`splice`, Linux).

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags};

use super::source::{Clear, Direction};
use super::stream::Stream;

/// A pipe between two sockets.
#[derive(Debug)]
pub(crate) struct Pipe {
    into: OwnedFd,
    out: OwnedFd,
    /// Bytes in it.
    held: usize,
}

/// What a pipe is made to hold; where the system allows less, it holds what it does by default, 64 KiB.
const CAPACITY: usize = 1024 * 1024;

/// Unused pipes that a core keeps.
const SPARE: usize = 32;

thread_local! {
    static PIPES: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

impl Pipe {
    /// An empty pipe; none where the system has no descriptors left.
    pub(crate) fn take() -> Option<Self> {
        PIPES.with_borrow_mut(Vec::pop).or_else(|| {
            let (out, into) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
            // A smaller one does as well.
            let _size = rustix::pipe::fcntl_setpipe_size(&into, CAPACITY);
            Some(Self { into, out, held: 0 })
        })
    }

    /// Keeps a pipe for the next one who needs one, if there is nothing in it.
    pub(crate) fn put(self) {
        PIPES.with_borrow_mut(|pipes| {
            if self.held == 0 && pipes.len() < SPARE {
                pipes.push(self);
            }
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes up to `most` bytes of a stream into the pipe, which is empty; 0 is the end of the stream.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(self.is_empty(), "a full pipe would be taken for a stream that has nothing");
        loop {
            ready!(from.poll_ready(cx, Direction::Read))?;
            let (into, most) = (&self.into, most.min(CAPACITY));
            let moved =
                from.with_socket(|from| rustix::pipe::splice(from.as_fd(), None, into, None, most, FLAGS));
            match moved {
                Ok(0) => return Poll::Ready(from.end()),
                Ok(n) => {
                    self.held = n;
                    return Poll::Ready(Ok(n));
                }
                Err(error) => from.clear_on(error.into(), Direction::Read)?,
            }
        }
    }

    /// Gives what is in the pipe to a stream, as far as it takes it.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>, to: &Stream) -> Poll<io::Result<usize>> {
        loop {
            ready!(to.poll_ready(cx, Direction::Write))?;
            let (out, held) = (&self.out, self.held);
            match to.with_socket(|to| rustix::pipe::splice(out, None, to.as_fd(), None, held, FLAGS)) {
                Ok(n) => {
                    self.held -= n;
                    return Poll::Ready(Ok(n));
                }
                Err(error) => to.clear_on(error.into(), Direction::Write)?,
            }
        }
    }
}

impl Stream {
    /// Notes that a direction is not ready, if that is what the system said; any other error is given back.
    fn clear_on(&self, error: io::Error, direction: Direction) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::WouldBlock => {
                self.clear(direction, Clear::WouldBlock);
                Ok(())
            }
            io::ErrorKind::Interrupted => Ok(()),
            _ => Err(error),
        }
    }
}
