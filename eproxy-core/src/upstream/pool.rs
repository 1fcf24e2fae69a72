//! Connections between requests, on one core.
//!
//! ```text
//!   put ──▶ parked ──take──▶ on loan
//!             └─ readable: ended, or said what nobody asked for; expired; too many ──▶ closed
//! ```
//!
//! The one that was used last is taken first: it is the least likely to have been closed, and the warmest.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;

use crate::driver::{Direction, Stream};
use crate::tls::Alpn;

use super::multiplexed::{Maker, Making, Multiplexed};
use super::transport::Target;

/// The number of a place whose connections are pooled.
pub(crate) type ShelfNumber = u32;

/// The bit that tells the numbers of this pool's connections from those of others that are parked on the core.
const MARK: u32 = 1 << 31;

/// On whose behalf a connection was made, where the upstream was told (the PROXY protocol): it must not carry the
/// requests of anybody else.
pub(crate) type Identity = Option<Box<(std::net::SocketAddr, std::net::SocketAddr)>>;

/// The unused connections of one core.
#[derive(Debug)]
pub(crate) struct Pool {
    /// By shelf number.
    shelves: RefCell<Slab<Shelf>>,
    /// The numbers of the shelves.
    named: RefCell<HashMap<Key, ShelfNumber>>,
    idle: RefCell<Slab<Idle>>,
}

/// What tells shelves for the same place apart: connections that a client's word led to, past a guard, are never mixed
/// with those of a group, nor those that say on whose behalf they were made with those that do not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// A request has named the place. The shelf is forgotten when nothing is on it.
    Passing(Target),
    /// The program has named the place, for copies of requests or as a parent. The shelf is forgotten likewise.
    Known(Target),
    /// An endpoint of a group is there; `true` says on whose behalf. The shelf stays for as long as it is held.
    Held(Target, bool),
}

/// The unused connections to one place, the one that was used last at the end.
#[derive(Debug, Default)]
struct Shelf {
    idle: Vec<u32>,
    /// What it is known by.
    key: Option<Key>,
    /// Those who hold it.
    holders: usize,
    /// Those that speak HTTP/2, which are used by many at once.
    multiplexed: Vec<Rc<Multiplexed>>,
    /// It is known that these will do.
    speaks_http2: bool,
    /// Those who make one.
    making: Rc<Making>,
}

