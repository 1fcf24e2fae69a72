//! The syntax of patterns: `/users/:id` and `/files/*path`.

use crate::error::{Error, Kind, Result};

/// Turns a pattern into the matcher's own syntax, and tells whether it ends in a wildcard.
///
/// # Errors
///
/// `BadPattern`, with what is wrong.
pub(super) fn translate(pattern: &str) -> Result<(String, bool)> {
    let wrong = |what: &str| Err(Error::new(Kind::BadPattern).detail(format!("{pattern:?} {what}")));
    let Some(rest) = pattern.strip_prefix('/') else { return wrong("does not begin with a slash") };
    let mut out = String::new();
    let mut names: Vec<&str> = Vec::new();
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        out.push('/');
        let (open, name) = match segment.as_bytes().first() {
            Some(b':') => ("{", &segment[1..]),
            Some(b'*') if segments.peek().is_some() => return wrong("has a wildcard before its end"),
            Some(b'*') => ("{*", &segment[1..]),
            _ => {
                // The matcher gives braces a meaning; a pattern does not.
                out.push_str(&segment.replace('{', "{{").replace('}', "}}"));
                continue;
            }
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return wrong("has a parameter whose name is not of letters, digits and underscores");
        }
        if names.contains(&name) {
            return wrong("has two parameters of one name");
        }
        names.push(name);
        out.extend([open, name, "}"]);
    }
    Ok((out, rest.rsplit('/').next().is_some_and(|last| last.starts_with('*'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_translated() {
        for (pattern, expected, wild) in [
            ("/", "/", false),
            ("/a/:b/c", "/a/{b}/c", false),
            ("/a/*rest", "/a/{*rest}", true),
            ("/{a}", "/{{a}}", false),
            ("/a:b", "/a:b", false),
        ] {
            assert_eq!(translate(pattern).unwrap(), (expected.to_owned(), wild));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (pattern, what) in [
            ("a", "begin with a slash"),
            ("/*a/b", "before its end"),
            ("/:", "name"),
            ("/:a-b", "name"),
            ("/:a/:a", "two parameters"),
        ] {
            let error = translate(pattern).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains(pattern), "{error}");
        }
    }
}
