//! Accept-Encoding: which of the compressed forms of a file a client takes (RFC 9110 §12.5.3).

use crate::message::{Headers, hop};

/// A content coding that files may be kept in (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Brotli, RFC 7932.
    Brotli,
    /// Zstandard, RFC 8878.
    Zstd,
    Gzip,
}

/// In the order in which they are sent to a client that likes them equally: the shortest first.
const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

impl Coding {
    /// Its name in Accept-Encoding and Content-Encoding.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// What follows the name of the file.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }
}

/// The codings that a client takes, the one that it likes most first; those that it likes less than the file as it is are
/// not among them.
pub(super) fn acceptable(headers: &Headers) -> Vec<Coding> {
    let mut weights = Weights::default();
    for member in headers.get_all("accept-encoding").flat_map(hop::members) {
        weights.note(member);
    }
    let mut liked: Vec<_> = ALL.iter().map(|coding| (weights.of(coding.name()), *coding)).collect();
    liked.retain(|(weight, _)| *weight > 0 && *weight >= weights.identity.unwrap_or(0));
    liked.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    liked.into_iter().map(|(_, coding)| coding).collect()
}

/// What a client has said of each coding, in thousandths.
#[derive(Default)]
struct Weights {
    named: Vec<(String, u16)>,
    any: Option<u16>,
    identity: Option<u16>,
}

impl Weights {
    fn note(&mut self, member: &[u8]) {
        let Some((name, weight)) = std::str::from_utf8(member).ok().and_then(parse_member) else { return };
        match name.to_ascii_lowercase().as_str() {
            "*" => self.any = Some(weight),
            "identity" => self.identity = Some(weight),
            // RFC 9110 §8.4.1.3.
            "x-gzip" => self.named.push(("gzip".into(), weight)),
            name => self.named.push((name.into(), weight)),
        }
    }

    fn of(&self, name: &str) -> u16 {
        let named = self.named.iter().find(|(known, _)| known == name).map(|(_, weight)| *weight);
        named.or(self.any).unwrap_or(0)
    }
}

/// A coding and its weight (RFC 9110 §12.4.2); none where it is malformed.
fn parse_member(member: &str) -> Option<(&str, u16)> {
    let Some((name, parameter)) = member.split_once(';') else { return Some((member.trim(), 1000)) };
    let (key, value) = parameter.trim().split_once('=')?;
    if !key.eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{decimals:0<3}").parse::<u16>().ok()?;
    match whole {
        "0" => Some((name.trim(), thousandths)),
        "1" if thousandths == 0 => Some((name.trim(), 1000)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_they_like_most() {
        use Coding::{Brotli, Gzip, Zstd};
        let cases: [(&str, &[Coding]); 17] = [
            ("", &[]),
            ("gzip", &[Gzip]),
            ("GZIP, deflate, br", &[Brotli, Gzip]),
            ("x-gzip", &[Gzip]),
            ("gzip, deflate, br, zstd", &[Brotli, Zstd, Gzip]),
            ("br;q=0.5, gzip;q=0.9", &[Gzip, Brotli]),
            ("br;q=0, gzip", &[Gzip]),
            ("*", &[Brotli, Zstd, Gzip]),
            ("*;q=0", &[]),
            ("*;q=0.1, br;q=0", &[Zstd, Gzip]),
            ("gzip;q=0.5, identity", &[]),
            ("gzip;q=0.5, identity;q=0.5", &[Gzip]),
            ("gzip, identity;q=0", &[Gzip]),
            ("gzip ; q=1.000 , br; Q=0.001", &[Gzip, Brotli]),
            ("br;q=2, gzip;q=1.001, zstd;q=0.0001", &[]),
            ("br;level=4, gzip;q", &[]),
            ("gzip;q=, br;q=.5, zstd;q=0.", &[]),
        ];
        for (value, expected) in cases {
            let mut headers = Headers::new();
            headers.append("Accept-Encoding", value).unwrap();
            assert_eq!(acceptable(&headers), expected, "{value}");
        }
        assert_eq!(acceptable(&Headers::new()), []);
    }
}
