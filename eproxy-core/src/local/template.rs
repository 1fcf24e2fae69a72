//! Where a redirect leads to: a text with placeholders, filled in from the request.
//!
//! What a request brings goes where it can't change what the template says: into a host only whole labels in front of a
//! domain, into a path nothing that ends one, into a query nothing that separates its parts. What is not written in the
//! template never decides which host a client is sent to, other than the one that it has asked.

use std::borrow::Cow;

use crate::message::target::{escape, is_path_byte};

use super::place::Place;

/// A template taken apart.
#[derive(Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    /// It says which host, rather than beginning with the path.
    has_authority: bool,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Value(Value, Part),
}

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Scheme,
    Host,
    Port,
    Path,
    Query,
    Uri,
    Param(String),
}

/// The part of a URI that something stands in (RFC 3986 §3); what is said of queries goes for fragments, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Scheme,
    Authority,
    Path,
    Query,
}

/// What placeholders are filled in from.
pub(super) struct Asked<'a> {
    pub(super) scheme: &'a str,
    /// The host and port that the request is for.
    pub(super) authority: Option<&'a str>,
    /// The path, as it came.
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    /// A path parameter by its name, decoded.
    pub(super) param: &'a dyn Fn(&str) -> Option<&'a str>,
}

impl Template {
    /// Takes a template apart. Parameters of the place come before the other placeholders.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn parse(text: &str, place: &Place<'_>) -> Result<Self, String> {
        let (mut part, has_authority) = beginning(text, place)?;
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(['{', '}']).unwrap_or(rest.len());
            let (literal, tail) = rest.split_at(end);
            if !literal.is_empty() {
                part = behind(literal, part)?;
                pieces.push(Piece::Text(literal.to_owned()));
            }
            let (name, tail) = match tail.strip_prefix('{').map(|name| name.split_once('}')) {
                Some(Some(split)) => split,
                Some(None) => return Err("has a brace that is not closed".into()),
                None if tail.is_empty() => break,
                None => return Err("has a brace that was not opened".into()),
            };
            let value = value(name, place)?;
            part = place_value(&value, part, tail, place)?;
            pieces.push(Piece::Value(value.clone(), part));
            part = if value == Value::Uri { Part::Query } else { part };
            rest = tail;
        }
        Ok(Self { pieces, has_authority })
    }

    /// Fills it in; none where a host is wanted that the request does not name.
    pub(super) fn fill(&self, asked: &Asked<'_>) -> Option<String> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Value(value, part) => put(&mut out, value, *part, asked)?,
            }
        }
        // Two slashes in front of a path would make its first segment a host (RFC 3986 §4.2).
        while !self.has_authority && out.starts_with(b"//") {
            out.remove(0);
        }
        String::from_utf8(out).ok()
    }
}

/// The part that a template begins with, and whether it names a host.
fn beginning(text: &str, place: &Place<'_>) -> Result<(Part, bool), String> {
    let is_param = |name: &str| place.names.iter().any(|known| known == name);
    let schemes = ["http://", "https://", "//", "{scheme}://"];
    let schemes = &schemes[..if is_param("scheme") { 3 } else { 4 }];
    if let Some(host) = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        // Without a host, the first segment of the path would be taken for one.
        let is_host = match host.strip_prefix('{').and_then(|name| name.split_once('}')) {
            Some((name, _)) => name == "host" || is_param(name),
            None => host.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'['),
        };
        return if is_host { Ok((Part::Scheme, true)) } else { Err("has no host".into()) };
    }
    let is_path = |name: &str| text.starts_with(&format!("{{{name}}}")) && !is_param(name);
    match text.starts_with('/') || is_path("path") || is_path("uri") {
        true => Ok((Part::Path, false)),
        false => Err("begins with neither http://, https:// nor a slash".into()),
    }
}

/// The part that stands behind a literal text which begins in `part`.
fn behind(literal: &str, mut part: Part) -> Result<Part, String> {
    let mut rest = literal;
    if part == Part::Scheme {
        match rest.split_once("//") {
            Some((_, tail)) => (part, rest) = (Part::Authority, tail),
            None => return Ok(part),
        }
    }
    for byte in rest.bytes() {
        if !(is_path_byte(byte) || matches!(byte, b'?' | b'#' | b'%' | b'[' | b']')) {
            return Err(format!("holds {:?}, which stands in no URL", char::from(byte)));
        }
        part = match (byte, part) {
            (b'@', Part::Authority) => return Err("has a user in front of its host".into()),
            (b'/', Part::Authority) => Part::Path,
            (b'?' | b'#', _) => Part::Query,
            _ => part,
        };
    }
    Ok(part)
}

