//! Conditional requests: If-Match and its like, in the order of RFC 9110 §13.2.2.

use std::time::UNIX_EPOCH;

use crate::message::Headers;

use super::validator::Validators;

/// What the conditions of a GET or HEAD come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send what was asked for.
    Go,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client takes it for.
    Failed,
}

/// Judges the conditions of a GET or HEAD for a file that is there.
pub(super) fn judge(headers: &Headers, validators: &Validators) -> Verdict {
    let holds = match tags(headers, "if-match") {
        // Steps 1 and 2: dates come second to tags.
        Some(tags) => tags.any(|tag| tag.is_strong && is_it(tag, validators) && validators.is_strong),
        None => date(headers, "if-unmodified-since")
            .zip(validators.modified())
            .is_none_or(|(date, modified)| modified <= date),
    };
    if !holds {
        return Verdict::Failed;
    }
    // Steps 3 and 4.
    let is_known = match tags(headers, "if-none-match") {
        Some(tags) => tags.any(|tag| is_it(tag, validators)),
        None => date(headers, "if-modified-since")
            .zip(validators.modified())
            .is_some_and(|(date, modified)| modified <= date),
    };
    if is_known { Verdict::NotModified } else { Verdict::Go }
}

/// Whether a part may be sent where one was asked for: step 5, and RFC 9110 §13.1.5.
pub(super) fn may_be_partial(headers: &Headers, validators: &Validators) -> bool {
    let Some(value) = headers.get("if-range") else { return true };
    match (parse_tag(value), seconds(value)) {
        (Some((tag, b"")), _) => tag.is_strong && validators.is_strong && is_it(tag, validators),
        // Not "at least as new": exactly this, and no other state of the file within that second.
        (_, Some(date)) => validators.is_strong && validators.modified() == Some(date),
        _ => false,
    }
}

fn is_it(tag: Tag<'_>, validators: &Validators) -> bool {
    validators.opaque().is_some_and(|opaque| opaque.as_bytes() == tag.opaque)
}

/// An entity tag (RFC 9110 §8.8.3).
#[derive(Clone, Copy, Debug)]
struct Tag<'a> {
    opaque: &'a [u8],
    is_strong: bool,
}

/// The value of an If-Match or If-None-Match.
enum Tags<'a> {
    /// `*`: whatever there is.
    Any,
    These(Vec<Tag<'a>>),
}

impl Tags<'_> {
    fn any(&self, is_it: impl Fn(Tag<'_>) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| is_it(*tag)),
        }
    }
}

/// The entity tags in all fields of a name, up to one that is malformed; none where there is no such field.
fn tags<'a>(headers: &'a Headers, name: &str) -> Option<Tags<'a>> {
    let mut all = Vec::new();
    let mut is_there = false;
    for value in headers.get_all(name) {
        if value == b"*" {
            return Some(Tags::Any);
        }
        is_there = true;
        let mut rest = value;
        // Not cut at commas: a tag may hold one.
        while let Some((tag, tail)) = parse_tag(rest) {
            all.push(tag);
            let Some(tail) = tail.strip_prefix(b",") else { break };
            rest = tail;
        }
    }
    is_there.then_some(Tags::These(all))
}

/// The entity tag at the front of a list, and what follows it.
fn parse_tag(text: &[u8]) -> Option<(Tag<'_>, &[u8])> {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
    let (is_strong, quoted) = match text[start..].strip_prefix(b"W/") {
        Some(quoted) => (false, quoted),
        None => (true, &text[start..]),
    };
    let inside = quoted.strip_prefix(b"\"")?;
    let end = inside.iter().position(|byte| *byte == b'"')?;
    // No white space, no control characters: others' tags are none of ours in any case.
    Some((Tag { opaque: &inside[..end], is_strong }, inside[end + 1..].trim_ascii_start()))
}

/// The date in a field, in seconds since 1970; none where it is none, or where there are several (RFC 9110 §13.1.3).
fn date(headers: &Headers, name: &str) -> Option<u64> {
    let mut values = headers.get_all(name);
    let value = values.next()?;
    if values.next().is_some() { None } else { seconds(value) }
}

fn seconds(value: &[u8]) -> Option<u64> {
    let time = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tags_are_taken_apart() {
        for (value, expected) in [
            ("\"a\"", "a"),
            ("\"a\", W/\"b\" ,,\"c,d\"", "a Wb c,d"),
            ("\"\"", ""),
            ("a, \"b\"", ""),
            ("\"a\", b, \"c\"", "a"),
            ("\"a", ""),
            ("w/\"a\"", ""),
            ("\"a\" \"b\"", "a"),
            (",", ""),
        ] {
            let mut headers = Headers::new();
            headers.append("If-Match", value).unwrap();
            let Some(Tags::These(tags)) = tags(&headers, "if-match") else { panic!("{value}") };
            let tags = tags.iter().map(|tag| {
                format!("{}{}", if tag.is_strong { "" } else { "W" }, String::from_utf8_lossy(tag.opaque))
            });
            assert_eq!(tags.collect::<Vec<_>>().join(" "), expected, "{value}");
        }
    }

    #[test]
    fn dates_are_taken_in_all_three_forms() {
        for value in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(seconds(value.as_bytes()), Some(784_111_777), "{value}");
        }
        assert_eq!(seconds(b"yesterday"), None);
    }
}
