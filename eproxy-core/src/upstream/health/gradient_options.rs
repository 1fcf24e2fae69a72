//! What the adaptive limit of an endpoint can be told.

use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// A limit on the requests that an endpoint has at once, which follows from how long it takes to answer them.
///
/// While answers come about as fast as they do without a queue, the limit grows; when they take longer, somebody waits in
/// the endpoint, and it shrinks. That is the gradient of Netflix's concurrency limits, with the periodic measurement of
/// Envoy's adaptive concurrency: now and then the limit is at its least for a moment, to see how fast the endpoint is when
/// nothing waits in it.
///
/// ```
/// use eproxy_core::AdaptiveLimit;
///
/// let limit = AdaptiveLimit { most: 200, ..AdaptiveLimit::default() };
/// ```
#[derive(Clone, Debug)]
pub struct AdaptiveLimit {
    /// The least limit, from 1; it should keep the endpoint busy without making anybody wait in it. Default 4.
    pub least: u32,
    /// The greatest limit, up to 100,000. Default 1,000.
    pub most: u32,
    /// The limit at first. Default 20.
    pub first: u32,
    /// How much longer answers may take than without a queue before the limit shrinks, from 1 to 10. Default 1.5.
    pub tolerance: f64,
    /// How long answers are collected before the limit is changed, from 10 ms to a minute. Default 100 ms; a window has ten
    /// answers at least.
    pub window: Duration,
    /// How often it is measured how long answers take without a queue, from 1 s to a day. Default 60 s. Under a load that
    /// leaves the limit half unused that shows by itself, and the limit stays as it is.
    pub measure: Duration,
}

impl Default for AdaptiveLimit {
    fn default() -> Self {
        Self {
            least: 4,
            most: 1000,
            first: 20,
            tolerance: 1.5,
            window: Duration::from_millis(100),
            measure: Duration::from_secs(60),
        }
    }
}

impl AdaptiveLimit {
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(in crate::upstream) fn check(&self) -> Result<()> {
        let wrong =
            |what: String| Err(Error::new(Kind::BadOption).detail(format!("an adaptive limit {what}")));
        let Self { least, most, first, .. } = *self;
        if least == 0 || most > 100_000 || !(least..=most).contains(&first) {
            return wrong(format!(
                "from {least} to {most}, {first} at first, expected 1 to 100,000, in order"
            ));
        }
        if !(1.0..=10.0).contains(&self.tolerance) {
            return wrong(format!("with a tolerance of {}, expected 1 to 10", self.tolerance));
        }
        if !(Duration::from_millis(10)..=Duration::from_secs(60)).contains(&self.window) {
            return wrong(format!("with a window of {:?}, expected 10 ms to a minute", self.window));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60)).contains(&self.measure) {
            return wrong(format!("measured every {:?}, expected 1 s to a day", self.measure));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_limit_is_said() {
        let default = AdaptiveLimit::default;
        assert!(default().check().is_ok());
        for (limit, what) in [
            (AdaptiveLimit { least: 0, ..default() }, "from 0"),
            (AdaptiveLimit { most: 100_001, ..default() }, "to 100001"),
            (AdaptiveLimit { first: 3, ..default() }, "3 at first"),
            (AdaptiveLimit { most: 3, ..default() }, "to 3"),
            (AdaptiveLimit { tolerance: 0.9, ..default() }, "tolerance"),
            (AdaptiveLimit { tolerance: f64::NAN, ..default() }, "tolerance"),
            (AdaptiveLimit { window: Duration::ZERO, ..default() }, "window"),
            (AdaptiveLimit { measure: Duration::ZERO, ..default() }, "measured"),
        ] {
            let error = limit.check().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
