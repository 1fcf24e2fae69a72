//! The calls of a turn, made in one: through `io_uring` where the system has it and allows it, else not at all.

use std::io;

use eproxy_ring::{Call, Ring};
use smallvec::SmallVec;

use super::inbox::Slot;
use super::socket::Socket;

/// Calls that are made together at the most.
pub(super) const GROUP: usize = 64;

/// With fewer calls than that, each is cheaper by itself (docs/benchmarks.md).
const FEW: usize = 3;

/// What came of calls, in their order.
pub(super) type Results = SmallVec<[io::Result<usize>; GROUP]>;

/// How calls are made together.
#[derive(Debug, Default)]
pub(super) enum Batch {
    /// It is found out when there are several to make at once.
    #[default]
    Unknown,
    Ring(Box<Ring>),
    Nothing,
}

impl Batch {
    /// Receives from these sockets, into a slot for each, which are made when they are first needed; nothing where each is
    /// to be read by itself.
    pub(super) fn receive(&mut self, sockets: &[&Socket], slots: &mut Vec<Slot>) -> Option<Results> {
        let ring = self.ring(sockets.len())?;
        if slots.is_empty() {
            slots.resize_with(GROUP, Slot::new);
        }
        let calls =
            sockets.iter().zip(slots).map(|(socket, slot)| Call::receive(socket.as_fd(), slot.space()));
        Some(run(ring, calls.collect()))
    }

    /// Sends to these sockets; nothing where each is to be written to by itself.
    pub(super) fn send(&mut self, sockets: &[(&Socket, &[u8])]) -> Option<Results> {
        let ring = self.ring(sockets.len())?;
        let calls = sockets.iter().map(|(socket, bytes)| Call::send(socket.as_fd(), bytes));
        Some(run(ring, calls.collect()))
    }

    fn ring(&mut self, calls: usize) -> Option<&mut Ring> {
        if calls < FEW {
            return None;
        }
        if let Self::Unknown = self {
            // Where it is not to be had, all works as well, only slower.
            *self = Ring::new(GROUP as u32).map_or(Self::Nothing, |ring| Self::Ring(Box::new(ring)));
        }
        match self {
            Self::Ring(ring) => Some(ring),
            _ => None,
        }
    }
}

fn run(ring: &mut Ring, mut calls: SmallVec<[Call<'_>; GROUP]>) -> Results {
    ring.run(&mut calls);
    calls.iter().map(Call::result).collect()
}
