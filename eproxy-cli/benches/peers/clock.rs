//! The time, for what this program times itself.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "measuring time is what a bench is for")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
