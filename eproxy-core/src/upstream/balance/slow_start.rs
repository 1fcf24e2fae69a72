//! How much of its weight a new endpoint has: little at first, all of it when it has warmed up.

use std::time::Duration;

/// A new endpoint has at least this part of its weight: who gets nothing never warms up.
const FLOOR: f64 = 0.1;

/// The part of its weight, from a tenth to 1, that an endpoint of some age has, if it takes `window` to warm up.
///
/// With an `aggression` of 1 it grows with age in a straight line; a larger one lets it grow fast at first, a smaller one
/// slowly. What is not above 0 counts as 1.
pub(in crate::upstream) fn factor(age: Duration, window: Duration, aggression: f64) -> f64 {
    if age >= window {
        return 1.0;
    }
    let passed = age.as_secs_f64() / window.as_secs_f64();
    let grown = if aggression > 0.0 { passed.powf(aggression.recip()) } else { passed };
    grown.clamp(FLOOR, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn weights_grow_in_a_straight_line_from_a_tenth() {
        let seen: Vec<_> = [0, 1, 3, 15, 27, 30, 31].map(|age| factor(age * SECOND, 30 * SECOND, 1.0)).into();
        assert_eq!(seen, [0.1, 0.1, 0.1, 0.5, 0.9, 1.0, 1.0]);
    }

    #[test]
    fn aggression_bends_the_line_and_never_turns_it_back() {
        let at = |tenth: u32, aggression| factor(tenth * SECOND, 10 * SECOND, aggression);
        assert!(at(5, 2.0) > at(5, 1.0) && at(5, 1.0) > at(5, 0.5));
        for aggression in [0.01, 0.5, 1.0, 3.0, 1e9, f64::INFINITY] {
            assert!((1..=10).all(|tenth| at(tenth, aggression) >= at(tenth - 1, aggression)));
            assert!((0..=10).all(|tenth| (FLOOR..=1.0).contains(&at(tenth, aggression))));
        }
        assert!([0.0, -1.0, f64::NAN].iter().all(|wrong| at(5, *wrong) == 0.5));
    }

    #[test]
    fn without_a_window_an_endpoint_is_warm_at_once() {
        assert_eq!(factor(Duration::ZERO, Duration::ZERO, 1.0), 1.0);
    }
}
