//! Connections that have become tunnels to an upstream.

use std::rc::Rc;

use crate::driver::Stream;
use crate::message::Buffer;
use crate::tunnel::{Next, Tunnel};

use super::desk::Desk;
use super::owner::Owner;
use super::worker::{Connection, Place, Worker};

/// A tunnel; it holds the place of its connection in the worker's count.
pub(super) struct Entry {
    tunnel: Tunnel,
    _place: Place,
}

/// Makes a tunnel of a connection. What is on the desk was read of either side and not passed on.
pub(super) fn begin(worker: &Rc<Worker>, connection: Connection, upstream: Stream, desk: &mut Desk) {
    let (stream, place) = connection.into_parts();
    let from_client = std::mem::replace(&mut desk.input, Buffer::new());
    let from_upstream = desk.relay.take_input();
    let idle = worker.site.timeouts.tunnel_idle;
    let tunnel = Tunnel::new(stream, upstream, from_client, from_upstream, idle);
    worker.site.counters.tunnels.add();
    let index = worker.tunnels.borrow_mut().insert(Entry { tunnel, _place: place });
    advance(worker, index as u32, &mut Buffer::new());
}

/// Moves what can be moved through a tunnel; `scratch` is empty before and after.
pub(super) fn advance(worker: &Rc<Worker>, index: u32, scratch: &mut Buffer) {
    let mut tunnels = worker.tunnels.borrow_mut();
    let Some(Entry { tunnel, .. }) = tunnels.get_mut(index as usize) else { return };
    let before = tunnel.moved();
    let next = tunnel.advance(scratch);
    let moved = tunnel.moved();
    worker.site.counters.tunnel_bytes_up.add_many(moved.0 - before.0);
    worker.site.counters.tunnel_bytes_down.add_many(moved.1 - before.1);
    let number = Owner::Tunnel(index).number();
    match next {
        Next::Wait => tunnel.watch(number, number),
        Next::Again => worker.later(index),
        Next::Over => {
            let over = tunnels.try_remove(index as usize);
            drop((tunnels, over));
        }
    }
}
