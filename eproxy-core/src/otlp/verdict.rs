//! What the answer of a collector says of a batch (OTLP 1.3, "OTLP/HTTP Response").

use std::time::{Duration, SystemTime};

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// It may be sent again, after so long if that was said.
    Later(Option<Duration>, String),
    Refused(String),
}

/// Which answers say that a batch may be sent again ("Failures").
pub(super) fn judge(status: u16, retry_after: Option<&str>, now: SystemTime) -> Verdict {
    match status {
        200..300 => Verdict::Taken,
        429 | 502..=504 => {
            let pause = retry_after.and_then(|value| pause(value.trim(), now));
            Verdict::Later(pause, format!("the collector says {status}"))
        }
        _ => Verdict::Refused(format!("the collector says {status}")),
    }
}

/// What a `Retry-After` asks for: seconds, or a date (RFC 9110 §10.2.3); none of it where that is over.
fn pause(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn what_a_collector_asks_to_wait_is_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_770);
        for (value, seconds) in [
            (Some("7"), Some(7)),
            (Some(" 0 "), Some(0)),
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7)),
            (Some("Sunday, 06-Nov-94 08:49:37 GMT"), Some(7)),
            (Some("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0)),
            (Some("soon"), None),
            (Some("-1"), None),
            (Some("99999999999999999999"), None),
            (None, None),
        ] {
            let Verdict::Later(pause, _) = judge(503, value, now) else { panic!("{value:?} is for later") };
            assert_eq!(pause, seconds.map(Duration::from_secs), "{value:?}");
        }
    }

    #[test]
    fn which_batches_are_sent_again_is_said_by_the_status() {
        let judge = |status| judge(status, None, UNIX_EPOCH);
        assert!([200, 202].map(judge).iter().all(|verdict| *verdict == Verdict::Taken));
        assert!([429, 502, 503, 504].map(judge).iter().all(|it| matches!(it, Verdict::Later(None, _))));
        assert!([302, 400, 401, 500].map(judge).iter().all(|it| matches!(it, Verdict::Refused(_))));
    }
}
