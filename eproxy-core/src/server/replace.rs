//! Another description of a server that runs: everything is made first, then swapped at once.
//!
//! ```text
//!   plan, certificates, sockets ──all of it is there──▶ orders ──▶ each worker, between two turns ──▶ done
//!              └─ something is wrong: nothing has changed
//! ```

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_std::channel::{self, Receiver, Sender};

use crate::driver::{Address, Bound, Given};
use crate::error::Result;
use crate::telemetry::{Journal, WatchPlan};
use crate::tls::{Acceptor, Tls};

use super::builder::{Builder, Listening};
use super::door::{Door, Entrance, Keeper};
use super::handle::Control;
use super::held::{Held, SocketFiles};
use super::inherited::{Inherited, listen};
use super::orders::{ListenerNumber, Replacement};
use super::plan::{Plan, start_failed};

/// What a server listens on, in the order in which it was said.
#[derive(Debug)]
pub(super) struct Listeners {
    list: Vec<Open>,
    next: ListenerNumber,
    /// Handles on the sockets, to be handed on.
    held: Arc<Held>,
}

/// A listener.
#[derive(Debug)]
struct Open {
    number: ListenerNumber,
    /// As it was asked for.
    text: String,
    /// With the port that the system chose; several where it takes inherited sockets by their name.
    addresses: Vec<Address>,
    tls: Option<Acceptor>,
    /// Whoever looks after its certificates ends with this.
    _watch: Sender<Infallible>,
}

/// A listener that is being opened.
pub(super) struct Opening {
    number: ListenerNumber,
    text: String,
    bound: Vec<Bound>,
    door: Door,
    files: Arc<SocketFiles>,
    /// Handles on its sockets.
    handles: Vec<Given>,
}

impl Opening {
    /// What one worker gets of it while so many workers, this one among them, have nothing.
    pub(super) fn take(&mut self, workers: usize) -> Vec<(ListenerNumber, socket2::Socket, Entrance)> {
        let Self { number, bound, door, files, .. } = self;
        let mut taken = Vec::new();
        for bound in bound {
            let keeper = if bound.keeper.is_some() { Keeper::Somebody } else { Keeper::Nobody };
            taken.extend(bound.take(workers).into_iter().map(|socket| {
                let (door, _files) = (door.clone().into(), Some(files.clone()));
                (*number, socket, Entrance { door, is_closed: false.into(), keeper, _files })
            }));
        }
        taken
    }
}

impl Listeners {
    pub(super) fn new(held: Arc<Held>) -> Self {
        Self { list: Vec::new(), next: 0, held }
    }

    /// Listens on addresses, for so many workers.
    ///
    /// # Errors
    ///
    /// `BadAddress`, `Listen`; none is listened on then.
    pub(super) fn open(
        &mut self,
        addresses: Vec<Listening>,
        doors: Vec<Door>,
        inherited: Inherited,
        workers: usize,
        journal: &Journal,
    ) -> Result<Vec<Opening>> {
        let mut all: Vec<Vec<Bound>> = addresses.iter().map(|_| Vec::new()).collect();
        for (at, bound) in listen(&addresses, inherited, workers, journal)? {
            all[at].push(bound);
        }
        let mut opening = Vec::new();
        for ((listening, door), bound) in addresses.into_iter().zip(doors).zip(all) {
            self.next += 1;
            let handles = bound.iter().map(Bound::handles).collect::<io::Result<Vec<_>>>();
            opening.push(Opening {
                number: self.next,
                text: listening.address,
                files: Arc::new(SocketFiles::of(bound.iter())),
                handles: handles.map_err(start_failed)?.into_iter().flatten().collect(),
                bound,
                door,
            });
        }
        Ok(opening)
    }

    /// Adds listeners whose sockets have been taken by workers.
    pub(super) fn adopt(&mut self, opened: Vec<Opening>, journal: &Journal, ended: &Receiver<Infallible>) {
        for Opening { number, text, bound, door, files, handles } in opened {
            self.held.add(number, handles, &files);
            let _watch = watch(&door, journal, ended);
            let addresses = bound.into_iter().map(|bound| bound.address).collect();
            self.list.push(Open { number, text, addresses, tls: door.tls, _watch });
        }
    }

    /// The TCP addresses.
    pub(super) fn addresses(&self) -> Arc<[SocketAddr]> {
        let all = self.list.iter().flat_map(|open| &open.addresses);
        let tcp = all.filter_map(|address| match address {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        });
        tcp.collect()
    }

