//! What may stand between the bytes of a stream and those of its socket.
//!
//! The driver carries bytes and asks a cipher for what they mean; TLS is in a room of its own. Whoever owns the stream reads
//! and writes as ever.

use std::fmt::Debug;
use std::io::{self, IoSlice};

/// A cipher, from the first byte of its handshake to its last.
pub(crate) trait Cipher: Debug {
    /// Takes bytes of the socket, from the front of `came`, as far as whole records are there, and gives what they say to
    /// `plain`. What the peer has to be sent for it (answers in the handshake, alerts) is put behind `out`, also where this
    /// fails. An empty `came` begins a handshake that is ours to begin.
    fn open(&mut self, came: &mut [u8], plain: &mut Sink<'_>, out: &mut Vec<u8>) -> Opened;

    /// Puts the records of up to `most` bytes of `plain` behind `out`; says of how many. The handshake must be over.
    ///
    /// # Errors
    ///
    /// `InvalidInput` before that, and once the cipher has failed or [closed](Self::close).
    fn seal(&mut self, plain: &[IoSlice<'_>], most: usize, out: &mut Vec<u8>) -> io::Result<usize>;

    /// Puts the alert behind `out` that ends what this side says (RFC 8446 §6.1), once, and nothing before the handshake is
    /// over.
    fn close(&mut self, out: &mut Vec<u8>);

    /// Whether the handshake is still going on.
    fn is_shaking(&self) -> bool;
}

/// What came of bytes that a cipher was given.
#[derive(Debug)]
pub(crate) struct Opened {
    /// So many of them, from the front, are done with.
    pub(crate) taken: usize,
    /// What is to come.
    ///
    /// # Errors
    ///
    /// The bytes, or whom they come from, can't be trusted; it stays so.
    pub(crate) then: io::Result<Then>,
}

/// What is to come of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    More,
    /// Nothing: the peer has said that this was all.
    End,
}

/// Where a reader's bytes go: to where it wants them, and beyond that to where they are kept for it.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    into: &'a mut [u8],
    filled: usize,
    beyond: &'a mut Vec<u8>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(into: &'a mut [u8], beyond: &'a mut Vec<u8>) -> Self {
        Self { into, filled: 0, beyond }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let now = bytes.len().min(self.into.len() - self.filled);
        self.into[self.filled..self.filled + now].copy_from_slice(&bytes[..now]);
        self.filled += now;
        self.beyond.extend_from_slice(&bytes[now..]);
    }

    /// How many went to where the reader wants them.
    pub(crate) fn filled(&self) -> usize {
        self.filled
    }
}
