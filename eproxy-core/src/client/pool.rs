//! Connections between requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use http_types::Url;

use crate::error::{Error, Kind, Result};
use crate::message::Buffer;

use super::clock::{Clock, Deadline};
use super::options::ClientOptions;
use super::wire::Wire;

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
    Https,
}

impl Origin {
    /// # Errors
    ///
    /// The scheme is not spoken, or there is no host.
    pub(super) fn of(url: &Url) -> Result<Self> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => {
                let expected = format!("{other}://, expected http:// or https://");
                return Err(Error::new(Kind::Scheme).detail(expected));
            }
        };
        let host = url.host().ok_or_else(|| Error::new(Kind::BadRequest).detail("URL without a host"))?;
        Ok(Self { scheme, host: host.to_owned(), port: url.port_or_known_default().unwrap_or(80) })
    }
}

/// A connection to an upstream, with what has been read from it and not used.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Wire,
    pub(super) input: Buffer,
}

/// The connections of a client that nobody uses.
#[derive(Debug)]
pub(super) struct Pool {
    options: ClientOptions,
    clock: Arc<Clock>,
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    /// The connections of each origin, the one that was used last at the end.
    idle: HashMap<Origin, Vec<Idle>>,
    /// There is a task that closes what has expired.
    swept: bool,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    until: Deadline,
}

impl Idle {
    fn is_expired(&self) -> bool {
        self.until.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }
}

impl Pool {
    pub(super) fn new(options: ClientOptions, clock: Arc<Clock>) -> Self {
        Self { options, clock, shelves: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection that was used last, of those that have neither ended nor said anything: what an upstream
    /// says unasked would be taken for the answer to the next request.
    pub(super) fn take(&self, origin: &Origin) -> Option<Connection> {
        loop {
            let idle = self.lock().idle.get_mut(origin)?.pop()?;
            if !idle.is_expired() && idle.connection.stream.is_quiet() {
                return Some(idle.connection);
            }
        }
    }

    /// Puts a connection back that is between two requests.
    pub(super) fn put(self: &Arc<Self>, origin: Origin, connection: Connection) {
        if self.options.pool_size == 0 {
            return;
        }
        let until = self.clock.deadline(self.options.keep_alive);
        let mut shelves = self.lock();
        let connections = shelves.idle.entry(origin).or_default();
        connections.push(Idle { connection, until });
        let surplus = (connections.len() > self.options.pool_size).then(|| connections.remove(0));
        if !std::mem::replace(&mut shelves.swept, true) {
            let every = (self.options.keep_alive / 4).clamp(SWEEP_MIN, SWEEP_MAX);
            async_std::task::spawn(sweep(Arc::downgrade(self), every));
        }
        drop(shelves);
        drop(surplus);
    }

    /// Closes the connections that have expired, and forgets origins without any; says whether some are left.
    fn close_expired(&self) -> bool {
        let mut gone = Vec::new();
        let mut shelves = self.lock();
        shelves.idle.retain(|_, connections| {
            // The oldest are at the front; what is behind an unexpired one has not expired either.
            let expired = connections.iter().take_while(|idle| idle.is_expired()).count();
            gone.extend(connections.drain(..expired));
            !connections.is_empty()
        });
        shelves.swept = !shelves.idle.is_empty();
        let more = shelves.swept;
        drop(shelves);
        drop(gone);
        more
    }
}

/// How often a pool is looked at for expired connections: four times in the time that they are kept, within these.
const SWEEP_MIN: Duration = Duration::from_millis(100);
const SWEEP_MAX: Duration = Duration::from_secs(5);

/// Closes what nobody used for too long, as long as there is something, and a client.
async fn sweep(pool: Weak<Pool>, every: Duration) {
    loop {
        async_std::task::sleep(every).await;
        let Some(pool) = pool.upgrade() else { return };
        if !pool.close_expired() {
            return;
        }
    }
}
