//! Endpoints by what their labels say: `version` is `canary`.

use std::collections::HashMap;

use super::hash::hash;

/// The positions of endpoints by the hash of the value that each has for a label; those without it are left out.
pub(in crate::upstream) fn by_value<'a>(
    values: impl Iterator<Item = Option<&'a str>>,
) -> HashMap<u64, Vec<usize>> {
    let mut found: HashMap<u64, Vec<usize>> = HashMap::new();
    for (position, value) in values.enumerate() {
        if let Some(value) = value {
            found.entry(hash(value.as_bytes())).or_default().push(position);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_found_by_the_value_of_their_label() {
        let found = by_value([Some("stable"), None, Some("canary"), Some("stable")].into_iter());
        assert_eq!(found[&hash(b"stable")], [0, 3]);
        assert_eq!(found[&hash(b"canary")], [2]);
        assert_eq!(found.len(), 2);
    }
}