fn value(name: &str, place: &Place<'_>) -> Result<Value, String> {
    if place.names.iter().any(|known| known == name) {
        return Ok(Value::Param(name.to_owned()));
    }
    match name {
        "scheme" => Ok(Value::Scheme),
        "host" => Ok(Value::Host),
        "port" => Ok(Value::Port),
        "path" => Ok(Value::Path),
        "query" => Ok(Value::Query),
        "uri" => Ok(Value::Uri),
        _ => Err(format!(
            "has a placeholder {{{name}}}, which is none of scheme, host, port, path, query and uri, and no parameter of \
             its route"
        )),
    }
}

/// The part that a value ends up in, where it may stand there.
fn place_value(value: &Value, part: Part, tail: &str, place: &Place<'_>) -> Result<Part, String> {
    match (value, part) {
        (Value::Scheme, Part::Scheme) => Ok(part),
        (_, Part::Scheme) => Err("has no host behind its scheme".into()),
        // They begin with a slash, which ends the host.
        (Value::Path | Value::Uri, Part::Authority) => Ok(Part::Path),
        (Value::Host | Value::Port, Part::Authority) => Ok(part),
        (Value::Param(name), Part::Authority) => {
            let domain = tail.strip_prefix('.').and_then(|domain| domain.bytes().next());
            let is_label = domain.is_some_and(|byte| byte.is_ascii_alphanumeric());
            match is_label && place.rest() != Some(name) {
                true => Ok(part),
                false => Err(format!(
                    "has {{{name}}} in its host, where it could lead anywhere: put a slash before it, or a domain behind it"
                )),
            }
        }
        (Value::Scheme | Value::Query, Part::Authority) => Err("has no host".into()),
        (Value::Query, Part::Path) => Err("has {query} without a question mark before it".into()),
        _ => Ok(part),
    }
}

/// Appends what a placeholder stands for; none where it is a host that the request does not name.
fn put(out: &mut Vec<u8>, value: &Value, part: Part, asked: &Asked<'_>) -> Option<()> {
    let text = text(value, asked)?;
    match (value, part) {
        (Value::Path | Value::Uri, Part::Path) => {
            if out.ends_with(b"/") {
                out.pop();
            }
            escape(out, text.as_bytes(), |byte| is_path_byte(byte) || matches!(byte, b'%' | b'?'));
        }
        (Value::Query, _) => {
            escape(out, text.as_bytes(), |byte| is_path_byte(byte) || matches!(byte, b'%' | b'?'));
            if text.is_empty() && matches!(out.last(), Some(b'?' | b'&')) {
                out.pop();
            }
        }
        // The server has checked them.
        (Value::Scheme | Value::Host | Value::Port, Part::Scheme | Part::Authority) => {
            out.extend_from_slice(text.as_bytes());
        }
        (_, Part::Path) => escape(out, text.as_bytes(), is_path_byte),
        (_, Part::Query) => escape(out, text.as_bytes(), |byte| is_unreserved(byte) || byte == b'/'),
        (_, Part::Scheme | Part::Authority) => escape(out, text.as_bytes(), is_unreserved),
    }
    Some(())
}

fn text<'a>(value: &Value, asked: &Asked<'a>) -> Option<Cow<'a, str>> {
    Some(match value {
        Value::Scheme => asked.scheme.into(),
        Value::Host => host(asked)?.into(),
        Value::Port => port(asked)?.into(),
        Value::Path => rooted(asked.path),
        Value::Query => asked.query.unwrap_or_default().into(),
        Value::Uri => match asked.query {
            Some(query) => format!("{}?{query}", rooted(asked.path)).into(),
            None => rooted(asked.path),
        },
        Value::Param(name) => (asked.param)(name).unwrap_or_default().into(),
    })
}

/// A path with one slash in front: two would be read as those in front of a host.
fn rooted(path: &str) -> Cow<'_, str> {
    let rest = path.trim_start_matches('/');
    match path.len() - rest.len() {
        1 => path.into(),
        0 => format!("/{rest}").into(),
        more => path[more - 1..].into(),
    }
}

fn host<'a>(asked: &Asked<'a>) -> Option<&'a str> {
    let authority = asked.authority?;
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    Some(&authority[..end]).filter(|host| !host.is_empty())
}

fn port<'a>(asked: &Asked<'a>) -> Option<&'a str> {
    let explicit = asked.authority?[host(asked)?.len()..].trim_start_matches(':');
    Some(match explicit {
        "" if asked.scheme == "https" => "443",
        "" => "80",
        port => port,
    })
}

