//! The priorities and weights of SRV records in the scale of endpoints (a pure decider).

use crate::upstream::endpoint::MAX_WEIGHT;

/// What a record says: its priority, the lowest first, and its weight among those of the same priority (RFC 2782).
pub(super) type Said = (u16, u16);

/// The same for an endpoint: its tier, and its weight from 1 to 1,000.
pub(super) type Scaled = (u8, u32);

/// Tiers are numbered from `first`, one for each priority that occurs. Weights stay what they are where they can: they are
/// scaled where one is too great, and where some are 0, which is to be as good as nothing beside the others.
pub(super) fn scale(records: &[Said], first: u8) -> Vec<Scaled> {
    let mut priorities: Vec<u16> = records.iter().map(|(priority, _)| *priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    let scaled = |&(priority, weight): &Said| {
        let tier = priorities.partition_point(|known| *known < priority);
        let tier = u8::try_from(tier).unwrap_or(u8::MAX).saturating_add(first);
        let among =
            records.iter().filter(|(other, _)| *other == priority).map(|(_, weight)| u32::from(*weight));
        let (least, most) =
            among.fold((u32::MAX, 0), |(least, most), weight| (least.min(weight), most.max(weight)));
        let weight = u32::from(weight);
        let weight = match most > MAX_WEIGHT || (least == 0 && most > 0) {
            true => weight * MAX_WEIGHT / most,
            false => weight,
        };
        (tier, weight.max(1))
    };
    records.iter().map(scaled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_become_tiers_without_gaps() {
        assert_eq!(scale(&[(20, 5), (10, 5), (65535, 5)], 0), [(1, 5), (0, 5), (2, 5)]);
        assert_eq!(scale(&[(20, 5), (10, 5)], 254), [(255, 5), (254, 5)]);
        let many: Vec<_> = (0..300).map(|priority| (priority, 1)).collect();
        assert_eq!(scale(&many, 0)[299], (255, 1));
    }

    #[test]
    fn weights_stay_what_they_are_where_they_can() {
        assert_eq!(scale(&[(0, 1), (0, 1000)], 0), [(0, 1), (0, 1000)]);
        assert_eq!(scale(&[(0, 100), (0, 65535), (1, 7)], 0), [(0, 1), (0, 1000), (1, 7)]);
    }

    #[test]
    fn a_weight_of_zero_is_next_to_nothing_beside_others_and_as_good_as_any_among_its_like() {
        assert_eq!(scale(&[(0, 0), (0, 1), (0, 2)], 0), [(0, 1), (0, 500), (0, 1000)]);
        assert_eq!(scale(&[(0, 0), (0, 0)], 0), [(0, 1), (0, 1)]);
    }
}