impl Shelf {
    /// Whether nobody would miss it.
    fn is_needless(&self) -> bool {
        self.holders == 0 && self.idle.is_empty() && self.multiplexed.iter().all(|it| !it.is_open())
    }
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    shelf: ShelfNumber,
    identity: Identity,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self { shelves: RefCell::default(), named: RefCell::default(), idle: RefCell::default() }
    }

    /// Takes the connection that was used last on behalf of `identity`.
    pub(crate) fn take(
        &self,
        shelf: ShelfNumber,
        identity: &Identity,
        for_websocket: bool,
    ) -> Option<Stream> {
        let stream = {
            let mut shelves = self.shelves.borrow_mut();
            let Shelf { idle: stack, multiplexed, .. } = shelves.get_mut(shelf as usize)?;
            if !multiplexed.is_empty() {
                multiplexed.retain(|multiplexed| multiplexed.is_open());
                // One after the other is filled, so that those which are not needed come to their end.
                let mut fit = multiplexed.iter().filter(|multiplexed| multiplexed.is_for(identity));
                if let Some(stream) = fit.find_map(|multiplexed| multiplexed.open(for_websocket)) {
                    return Some(stream);
                }
            }
            let mut idle = self.idle.borrow_mut();
            let is_fit =
                |number: &u32| idle.get(*number as usize).is_some_and(|idle| idle.identity == *identity);
            let number = match stack.last() {
                Some(last) if is_fit(last) => stack.pop()?,
                _ => {
                    let at = stack.iter().rposition(is_fit)?;
                    stack.remove(at)
                }
            };
            idle.remove(number as usize).stream
        };
        stream.unpark();
        self.tidy(shelf);
        Some(stream)
    }

    /// The shelf of a place that nobody holds, if there is anything on it.
    pub(super) fn find(&self, key: &Key) -> Option<ShelfNumber> {
        self.named.borrow().get(key).copied()
    }

    /// The shelf of an endpoint, which stays until it was [released](Self::release) as often as it was held.
    pub(super) fn hold(&self, target: &Target, named: bool) -> ShelfNumber {
        let number = self.shelf_of(Key::Held(target.clone(), named));
        self.shelves.borrow_mut()[number as usize].holders += 1;
        number
    }

    /// Lets a shelf go; what is on it is closed with the last who holds it.
    pub(super) fn release(&self, number: ShelfNumber) {
        let left = {
            let mut shelves = self.shelves.borrow_mut();
            let Some(shelf) = shelves.get_mut(number as usize) else { return };
            shelf.holders -= 1;
            if shelf.holders == 0 {
                shelf.multiplexed.clear();
                std::mem::take(&mut shelf.idle)
            } else {
                Vec::new()
            }
        };
        let closed: Vec<_> =
            left.iter().filter_map(|idle| self.idle.borrow_mut().try_remove(*idle as usize)).collect();
        drop(closed);
        self.tidy(number);
    }

    /// The shelf of a place, to put something on it.
    pub(super) fn shelf_of(&self, key: Key) -> ShelfNumber {
        *self.named.borrow_mut().entry(key).or_insert_with_key(|key| {
            let shelf = Shelf { key: Some(key.clone()), ..Shelf::default() };
            self.shelves.borrow_mut().insert(shelf) as ShelfNumber
        })
    }

    /// Puts a connection back that is between two requests; of more than `most`, the one that was not used for longest
    /// is closed. One that can be read is closed, too: it has ended, or says what would be taken for the answer to the
    /// next request.
    pub(crate) fn put(
        &self,
        shelf: ShelfNumber,
        identity: Identity,
        stream: Stream,
        keep: Duration,
        most: usize,
    ) {
        // A body that was read to its last byte and no further leaves open whether there is more.
        let is_quiet = stream.is_quiet() || stream.is_surely_quiet();
        let mut surplus = None;
        {
            let mut shelves = self.shelves.borrow_mut();
            let Some(Shelf { idle: stack, .. }) = shelves.get_mut(shelf as usize) else { return };
            let mut idle = self.idle.borrow_mut();
            let entry = idle.vacant_entry();
            let number = entry.key() as u32;
            stream.set_deadline(Direction::Read, Some(keep));
            if most > 0 && is_quiet && stream.park(number | MARK) {
                entry.insert(Idle { stream, shelf, identity });
                stack.push(number);
                if stack.len() > most {
                    surplus = idle.try_remove(stack.remove(0) as usize);
                }
            }
        }
        drop(surplus);
        self.tidy(shelf);
    }

    /// Says that a parked connection can be read or has expired: it is closed. Says no where it is none of this pool.
    pub(crate) fn on_wakeup(&self, number: u32) -> bool {
        if number & MARK == 0 {
            return false;
        }
        let number = number & !MARK;
        if self.idle.borrow().get(number as usize).is_some_and(|idle| idle.stream.stays(number | MARK)) {
            return true;
        }
        let idle = self.idle.borrow_mut().try_remove(number as usize);
        if let Some(idle) = idle {
            if let Some(shelf) = self.shelves.borrow_mut().get_mut(idle.shelf as usize)
                && let Some(at) = shelf.idle.iter().position(|known| *known == number)
            {
                shelf.idle.remove(at);
            }
            self.tidy(idle.shelf);
        }
        true
    }

    /// Forgets a shelf that nobody holds once nothing is on it.
    fn tidy(&self, number: ShelfNumber) {
        let mut shelves = self.shelves.borrow_mut();
        if shelves.get(number as usize).is_some_and(|shelf| shelf.is_needless())
            && let Some(key) = shelves.remove(number as usize).key
        {
            self.named.borrow_mut().remove(&key);
        }
    }

    /// Those who make a connection that may have room for others, if it is known that it speaks HTTP/2.
    pub(super) fn made(&self, shelf: ShelfNumber) -> Option<Rc<Making>> {
        let shelves = self.shelves.borrow();
        shelves.get(shelf as usize).filter(|shelf| shelf.speaks_http2).map(|shelf| shelf.making.clone())
    }

    /// Says that a connection is being made, for as long as what it gives is kept.
    pub(super) fn make(&self, shelf: ShelfNumber) -> Option<Maker> {
        self.shelves.borrow().get(shelf as usize).map(|shelf| shelf.making.begin())
    }

    /// Notes what a target has chosen to speak.
    pub(super) fn speaks(&self, shelf: ShelfNumber, alpn: Alpn) {
        if let Some(shelf) = self.shelves.borrow_mut().get_mut(shelf as usize) {
            shelf.speaks_http2 = alpn == Alpn::Http2;
        }
    }

    /// Adds a connection that many use at once.
    pub(super) fn add(&self, shelf: ShelfNumber, multiplexed: &Rc<Multiplexed>) {
        if let Some(shelf) = self.shelves.borrow_mut().get_mut(shelf as usize) {
            shelf.multiplexed.push(multiplexed.clone());
        }
    }

    /// Closes everything.
    pub(crate) fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.borrow_mut());
        drop(idle);
        for (_, shelf) in &mut *self.shelves.borrow_mut() {
            shelf.idle.clear();
            shelf.multiplexed.clear();
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use crate::driver::{Address, Core, Wakeup};

    use super::super::origin::Place;
    use super::*;

    const KEEP: Duration = Duration::from_secs(9);

    fn place(port: u16) -> Target {
        Target::plain(Place::Address(Address::Tcp(([127, 0, 0, 1], port).into())))
    }

    fn identity(port: u16) -> Identity {
        Some(Box::new((([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 80).into())))
    }

    #[test]
    fn the_last_one_is_taken_first_and_only_by_whom_it_was_made_for() {
        let core = Core::new().unwrap();
        let pool = Pool::new();
        let shelf = pool.hold(&place(1), false);
        let mut others = Vec::new();
        let mut put = |identity| {
            let (stream, other) = Stream::pair(&core).unwrap();
            others.push(other);
            let key = stream.key();
            pool.put(shelf, identity, stream, KEEP, 3);
            key
        };
        let (_, second, third) = (put(None), put(None), put(identity(1)));
        let _fourth = put(None);
        assert_eq!(pool.take(shelf, &identity(1), false).map(|stream| stream.key()), Some(third));
        assert!(pool.take(shelf, &identity(1), false).is_none());
        assert!(pool.take(shelf, &None, false).is_some());
        assert_eq!(pool.take(shelf, &None, false).map(|stream| stream.key()), Some(second));
        assert!(pool.take(shelf, &None, false).is_none(), "the first was one too many");
    }

    #[test]
    fn what_ends_or_speaks_is_closed_and_its_shelf_forgotten() {
        let core = Core::new().unwrap();
        let pool = std::rc::Rc::new(Pool::new());
        let key = Key::Passing(place(1));
        let shelf = pool.shelf_of(key.clone());
        let (stream, other) = Stream::pair(&core).unwrap();
        pool.put(shelf, None, stream, KEEP, 3);
        assert_eq!(pool.find(&key), Some(shelf));
        drop(other);
        let (inside, stop) = (pool.clone(), core.clone());
        core.run(
            move |wakeup| {
                let (Wakeup::Readable(number) | Wakeup::Expired(number)) = wakeup;
                assert!(inside.on_wakeup(number));
                stop.stop();
            },
            || {},
        )
        .unwrap();
        assert_eq!(pool.find(&key), None);
        assert!(!pool.on_wakeup(5), "the numbers of others are left alone");
    }

    #[test]
    fn what_endpoints_hold_is_kept_apart_and_closed_with_the_last_holder() {
        let core = Core::new().unwrap();
        let pool = Pool::new();
        let held = pool.hold(&place(1), false);
        assert_eq!(pool.hold(&place(1), false), held);
        assert_ne!(pool.hold(&place(1), true), held);
        assert_ne!(pool.shelf_of(Key::Passing(place(1))), held);
        let (stream, _other) = Stream::pair(&core).unwrap();
        pool.put(held, None, stream, KEEP, 3);
        pool.release(held);
        let stream = pool.take(held, &None, false).expect("somebody holds it");
        pool.put(held, None, stream, KEEP, 3);
        pool.release(held);
        assert!(pool.take(held, &None, false).is_none() && pool.idle.borrow().is_empty());
    }
}
