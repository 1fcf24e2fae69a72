//! An endpoint as all cores share it: what it is, what it may be sent, and how it fares.
//!
//! Everything that changes is an atomic, written by whoever finds out, and read by cores when they make their views anew.
//! Nothing here is written for a request that goes well.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::Result;

use super::balance::hash::hash;
use super::endpoint::Endpoint;
use super::health::{Breaker, Circuit, Standing, Verdict};
use super::origin::Origin;
use super::tally::Tally;

/// An endpoint as all cores share it.
#[derive(Debug)]
pub(crate) struct Node {
    /// Unique within the group, and never given to another; those that were named later have higher ones.
    pub(super) id: u32,
    pub(super) endpoint: Endpoint,
    pub(super) origin: Origin,
    /// What it is called in logs and by hooks.
    pub(super) name: Arc<str>,
    /// What it is called in sticky cookies, by all replicas.
    pub(super) token: u64,
    weight: AtomicU32,
    mode: AtomicU8,
    /// What probes say.
    probed: AtomicU8,
    /// Why the last probe failed.
    trouble: Mutex<Option<String>>,
    /// What requests say.
    pub(super) standing: Standing,
    circuit: OnceLock<Circuit>,
    pub(super) ejections: AtomicU32,
    /// When it began to take requests, in milliseconds of the group's time, plus one; 0 while it does not.
    since: AtomicU64,
    /// What each core counts of it.
    tallies: Mutex<Vec<Arc<Tally>>>,
    /// The requests that are with it from all cores, where their number is limited.
    pub(super) running: AtomicU32,
}

/// Whether an endpoint should be sent requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    /// It has failed, and is left alone up to then.
    Rests(u64),
    /// Probes say that it is down.
    Down,
}

/// What an endpoint may be sent, as its operator says.
///
/// See [`Group::drain`](crate::Group::drain) and its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Everything.
    Active,
    /// No new requests, but for those of clients whose sticky cookie names it; those that run are finished.
    Draining,
    /// Nothing; requests that run are finished.
    Maintenance,
    /// It has left the group: nothing, and its connections are closed as they become free.
    Removed,
}

impl Mode {
    const ALL: [Self; 4] = [Self::Active, Self::Draining, Self::Maintenance, Self::Removed];
}

impl Node {
    /// # Errors
    ///
    /// `BadOption`, with what is wrong with the description.
    pub(super) fn new(id: u32, endpoint: Endpoint) -> Result<Self> {
        let origin = endpoint.origin()?;
        Ok(Self {
            id,
            name: origin.place.to_string().into(),
            origin,
            token: hash(endpoint.url.as_bytes()),
            weight: AtomicU32::new(endpoint.weight),
            endpoint,
            probed: AtomicU8::new(0),
            trouble: Mutex::default(),
            circuit: OnceLock::new(),
            ejections: AtomicU32::new(0),
            mode: AtomicU8::new(Mode::Active as u8),
            standing: Standing::default(),
            since: AtomicU64::new(0),
            tallies: Mutex::default(),
            running: AtomicU32::new(0),
        })
    }

    pub(super) fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    pub(super) fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Ordering::Relaxed);
    }

    pub(super) fn mode(&self) -> Mode {
        Mode::ALL[usize::from(self.mode.load(Ordering::Acquire))]
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Release);
    }

    /// Its circuit breaker, made when it is first asked for.
    pub(super) fn circuit(&self, options: &Breaker) -> &Circuit {
        self.circuit.get_or_init(|| Circuit::new(options.clone()))
    }

    /// Whether its circuit breaker is not closed.
    pub(super) fn is_broken(&self) -> bool {
        self.circuit.get().is_some_and(|circuit| !circuit.is_closed())
    }

    /// Whether it should be sent requests, as far as anybody has found out.
    pub(super) fn fit(&self, now: u64) -> Fit {
        let open = || self.circuit.get().and_then(|circuit| circuit.open_until(now));
        match self.standing.ejected_until(now).max(open()) {
            _ if self.verdict() == Some(Verdict::Down) => Fit::Down,
            Some(until) => Fit::Rests(until),
            None => Fit::Yes,
        }
    }

    /// What probes say; none before the first.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        match self.probed.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Verdict::Up),
            _ => Some(Verdict::Down),
        }
    }

    /// Notes what probes say.
    pub(super) fn judge(&self, verdict: Verdict) {
        let word = if verdict == Verdict::Up { 1 } else { 2 };
        self.probed.store(word, Ordering::Relaxed);
    }

    /// Why the last probe failed, if it did.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_trouble(&self, why: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Notes that it takes requests, or that it does not.
    pub(super) fn set_serving(&self, serves: bool, now: u64) {
        match serves {
            true => {
                // Another core may have been first.
                let _known = self.since.compare_exchange(0, now + 1, Ordering::Relaxed, Ordering::Relaxed);
            }
            false => self.since.store(0, Ordering::Relaxed),
        }
    }

    /// How long it has been taking requests.
    pub(super) fn age(&self, now: u64) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(now.saturating_sub(since - 1)),
        }
    }

    /// A core's own counters.
    pub(super) fn join(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally::default());
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).push(tally.clone());
        tally
    }

    /// What cores have counted.
    pub(super) fn tallies(&self) -> Vec<Arc<Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
