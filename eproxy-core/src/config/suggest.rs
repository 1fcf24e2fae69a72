//! What may have been meant by a word that is not known.

/// The candidate that is nearest to a word, if one is near enough.
pub(super) fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    // A third of a word may be wrong; of short words a letter.
    let most = (word.chars().count() / 3).max(1);
    let ranked = candidates.map(|candidate| (distance(word, candidate), candidate));
    ranked.filter(|(far, _)| *far <= most).min_by_key(|(far, _)| *far).map(|(_, candidate)| candidate)
}

/// Letters that have to be put in, left out, replaced, or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![vec![0; other.len() + 1]; one.len() + 1];
    for (a, row) in rows.iter_mut().enumerate() {
        row[0] = a;
    }
    for (b, cell) in rows[0].iter_mut().enumerate() {
        *cell = b;
    }
    for a in 1..=one.len() {
        for b in 1..=other.len() {
            let differ = usize::from(!one[a - 1].eq_ignore_ascii_case(&other[b - 1]));
            let mut least = (rows[a - 1][b] + 1).min(rows[a][b - 1] + 1).min(rows[a - 1][b - 1] + differ);
            if a > 1 && b > 1 && one[a - 1] == other[b - 2] && one[a - 2] == other[b - 1] {
                least = least.min(rows[a - 2][b - 2] + 1);
            }
            rows[a][b] = least;
        }
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_meant_if_it_is_near_enough() {
        let nearest = |word| nearest(word, ["keep_alive", "head", "body_idle", "to"].into_iter());
        assert_eq!(nearest("keepalive"), Some("keep_alive"));
        assert_eq!(nearest("haed"), Some("head"));
        assert_eq!(nearest("ot"), Some("to"));
        assert_eq!(nearest("write_rate"), None);
        assert_eq!(distance("", "abc"), 3);
    }
}
