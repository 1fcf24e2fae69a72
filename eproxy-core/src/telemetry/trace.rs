//! Which trace a request belongs to: the fields of W3C Trace Context, level 1.
//!
//! ```text
//!   client's traceparent ──valid──▶ its trace, its flag ──▶ a span for the exchange ──▶ one for each attempt
//!        └─ none, or malformed ──▶ a new trace ────────────────▲                          └─ the upstream's parent
//! ```

use crate::error::{Error, Kind, Result};

use super::dice::Dice;
use super::text::push_hex;

/// What a `traceparent` says (§3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) is_sampled: bool,
}

impl Parent {
    /// Reads a `traceparent`; none where it is invalid. Of a version that is not known, what is known of the first is read
    /// (§3.2.4).
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        /// Of version 00, in bytes.
        const LENGTH: usize = 55;
        let known = value.get(..LENGTH)?;
        let [version] = hex(&known[..2])?;
        let is_longer = value.len() > LENGTH;
        let is_right = match version {
            0xFF => false,
            0 => !is_longer,
            _ => !is_longer || value[LENGTH] == b'-',
        };
        let has_dashes = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
        let (trace, span, [flags]) = (hex(&known[3..35])?, hex(&known[36..52])?, hex(&known[53..])?);
        (is_right && has_dashes && trace != [0; 16] && span != [0; 8]).then_some(Self {
            trace,
            span,
            is_sampled: flags & 1 == 1,
        })
    }
}

/// Lower-case hexadecimal digits.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Whether the values of `tracestate` together are a list that can be passed on (§3.3).
pub(super) fn is_state<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    /// Members of the list (§3.3.1.1).
    const MOST: usize = 32;
    let mut keys: Vec<&[u8]> = Vec::new();
    for member in values.flat_map(|value| value.split(|byte| *byte == b',')) {
        let member = member.trim_ascii();
        if member.is_empty() {
            continue;
        }
        let Some(at) = member.iter().position(|byte| *byte == b'=') else { return false };
        let (key, value) = (&member[..at], &member[at + 1..]);
        if !is_state_key(key) || !is_state_value(value) || keys.contains(&key) || keys.len() == MOST {
            return false;
        }
        keys.push(key);
    }
    true
}

fn is_state_key(key: &[u8]) -> bool {
    let is_part = |part: &[u8], most: usize, may_begin_with_digit: bool| {
        let begins = match part.first() {
            Some(b'a'..=b'z') => true,
            Some(b'0'..=b'9') => may_begin_with_digit,
            _ => false,
        };
        let is_known = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/');
        begins && part.len() <= most && part.iter().all(is_known)
    };
    match key.iter().position(|byte| *byte == b'@') {
        Some(at) => is_part(&key[..at], 241, true) && is_part(&key[at + 1..], 14, false),
        None => is_part(key, 256, false),
    }
}

fn is_state_value(value: &[u8]) -> bool {
    let is_known = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    (1..=256).contains(&value.len()) && value.iter().all(is_known)
}

/// How traces are begun and gone on with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TraceRules {
    /// The part of the traces that begin here of which spans are kept.
    pub(crate) sample: f64,
    /// Parents of trusted clients only are taken.
    pub(crate) trusted_only: bool,
}

impl TraceRules {
    /// # Errors
    ///
    /// `BadOption`: the part is none.
    pub(crate) fn check(self) -> Result<Self> {
        match (0.0..=1.0).contains(&self.sample) {
            true => Ok(self),
            false => {
                Err(Error::new(Kind::BadOption).detail(format!("a sample of {} of all traces", self.sample)))
            }
        }
    }
}

/// The trace of an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    pub(super) trace: [u8; 16],
    /// Whose span the exchange is part of.
    pub(super) parent: Option<[u8; 8]>,
    /// The span of the exchange.
    pub(super) span: [u8; 8],
    pub(super) is_sampled: bool,
    /// What the client says in `tracestate` goes on.
    pub(super) keeps_state: bool,
}

