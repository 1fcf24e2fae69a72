//! Connections between requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use async_std::net::TcpStream;
use futures_lite::future::{self, poll_once};
use http_types::Url;

use crate::error::{Error, Kind, Result};
use crate::message::Buffer;

use super::clock::{Clock, Deadline};
use super::options::ClientOptions;

/// Where a connection leads: everything that tells one from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) scheme: Scheme,
    pub(super) host: http_types::url::Host<String>,
    pub(super) port: u16,
}

/// The schemes that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    Http,
}

impl Origin {
    /// # Errors
    ///
    /// The scheme is not spoken, or there is no host.
    pub(super) fn of(url: &Url) -> Result<Self> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => {
                let missing =
                    "https needs TLS, which this version of eproxy does not have yet; use an http:// URL";
                return Err(Error::new(Kind::Scheme).detail(missing));
            }
            other => return Err(Error::new(Kind::Scheme).detail(format!("{other}://, expected http://"))),
        };
        let host = url.host().ok_or_else(|| Error::new(Kind::BadRequest).detail("URL without a host"))?;
        Ok(Self { scheme, host: host.to_owned(), port: url.port_or_known_default().unwrap_or(80) })
    }
}

/// A connection to an upstream, with what has been read from it and not used.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) input: Buffer,
}

/// The connections of a client that nobody uses.
#[derive(Debug)]
pub(super) struct Pool {
    options: ClientOptions,
    clock: Arc<Clock>,
    idle: Mutex<HashMap<Origin, Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    until: Deadline,
}

impl Pool {
    pub(super) fn new(options: ClientOptions, clock: Arc<Clock>) -> Self {
        Self { options, clock, idle: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection that was used last. With `check`, only one that has neither ended nor said anything: for
    /// requests that can't be sent twice.
    pub(super) async fn take(&self, origin: &Origin, check: bool) -> Option<Connection> {
        loop {
            let Idle { connection, until } = self.lock().get_mut(origin)?.pop()?;
            let expired = until.poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready();
            if expired {
                continue;
            }
            if !check || is_quiet(&connection).await {
                return Some(connection);
            }
        }
    }

    /// Puts a connection back that is between two requests.
    pub(super) fn put(&self, origin: Origin, connection: Connection) {
        let until = self.clock.deadline(self.options.keep_alive);
        let mut idle = self.lock();
        let connections = idle.entry(origin).or_default();
        // The oldest are at the front; what is behind an unexpired one has not expired either.
        let noop = &mut Context::from_waker(std::task::Waker::noop());
        let expired = connections.iter().take_while(|idle| idle.until.poll(noop).is_ready()).count();
        let mut gone: Vec<Idle> = connections.drain(..expired).collect();
        connections.push(Idle { connection, until });
        if connections.len() > self.options.pool_size {
            gone.push(connections.remove(0));
        }
        drop(idle);
        drop(gone);
    }
}

/// Whether there is nothing to read, not even the end.
async fn is_quiet(connection: &Connection) -> bool {
    let mut byte = [0];
    let peeked = poll_once(connection.stream.peek(&mut byte));
    future::or(peeked, async { None }).await.is_none()
}
