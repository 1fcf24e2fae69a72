//! ETag and Last-Modified: what tells one state of a file from another (RFC 9110 §8.8).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::coding::Coding;

/// The validators of a file as it is now.
#[derive(Debug)]
pub(super) struct Validators {
    /// What stands between the quotes of the entity tag; none where the system does not tell when a file was changed.
    opaque: Option<String>,
    /// Seconds since 1970; none where the file is from before that, or from the future: no answer may say that (RFC 9110
    /// §8.8.2.1).
    modified: Option<u64>,
    /// Nothing that has changed since can have the same ones.
    pub(super) is_strong: bool,
}

impl Validators {
    /// Those of a file at a time in seconds since 1970. The tag is made of when the file was changed, to the nanosecond, and
    /// of its length; the forms of a file in other codings are other representations (RFC 9110 §8.8.3.3).
    pub(super) fn of(modified: Option<SystemTime>, length: u64, coding: Option<Coding>, now: u64) -> Self {
        let Some(modified) = modified else {
            return Self { opaque: None, modified: None, is_strong: false };
        };
        let (since, sign) = match modified.duration_since(UNIX_EPOCH) {
            Ok(since) => (since, ""),
            Err(before) => (before.duration(), "-"),
        };
        let coding = coding.map_or(String::new(), |coding| format!("-{}", coding.name()));
        let opaque = format!("{sign}{:x}-{length:x}{coding}", since.as_nanos());
        let modified = Some(since.as_secs()).filter(|seconds| sign.is_empty() && *seconds <= now);
        // Clocks of file systems tick as slowly as once in two seconds: what was changed just now may be changed again
        // within the same tick (RFC 9110 §8.8.1, §8.8.2.2).
        let is_strong = modified.is_some_and(|seconds| seconds + TICK < now);
        Self { opaque: Some(opaque), modified, is_strong }
    }

    /// The entity tag, weak for a moment after a change.
    pub(super) fn etag(&self) -> Option<String> {
        let opaque = self.opaque.as_ref()?;
        Some(format!("{}\"{opaque}\"", if self.is_strong { "" } else { "W/" }))
    }

    /// What stands between the quotes of the entity tag.
    pub(super) fn opaque(&self) -> Option<&str> {
        self.opaque.as_deref()
    }

    /// When the file was changed, in seconds since 1970.
    pub(super) fn modified(&self) -> Option<u64> {
        self.modified
    }

    /// The value of Last-Modified.
    pub(super) fn last_modified(&self) -> Option<String> {
        // Dates end with the year 9999, and `now` is before that.
        self.modified.map(|seconds| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds)))
    }
}

/// Seconds that a file has to be older than for its validators to be strong.
const TICK: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Option<SystemTime> {
        Some(UNIX_EPOCH + Duration::from_millis(milliseconds))
    }

    #[test]
    fn what_was_changed_just_now_has_a_weak_tag_for_a_moment() {
        let fresh = Validators::of(at(1500), 255, None, 2);
        assert_eq!(fresh.etag().unwrap(), "W/\"59682f00-ff\"");
        let old = Validators::of(at(1500), 255, None, 4);
        assert_eq!(old.etag().unwrap(), "\"59682f00-ff\"");
        assert_eq!(old.last_modified().unwrap(), "Thu, 01 Jan 1970 00:00:01 GMT");
        let coded = Validators::of(at(1500), 255, Some(Coding::Gzip), 4);
        assert_eq!(coded.etag().unwrap(), "\"59682f00-ff-gzip\"");
    }

    #[test]
    fn times_that_no_answer_may_say_are_not_said() {
        let future = Validators::of(at(60_000), 1, None, 10);
        assert_eq!((future.last_modified(), future.is_strong), (None, false));
        let past = Validators::of(Some(UNIX_EPOCH - Duration::from_secs(1)), 1, None, 10);
        assert_eq!((past.last_modified(), past.etag().unwrap().as_str()), (None, "W/\"-3b9aca00-1\""));
        let unknown = Validators::of(None, 1, None, 10);
        assert_eq!((unknown.etag(), unknown.last_modified()), (None, None));
    }
}
