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
use std::time::Duration;

use slab::Slab;

use crate::driver::{Direction, Stream};

use super::group::ShelfNumber;
use super::origin::Place;

/// The bit that tells the numbers of this pool's connections from those of others that are parked on the core.
const MARK: u32 = 1 << 31;

/// On whose behalf a connection was made, where the upstream was told (the PROXY protocol): it must not carry the
/// requests of anybody else.
pub(crate) type Identity = Option<Box<(std::net::SocketAddr, std::net::SocketAddr)>>;

/// The unused connections of one core.
#[derive(Debug)]
pub(crate) struct Pool {
    /// By shelf number: those of the registry first, then those that came at run time.
    shelves: RefCell<Slab<Shelf>>,
    /// Shelves below are never removed.
    fixed: usize,
    /// The numbers of the shelves that came at run time.
    named: RefCell<HashMap<Place, ShelfNumber>>,
    idle: RefCell<Slab<Idle>>,
}

/// The unused connections to one place, the one that was used last at the end.
#[derive(Debug, Default)]
struct Shelf {
    idle: Vec<u32>,
    /// What it is known by, if it came at run time.
    place: Option<Place>,
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    shelf: ShelfNumber,
    identity: Identity,
}

impl Pool {
    pub(super) fn new(fixed: usize) -> Self {
        let shelves = (0..fixed).map(|number| (number, Shelf::default())).collect();
        Self { shelves: RefCell::new(shelves), fixed, named: RefCell::default(), idle: RefCell::default() }
    }

    /// Takes the connection that was used last on behalf of `identity`.
    pub(crate) fn take(&self, shelf: ShelfNumber, identity: &Identity) -> Option<Stream> {
        let stream = {
            let mut shelves = self.shelves.borrow_mut();
            let stack = &mut shelves.get_mut(shelf as usize)?.idle;
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

    /// The shelf of a place that is not in the registry, if there is anything on it.
    pub(crate) fn find(&self, place: &Place) -> Option<ShelfNumber> {
        self.named.borrow().get(place).copied()
    }

    /// The shelf of a place that is not in the registry, to put something on it.
    pub(crate) fn shelf(&self, place: &Place) -> ShelfNumber {
        *self.named.borrow_mut().entry(place.clone()).or_insert_with(|| {
            let shelf = Shelf { idle: Vec::new(), place: Some(place.clone()) };
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

    /// Forgets a shelf that came at run time once nothing is on it.
    fn tidy(&self, number: ShelfNumber) {
        if (number as usize) < self.fixed {
            return;
        }
        let mut shelves = self.shelves.borrow_mut();
        if shelves.get(number as usize).is_some_and(|shelf| shelf.idle.is_empty())
            && let Some(place) = shelves.remove(number as usize).place
        {
            self.named.borrow_mut().remove(&place);
        }
    }

    /// Closes everything.
    pub(crate) fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.borrow_mut());
        drop(idle);
        self.shelves.borrow_mut().iter_mut().for_each(|(_, shelf)| shelf.idle.clear());
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use crate::driver::{Address, Core, Wakeup};

    use super::*;

    const KEEP: Duration = Duration::from_secs(9);

    fn place(port: u16) -> Place {
        Place::Address(Address::Tcp(([127, 0, 0, 1], port).into()))
    }

    fn identity(port: u16) -> Identity {
        Some(Box::new((([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 80).into())))
    }

    #[test]
    fn the_last_one_is_taken_first_and_only_by_whom_it_was_made_for() {
        let core = Core::new().unwrap();
        let pool = Pool::new(1);
        let mut others = Vec::new();
        let mut put = |identity| {
            let (stream, other) = Stream::pair(&core).unwrap();
            others.push(other);
            let key = stream.key();
            pool.put(0, identity, stream, KEEP, 3);
            key
        };
        let (_, second, third) = (put(None), put(None), put(identity(1)));
        let _fourth = put(None);
        assert_eq!(pool.take(0, &identity(1)).map(|stream| stream.key()), Some(third));
        assert!(pool.take(0, &identity(1)).is_none());
        assert!(pool.take(0, &None).is_some());
        assert_eq!(pool.take(0, &None).map(|stream| stream.key()), Some(second));
        assert!(pool.take(0, &None).is_none(), "the first was one too many");
    }

    #[test]
    fn what_ends_or_speaks_is_closed_and_its_shelf_forgotten() {
        let core = Core::new().unwrap();
        let pool = std::rc::Rc::new(Pool::new(0));
        let shelf = pool.shelf(&place(1));
        let (stream, other) = Stream::pair(&core).unwrap();
        pool.put(shelf, None, stream, KEEP, 3);
        assert_eq!(pool.find(&place(1)), Some(shelf));
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
        assert_eq!(pool.find(&place(1)), None);
        assert!(!pool.on_wakeup(5), "the numbers of others are left alone");
    }
}
