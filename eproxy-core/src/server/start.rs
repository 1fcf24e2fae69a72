//! Listening, and starting the workers.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use async_std::channel::Sender;

use crate::driver::{Core, Remote};
use crate::error::{Error, Kind, Result};
use crate::telemetry::{Counters, Journal};

use super::builder::Builder;
use super::door::Entrance;
use super::edition::Share;
use super::handle::{Control, Handle};
use super::held::Held;
use super::life::{Life, Phase};
use super::orders::{self, ListenerNumber, Orders};
use super::plan::{Plan, start_failed};
use super::replace::{Listeners, doors};
use super::telling::{Outlets, Telling};
use super::worker::{Common, Worker};

/// What a worker's thread is given.
struct Job {
    plan: Plan,
    common: Common,
    sockets: Vec<(ListenerNumber, socket2::Socket, Entrance)>,
    /// Dropped when the worker ends.
    ended: Sender<Infallible>,
}

/// Starts a server; returns once every worker is ready.
pub(super) fn start(mut builder: Builder) -> Result<Handle> {
    let workers = workers(&builder)?;
    let mut plan = Plan::new(&mut builder)?;
    builder.check_addresses(&plan.trusted)?;
    let doors = doors(&builder.addresses)?;
    let journal = Journal::start().map_err(start_failed)?;
    let outlets = Outlets::default().next(&builder.wanted, &journal)?;
    plan.watch = outlets.plan.clone();
    let held = Arc::new(Held::default());
    let mut listeners = Listeners::new(held.clone());
    let inherited = std::mem::take(&mut builder.inherited);
    let mut opening = listeners.open(builder.addresses, doors, inherited, workers, &journal)?;

    let (ended, end) = async_std::channel::bounded(1);
    let life = Arc::new(Life::new());
    let mut control = Control { life: life.clone(), workers: Vec::new(), held };
    let mut counters = Vec::new();
    for number in 0..workers {
        let orders = Arc::new(Orders::default());
        counters.push(Arc::new(Counters::new()));
        let common = Common {
            counters: counters[number].clone(),
            journal: journal.clone(),
            life: life.clone(),
            orders: orders.clone(),
            share: Share { number, of: workers },
        };
        let sockets = opening.iter_mut().flat_map(|opening| opening.take(workers - number)).collect();
        match spawn(number, Job { plan: plan.clone(), common, sockets, ended: ended.clone() }) {
            Ok(remote) => control.workers.push((remote, orders)),
            Err(error) => {
                control.advance(Phase::Stopped);
                return Err(start_failed(error));
            }
        }
    }
    listeners.adopt(opening, &journal, &end);
    let telling = Telling::new(outlets, &plan, counters.clone());
    Ok(Handle::new(control, counters, telling, journal, listeners, end))
}

fn workers(builder: &Builder) -> Result<usize> {
    /// More threads than any machine has processors are a slip of the pen.
    const MOST: usize = 1024;
    match builder.workers {
        None => Ok(thread::available_parallelism().map_or(1, Into::into)),
        Some(workers @ 1..=MOST) => Ok(workers),
        Some(workers) => {
            Err(Error::new(Kind::BadOption).detail(format!("{workers} workers, expected 1 to {MOST}")))
        }
    }
}

/// Starts a worker's thread and waits until it is ready.
fn spawn(number: usize, job: Job) -> io::Result<Arc<Remote>> {
    let (ready, started) = mpsc::sync_channel(1);
    thread::Builder::new().name(format!("eproxy-worker-{number}")).spawn(move || {
        let Job { plan, common, sockets, ended } = job;
        let journal = common.journal.clone();
        let set_up = || {
            let core = Core::new()?;
            let worker = Worker::new(&core, &plan, common);
            drop(plan);
            for (number, socket, entrance) in sockets {
                orders::open(&worker, number, socket, entrance)?;
            }
            io::Result::Ok((worker, core))
        };
        match set_up() {
            Ok((worker, core)) => {
                // Whoever starts the server waits for this.
                let _waiting = ready.send(Ok(core.remote()));
                if let Err(error) = worker.run() {
                    journal.note(log::Level::Error, || format!("worker {number} ended: {error}"));
                }
            }
            Err(error) => {
                let _waiting = ready.send(Err(error));
            }
        }
        drop(ended);
    })?;
    started.recv().unwrap_or_else(|_| Err(io::Error::other("the worker ended before it was ready")))
}
