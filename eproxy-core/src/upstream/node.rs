//! An endpoint as all cores share it: what it is, what it may be sent, and how it fares.
//!
//! Everything that changes is an atomic, written by whoever finds out, and read by cores when they make their views anew.
//! Nothing here is written for a request that goes well.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::Result;

use super::endpoint::Endpoint;
use super::origin::Origin;
use super::standing::Standing;
use super::tally::Tally;

/// An endpoint as all cores share it.
#[derive(Debug)]
pub(crate) struct Node {
    /// Unique within the group, and never given to another.
    pub(super) id: u32,
    pub(super) endpoint: Endpoint,
    pub(super) origin: Origin,
    /// What it is called in logs and by hooks.
    pub(super) name: Arc<str>,
    weight: AtomicU32,
    mode: AtomicU8,
    pub(super) standing: Standing,
    /// When it began to take requests, in milliseconds of the group's time, plus one; 0 while it does not.
    since: AtomicU64,
    /// What each core counts of it.
    tallies: Mutex<Vec<Arc<Tally>>>,
    /// The requests that are with it from all cores, where their number is limited.
    pub(super) running: AtomicU32,
}

/// What an endpoint may be sent, as its operator says.
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
            weight: AtomicU32::new(endpoint.share()),
            endpoint,
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

    /// Adds up what cores have counted.
    pub(super) fn sum<T>(&self, add: impl FnMut(T, &Tally) -> T, start: T) -> T {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.iter().map(|tally| &**tally).fold(start, add)
    }
}
