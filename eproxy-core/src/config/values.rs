//! What stands in values: durations, sizes, and variables of the environment.

use std::time::Duration;

use toml::de::DeInteger;

/// Reads `30s`, `1m30s`, `500ms`.
///
/// # Errors
///
/// What is wrong, and what is expected.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = r#"expected a duration such as "30s" or "1m30s""#;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{text:?} has no unit, {expected}"));
    }
    humantime::parse_duration(text).map_err(|_| format!("{text:?} is no duration, {expected}"))
}

/// Reads `64KiB`, `10MB`, `512`.
///
/// # Errors
///
/// What is wrong, and what is expected.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let expected = r#"expected a size such as "64KiB" or "10MB", or a number of bytes"#;
    let wrong = || format!("{text:?} is no size, {expected}");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim_start());
    let factor = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let (_, factor) = factor.ok_or_else(wrong)?;
    if let Ok(number) = number.parse::<u64>() {
        return number.checked_mul(*factor).ok_or_else(|| format!("{text:?} is too much"));
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let bytes = number * *factor as f64;
    match bytes < u64::MAX as f64 {
        true => Ok(bytes as u64),
        false => Err(format!("{text:?} is too much")),
    }
}

const UNITS: [(&str, u64); 11] = [
    ("", 1),
    ("B", 1),
    ("kB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
    ("bytes", 1),
];

/// A time as [`duration`] reads it.
pub(super) fn show_duration(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// The times from one to another, in milliseconds, for a message.
pub(super) fn show_range(least: u64, most: u64) -> String {
    let show = |millis| show_duration(Duration::from_millis(millis));
    match (least, most) {
        (least, u64::MAX) => format!("{} or more", show(least)),
        (least, most) => format!("{} to {}", show(least), show(most)),
    }
}

/// A size as [`size`] reads it, in the largest unit that leaves no rest.
pub(super) fn show_size(bytes: u64) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// A whole number, be it written as `4096`, `4_096` or `0x1000`; none where it is larger than any that is meant.
pub(super) fn whole(number: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
}

/// Puts in what variables of the environment say: `${NAME}`, `${NAME:-default}`; `$$` is a dollar.
///
/// # Errors
///
/// A variable that is not set and has no default, or a name without an end.
pub(super) fn substitute(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            out.push('$');
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('{') {
            let Some((inside, behind)) = behind.split_once('}') else {
                return Err("`${` without a `}`".into());
            };
            out.push_str(&expand(inside, variable)?);
            rest = behind;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn expand(inside: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(format!("`${{{inside}}}` has no name of letters, digits and underscores"));
    }
    // As in a shell, what is empty counts as not set where there is a default.
    match (variable(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!("the environment has no variable `{name}`")),
    }
}

/// Whether what a header or a label of this name holds is likely a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "api_key"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_both_kinds() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("64KiB", 65_536),
            ("64 kib", 65_536),
            ("10MB", 10_000_000),
            ("1.5MiB", 1_572_864),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "x", "10M", "1.2.3kB", "-1", "KiB"] {
            assert!(size(text).unwrap_err().contains("no size, expected"), "{text}");
        }
        assert_eq!(size("99999999999TiB").unwrap_err(), "\"99999999999TiB\" is too much");
        assert_eq!([65_536, 1000, 10 << 20].map(show_size), ["64KiB", "1000", "10MiB"]);
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert!(duration("30").unwrap_err().contains("no unit"));
        assert!(duration("soon").unwrap_err().contains("is no duration"));
        assert!(duration("").is_err());
        assert_eq!(show_duration(Duration::from_secs(90)), "1m 30s");
    }

    #[test]
    fn variables_are_put_in() {
        let variable = |name: &str| match name {
            "HOST" => Some("a.test".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("http://${HOST}:80", "http://a.test:80"),
            ("${NONE:-x}${HOST:-y}${EMPTY:-z}", "xa.testz"),
            ("${EMPTY}", ""),
            ("a$$b$c$", "a$b$c$"),
            ("$${HOST}", "${HOST}"),
            ("${NONE:-}", ""),
        ] {
            assert_eq!(substitute(text, &variable).as_deref(), Ok(expected), "{text}");
        }
        for (text, what) in
            [("${NONE}", "no variable `NONE`"), ("${HOST", "without"), ("${a b}", "has no name")]
        {
            assert!(substitute(text, &variable).unwrap_err().contains(what), "{text}");
        }
    }
}
