//! Several calls on sockets in one system call.
//!
//! A server that was told of fifty readable sockets makes fifty calls to read them, and each of them costs the way into the
//! kernel and back. A [`Ring`] takes all of them there at once, through `io_uring` (Linux). It is not a reactor: no call
//! waits for anything, and all of them are over when [`Ring::run`] returns. Whoever wants to know when a socket is ready
//! asks elsewhere.
//!
//! This crate exists so that eproxy can forbid `unsafe`. What it takes is one function below, which says why it is sound.

#![cfg(target_os = "linux")]

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use io_uring::{IoUring, opcode, squeue, types};

/// A call on a socket, and what came of it.
#[derive(Debug)]
pub struct Call<'a> {
    socket: BorrowedFd<'a>,
    what: What<'a>,
    /// As the kernel says it: a number of bytes, or a negative error.
    result: i32,
}

#[derive(Debug)]
enum What<'a> {
    Receive(&'a mut [u8]),
    Send(&'a [u8]),
}

impl<'a> Call<'a> {
    /// Receives what is there, as `recv(2)` does with `MSG_DONTWAIT`.
    pub fn receive(socket: BorrowedFd<'a>, into: &'a mut [u8]) -> Self {
        Self { socket, what: What::Receive(into), result: -libc::ECANCELED }
    }

    /// Sends as much as there is room for, as `send(2)` does with `MSG_DONTWAIT` and `MSG_NOSIGNAL`.
    pub fn send(socket: BorrowedFd<'a>, from: &'a [u8]) -> Self {
        Self { socket, what: What::Send(from), result: -libc::ECANCELED }
    }

    /// The number of bytes; of a call that was not run, `ECANCELED`.
    ///
    /// # Errors
    ///
    /// What the call failed with, `WouldBlock` among it.
    pub fn result(&self) -> io::Result<usize> {
        usize::try_from(self.result).map_err(|_| io::Error::from_raw_os_error(-self.result))
    }

    fn entry(&mut self) -> squeue::Entry {
        let socket = types::Fd(self.socket.as_raw_fd());
        match &mut self.what {
            What::Receive(into) => {
                let length = u32::try_from(into.len()).unwrap_or(u32::MAX);
                opcode::Recv::new(socket, into.as_mut_ptr(), length).flags(libc::MSG_DONTWAIT).build()
            }
            What::Send(from) => {
                let length = u32::try_from(from.len()).unwrap_or(u32::MAX);
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                opcode::Send::new(socket, from.as_ptr(), length).flags(flags).build()
            }
        }
    }
}

/// The way into the kernel for several calls at once.
pub struct Ring {
    ring: IoUring,
    size: usize,
}

impl Ring {
    /// A ring for up to `size` calls at once; more than that are made in several goes.
    ///
    /// # Errors
    ///
    /// The system has no `io_uring`, or does not allow it (`kernel.io_uring_disabled`, seccomp).
    pub fn new(size: u32) -> io::Result<Self> {
        let mut ring = Self { ring: IoUring::new(size)?, size: size as usize };
        // It may be there and yet be forbidden; this asks it for nothing.
        ring.ring.submit()?;
        let [one, other] = pair()?;
        let mut byte = [0];
        let mut calls = [Call::send(borrow(&one), b"x"), Call::receive(borrow(&other), &mut byte)];
        ring.run(&mut calls);
        match (calls[0].result(), calls[1].result()) {
            (Ok(1), Ok(1)) => Ok(ring),
            (Err(error), _) | (_, Err(error)) => Err(error),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Makes these calls, in their order. None of them waits.
    pub fn run(&mut self, calls: &mut [Call<'_>]) {
        calls.chunks_mut(self.size).for_each(|calls| self.run_some(calls));
    }

    /// Makes as many calls as the ring holds.
    fn run_some(&mut self, calls: &mut [Call<'_>]) {
        let mut entries = self.ring.submission();
        for (number, call) in calls.iter_mut().enumerate() {
            let entry = call.entry().user_data(number as u64);
            // SAFETY: what the entry points to, the call borrows: a socket, and memory that is nobody else's if it is
            // written to. The borrows outlive this function, and it does not return, nor unwind, before the kernel has
            // said of every entry that it is done with it.
            #[expect(unsafe_code, reason = "the kernel is handed pointers")]
            let pushed = unsafe { entries.push(&entry) };
            if pushed.is_err() {
                die("the queue is full though nothing is in it");
            }
        }
        drop(entries);
        let mut open = calls.len();
        while open > 0 {
            match self.ring.submit_and_wait(open) {
                Ok(_) => {}
                // A signal, or the kernel is short of memory for the moment.
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)) => {}
                Err(error) => die(&error),
            }
            for done in self.ring.completion() {
                match calls.get_mut(done.user_data() as usize) {
                    Some(call) => call.result = done.result(),
                    None => die("a call is done that was not made"),
                }
                open -= 1;
            }
        }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Ends the process: the kernel may still write to memory that is about to be somebody else's.
#[cold]
fn die(why: impl fmt::Display) -> ! {
    eprintln!("io_uring: {why}");
    std::process::abort()
}

/// Two sockets that are connected with each other.
fn pair() -> io::Result<[std::os::unix::net::UnixStream; 2]> {
    std::os::unix::net::UnixStream::pair().map(Into::into)
}

fn borrow(socket: &std::os::unix::net::UnixStream) -> BorrowedFd<'_> {
    use std::os::fd::AsFd as _;
    socket.as_fd()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring; none where the system has none or forbids it, which is said aloud.
    fn ring(size: u32) -> Option<Ring> {
        Ring::new(size).inspect_err(|error| eprintln!("skipped: no io_uring here: {error}")).ok()
    }

    #[test]
    fn calls_are_made_in_their_order_however_many_there_are() {
        let Some(mut ring) = ring(4) else { return };
        let [one, other] = pair().unwrap();
        let words = ["a", "bc", "def", "g", "h", "ij"];
        let mut calls: Vec<_> = words.iter().map(|word| Call::send(borrow(&one), word.as_bytes())).collect();
        ring.run(&mut calls);
        let sent: Vec<_> = calls.iter().map(|call| call.result().unwrap()).collect();
        assert_eq!(sent, [1, 2, 3, 1, 1, 2]);
        let mut heard = [[0; 4]; 3];
        let mut calls: Vec<_> = heard.iter_mut().map(|into| Call::receive(borrow(&other), into)).collect();
        ring.run(&mut calls);
        assert_eq!(calls.iter().map(|call| call.result().unwrap()).collect::<Vec<_>>(), [4, 4, 2]);
        assert_eq!(heard.concat()[..10], *b"abcdefghij");
    }

    #[test]
    fn nothing_is_waited_for() {
        let Some(mut ring) = ring(2) else { return };
        let [one, other] = pair().unwrap();
        let mut into = [0];
        let mut calls = [Call::receive(borrow(&one), &mut into)];
        assert_eq!(calls[0].result().unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        ring.run(&mut calls);
        assert_eq!(calls[0].result().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        // Until the socket is full: a part, or nothing.
        let bytes = vec![0; 1 << 24];
        let mut calls = [Call::send(borrow(&other), &bytes), Call::send(borrow(&other), &bytes)];
        ring.run(&mut calls);
        assert!(calls[0].result().unwrap() < bytes.len());
        assert_eq!(calls[1].result().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_peer_that_is_gone_is_an_end_or_an_error_and_no_signal() {
        let Some(mut ring) = ring(2) else { return };
        let [one, other] = pair().unwrap();
        drop(other);
        let mut into = [0];
        let mut calls = [Call::receive(borrow(&one), &mut into), Call::send(borrow(&one), b"x")];
        ring.run(&mut calls);
        assert_eq!(calls[0].result().unwrap(), 0);
        assert_eq!(calls[1].result().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
