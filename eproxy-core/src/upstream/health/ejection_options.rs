//! What the ejection of endpoints can be told.

use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// When an endpoint gets no requests for a while because of how it treated those that it got: passive health checking.
///
/// Failures are counted in a row and by kind: connections that it did not take, requests that it did not answer, and, if
/// wanted, answers from 500 on. Enough of them and it rests: for [`shortest`](Self::shortest), twice as long with each
/// further failure, up to [`longest`](Self::longest). A success ends the count, and the rest too, unless that was for what
/// it has answered.
///
/// Endpoints that answer, but clearly worse than the others do, can be ejected as well ([`outliers`](Self::outliers)). Those
/// settings are the ones of Envoy's success-rate outlier detection, with two differences: an endpoint must also be five
/// percentage points below the mean, so that one failure among thousands of good answers ejects nobody; and in groups so
/// small that none could ever be as far off as `deviations` says, the farthest that is possible decides.
///
/// When all endpoints of a group are ejected they are tried all the same.
///
/// ```
/// use std::time::Duration;
/// use eproxy_core::Ejection;
///
/// let ejection = Ejection { server_errors: 5, outliers: true, ..Ejection::default() };
/// ```
#[derive(Clone, Debug)]
pub struct Ejection {
    /// Connections in a row that it did not take. Default 1; 0 does not count them.
    pub connect_errors: u16,
    /// Requests in a row that were sent and brought no answer: the connection ended, or the answer did not come in time.
    /// Default 3; 0 does not count them.
    pub no_answers: u16,
    /// Answers in a row with a status from 500 on. Default 0, which takes them for answers like any other; 5 is a good
    /// number where they mean that something is wrong with the endpoint.
    pub server_errors: u16,
    /// The first rest after failures in a row, from 1 ms. Default 100 ms.
    pub shortest: Duration,
    /// The longest rest after failures in a row, up to a day. Default 10 s.
    pub longest: Duration,
    /// The share of a group's endpoints that may be ejected at once for what they have answered: for 5xx in a row and as
    /// outliers. From 0 to 1, but one endpoint may be in any case. Default 0.5. Endpoints that don't answer are not counted.
    pub max_share: f64,
    /// Whether the shares of good answers are compared. Default no.
    pub outliers: bool,
    /// How often they are compared, from 100 ms to an hour. Default 10 s.
    pub interval: Duration,
    /// How far below the mean an outlier is, in standard deviations, above 0. Default 1.9.
    pub deviations: f64,
    /// Endpoints that must have had enough requests, from 3. Default 3.
    pub least_hosts: u32,
    /// Requests that an endpoint must have had in an interval to be compared, from 1. Default 50.
    pub least_requests: u32,
    /// The first rest of an outlier, from 1 ms; as much longer with each further time. Default 30 s.
    pub outlier_rest: Duration,
    /// The longest rest of an outlier, up to a day. Default 5 min.
    pub outlier_longest: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Ejection {
    fn default() -> Self {
        Self {
            connect_errors: 1,
            no_answers: 3,
            server_errors: 0,
            shortest: Duration::from_millis(100),
            longest: Duration::from_secs(10),
            max_share: 0.5,
            outliers: false,
            interval: Duration::from_secs(10),
            deviations: 1.9,
            least_hosts: 3,
            least_requests: 50,
            outlier_rest: Duration::from_secs(30),
            outlier_longest: Duration::from_secs(300),
        }
    }
}

impl Ejection {
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(in crate::upstream) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(Kind::BadOption).detail(format!("an ejection {what}")));
        for (shortest, longest) in [(self.shortest, self.longest), (self.outlier_rest, self.outlier_longest)]
        {
            if shortest < Duration::from_millis(1) || longest < shortest || longest > DAY {
                return wrong(format!("for {shortest:?} to {longest:?}, expected 1 ms to a day"));
            }
        }
        if !(0.0..=1.0).contains(&self.max_share) {
            return wrong(format!("of a share of {}, expected 0 to 1", self.max_share));
        }
        if !(Duration::from_millis(100)..=DAY / 24).contains(&self.interval) {
            return wrong(format!("every {:?}, expected 100 ms to an hour", self.interval));
        }
        if !(self.deviations > 0.0 && self.deviations.is_finite()) {
            return wrong(format!("at {} deviations, expected more than 0", self.deviations));
        }
        if self.least_hosts < 3 || self.least_requests == 0 {
            let (hosts, requests) = (self.least_hosts, self.least_requests);
            return wrong(format!(
                "from {hosts} hosts and {requests} requests on, expected 3 and 1 at least"
            ));
        }
        Ok(())
    }

    /// How many endpoints of so many may be ejected at once for what they have answered.
    pub(super) fn most(&self, endpoints: usize) -> usize {
        ((endpoints as f64 * self.max_share) as usize).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_an_ejection_is_said() {
        let default = Ejection::default;
        assert!(default().check().is_ok());
        for (ejection, what) in [
            (Ejection { shortest: Duration::ZERO, ..default() }, "for 0ns"),
            (Ejection { longest: Duration::from_millis(99), ..default() }, "to 99ms"),
            (Ejection { outlier_longest: 2 * DAY, ..default() }, "to 172800s"),
            (Ejection { max_share: 1.1, ..default() }, "share of 1.1"),
            (Ejection { max_share: f64::NAN, ..default() }, "share of NaN"),
            (Ejection { interval: Duration::ZERO, ..default() }, "every 0ns"),
            (Ejection { deviations: 0.0, ..default() }, "0 deviations"),
            (Ejection { deviations: f64::INFINITY, ..default() }, "inf deviations"),
            (Ejection { least_hosts: 2, ..default() }, "2 hosts"),
            (Ejection { least_requests: 0, ..default() }, "0 requests"),
        ] {
            let error = ejection.check().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn one_endpoint_may_always_be_ejected() {
        let half = Ejection::default();
        assert_eq!([0, 1, 2, 3, 4, 9].map(|endpoints| half.most(endpoints)), [1, 1, 1, 1, 2, 4]);
        let none = Ejection { max_share: 0.0, ..half };
        assert_eq!(none.most(10), 1);
    }
}
