//! Connections to upstreams that speak HTTP/2: one of them has many requests, each of which has a duct.
//!
//! ```text
//!   begin ──▶ has room ──open──▶ … ──▶ full ──a stream ends──▶ has room
//!                └── unused for too long, GOAWAY, broken ──▶ closed
//! ```

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;

use crate::driver::{Core, Stream};
use crate::error::{Error, Kind, Result};
use crate::http2::{self, Asking, Line, Wire};
use crate::message::Buffer;

use super::options::UpstreamOptions;
use super::pool::Identity;

type Codec = h2::client::Connection<Wire, Bytes>;

/// Bytes of a message that wait between the engine and the codec.
const ROOM: usize = 64 * 1024;

/// How long a connection that is closed may take to say so.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection that speaks HTTP/2.
pub(super) struct Multiplexed {
    core: Rc<Core>,
    /// None once it is closed to new requests.
    send: RefCell<Option<SendRequest<Bytes>>>,
    line: Line,
    /// Requests that are with it.
    active: Cell<usize>,
    /// How many it is given at the most.
    most: usize,
    /// Has others wait until it is known how many it takes.
    maker: RefCell<Option<Maker>>,
    keep_alive: Duration,
    write_idle: Duration,
    scheme: &'static str,
    identity: Identity,
}

impl Multiplexed {
    /// Begins to speak HTTP/2 with an upstream; `scheme` is that of its URLs.
    ///
    /// # Errors
    ///
    /// `UpstreamIo`.
    pub(super) async fn begin(
        core: &Rc<Core>,
        stream: Stream,
        scheme: &'static str,
        identity: Identity,
        options: &UpstreamOptions,
    ) -> Result<Rc<Self>> {
        let (wire, line) = Wire::new(stream, Buffer::new(), options.write_idle);
        let begun = http2::client_settings().handshake::<_, Bytes>(wire).await;
        let (send, codec) = begun.map_err(|error| Error::new(Kind::UpstreamIo).because(error))?;
        line.set_patience(Some(options.keep_alive));
        let multiplexed = Rc::new(Self {
            core: core.clone(),
            send: RefCell::new(Some(send)),
            line,
            active: Cell::new(0),
            most: options.streams.max(1),
            maker: RefCell::new(None),
            keep_alive: options.keep_alive,
            write_idle: options.write_idle,
            scheme,
            identity,
        });
        core.spawn(drive(codec, Rc::downgrade(&multiplexed), multiplexed.line.clone()));
        Ok(multiplexed)
    }

    /// Whether it takes new requests, perhaps later.
    pub(super) fn is_open(&self) -> bool {
        self.send.borrow().is_some()
    }

    /// Whether it was made on behalf of these.
    pub(super) fn is_for(&self, identity: &Identity) -> bool {
        self.identity == *identity
    }

    /// A way to send it a request, if it has room for one; it must be able to carry WebSockets if that is wanted.
    pub(super) fn open(self: &Rc<Self>, for_websocket: bool) -> Option<Stream> {
        let mut open = self.send.borrow_mut();
        let send = open.as_mut()?;
        // A connection that is gone says so here, as does one that takes nothing new.
        let Poll::Ready(ready) = send.poll_ready(&mut Context::from_waker(Waker::noop())) else {
            return None;
        };
        if ready.is_err() {
            *open = None;
            return None;
        }
        // More than the upstream takes would be refused; how many that are stands in its first frame (RFC 9113 §3.4), which
        // one request does not wait for.
        let most = match send.current_max_send_streams() {
            http2::UNKNOWN_STREAMS => 1,
            known => known.min(self.most),
        };
        if self.active.get() >= most || (for_websocket && !send.is_extended_connect_protocol_enabled()) {
            return None;
        }
        let send = send.clone();
        drop(open);
        let (engine, duct) = Stream::duct(&self.core, ROOM);
        let place = Busy::new(self);
        let asking = Asking { send, duct, scheme: self.scheme, patience: self.write_idle };
        let core = self.core.clone();
        self.core.spawn(async move {
            http2::ask(core, asking).await;
            drop(place);
        });
        Some(engine)
    }

    /// Has others wait until it is known how many requests it takes.
    pub(super) fn keep(&self, maker: Option<Maker>) {
        self.maker.replace(maker);
        self.settle();
    }

    /// Lets them go on if that is known; says whether it is.
    pub(super) fn settle(&self) -> bool {
        let is_known = |send: &SendRequest<Bytes>| send.current_max_send_streams() != http2::UNKNOWN_STREAMS;
        let is_settled = self.send.borrow().as_ref().is_none_or(is_known);
        if is_settled {
            self.maker.take();
        }
        is_settled
    }

    /// Takes no new requests; the connection is closed with the last that it has.
    fn close(&self) {
        self.send.borrow_mut().take();
        self.maker.take();
    }
}

impl std::fmt::Debug for Multiplexed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Multiplexed").field("active", &self.active).finish_non_exhaustive()
    }
}

/// A request that is with a connection.
struct Busy(Rc<Multiplexed>);

impl Busy {
    fn new(multiplexed: &Rc<Multiplexed>) -> Self {
        if multiplexed.active.replace(multiplexed.active.get() + 1) == 0 {
            multiplexed.line.set_patience(None);
        }
        Self(multiplexed.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let active = self.0.active.get() - 1;
        self.0.active.set(active);
        if active == 0 {
            self.0.line.set_patience(Some(self.0.keep_alive));
        }
    }
}

/// Moves the frames of a connection until it is over.
async fn drive(mut codec: Codec, multiplexed: Weak<Multiplexed>, line: Line) {
    let (mut is_leaving, mut is_settled) = (false, false);
    poll_fn(|cx| {
        loop {
            // What has ended it, those whose requests it had are told.
            if Future::poll(std::pin::Pin::new(&mut codec), cx).is_ready() {
                return Poll::Ready(());
            }
            is_settled = is_settled || multiplexed.upgrade().is_none_or(|multiplexed| multiplexed.settle());
            if !line.is_late() {
                return Poll::Pending;
            }
            if std::mem::replace(&mut is_leaving, true) {
                return Poll::Ready(());
            }
            line.set_patience(Some(GOODBYE));
            multiplexed.upgrade().iter().for_each(|multiplexed| multiplexed.close());
        }
    })
    .await;
    multiplexed.upgrade().iter().for_each(|multiplexed| multiplexed.close());
}

/// Those who wait for a connection that somebody else is making: it may have room for them.
#[derive(Debug, Default)]
pub(super) struct Making {
    makers: Cell<usize>,
    /// How many have come to an end.
    made: Cell<u64>,
    waiters: RefCell<Vec<Waker>>,
}

/// Somebody who makes a connection.
pub(super) struct Maker(Rc<Making>);

impl Making {
    pub(super) fn begin(self: &Rc<Self>) -> Maker {
        self.makers.set(self.makers.get() + 1);
        Maker(self.clone())
    }

    /// Whether somebody makes one.
    pub(super) fn goes_on(&self) -> bool {
        self.makers.get() > 0
    }

    /// Ready when the next one is there, or is not to be had.
    pub(super) async fn wait(&self) {
        let before = self.made.get();
        poll_fn(|cx| {
            if self.made.get() != before {
                return Poll::Ready(());
            }
            self.waiters.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.0.makers.set(self.0.makers.get() - 1);
        self.0.made.set(self.0.made.get() + 1);
        let waiters = self.0.waiters.take();
        waiters.into_iter().for_each(Waker::wake);
    }
}
