//! What answers say of places: `Location`, `Content-Location`, and the domains and paths of cookies. Plain functions on
//! text.

use std::borrow::Cow;

use crate::http1::{Lines, encode_field};
use crate::message::Known;
use crate::upstream::Scheme;

use super::answer_head::From;

/// How places in the upstream's terms become places in the client's.
#[derive(Clone, Debug, Default)]
pub(super) struct RedirectRules {
    /// Rewrite `Location` and `Content-Location`.
    pub(super) locations: bool,
    /// Replacements of the `Domain` and `Path` attributes of cookies; `*` stands for any.
    pub(super) cookie_domains: Vec<(String, String)>,
    pub(super) cookie_paths: Vec<(String, String)>,
}

impl RedirectRules {
    pub(super) fn is_empty(&self) -> bool {
        !self.locations && self.cookie_domains.is_empty() && self.cookie_paths.is_empty()
    }

    /// Appends the fields that speak of places, rewritten; `host` is what the client asked for.
    pub(super) fn encode(&self, out: &mut Vec<u8>, lines: &Lines<'_>, host: &[u8], from: From<'_>) {
        for field in lines.fields {
            let (name, value) = (field.name.of(lines.bytes), field.value.of(lines.bytes));
            let rewritten = match field.known {
                Known::Location | Known::ContentLocation => {
                    match (self.locations, std::str::from_utf8(value)) {
                        (true, Ok(text)) => location(text, host, from),
                        _ => None,
                    }
                }
                // Cookies may hold any bytes; attributes that are looked for are ASCII.
                Known::SetCookie => Some(self.cookie(value)),
                _ => continue,
            };
            encode_field(out, name, rewritten.as_deref().unwrap_or(value));
        }
    }

    fn cookie<'c>(&self, cookie: &'c [u8]) -> Cow<'c, [u8]> {
        let mut out = Vec::with_capacity(cookie.len());
        let mut is_changed = false;
        for (number, part) in cookie.split(|byte| *byte == b';').enumerate() {
            // The first part is the cookie itself (RFC 6265 §4.1.1).
            match if number == 0 { None } else { self.attribute(part) } {
                None => {
                    out.extend_from_slice(if number == 0 { b"" } else { b";" });
                    out.extend_from_slice(part);
                }
                Some((name, value)) => {
                    is_changed = true;
                    if !value.is_empty() {
                        out.extend_from_slice(format!("; {name}={value}").as_bytes());
                    }
                }
            }
        }
        if is_changed { Cow::Owned(out) } else { Cow::Borrowed(cookie) }
    }

    /// What becomes of an attribute, if something does; an empty value removes it.
    fn attribute(&self, part: &[u8]) -> Option<(&'static str, &str)> {
        let (name, value) = std::str::from_utf8(part).ok()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let rules = |rules: &'_ [(String, String)], is: &dyn Fn(&str) -> bool| {
            let fits = |(from, _): &&(String, String)| from == "*" || is(from);
            rules.iter().position(|rule| fits(&rule))
        };
        if name.eq_ignore_ascii_case("domain") {
            // A dot in front means nothing (RFC 6265 §5.2.3).
            let value = value.strip_prefix('.').unwrap_or(value);
            let number = rules(&self.cookie_domains, &|from| {
                from.strip_prefix('.').unwrap_or(from).eq_ignore_ascii_case(value)
            })?;
            return Some(("Domain", &self.cookie_domains[number].1));
        }
        if name.eq_ignore_ascii_case("path") {
            let number = rules(&self.cookie_paths, &|from| from == value)?;
            return Some(("Path", &self.cookie_paths[number].1));
        }
        None
    }
}

/// A place in the client's terms; none where it stays as it is.
fn location(text: &str, host: &[u8], from: From<'_>) -> Option<Cow<'static, [u8]>> {
    let origin = from.origin;
    let rest_of = |scheme: &str| {
        text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme))?;
        Some(&text[scheme.len()..])
    };
    let http = rest_of("http://").map(|rest| (rest, ":80"));
    let (path, is_absolute) = match http.or_else(|| rest_of("https://").map(|rest| (rest, ":443"))) {
        // `//host/path`: another host's, or a way of writing what nobody writes of oneself.
        None if text.starts_with("//") => return None,
        None if text.starts_with('/') => (text, false),
        // A relative reference, or another scheme.
        None => return None,
        Some((rest, port)) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let is = |known: &str| same_authority(&rest[..end], known, port);
            let is_upstream = (origin.scheme == Scheme::Https) == (port == ":443") && is(&origin.authority);
            if !is_upstream && !std::str::from_utf8(host).is_ok_and(is) {
                return None;
            }
            (&rest[end..], true)
        }
    };
    let back = match path {
        // An authority alone.
        "" => from.paths.back("/", &origin.base),
        path => from.paths.back(path, &origin.base),
    };
    match (back, is_absolute) {
        (Some(path), true) => {
            let mut out = from.scheme.as_bytes().to_vec();
            out.extend_from_slice(b"://");
            if host.is_empty() {
                return None;
            }
            out.extend_from_slice(host);
            out.extend_from_slice(path.as_bytes());
            Some(Cow::Owned(out))
        }
        (Some(path), false) => Some(Cow::Owned(path.into_owned().into_bytes())),
        (None, _) => None,
    }
}

