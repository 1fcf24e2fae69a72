//! Connections that have become tunnels to an upstream.

use std::rc::Rc;

use crate::driver::Stream;
use crate::message::Buffer;
use crate::proxy::{self, Hooked};
use crate::tunnel::{Next, Tunnel};
use crate::upstream::Pick;

use super::account::Kept;
use super::desk::Desk;
use super::downstream::{Connection, Place};
use super::edition::Edition;
use super::owner::Owner;
use super::worker::Worker;

/// What a connection becomes a tunnel with.
pub(super) struct Beginning {
    pub(super) upstream: Stream,
    /// The endpoint that is busy with it.
    pub(super) pick: Option<Pick>,
    pub(super) told: Option<Told>,
    pub(super) kept: Kept,
}

/// Who is to be told when a tunnel has ended: hooks of this proxy.
pub(super) struct Told {
    pub(super) edition: Rc<Edition>,
    pub(super) reverse: usize,
    pub(super) hooked: Box<Hooked>,
}

/// A tunnel; it holds the place of its connection in the worker's count.
pub(super) struct Entry {
    tunnel: Tunnel,
    place: Place,
    told: Option<Told>,
    /// The exchange is over with the tunnel.
    kept: Kept,
    _pick: Option<Pick>,
}

/// Makes a tunnel of a connection. What is on the desk was read of either side and not passed on.
pub(super) fn begin(worker: &Rc<Worker>, connection: Connection, beginning: Beginning, desk: &mut Desk) {
    let Beginning { upstream, pick, told, mut kept } = beginning;
    let (stream, place) = connection.into_parts();
    let from_client = std::mem::replace(&mut desk.input, Buffer::new());
    let from_upstream = desk.relay.take_input();
    let idle = worker.edition().timeouts().tunnel_idle;
    let tunnel = Tunnel::new(stream, upstream, from_client, from_upstream, idle);
    let counters = &worker.counters;
    counters.tunnels.add();
    // What was read before goes through it, too.
    let (up, down) = tunnel.moved();
    counters.tunnel_bytes_up.add_many(up);
    counters.tunnel_bytes_down.add_many(down);
    (kept.account.bytes_in, kept.account.bytes_out) = (up, down);
    let index = worker.tunnels.borrow_mut().insert(Entry { tunnel, place, told, kept, _pick: pick });
    advance(worker, index as u32, &mut Buffer::new());
}

/// Moves what can be moved through a tunnel; `scratch` is empty before and after.
pub(super) fn advance(worker: &Rc<Worker>, index: u32, scratch: &mut Buffer) {
    let mut tunnels = worker.tunnels.borrow_mut();
    let Some(Entry { tunnel, kept, .. }) = tunnels.get_mut(index as usize) else { return };
    let before = tunnel.moved();
    let next = tunnel.advance(scratch);
    let moved = tunnel.moved();
    worker.counters.tunnel_bytes_up.add_many(moved.0 - before.0);
    worker.counters.tunnel_bytes_down.add_many(moved.1 - before.1);
    (kept.account.bytes_in, kept.account.bytes_out) = moved;
    let number = Owner::Tunnel(index).number();
    match next {
        Next::Wait => tunnel.watch(number, number),
        Next::Again => worker.later(index),
        Next::Over => {
            let over = tunnels.try_remove(index as usize);
            drop(tunnels);
            over.into_iter().for_each(|entry| end(worker, entry));
        }
    }
}

/// Closes a tunnel and tells whoever wants to know.
fn end(worker: &Rc<Worker>, entry: Entry) {
    let Entry { tunnel, place, told, .. } = entry;
    let Some(mut told) = told else { return };
    told.hooked.carried(tunnel.moved());
    let worker = worker.clone();
    worker.core.clone().spawn(async move {
        tell(&worker, told).await;
        // The server waits for them.
        drop(place);
    });
}

/// Tells the hooks of a proxy that an exchange is over.
pub(super) async fn tell(worker: &Worker, told: Told) {
    let Told { edition, reverse, hooked } = told;
    let now = worker.core.now();
    if let Err(error) = proxy::tell(edition.table.reverse(reverse), hooked, now).await {
        worker.counters.failure(error.kind());
        worker.journal.note(error.kind().row().level, || format!("{}: {error}", error.name()));
    }
}
