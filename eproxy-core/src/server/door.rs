//! What connections to a listener begin with, before their first request.
//!
//! ```text
//!   accepted ──▶ introduced (PROXY protocol) ──▶ shakes (TLS) ──▶ ready
//! ```
//!
//! The handshake of TLS needs no task: a connection is parked, and what comes is answered by whoever reads
//! (`driver/sealed.rs`).

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use async_std::channel::Receiver;

use crate::driver::Direction;
use crate::error::{Error, Kind};
use crate::telemetry::Journal;
use crate::tls::{Acceptor, Alpn, News};

use super::at_once;
use super::desk::Desk;
use super::downstream::{Connection, Place};
use super::held::SocketFiles;
use super::multiplex;
use super::refuse;
use super::worker::Worker;

/// What a listener asks of its connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Door {
    /// They begin with a PROXY protocol header.
    pub(super) introduces: bool,
    /// They speak TLS.
    pub(super) tls: Option<Acceptor>,
}

/// A listener as a worker has it.
#[derive(Debug, Default)]
pub(super) struct Entrance {
    /// What it asks of connections that come now.
    pub(super) door: RefCell<Door>,
    /// No more are taken in.
    pub(super) is_closed: Cell<bool>,
    pub(super) keeper: Keeper,
    /// Its files, which are removed with the last who has this.
    pub(super) _files: Option<Arc<SocketFiles>>,
}

/// Who else listens on a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keeper {
    #[default]
    Nobody,
    /// Whoever has given it, and goes on when this server has ended.
    Somebody,
}

/// How far a connection has come.
pub(super) enum Stage {
    /// A PROXY protocol header is to come; then TLS, where it is spoken.
    Introduces(Option<Acceptor>),
    /// The handshake goes on, and has its place among those that do.
    Shakes {
        _place: Place,
    },
    Ready,
}

/// Begins TLS on a connection; `came` was read of it. It is closed where too many shake hands already.
pub(super) fn shake(
    worker: &Rc<Worker>,
    mut connection: Connection,
    acceptor: &Acceptor,
    came: &mut [u8],
) -> Option<Connection> {
    if !worker.has_hands() {
        fail(worker, &connection, &Kind::TlsHandshakeLimit.into());
        return None;
    }
    match acceptor.accept() {
        Ok((cipher, session)) => {
            connection.stage = Stage::Shakes { _place: worker.hand() };
            connection.who.session = Some(session);
            let patience = worker.patience(worker.edition().timeouts().handshake);
            connection.stream.set_deadline(Direction::Read, Some(patience));
            connection.stream.wear(cipher, came);
            Some(connection)
        }
        Err(error) => {
            fail(worker, &connection, &Error::new(Kind::TlsAccept).because(error));
            None
        }
    }
}

/// Goes on with the handshake of a connection that has something to say.
pub(super) fn on_shaking(worker: &Rc<Worker>, mut connection: Connection, desk: &mut Box<Desk>) {
    match connection.stream.try_shake() {
        None => worker.park(connection),
        Some(Ok(())) => {
            connection.stage = Stage::Ready;
            worker.counters.tls_handshakes.add();
            let session = connection.who.session.as_ref();
            if session.is_some_and(|session| session.is_resumed()) {
                worker.counters.tls_resumed.add();
            }
            match session.and_then(|session| session.alpn()) {
                Some(Alpn::Http2) => multiplex::start(worker, connection, desk.take_input()),
                Some(Alpn::Http1) | None => at_once::serve(worker, connection, desk),
            }
        }
        // Somebody has looked whether the port is open.
        Some(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        Some(Err(error)) => {
            let error = Error::new(Kind::TlsAccept).detail(error.to_string());
            fail(worker, &connection, &error);
        }
    }
}

/// Counts and logs what a connection has failed of before its first request.
pub(super) fn fail(worker: &Worker, connection: &Connection, error: &Error) {
    refuse::fail(worker, connection.who.peer, "", error);
}

impl Door {
    /// Looks after the certificates of the listener until one of these is over, the server or what it asks for.
    pub(super) fn look_after(
        &self,
        journal: &Journal,
        ended: Receiver<Infallible>,
        gone: Receiver<Infallible>,
    ) {
        let Some(tls) = self.tls.clone() else { return };
        let journal = journal.clone();
        let tell = move |news| match news {
            News::Swapped(names) => {
                journal.note(log::Level::Info, || format!("new certificates, for {}", names.join(", ")));
            }
            News::Kept(error) => {
                journal.note(log::Level::Error, || format!("certificates stay as they were: {error}"));
            }
        };
        async_std::task::spawn(async move {
            // Nothing is ever sent: they are closed.
            let over = async {
                futures_lite::future::or(ended.recv(), gone.recv()).await.ok();
            };
            futures_lite::future::or(tls.keep_current(tell), over).await;
        });
    }
}