impl Trace {
    /// Goes on with the trace of `parent`, or begins one.
    pub(super) fn new(parent: Option<Parent>, keeps_state: bool, rules: &TraceRules, dice: &Dice) -> Self {
        let span = dice.throw_one().to_be_bytes();
        match parent {
            Some(Parent { trace, span: parent, is_sampled }) => {
                Self { trace, parent: Some(parent), span, is_sampled, keeps_state }
            }
            None => {
                let [high, low] = dice.throw();
                let trace = (u128::from(high) << 64 | u128::from(low)).max(1).to_be_bytes();
                let is_sampled = dice.says_yes(rules.sample);
                Self { trace, parent: None, span, is_sampled, keeps_state: false }
            }
        }
    }

    /// Appends the `traceparent` of whatever has `span` as its parent.
    pub(super) fn push_parent(&self, out: &mut Vec<u8>, span: &[u8; 8]) {
        out.extend_from_slice(b"00-");
        push_hex(out, &self.trace);
        out.push(b'-');
        push_hex(out, span);
        out.extend_from_slice(if self.is_sampled { b"-01" } else { b"-00" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn parents_are_read_as_their_version_has_them() {
        let parent = Parent::parse(VALID.as_bytes()).unwrap();
        assert!(parent.is_sampled && parent.trace[0] == 0x4b && parent.span[7] == 0xb7);
        for (value, is_valid) in [
            (VALID.to_owned(), true),
            (VALID.replace("-01", "-00"), true),
            (VALID.replace("-01", "-ff"), true),
            (VALID.replacen("00-", "01-", 1), true),
            (VALID.replacen("00-", "cc-", 1) + "-what-the-future-says", true),
            (VALID.replacen("00-", "cc-", 1) + ".what", false),
            (VALID.replacen("00-", "ff-", 1), false),
            (VALID.to_owned() + "-x", false),
            (VALID.to_owned() + "-", false),
            (VALID.to_uppercase(), false),
            (VALID[..54].to_owned(), false),
            (VALID.replace('-', "_"), false),
            (VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)), false),
            (VALID.replace("00f067aa0ba902b7", &"0".repeat(16)), false),
            (VALID.replace("-01", "-0x"), false),
            (String::new(), false),
        ] {
            assert_eq!(Parent::parse(value.as_bytes()).is_some(), is_valid, "{value}");
        }
    }

    #[test]
    fn a_trace_goes_on_with_its_flag_and_a_new_one_is_sampled_by_chance() {
        let dice = Dice::new(3);
        let rules = TraceRules { sample: 1.0, trusted_only: false };
        let parent = Parent::parse(VALID.replace("-01", "-00").as_bytes()).unwrap();
        let trace = Trace::new(Some(parent), true, &rules, &dice);
        assert!(trace.trace == parent.trace && trace.parent == Some(parent.span) && !trace.is_sampled);
        assert!(trace.span != parent.span);
        let (one, other) = (Trace::new(None, false, &rules, &dice), Trace::new(None, false, &rules, &dice));
        assert!(one.is_sampled && one.trace != other.trace && one.span != other.span);
        let mut said = Vec::new();
        one.push_parent(&mut said, &other.span);
        let read = Parent::parse(&said).unwrap();
        assert_eq!((read.trace, read.span, read.is_sampled), (one.trace, other.span, true));
        assert!(TraceRules { sample: 1.5, trusted_only: false }.check().is_err());
        assert!(TraceRules { sample: f64::NAN, trusted_only: false }.check().is_err());
    }

    #[test]
    fn states_are_lists_of_keys_that_come_once() {
        let many = |count: usize| (0..count).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",");
        for (values, is_valid) in [
            (vec!["rojo=00f067aa0ba902b7"], true),
            (vec!["rojo=1, congo=t61rcWkgMzE", "1a@b=x y"], true),
            (vec![""], true),
            (vec!["rojo=1,rojo=2"], false),
            (vec!["rojo=1", "rojo=2"], false),
            (vec!["Rojo=1"], false),
            (vec!["1a=1"], false),
            (vec!["a@1=1"], false),
            (vec!["rojo"], false),
            (vec!["rojo="], false),
            (vec!["rojo=a=b"], false),
            (vec![&many(32)], true),
            (vec![&many(33)], false),
        ] {
            assert_eq!(is_state(values.iter().map(|value| value.as_bytes())), is_valid, "{values:?}");
        }
    }
}