/// Whether two authorities are the same, the default port written or not.
fn same_authority(one: &str, other: &str, port: &str) -> bool {
    let plain = |authority: &'_ str| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use crate::upstream::Origin;

    use super::super::rules::PathRules;
    use super::*;

    fn rewritten(text: &str, paths: &PathRules, url: &str) -> String {
        let origin = Origin::parse(url).unwrap();
        let from = From { origin: &origin, paths, scheme: "http" };
        match location(text, b"example.com:8080", from) {
            Some(value) => String::from_utf8(value.into_owned()).unwrap(),
            None => text.to_owned(),
        }
    }

    #[test]
    fn places_of_the_upstream_become_places_of_the_proxy_and_others_stay() {
        let plain = PathRules::default();
        for (from, to) in [
            ("http://10.0.0.7:3000/a?b#c", "http://example.com:8080/a?b#c"),
            ("HTTP://10.0.0.7:3000", "http://example.com:8080/"),
            ("http://10.0.0.7:3000?q", "http://example.com:8080?q"),
            ("http://10.0.0.7:3001/a", "http://10.0.0.7:3001/a"),
            ("https://10.0.0.7:3000/a", "https://10.0.0.7:3000/a"),
            ("http://other.test/a", "http://other.test/a"),
            ("http://EXAMPLE.com:8080/a", "http://example.com:8080/a"),
            ("//other.test/a", "//other.test/a"),
            ("/a", "/a"),
            ("a/b", "a/b"),
        ] {
            assert_eq!(rewritten(from, &plain, "http://10.0.0.7:3000"), to, "{from}");
        }
        let mapped = PathRules { strip: "/api".into(), add: "/v2".into(), ..PathRules::default() };
        for (from, to) in [
            ("http://app.test:80/base/v2/x", "http://example.com:8080/api/x"),
            ("/base/v2/x?y", "/api/x?y"),
            ("http://example.com:8080/base/v2/x", "http://example.com:8080/api/x"),
            ("/login", "/login"),
        ] {
            assert_eq!(rewritten(from, &mapped, "http://APP.test/base"), to, "{from}");
        }
    }

    #[test]
    fn places_of_an_upstream_over_tls_become_those_of_a_client_over_tls() {
        let origin = Origin::parse("https://app.test").unwrap();
        let paths = PathRules::default();
        let from = From { origin: &origin, paths: &paths, scheme: "https" };
        for (text, to) in [
            ("https://app.test/a", Some("https://example.com/a")),
            ("https://app.test:443/a", Some("https://example.com/a")),
            // Somebody behind the upstream does not know that the client speaks TLS.
            ("http://example.com/a", Some("https://example.com/a")),
            ("http://app.test/a", None),
            ("https://other.test/a", None),
        ] {
            let rewritten = location(text, b"example.com", from);
            assert_eq!(rewritten.as_deref(), to.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn domains_and_paths_of_cookies_are_replaced_and_nothing_else() {
        let rules = RedirectRules {
            cookie_domains: vec![
                ("internal.test".into(), "example.com".into()),
                ("gone.test".into(), String::new()),
            ],
            cookie_paths: vec![("/v2".into(), "/api".into())],
            ..RedirectRules::default()
        };
        let any = RedirectRules {
            cookie_domains: vec![("*".into(), String::new())],
            cookie_paths: vec![("*".into(), "/".into())],
            ..RedirectRules::default()
        };
        let cookie = |rules: &RedirectRules, text: &str| {
            String::from_utf8(rules.cookie(text.as_bytes()).into()).unwrap()
        };
        for (from, to) in [
            ("a=1", "a=1"),
            ("a=1; Domain=internal.test; Path=/v2; Secure", "a=1; Domain=example.com; Path=/api; Secure"),
            ("a=1; HttpOnly; domain=.Internal.Test", "a=1; HttpOnly; Domain=example.com"),
            ("a=1;Domain=gone.test;Secure", "a=1;Secure"),
            ("Domain=internal.test; Path=/other", "Domain=internal.test; Path=/other"),
            ("a=1; Domain=other.test", "a=1; Domain=other.test"),
        ] {
            assert_eq!(cookie(&rules, from), to, "{from}");
        }
        assert_eq!(cookie(&any, "a=1; Domain=x.test; Path=/y; Max-Age=5"), "a=1; Path=/; Max-Age=5");
        assert_eq!(rules.cookie(b"a=\xFF; Path=/v2"), &b"a=\xFF; Path=/api"[..]);
    }
}
