//! Whether the endpoints of one's own zone are enough, so that none of another is asked.

/// The part of a zone's weight that has to be healthy, unless something else is said.
pub(in crate::upstream) const ENOUGH: f64 = 0.5;

/// Whether a zone serves its own requests: if of the weight of `all` its endpoints, that of the `healthy` ones is not
/// less than the part `enough`. A zone in which nobody is healthy never does.
pub(in crate::upstream) fn suffices(healthy: f64, all: f64, enough: f64) -> bool {
    healthy > 0.0 && healthy >= all * enough
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_suffices_while_half_of_its_weight_is_healthy() {
        assert!(suffices(10.0, 10.0, ENOUGH));
        assert!(suffices(5.0, 10.0, ENOUGH));
        assert!(!suffices(4.9, 10.0, ENOUGH));
    }

    #[test]
    fn a_zone_without_healthy_endpoints_never_suffices() {
        assert!(!suffices(0.0, 10.0, 0.0));
        assert!(!suffices(0.0, 0.0, ENOUGH));
    }

    #[test]
    fn how_much_is_enough_can_be_said() {
        assert!(suffices(0.1, 10.0, 0.0));
        assert!(!suffices(9.9, 10.0, 1.0));
    }
}
