//! Range: the part of a file that is asked for (RFC 9110 §14).

use std::ops::Range;

use crate::message::hop;

/// What is to be sent of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Portion {
    /// All of it: another unit than bytes, several parts, or what is no range are as good as no Range at all (RFC 9110
    /// §14.2).
    Whole,
    /// These bytes, and there is at least one.
    Part(Range<u64>),
    /// 416: it has no such bytes.
    Unsatisfiable,
}

/// What a Range field asks for of a file of this length.
pub(super) fn portion(value: &[u8], length: u64) -> Portion {
    parse(value, length).unwrap_or(Portion::Whole)
}

fn parse(value: &[u8], length: u64) -> Option<Portion> {
    let equals = value.iter().position(|byte| *byte == b'=')?;
    if !value[..equals].eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut members = hop::members(&value[equals + 1..]);
    let spec = members.next()?;
    if members.next().is_some() {
        return None;
    }
    let dash = spec.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    if first.is_empty() {
        // The last so many bytes; all of them where there are fewer.
        return Some(match number(last)? {
            0 => Portion::Unsatisfiable,
            _ if length == 0 => Portion::Whole,
            suffix => Portion::Part(length.saturating_sub(suffix)..length),
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(match first < length {
        true => Portion::Part(first..last.saturating_add(1).min(length)),
        false => Portion::Unsatisfiable,
    })
}

/// A number; one that is too large is the largest there is.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_taken_apart() {
        use Portion::{Part, Unsatisfiable, Whole};
        for (value, expected) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-", Part(0..10)),
            ("bytes=3-5", Part(3..6)),
            ("bytes=9-99", Part(9..10)),
            ("BYTES=-3", Part(7..10)),
            ("bytes=-99", Part(0..10)),
            ("bytes= 1-2 ,", Part(1..3)),
            ("bytes=0-99999999999999999999999", Part(0..10)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=5-3", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=1", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=0-1,5-6", Whole),
            ("bytes 0-1", Whole),
            ("lines=0-1", Whole),
            ("", Whole),
        ] {
            assert_eq!(portion(value.as_bytes(), 10), expected, "{value}");
        }
        assert_eq!(portion(b"bytes=0-", 0), Unsatisfiable);
        assert_eq!(portion(b"bytes=-5", 0), Whole);
    }
}
