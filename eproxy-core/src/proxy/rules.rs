//! What a proxy changes of paths and header fields. Plain functions on bytes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::http1::{Lines, encode_field, encode_lines};
use crate::message::{Field, Known, is_token, is_value, target};

/// Changes of header fields, in the order in which they were asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderRules(Vec<HeaderRule>);

#[derive(Clone, Debug)]
struct HeaderRule {
    name: String,
    /// None removes the field.
    value: Option<String>,
    /// Fields of that name that are there already are removed first.
    replaces: bool,
}

impl HeaderRules {
    pub(super) fn set(&mut self, name: String, value: String) {
        self.0.push(HeaderRule { name, value: Some(value), replaces: true });
    }

    pub(super) fn add(&mut self, name: String, value: String) {
        self.0.push(HeaderRule { name, value: Some(value), replaces: false });
    }

    pub(super) fn remove(&mut self, name: String) {
        self.0.push(HeaderRule { name, value: None, replaces: true });
    }

    /// Whether fields of this name are set or removed, so that nobody else adds one.
    pub(super) fn decide(&self, name: &[u8]) -> bool {
        self.0.iter().any(|rule| rule.replaces && name.eq_ignore_ascii_case(rule.name.as_bytes()))
    }

    /// # Errors
    ///
    /// `BadOption`: a name or value that no message can carry, or a field that belongs to the wire.
    pub(super) fn check(&self) -> Result<()> {
        for HeaderRule { name, value, .. } in &self.0 {
            let wrong =
                |what: &str| Err(Error::new(Kind::BadOption).detail(format!("header {name:?} {what}")));
            if !is_token(name.as_bytes()) {
                return wrong("has a name that is not a token");
            }
            if value.as_ref().is_some_and(|value| !is_value(value.as_bytes())) {
                return wrong("has a value with a control character");
            }
            match Known::of(name.as_bytes()) {
                Known::Host => return wrong("is set by Proxy::host"),
                Known::ContentLength | Known::Trailer | Known::Expect => return wrong("is the wire's own"),
                known if known.is_hop_by_hop() => return wrong("is the wire's own"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Appends the fields that `keep` says yes to and no rule removes, then those that the rules add.
    pub(super) fn encode(&self, out: &mut Vec<u8>, lines: &Lines<'_>, mut keep: impl FnMut(&Field) -> bool) {
        if self.0.is_empty() {
            return encode_lines(out, lines, keep);
        }
        let goes = |name: &[u8], rules: &[HeaderRule]| {
            rules.iter().any(|rule| rule.replaces && name.eq_ignore_ascii_case(rule.name.as_bytes()))
        };
        encode_lines(out, lines, |field| keep(field) && !goes(field.name.of(lines.bytes), &self.0));
        for (number, rule) in self.0.iter().enumerate() {
            if let Some(value) = &rule.value
                && !goes(rule.name.as_bytes(), &self.0[number + 1..])
            {
                encode_field(out, rule.name.as_bytes(), value.as_bytes());
            }
        }
    }
}

/// A change of paths that the user has written.
pub(super) type Rewrite = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What becomes of the path of a request. A path that nothing is done to is passed on byte for byte. Where something is,
/// its canonical form is what is looked at, the one that routes are chosen by: two spellings of a path must not fare
/// differently.
#[derive(Clone, Default)]
pub(super) struct PathRules {
    /// Taken off the front; a slash and what follows, without one at the end.
    pub(super) strip: String,
    /// Put in front.
    pub(super) add: String,
    pub(super) rewrite: Option<Rewrite>,
}

impl PathRules {
    /// Appends the path as the upstream gets it; `base` is what paths begin with there.
    pub(super) fn encode(&self, out: &mut Vec<u8>, path: &[u8], base: &str) {
        if path == b"*" {
            return out.extend_from_slice(path);
        }
        let is_changed = !self.strip.is_empty() || self.rewrite.is_some();
        out.extend_from_slice(base.as_bytes());
        out.extend_from_slice(self.add.as_bytes());
        if !is_changed {
            return out.extend_from_slice(if path.is_empty() { b"/" } else { path });
        }
        let canonical = target::canonical(path);
        let (rest, prefix) = match below(&canonical, &self.strip) {
            Some("") => ("/", self.strip.as_str()),
            Some(rest) => (rest, self.strip.as_str()),
            None => (&*canonical, ""),
        };
        match &self.rewrite {
            Some(rewrite) => {
                let path = rewrite(rest);
                target::encode(out, if path.starts_with('/') { &path } else { "/" });
            }
            // Where the prefix is plain to see, what follows it stays as it came.
            None => match path.strip_prefix(prefix.as_bytes()) {
                Some(b"") => out.push(b'/'),
                Some(raw @ [b'/', ..]) if target::canonical(raw) == rest => out.extend_from_slice(raw),
                _ => target::encode(out, rest),
            },
        }
    }

    /// The path in this proxy's terms of a path in those of the upstream; none where it is not below what requests are
    /// sent to.
    pub(super) fn back<'p>(&self, path: &'p str, base: &str) -> Option<Cow<'p, str>> {
        if self.rewrite.is_some() {
            return None;
        }
        let rest = below(path, base).and_then(|rest| below(rest, &self.add))?;
        Some(match self.strip.as_str() {
            "" => Cow::Borrowed(rest),
            strip => Cow::Owned(format!("{strip}{rest}")),
        })
    }
}

/// What follows `prefix`, where it ends with a segment.
fn below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    path.strip_prefix(prefix).filter(|rest| matches!(rest.bytes().next(), None | Some(b'/' | b'?' | b'#')))
}

/// A prefix of paths as it was given: a slash is put in front, none is left at the end.
///
/// # Errors
///
/// `BadOption`: it holds what a path may not.
pub(super) fn prefix(text: &str) -> Result<String> {
    let trimmed = text.trim_matches('/');
    if trimmed.is_empty() {
        return Ok(String::new());
    }
    let is_path =
        |byte: u8| matches!(byte, 0x21..=0x7E) && !matches!(byte, b'?' | b'#' | b'\\' | b'"' | b'<' | b'>');
    match trimmed.bytes().all(is_path) {
        true => Ok(format!("/{trimmed}")),
        false => Err(Error::new(Kind::BadOption).detail(format!("path prefix {text:?}"))),
    }
}

impl fmt::Debug for PathRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathRules")
            .field("strip", &self.strip)
            .field("add", &self.add)
            .field("rewrite", &self.rewrite.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::message::Headers;

    use super::*;

    fn path(rules: &PathRules, base: &str, path: &str) -> String {
        let mut out = Vec::new();
        rules.encode(&mut out, path.as_bytes(), base);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_path_that_nothing_is_done_to_stays_as_it_came() {
        let rules = PathRules::default();
        for same in ["/", "/a%2Fb", "//a/../b", "/a;v=1/@x", "*"] {
            assert_eq!(path(&rules, "", same), same);
        }
        assert_eq!(path(&rules, "", ""), "/");
        assert_eq!(path(&rules, "/base", "/a%2fb"), "/base/a%2fb");
    }

    #[test]
    fn a_prefix_is_taken_off_whatever_its_spelling_and_only_whole_segments() {
        let rules = PathRules { strip: "/api".into(), ..PathRules::default() };
        for (from, to) in [
            ("/api/users", "/users"),
            ("/api", "/"),
            ("/api/", "/"),
            ("/%61pi/users", "/users"),
            ("/x/../api/users", "/users"),
            ("/apis/users", "/apis/users"),
            ("/api/caf%c3%a9", "/caf%c3%a9"),
            ("/a%70i/caf%c3%a9", "/caf%C3%A9"),
            ("/api/a%3Fb/%ff", "/a%3Fb/%ff"),
            ("/api/a/%2e%2e/b", "/a/%2e%2e/b"),
            ("/api/../x", "/api/../x"),
            ("/x/../apix", "/x/../apix"),
            ("/api//users", "//users"),
        ] {
            assert_eq!(path(&rules, "", from), to, "{from}");
        }
        let rules = PathRules { strip: "/api".into(), add: "/v2".into(), ..PathRules::default() };
        assert_eq!(path(&rules, "/base", "/api/users"), "/base/v2/users");
    }

    #[test]
    fn a_rewritten_path_is_one() {
        let rewrite: Rewrite = Arc::new(|path: &str| path.replace("/old", "/new ?#"));
        let rules = PathRules { rewrite: Some(rewrite), ..PathRules::default() };
        assert_eq!(path(&rules, "", "/old/x"), "/new%20%3F%23/x");
        let nothing: Rewrite = Arc::new(|_: &str| String::new());
        assert_eq!(path(&PathRules { rewrite: Some(nothing), ..PathRules::default() }, "", "/x"), "/");
    }

    #[test]
    fn paths_find_their_way_back() {
        let rules = PathRules { strip: "/api".into(), add: "/v2".into(), ..PathRules::default() };
        assert_eq!(rules.back("/base/v2/users?q#f", "/base").as_deref(), Some("/api/users?q#f"));
        assert_eq!(rules.back("/base/v2", "/base").as_deref(), Some("/api"));
        assert_eq!(rules.back("/base/v20/users", "/base"), None);
        assert_eq!(rules.back("/elsewhere", "/base"), None);
        assert_eq!(PathRules::default().back("/x", "").as_deref(), Some("/x"));
    }

    #[test]
    fn rules_for_headers_work_in_their_order() {
        let mut rules = HeaderRules::default();
        rules.set("X-A".into(), "1".into());
        rules.add("x-a".into(), "2".into());
        rules.remove("X-B".into());
        rules.add("X-C".into(), "3".into());
        rules.set("X-C".into(), "4".into());
        rules.check().unwrap();
        let mut headers = Headers::new();
        for (name, value) in [("x-a", "0"), ("X-B", "0"), ("X-D", "0"), ("X-C", "0")] {
            headers.append(name, value).unwrap();
        }
        let mut out = Vec::new();
        rules.encode(&mut out, &Lines::of_headers(&headers), |_| true);
        assert_eq!(String::from_utf8(out).unwrap(), "X-D: 0\r\nX-A: 1\r\nx-a: 2\r\nX-C: 4\r\n");
    }

    #[test]
    fn rules_that_can_not_be_kept_are_refused() {
        for (name, value, what) in [
            ("a b", "1", "token"),
            ("X-A", "1\r\nX-B: 2", "control"),
            ("Host", "a", "Proxy::host"),
            ("Content-Length", "1", "wire"),
            ("connection", "close", "wire"),
            ("Transfer-Encoding", "gzip", "wire"),
        ] {
            let mut rules = HeaderRules::default();
            rules.set(name.into(), value.into());
            assert!(rules.check().unwrap_err().to_string().contains(what), "{name}");
        }
        assert_eq!(prefix("api/").unwrap(), "/api");
        assert_eq!(prefix("/").unwrap(), "");
        assert!(prefix("/a?b").is_err() && prefix("/a b").is_err());
    }
}
