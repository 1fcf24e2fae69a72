//! Listening, and starting the workers.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use async_std::channel::Sender;

use crate::driver::{Address, Bound, Core, Listener, Remote};
use crate::error::{Error, Kind, Result};
use crate::telemetry::Counters;
use crate::tls::Tls;

use super::accept;
use super::builder::{Builder, Listening};
use super::door::Door;
use super::handle::{Control, Handle};
use super::plan::{Plan, start_failed};
use super::trust::Trusted;
use super::worker::Phase;

/// What a worker's thread is given.
struct Job {
    plan: Plan,
    counters: Arc<Counters>,
    /// Which of the workers it is, and how many there are.
    share: (usize, usize),
    /// With what each asks of connections.
    sockets: Vec<(socket2::Socket, Door)>,
    /// Dropped when the worker ends.
    ended: Sender<Infallible>,
    /// Likewise: the last worker removes the socket files.
    files: Arc<SocketFiles>,
}

/// Starts a server; returns once every worker is ready.
pub(super) fn start(mut builder: Builder) -> Result<Handle> {
    let workers = workers(&builder)?;
    let plan = Plan::new(&mut builder)?;
    check(&builder, &plan.trusted)?;
    let doors = doors(&builder.addresses)?;
    let mut bound = listen(&builder.addresses, workers)?;

    let listeners: Vec<Address> = bound.iter().map(|bound| bound.address.clone()).collect();
    let files = Arc::new(SocketFiles::of(&listeners));
    let (ended, end) = async_std::channel::bounded(1);
    let mut control = Control { life: plan.life.clone(), remotes: Vec::new() };
    let mut counters = Vec::new();
    for number in 0..workers {
        counters.push(Arc::new(Counters::new()));
        let job = Job {
            plan: plan.clone(),
            counters: counters[number].clone(),
            share: (number, workers),
            sockets: sockets(&mut bound, &doors),
            ended: ended.clone(),
            files: files.clone(),
        };
        match spawn(number, job) {
            Ok(remote) => control.remotes.push(remote),
            Err(error) => {
                control.advance(Phase::Stopped);
                return Err(start_failed(error));
            }
        }
    }
    doors.iter().for_each(|door| door.look_after(&plan.journal, end.clone()));
    let acceptors = doors.iter().filter_map(|door| door.tls.clone()).collect();
    let addresses = listeners.iter().filter_map(|listener| match listener {
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) => None,
    });
    let (addresses, explains) = (addresses.collect(), plan.explains());
    Ok(Handle { addresses, listeners, control, counters, acceptors, explains, ended: end })
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

fn check(builder: &Builder, trusted: &Trusted) -> Result<()> {
    if let Some(listening) =
        builder.addresses.iter().find(|listening| listening.introduces && trusted.is_empty())
    {
        return Err(Error::new(Kind::BadOption).detail(format!(
            "PROXY protocol on {} and nobody who may speak it: call trusted_proxies",
            listening.address
        )));
    }
    match builder.addresses.is_empty() {
        true => Err(Error::new(Kind::BadAddress).detail("none was given: call bind")),
        false => Ok(()),
    }
}

/// What each listener asks of its connections, with its certificates read.
fn doors(addresses: &[Listening]) -> Result<Vec<Door>> {
    let door = |Listening { introduces, tls, .. }: &Listening| {
        Ok(Door { introduces: *introduces, tls: tls.as_ref().map(Tls::acceptor).transpose()? })
    };
    addresses.iter().map(door).collect()
}

/// One worker's sockets.
fn sockets(bound: &mut [Bound], doors: &[Door]) -> Vec<(socket2::Socket, Door)> {
    let pairs = bound.iter_mut().zip(doors);
    pairs.filter_map(|(bound, door)| Some((bound.take()?, door.clone()))).collect()
}

fn listen(addresses: &[Listening], workers: usize) -> Result<Vec<Bound>> {
    addresses
        .iter()
        .map(|Listening { address: text, .. }| {
            let address: Address = text.parse().map_err(|error: io::Error| {
                Error::new(Kind::BadAddress).detail(text.clone()).because(error)
            })?;
            Bound::new(&address, workers).map_err(|error| {
                Error::new(Kind::Listen).detail(format!("on {text}: {error}")).because(error)
            })
        })
        .collect()
}

/// Starts a worker's thread and waits until it is ready.
fn spawn(number: usize, job: Job) -> io::Result<Arc<Remote>> {
    let (ready, started) = mpsc::sync_channel(1);
    thread::Builder::new().name(format!("eproxy-worker-{number}")).spawn(move || {
        let Job { plan, counters, share, sockets, ended, files } = job;
        let set_up = || {
            let core = Core::new()?;
            let worker = plan.worker(&core, counters, share);
            plan.supervise(&worker);
            for (socket, door) in sockets {
                let listener = Listener::new(&core, socket)?;
                let task = core.spawn(accept::run(worker.clone(), listener, door));
                worker.add_acceptor(task);
            }
            io::Result::Ok((worker, core))
        };
        match set_up() {
            Ok((worker, core)) => {
                // Whoever starts the server waits for this.
                let _waiting = ready.send(Ok(core.remote()));
                if let Err(error) = worker.run() {
                    plan.journal.note(log::Level::Error, || format!("worker {number} ended: {error}"));
                }
            }
            Err(error) => {
                let _waiting = ready.send(Err(error));
            }
        }
        drop(files);
        drop(ended);
    })?;
    started.recv().unwrap_or_else(|_| Err(io::Error::other("the worker ended before it was ready")))
}

/// The files of unix-domain listeners.
#[derive(Debug)]
struct SocketFiles(Vec<PathBuf>);

impl SocketFiles {
    fn of(listeners: &[Address]) -> Self {
        let paths = listeners.iter().filter_map(|listener| match listener {
            Address::Unix(path) => Some(path.clone()),
            Address::Tcp(_) => None,
        });
        Self(paths.collect())
    }
}

impl Drop for SocketFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            // Whoever removed it before had a reason.
            let _removed = std::fs::remove_file(path);
        }
    }
}
