//! What the answer of a collector says of a batch (OTLP 1.3, "OTLP/HTTP Response").

use std::time::{Duration, SystemTime};

use serde::Deserialize;

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of it was, or all but these.
    Taken(Option<Rejected>),
    /// It may be sent again, after so long if that was said.
    Later(Option<Duration>, String),
    Refused(String),
}

/// Which answers say that a batch may be sent again ("Failures").
pub(super) fn judge(status: u16, retry_after: Option<&str>, now: SystemTime) -> Verdict {
    match status {
        200..300 => Verdict::Taken(None),
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

/// Spans of a batch that a collector has not taken although it says 200, and why ("Partial Success").
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) spans: u64,
    pub(super) why: String,
}

impl Rejected {
    /// Reads the body of an answer; none where all were taken, or where it says nothing that can be understood.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let said: Response = serde_json::from_slice(body).ok()?;
        let PartialSuccess { rejected_spans, error_message } = said.partial_success?;
        let spans = match rejected_spans? {
            Int64::Number(number) => u64::try_from(number).ok()?,
            Int64::Text(text) => text.parse().ok()?,
        };
        /// Characters of what it says that are passed on.
        const MOST: usize = 200;
        let why = error_message.unwrap_or_default().chars().take(MOST).collect();
        (spans > 0).then_some(Self { spans, why })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    partial_success: Option<PartialSuccess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialSuccess {
    rejected_spans: Option<Int64>,
    error_message: Option<String>,
}

/// Numbers of 64 bits are text in the JSON of protobuf, but may be read as numbers, too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Int64 {
    Number(i64),
    Text(String),
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
        assert!([200, 202].map(judge).iter().all(|verdict| *verdict == Verdict::Taken(None)));
        assert!([429, 502, 503, 504].map(judge).iter().all(|it| matches!(it, Verdict::Later(None, _))));
        assert!([302, 400, 401, 500].map(judge).iter().all(|it| matches!(it, Verdict::Refused(_))));
    }

    #[test]
    fn spans_that_were_not_taken_are_a_number_or_text() {
        let rejected = |spans: u64, why: &str| Some(Rejected { spans, why: why.into() });
        for (body, expected) in [
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#, rejected(3, "too old")),
            (r#"{"partialSuccess":{"rejectedSpans":2}}"#, rejected(2, "")),
            (r#"{"partialSuccess":{"rejectedSpans":"0","errorMessage":"a hint"}}"#, None),
            (r#"{"partialSuccess":{"rejectedSpans":-1}}"#, None),
            (r#"{"partialSuccess":{"rejectedSpans":"many"}}"#, None),
            (r#"{"partialSuccess":null}"#, None),
            (r#"{"partialSuccess":{}}"#, None),
            ("{}", None),
            ("", None),
            ("\u{a}\u{2}", None),
        ] {
            assert_eq!(Rejected::parse(body.as_bytes()), expected, "{body}");
        }
    }
}
