//! A network in memory: where the connections of a core lead that is taken through its turns by hand.
//!
//! A connection is a pair of sockets of the system's, both of this core, so that what is above is the real thing. What is
//! decided here is who listens where, what a name leads to, and what of a connection's end the sockets don't tell.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use super::cores::Core;
use super::listen::Address;
use super::reactor::Reactor;
use super::stream::Stream;
use super::timer::Claim;

/// What those meet who connect to an address.
#[derive(Clone)]
pub(crate) enum Welcome {
    /// This takes the other end of the connection.
    Accept(Rc<dyn Fn(Stream)>),
    /// The address is there, and nobody listens.
    Refuse,
    /// Nobody says anything.
    Hang,
}

/// Who listens where, and what names lead to.
#[derive(Default)]
pub(crate) struct Network {
    doors: RefCell<HashMap<Address, Welcome>>,
    names: RefCell<HashMap<String, Vec<IpAddr>>>,
    /// By their keys: ends of connections, and the other end of each.
    ends: RefCell<HashMap<u32, (Claim, Claim)>>,
    /// Ends whose other one was reset, and who don't know it yet.
    resets: RefCell<HashSet<Claim>>,
}

impl Network {
    /// Says what those meet who connect to `address`; without that, they are refused.
    pub(crate) fn listen(&self, address: Address, welcome: Welcome) {
        self.doors.borrow_mut().insert(address, welcome);
    }

    /// Says what a name leads to, in the order in which a resolver gives it.
    pub(crate) fn name(&self, name: &str, addresses: Vec<IpAddr>) {
        self.names.borrow_mut().insert(name.to_ascii_lowercase(), addresses);
    }

    /// What a name leads to; nothing where it is not known.
    pub(crate) fn look_up(&self, name: &str, port: u16) -> Vec<SocketAddr> {
        let names = self.names.borrow();
        let found = names.get(&name.to_ascii_lowercase()).map(Vec::as_slice).unwrap_or_default();
        found.iter().map(|ip| SocketAddr::new(*ip, port)).collect()
    }

    /// Connects to `address` within `patience`, as [`Stream::connect`] does.
    pub(super) async fn connect(
        &self,
        core: &Rc<Core>,
        address: &Address,
        patience: Duration,
    ) -> io::Result<Stream> {
        let welcome = self.doors.borrow().get(address).cloned().unwrap_or(Welcome::Refuse);
        match welcome {
            Welcome::Accept(accept) => {
                let (ours, theirs) = Stream::pair(core)?;
                accept(theirs);
                Ok(ours)
            }
            Welcome::Refuse => Err(io::ErrorKind::ConnectionRefused.into()),
            Welcome::Hang => {
                core.sleep(patience).await;
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    /// Forgets who listens.
    pub(crate) fn close(&self) {
        let doors = std::mem::take(&mut *self.doors.borrow_mut());
        drop(doors);
    }

    /// Remembers that two sources are the ends of a connection.
    pub(super) fn join(&self, reactor: &Reactor, one: u32, other: u32) {
        let (Some(one), Some(other)) = (reactor.claim(one), reactor.claim(other)) else { return };
        self.ends.borrow_mut().extend([(one.key, (one, other)), (other.key, (other, one))]);
    }

    /// Makes the end that is to come at `key` a reset for the other end.
    pub(super) fn reset(&self, reactor: &Reactor, key: u32) {
        if let Some((own, other)) = self.ends.borrow().get(&key)
            && reactor.claim(key) == Some(*own)
        {
            self.resets.borrow_mut().insert(*other);
        }
    }

    /// Whether the end that was found at `key` is a reset; it is told once, as the system does.
    pub(super) fn is_reset(&self, reactor: &Reactor, key: u32) -> bool {
        reactor.claim(key).is_some_and(|own| self.resets.borrow_mut().remove(&own))
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("names", &self.names).finish_non_exhaustive()
    }
}