/// What stands in any part of a URI and separates nothing (RFC 3986 §2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str, names: &[&str], has_rest: bool) -> Result<Template, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Template::parse(text, &Place { names: &names, has_rest })
    }

    fn filled(text: &str, authority: Option<&str>, target: &str, params: &[(&str, &'static str)]) -> String {
        let names: Vec<_> = params.iter().map(|(name, _)| *name).collect();
        let template = template(text, &names, false).unwrap();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let param = |name: &str| params.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let asked = Asked { scheme: "http", authority, path, query, param: &param };
        template.fill(&asked).unwrap_or_else(|| "no host".into())
    }

    #[test]
    fn placeholders_are_filled_in() {
        for (text, authority, target, expected) in [
            ("https://{host}{uri}", "a.example:8080", "/x/y?q=1&r", "https://a.example/x/y?q=1&r"),
            ("https://{host}:8443{uri}", "a.example", "/", "https://a.example:8443/"),
            ("https://{host}{path}", "[::1]:80", "/x?q", "https://[::1]/x"),
            ("{scheme}://{host}:{port}/new{path}?{query}", "a", "/x?q=%20", "http://a:80/new/x?q=%20"),
            ("https://b.example/new/{path}?a=1&{query}", "a", "/x", "https://b.example/new/x?a=1"),
            ("https://b.example/?{query}", "a", "/x", "https://b.example/"),
            ("/new{uri}", "a", "/x?y", "/new/x?y"),
            ("{path}/", "a", "/x", "/x/"),
            (
                "https://login.example/?next={uri}",
                "a",
                "/x?y=1&z",
                "https://login.example/?next=/x%3Fy%3D1%26z",
            ),
            ("https://login.example/?from={host}", "a&b", "/", "https://login.example/?from=a%26b"),
            ("//cdn.example{path}", "a", "/x", "//cdn.example/x"),
        ] {
            assert_eq!(filled(text, Some(authority), target, &[]), expected, "{text}");
        }
        assert_eq!(filled("https://{host}/", None, "/", &[]), "no host");
        assert_eq!(filled("https://{host}/", Some(""), "/", &[]), "no host");
        assert_eq!(filled("https://b.example/", None, "/", &[]), "https://b.example/");
    }

    #[test]
    fn what_a_request_brings_stays_in_its_part() {
        for (text, target, expected) in [
            ("{uri}", "//evil.example/x", "/evil.example/x"),
            ("{path}/", "///evil.example", "/evil.example/"),
            ("{path}", "/\\evil.example", "/%5Cevil.example"),
            ("/{path}", "//evil.example", "/evil.example"),
            ("https://b.example{path}", "//@evil.example", "https://b.example/@evil.example"),
            ("{uri}", "/a\"<>`{|}^?\"<>\\", "/a%22%3C%3E%60%7B%7C%7D%5E?%22%3C%3E%5C"),
            ("{path}", "/a%0d%0aSet-Cookie:x", "/a%0d%0aSet-Cookie:x"),
        ] {
            assert_eq!(filled(text, Some("a"), target, &[]), expected, "{text} {target}");
        }
        for (text, value, expected) in [
            ("/new/{id}", "a b/c?d#e%", "/new/a%20b/c%3Fd%23e%25"),
            ("/{id}", "/evil.example", "/evil.example"),
            ("/new/{id}", "\r\nSet-Cookie: x", "/new/%0D%0ASet-Cookie:%20x"),
            ("/new/{id}", "caf\u{e9}", "/new/caf%C3%A9"),
            ("/?q={id}", "a&b=c+d", "/?q=a%26b%3Dc%2Bd"),
            ("https://{id}.b.example/", "evil.example/", "https://evil.example%2F.b.example/"),
            ("https://{id}.b.example/", "u@evil:1", "https://u%40evil%3A1.b.example/"),
        ] {
            assert_eq!(filled(text, Some("a"), "/", &[("id", value)]), expected, "{text} {value}");
        }
    }

    #[test]
    fn parameters_come_before_the_other_placeholders() {
        assert_eq!(filled("/new/{path}", Some("a"), "/old/x", &[("path", "x")]), "/new/x");
    }

    #[test]
    fn what_is_wrong_with_a_template_is_said() {
        for (text, what) in [
            ("", "begins with"),
            ("new/{path}", "begins with"),
            ("{id}", "begins with"),
            ("javascript:alert(1)", "begins with"),
            ("ftp://b.example/", "begins with"),
            ("/{nothing}", "{nothing}"),
            ("/{path", "not closed"),
            ("/path}", "not opened"),
            ("/a b", "' '"),
            ("/a\r\nb", "'\\r'"),
            ("/a\\b", "'\\\\'"),
            ("https://user@{host}/", "user"),
            ("https://{id}/", "{id}"),
            ("https://{id}./", "{id}"),
            ("https://b.example{id}", "{id}"),
            ("https://{rest}.b.example", "{rest}"),
            ("https://{query}", "no host"),
            ("https://{path}", "no host"),
            ("https:///{path}", "no host"),
            ("//{uri}", "no host"),
            ("https://", "no host"),
            ("https://{nobody}.example/", "no host"),
            ("https://b.example/{query}", "question mark"),
        ] {
            let told = template(text, &["id", "rest"], true).err().unwrap_or_default();
            assert!(told.contains(what), "{text}: {told}");
        }
        assert!(template("{path}", &["path"], true).is_err(), "a parameter does not begin with a slash");
    }
}