    /// All of them, as text.
    pub(super) fn texts(&self) -> Vec<String> {
        self.list.iter().flat_map(|open| &open.addresses).map(ToString::to_string).collect()
    }

    /// What takes TLS connections in.
    pub(super) fn acceptors(&self) -> Vec<Acceptor> {
        self.list.iter().filter_map(|open| open.tls.clone()).collect()
    }

    /// Those that listen already where these say, each for one of them: by its address, or else in the words in which it was
    /// asked for.
    fn pair(&self, wanted: &[Listening]) -> Vec<Option<ListenerNumber>> {
        let mut pairs: Vec<Option<ListenerNumber>> = vec![None; wanted.len()];
        let mut pair = |fits: &dyn Fn(&Open, &str) -> bool| {
            for at in 0..wanted.len() {
                let mut free = self.list.iter().filter(|open| !pairs.contains(&Some(open.number)));
                let found = free.find(|open| fits(open, &wanted[at].address)).map(|open| open.number);
                pairs[at] = pairs[at].or(found);
            }
        };
        pair(&|open, text| text.parse().is_ok_and(|address| open.addresses.contains(&address)));
        pair(&|open, text| open.text == text);
        pairs
    }

    /// Has these be the listeners, and the plan what is served at them, with what is `told` of that. Gives what tells when
    /// that is so, and the plan.
    ///
    /// # Errors
    ///
    /// Something is wrong with an address or a certificate; nothing has changed.
    pub(super) fn replace(
        &mut self,
        mut builder: Builder,
        told: WatchPlan,
        control: &Control,
        journal: &Journal,
        ended: &Receiver<Infallible>,
    ) -> Result<(Receiver<Infallible>, Plan)> {
        let mut plan = Plan::new(&mut builder)?;
        plan.watch = told;
        builder.check_addresses(&plan.trusted)?;
        let doors = doors(&builder.addresses)?;
        let pairs = self.pair(&builder.addresses);
        let (mut new, mut new_doors, mut staying) = (Vec::new(), Vec::new(), Vec::new());
        for ((listening, door), number) in builder.addresses.into_iter().zip(doors).zip(&pairs) {
            match number {
                Some(number) => staying.push((*number, door)),
                None => {
                    new.push(listening);
                    new_doors.push(door);
                }
            }
        }
        let workers = control.workers.len();
        let inherited = std::mem::take(&mut builder.inherited);
        let mut opening = self.open(new, new_doors, inherited, workers, journal)?;

        // From here on nothing fails.
        for (number, door) in &staying {
            if let Some(open) = self.list.iter_mut().find(|open| open.number == *number) {
                (open.tls, open._watch) = (door.tls.clone(), watch(door, journal, ended));
            }
        }
        let goes = |open: &Open| staying.iter().all(|(number, _)| *number != open.number);
        let closed: Vec<_> = self.list.iter().filter(|open| goes(open)).map(|open| open.number).collect();
        self.list.retain(|open| !closed.contains(&open.number));
        let (done, over) = channel::bounded(1);
        closed.iter().for_each(|number| self.held.let_one_go(*number));
        for (number, (remote, orders)) in control.workers.iter().enumerate() {
            orders.give(Replacement {
                plan: plan.clone(),
                opened: opening.iter_mut().flat_map(|opening| opening.take(workers - number)).collect(),
                kept: staying.clone(),
                closed: closed.clone(),
                done: done.clone(),
            });
            remote.nudge();
        }
        let mut added = opening.iter().map(|opening| opening.number).collect::<Vec<_>>().into_iter();
        let order: Vec<_> = pairs.into_iter().map(|number| number.or_else(|| added.next())).collect();
        self.adopt(opening, journal, ended);
        self.list.sort_by_key(|open| order.iter().position(|number| *number == Some(open.number)));
        Ok((over, plan))
    }
}

/// Looks after the certificates of a listener until what is given back is dropped, or the server has ended.
fn watch(door: &Door, journal: &Journal, ended: &Receiver<Infallible>) -> Sender<Infallible> {
    let (watch, gone) = channel::bounded(1);
    door.look_after(journal, ended.clone(), gone);
    watch
}

/// What each listener asks of its connections, with its certificates read.
///
/// # Errors
///
/// `BadOption`: certificates can't be used.
pub(super) fn doors(addresses: &[Listening]) -> Result<Vec<Door>> {
    let door = |Listening { introduces, tls, .. }: &Listening| {
        Ok(Door { introduces: *introduces, tls: tls.as_ref().map(Tls::acceptor).transpose()? })
    };
    addresses.iter().map(door).collect()
}
