//! What is known of names, and when they are asked for again. Pure: others do the asking.

use std::net::IpAddr;
use std::time::Duration;

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer<T> {
    /// At least one, and for how long this holds.
    Found(Vec<T>, Duration),
    /// It is known that there is none, and in which words.
    None(String),
    /// Nobody could say.
    Failed(String),
}

/// The addresses that a name had when this was last known, each family by itself: they are asked for by two questions.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

/// The addresses of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) all: Vec<IpAddr>,
    /// For how long they hold; none where nothing new was learned.
    pub(super) fresh: Option<Duration>,
    /// Why some or all of them may not be true any more.
    pub(super) trouble: Option<String>,
}

impl Known {
    /// Takes in what was answered. A family about which nobody could say anything keeps its addresses, and a name that
    /// has no address at all any more keeps them, too.
    pub(super) fn learn(&mut self, v4: Answer<IpAddr>, v6: Answer<IpAddr>) -> Addresses {
        let mut fresh: Option<Duration> = None;
        let mut trouble = None;
        match (&v4, &v6) {
            // Both say that there is none: what is known stays.
            (Answer::None(why), Answer::None(_)) => trouble = Some(why.clone()),
            _ => {
                let is_enough = [&v4, &v6].iter().any(|answer| matches!(answer, Answer::Found(..)));
                for (answer, known) in [(v4, &mut self.v4), (v6, &mut self.v6)] {
                    match answer {
                        Answer::Found(mut addresses, time) => {
                            addresses.sort_unstable();
                            addresses.dedup();
                            *known = addresses;
                            fresh = Some(fresh.map_or(time, |other| other.min(time)));
                        }
                        // Half an answer takes nothing away.
                        Answer::None(_) if is_enough => known.clear(),
                        Answer::None(_) => {}
                        // A family that never was there isn't missed: many servers are of no use for IPv6.
                        Answer::Failed(_) if is_enough && known.is_empty() => {}
                        Answer::Failed(why) => trouble = Some(why),
                    }
                }
            }
        }
        Addresses { all: [&self.v4[..], &self.v6[..]].concat(), fresh, trouble }
    }
}

/// When a name is asked for again.
#[derive(Debug)]
pub(super) struct Pace {
    /// The bounds of what records say.
    min: Duration,
    max: Duration,
    /// Failures in a row.
    failures: u32,
}

/// Between a failure and the next attempt: the first time, and twice as long each time, up to so long.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

impl Pace {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { min: min.min(max), max, failures: 0 }
    }

    /// How long to wait now.
    pub(super) fn next(&mut self, addresses: &Addresses) -> Duration {
        let fresh = addresses.fresh.map(|fresh| fresh.clamp(self.min, self.max));
        if let (Some(fresh), None) = (fresh, &addresses.trouble) {
            self.failures = 0;
            return fresh;
        }
        let (first, most) = BACK_OFF;
        let wait = most.min(first * 2_u32.pow(self.failures.min(5)));
        self.failures = self.failures.saturating_add(1);
        // What was learned all the same does not hold for longer.
        fresh.map_or(wait, |fresh| fresh.min(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(addresses: &[&str]) -> Vec<IpAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn found(addresses: &[&str], seconds: u64) -> Answer<IpAddr> {
        Answer::Found(ips(addresses), Duration::from_secs(seconds))
    }

    fn none() -> Answer<IpAddr> {
        Answer::None("none".into())
    }

    fn failed() -> Answer<IpAddr> {
        Answer::Failed("failed".into())
    }

    fn known() -> Known {
        Known { v4: ips(&["10.0.0.1"]), v6: ips(&["::1"]) }
    }

    fn learned(
        mut known: Known,
        v4: Answer<IpAddr>,
        v6: Answer<IpAddr>,
    ) -> (Vec<IpAddr>, Option<u64>, Option<String>) {
        let addresses = known.learn(v4, v6);
        (addresses.all, addresses.fresh.map(|fresh| fresh.as_secs()), addresses.trouble)
    }

    #[test]
    fn both_families_are_addresses_for_as_long_as_the_shorter_one_holds() {
        let answers = learned(known(), found(&["10.0.0.3", "10.0.0.2", "10.0.0.3"], 7), found(&["::2"], 5));
        assert_eq!(answers, (ips(&["10.0.0.2", "10.0.0.3", "::2"]), Some(5), None));
    }

    #[test]
    fn a_family_that_is_gone_is_gone_where_the_other_is_there() {
        assert_eq!(learned(known(), found(&["10.0.0.2"], 7), none()), (ips(&["10.0.0.2"]), Some(7), None));
    }

    #[test]
    fn a_name_that_has_no_address_any_more_keeps_its_last_ones() {
        let both = ips(&["10.0.0.1", "::1"]);
        assert_eq!(learned(known(), none(), none()), (both.clone(), None, Some("none".into())));
        assert_eq!(learned(known(), none(), failed()), (both.clone(), None, Some("failed".into())));
        assert_eq!(learned(known(), failed(), failed()), (both, None, Some("failed".into())));
    }

    #[test]
    fn a_family_that_nobody_could_tell_of_keeps_its_addresses_and_says_so() {
        let answers = learned(known(), found(&["10.0.0.2"], 7), failed());
        assert_eq!(answers, (ips(&["10.0.0.2", "::1"]), Some(7), Some("failed".into())));
        let answers = learned(Known::default(), found(&["10.0.0.2"], 7), failed());
        assert_eq!(answers, (ips(&["10.0.0.2"]), Some(7), None), "it was never there");
    }

    #[test]
    fn records_are_held_to_their_bounds_and_failures_back_off() {
        let seconds = Duration::from_secs;
        let answer = |fresh: u64| Addresses { all: Vec::new(), fresh: Some(seconds(fresh)), trouble: None };
        let trouble = Addresses { all: Vec::new(), fresh: Some(seconds(60)), trouble: Some("x".into()) };
        let mut pace = Pace::new(seconds(5), seconds(300));
        assert_eq!([0, 60, 9999].map(|fresh| pace.next(&answer(fresh)).as_secs()), [5, 60, 300]);
        let waits: Vec<_> = (0..7).map(|_| pace.next(&trouble).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        let half = Addresses { fresh: Some(seconds(7)), ..trouble };
        assert_eq!(pace.next(&half).as_secs(), 7, "half an answer holds for as long as it says");
        pace.next(&answer(60));
        assert_eq!(pace.next(&half).as_secs(), 1);
    }
}
