//! What one core counts of the exchanges of one route.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::counter::Counter;
use super::histogram::Histogram;

/// What one core counts of one route. One thread writes, any thread reads.
#[derive(Debug, Default)]
pub(crate) struct RouteTally {
    pub(super) classes: ClassCounters,
    /// Bytes of bodies, from and to clients.
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
    pub(super) duration: Histogram,
}

impl RouteTally {
    /// Counts an exchange that is over; only from the thread that owns the tally.
    pub(crate) fn record(&self, status: u16, (bytes_in, bytes_out): (u64, u64), nanoseconds: u64) {
        self.classes.add(status);
        self.bytes_in.add_many(bytes_in);
        self.bytes_out.add_many(bytes_out);
        self.duration.record(nanoseconds);
    }
}

/// Answers by the class of their status.
#[derive(Debug, Default)]
pub(crate) struct ClassCounters([Counter; CLASSES.len()]);

/// What the classes are called: those of RFC 9110 §15, and no answer.
pub(super) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

impl ClassCounters {
    /// Counts an answer; 0 is none. What has no class is a server's failure (RFC 9110 §15).
    pub(crate) fn add(&self, status: u16) {
        let class = match status {
            0 => 5,
            100..200 => 0,
            200..300 => 1,
            300..400 => 2,
            400..500 => 3,
            _ => 4,
        };
        self.0[class].add();
    }

    pub(crate) fn total(&self) -> u64 {
        self.read().iter().sum()
    }

    /// Those with a status from 500 on.
    pub(crate) fn server_errors(&self) -> u64 {
        self.0[4].read()
    }

    pub(crate) fn read(&self) -> [u64; CLASSES.len()] {
        std::array::from_fn(|class| self.0[class].read())
    }
}

/// The tallies of one core, by the names of routes, for as long as there is somebody who counts there. A route that is among
/// those which take the place of others goes on counting where it was.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<BTreeMap<Box<str>, Weak<RouteTally>>>);

impl Ledger {
    fn tallies(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Weak<RouteTally>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tally of a route, which is made when it is first asked for: when routes are set up, and never for a request.
    pub(crate) fn tally(&self, route: &str) -> Arc<RouteTally> {
        let mut tallies = self.tallies();
        if let Some(tally) = tallies.get(route).and_then(Weak::upgrade) {
            return tally;
        }
        let tally = Arc::new(RouteTally::default());
        tallies.insert(route.into(), Arc::downgrade(&tally));
        tally
    }

    /// Forgets routes that are no more.
    pub(crate) fn forget(&self) {
        self.tallies().retain(|_, tally| tally.strong_count() > 0);
    }

    /// Shows all of them, in the order of their names.
    pub(super) fn each(&self, mut show: impl FnMut(&str, &RouteTally)) {
        for (route, tally) in &*self.tallies() {
            tally.upgrade().iter().for_each(|tally| show(route, tally));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_tally_however_often_it_is_asked_for() {
        let ledger = Ledger::default();
        let _counting = ["/a", "/b"].map(|route| ledger.tally(route));
        ledger.tally("/a").record(204, (1, 2), 1000);
        ledger.tally("/b").record(0, (0, 0), 0);
        ledger.tally("/a").record(599, (10, 20), 1000);
        ledger.tally("/a").record(999, (0, 0), 1000);
        let mut seen = Vec::new();
        ledger.each(|route, tally| {
            seen.push((
                route.to_owned(),
                tally.classes.read(),
                tally.bytes_in.read(),
                tally.bytes_out.read(),
            ));
        });
        assert_eq!(
            seen,
            [("/a".into(), [0, 1, 0, 0, 2, 0], 11, 22), ("/b".into(), [0, 0, 0, 0, 0, 1], 0, 0)]
        );
    }

    #[test]
    fn a_route_that_is_no_more_is_forgotten() {
        let ledger = Ledger::default();
        let names = |ledger: &Ledger| {
            let mut names = Vec::new();
            ledger.each(|route, _| names.push(route.to_owned()));
            names
        };
        let (_stays, goes) = (ledger.tally("/stays"), ledger.tally("/goes"));
        assert_eq!(names(&ledger), ["/goes", "/stays"]);
        drop(goes);
        assert_eq!(names(&ledger), ["/stays"]);
        ledger.forget();
        assert_eq!(ledger.tallies().len(), 1);
    }
}
