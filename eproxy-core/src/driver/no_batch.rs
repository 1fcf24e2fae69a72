//! Systems where each call is made by itself.

use std::io;

use super::inbox::Slot;
use super::socket::Socket;

/// As on systems that make calls together.
pub(super) const GROUP: usize = 64;

pub(super) type Results = Vec<io::Result<usize>>;

#[derive(Debug, Default)]
pub(super) struct Batch;

impl Batch {
    pub(super) fn receive(&mut self, _: &[&Socket], _: &mut Vec<Slot>) -> Option<Results> {
        None
    }

    pub(super) fn send(&mut self, _: &[(&Socket, &[u8])]) -> Option<Results> {
        None
    }
}
