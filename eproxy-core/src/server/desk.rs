//! The buffers that requests are served with.

use std::sync::Arc;

use crate::handler::{Reply, Word};
use crate::message::{Buffer, Field};
use crate::proxy;

use super::account::Kept;

/// Buffers that are used by one connection after another.
pub(super) struct Desk {
    pub(super) input: Buffer,
    pub(super) out: Vec<u8>,
    pub(super) fields: Vec<Field>,
    pub(super) reply: Arc<Reply>,
    /// What the handler has said already.
    pub(super) word: Option<Word>,
    /// An exchange that is being opened, or was refused.
    pub(super) kept: Option<Kept>,
    /// For requests that are passed on.
    pub(super) relay: proxy::Desk,
}

impl Desk {
    /// Output that is kept allocated between connections.
    const OUT: usize = 16 * 1024;

    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            input: Buffer::new(),
            out: Vec::new(),
            fields: Vec::new(),
            reply: Arc::default(),
            word: None,
            kept: None,
            relay: proxy::Desk::new(),
        })
    }

    /// Takes what was read.
    pub(super) fn take_input(&mut self) -> Buffer {
        std::mem::replace(&mut self.input, Buffer::new())
    }

    /// Gives back what is large.
    pub(super) fn clear(&mut self) {
        self.input.clear();
        self.out.clear();
        self.out.shrink_to(Self::OUT);
        (self.word, self.kept) = (None, None);
        self.relay.clear();
    }
}
