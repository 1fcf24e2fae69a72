//! Heads of requests, into the words of HTTP/1.1 and out of them (RFC 9113 §8.3).

use h2::ext::Protocol;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};

use crate::error::Kind;
use crate::http1::{Lines, RequestFacts, encode_field};
use crate::message::{Known, RequestLine, hop};

/// How the target of a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Path and query: the request is for us.
    Origin,
    /// With scheme and authority: it is to be passed on to whomever it names.
    Absolute,
}

/// What a stream carries behind its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cargo {
    /// Nothing.
    Nothing,
    /// A body of the length that its head tells.
    Length,
    /// A body that ends where it ends, and perhaps trailers.
    Chunked,
    /// Bytes of another protocol, once that was agreed on.
    Tunnel(Opens),
}

/// How a tunnel is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opens {
    /// CONNECT (RFC 9113 §8.5): a 2xx opens it.
    Connect,
    /// Extended CONNECT for a WebSocket (RFC 8441): a 101 in the words of HTTP/1.1.
    WebSocket,
}

/// Appends the head of a request in the words of HTTP/1.1; says what comes behind it. Its parts are not judged here: whoever
/// reads the head does that as for any other.
///
/// # Errors
///
/// `BadHost`: the authority and the Host field differ (RFC 9113 §8.3.1). `BadUpgrade`: an extended CONNECT for something other
/// than a WebSocket.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    request: &Request<impl Sized>,
    is_end: bool,
    target: Target,
) -> Result<Cargo, Kind> {
    let (method, uri, fields) = (request.method(), request.uri(), request.headers());
    let protocol = request.extensions().get::<Protocol>().map(Protocol::as_str);
    let opens = match protocol {
        Some(protocol) if protocol.eq_ignore_ascii_case("websocket") => Some(Opens::WebSocket),
        Some(_) => return Err(Kind::BadUpgrade),
        None => (method == Method::CONNECT).then_some(Opens::Connect),
    };
    // The codec takes an empty scheme for one (RFC 9113 §8.3.1).
    if uri.scheme_str() == Some("") {
        return Err(Kind::BadTarget);
    }
    encode_line(out, method, uri, opens, target);
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    if let Some(authority) = authority {
        let hosts = fields.get_all(http::header::HOST);
        if hosts.iter().any(|host| !host.as_bytes().eq_ignore_ascii_case(authority)) {
            return Err(Kind::BadHost);
        }
        encode_field(out, b"Host", authority);
    }
    // Trailers come with chunks only (RFC 9110 §6.5.1).
    let is_chunked =
        fields.contains_key(http::header::TRAILER) || !fields.contains_key(http::header::CONTENT_LENGTH);
    let is_chunked = is_chunked && !is_end && opens.is_none();
    encode_fields(out, fields, |name| match *name {
        http::header::HOST => authority.is_none(),
        http::header::CONTENT_LENGTH => !is_chunked,
        _ => true,
    })?;
    let cargo = match opens {
        Some(Opens::WebSocket) => {
            out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: websocket\r\n");
            let key = base64::encode(fastrand::u128(..).to_ne_bytes());
            encode_field(out, b"Sec-WebSocket-Key", key.as_bytes());
            Cargo::Tunnel(Opens::WebSocket)
        }
        Some(opens) => Cargo::Tunnel(opens),
        None if is_end => Cargo::Nothing,
        None if is_chunked => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            Cargo::Chunked
        }
        None => Cargo::Length,
    };
    out.extend_from_slice(b"\r\n");
    Ok(cargo)
}

fn encode_line(out: &mut Vec<u8>, method: &Method, uri: &Uri, opens: Option<Opens>, target: Target) {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let method = if opens == Some(Opens::WebSocket) { "GET" } else { method.as_str() };
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    match (opens, target) {
        (Some(Opens::Connect), _) => out.extend_from_slice(authority.as_bytes()),
        (_, Target::Absolute) if !authority.is_empty() => {
            out.extend_from_slice(uri.scheme_str().unwrap_or("http").as_bytes());
            out.extend_from_slice(b"://");
            out.extend_from_slice(authority.as_bytes());
            out.extend_from_slice(path.as_bytes());
        }
        _ => out.extend_from_slice(path.as_bytes()),
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Appends the fields that `keep` says yes to. Cookies that were sent in crumbs are put together (RFC 9113 §8.2.3).
///
/// # Errors
///
/// `BadHeaderValue`: there is space around a value (RFC 9113 §8.2.1), which could not be seen any more.
fn encode_fields(
    out: &mut Vec<u8>,
    fields: &HeaderMap,
    keep: impl Fn(&HeaderName) -> bool,
) -> Result<(), Kind> {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    for (name, value) in fields {
        if is_space(value.as_bytes().first()) || is_space(value.as_bytes().last()) {
            return Err(Kind::BadHeaderValue);
        }
        match name {
            &http::header::COOKIE => {}
            // Of this connection, and not allowed in HTTP/2 (RFC 9113 §8.2.2); the codec refuses the others.
            name if name.as_str() == "http2-settings" => {}
            name if keep(name) => encode_field(out, name.as_str().as_bytes(), value.as_bytes()),
            _ => {}
        }
    }
    let mut crumbs = fields.get_all(http::header::COOKIE).iter();
    if let Some(first) = crumbs.next() {
        out.extend_from_slice(b"cookie: ");
        out.extend_from_slice(first.as_bytes());
        for crumb in crumbs {
            out.extend_from_slice(b"; ");
            out.extend_from_slice(crumb.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

/// Makes the head of a request of one in the words of HTTP/1.1, which eproxy itself has written.
///
/// # Errors
///
/// `BadRequest`: HTTP/2 has no word for something in it.
pub(crate) fn decode(
    head: &[u8],
    line: &RequestLine,
    lines: &Lines<'_>,
    facts: &RequestFacts,
    scheme: &'static str,
) -> Result<(Request<()>, Cargo), Kind> {
    let bad = |_| Kind::BadRequest;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(line.method.of(head)).map_err(|_| Kind::BadRequest)?;
    let host = lines.fields.iter().find(|field| field.known == Known::Host);
    let authority = host.map_or(&b""[..], |host| host.value.of(head));
    let is_connect = request.method() == Method::CONNECT;
    let cargo = match (is_connect, websocket(lines, facts), facts.framing.length()) {
        (true, ..) => Cargo::Tunnel(Opens::Connect),
        (_, true, _) => Cargo::Tunnel(Opens::WebSocket),
        (_, _, Some(0)) => Cargo::Nothing,
        (_, _, Some(_)) => Cargo::Length,
        (_, _, None) => Cargo::Chunked,
    };
    *request.uri_mut() = match is_connect {
        true => Uri::try_from(line.target.of(head)).map_err(|_| Kind::BadRequest)?,
        false => {
            let target = line.target.of(head);
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(http::uri::Scheme::try_from(scheme).map_err(bad)?);
            parts.authority = Some(http::uri::Authority::try_from(authority).map_err(bad)?);
            parts.path_and_query = Some(http::uri::PathAndQuery::try_from(target).map_err(bad)?);
            Uri::from_parts(parts).map_err(|_| Kind::BadRequest)?
        }
    };
    if cargo == Cargo::Tunnel(Opens::WebSocket) {
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(Protocol::from_static("websocket"));
    }
    decode_fields(request.headers_mut(), lines, |known, name| match known {
        Known::Host => false,
        Known::SecWebSocket => !name.eq_ignore_ascii_case(b"sec-websocket-key"),
        _ => true,
    })?;
    if facts.takes_trailers {
        request.headers_mut().insert(http::header::TE, HeaderValue::from_static("trailers"));
    }
    Ok((request, cargo))
}

/// Whether the request is for a WebSocket, which has a way of its own in HTTP/2 (RFC 8441 §5).
fn websocket(lines: &Lines<'_>, facts: &RequestFacts) -> bool {
    let mut upgrades = lines.fields.iter().filter(|field| field.known == Known::Upgrade);
    facts.wants_upgrade
        && upgrades.any(|field| {
            hop::members(field.value.of(lines.bytes)).any(|word| word.eq_ignore_ascii_case(b"websocket"))
        })
}

/// Takes over the fields that are not of the connection and that `keep` says yes to.
///
/// # Errors
///
/// `BadRequest`: a name or a value is none.
pub(super) fn decode_fields(
    into: &mut HeaderMap,
    lines: &Lines<'_>,
    keep: impl Fn(Known, &[u8]) -> bool,
) -> Result<(), Kind> {
    for field in lines.fields {
        let (name, value) = (field.name.of(lines.bytes), field.value.of(lines.bytes));
        let stays = field.known == Known::Trailer || !field.known.is_hop_by_hop();
        if stays && keep(field.known, name) {
            let name = HeaderName::from_bytes(name).map_err(|_| Kind::BadRequest)?;
            let value = HeaderValue::from_bytes(value).map_err(|_| Kind::BadRequest)?;
            into.append(name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::http1::parse_request;

    use super::*;

    fn request(uri: &str, fields: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn encoded(request: &Request<()>, is_end: bool, target: Target) -> (String, Cargo) {
        let mut out = Vec::new();
        let cargo = encode(&mut out, request, is_end, target).unwrap();
        (String::from_utf8(out).unwrap(), cargo)
    }

    #[test]
    fn a_request_is_put_into_the_words_of_http_1() {
        let get = request("https://a.test/x?y", &[("accept", "*/*"), ("cookie", "a=1"), ("cookie", "b=2")]);
        let text = "GET /x?y HTTP/1.1\r\nHost: a.test\r\naccept: */*\r\ncookie: a=1; b=2\r\n\r\n";
        assert_eq!(encoded(&get, true, Target::Origin), (text.into(), Cargo::Nothing));
        let (text, cargo) = encoded(&get, false, Target::Absolute);
        assert!(text.starts_with("GET https://a.test/x?y HTTP/1.1\r\n"), "{text}");
        assert!(text.ends_with("Transfer-Encoding: chunked\r\n\r\n") && cargo == Cargo::Chunked, "{text}");
        let told = request("http://a.test/", &[("content-length", "5"), ("host", "A.test")]);
        let text = "GET / HTTP/1.1\r\nHost: a.test\r\ncontent-length: 5\r\n\r\n";
        assert_eq!(encoded(&told, false, Target::Origin), (text.into(), Cargo::Length));
        let told = request("http://a.test/", &[("content-length", "5"), ("trailer", "x")]);
        let text = "GET / HTTP/1.1\r\nHost: a.test\r\ntrailer: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(encoded(&told, false, Target::Origin), (text.into(), Cargo::Chunked));
        let nobody = request("/x", &[("host", "b.test")]);
        assert_eq!(encoded(&nobody, true, Target::Origin).0, "GET /x HTTP/1.1\r\nhost: b.test\r\n\r\n");
    }

    #[test]
    fn tunnels_are_asked_for_as_in_http_1() {
        let mut connect = request("a.test:443", &[]);
        *connect.method_mut() = Method::CONNECT;
        let text = "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n";
        assert_eq!(encoded(&connect, false, Target::Origin), (text.into(), Cargo::Tunnel(Opens::Connect)));
        let mut websocket = request("https://a.test/chat", &[("sec-websocket-version", "13")]);
        *websocket.method_mut() = Method::CONNECT;
        websocket.extensions_mut().insert(Protocol::from_static("websocket"));
        let (text, cargo) = encoded(&websocket, false, Target::Origin);
        assert_eq!(cargo, Cargo::Tunnel(Opens::WebSocket));
        assert!(text.starts_with("GET /chat HTTP/1.1\r\nHost: a.test\r\nsec-websocket-version: 13\r\n"));
        assert!(text.contains("Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: "), "{text}");
        websocket.extensions_mut().insert(Protocol::from_static("connect-udp"));
        assert_eq!(encode(&mut Vec::new(), &websocket, false, Target::Origin), Err(Kind::BadUpgrade));
    }

    #[test]
    fn what_could_not_be_seen_any_more_is_refused() {
        for (request, kind) in [
            (request("http://a.test/", &[("host", "b.test")]), Kind::BadHost),
            (request("http://a.test/", &[("x", " y")]), Kind::BadHeaderValue),
            (request("http://a.test/", &[("x", "y\t")]), Kind::BadHeaderValue),
        ] {
            assert_eq!(encode(&mut Vec::new(), &request, true, Target::Origin), Err(kind));
        }
    }

    #[test]
    fn a_request_in_the_words_of_http_1_is_put_out_of_them() {
        let decoded = |head: &str| {
            let (bytes, mut fields) = (head.as_bytes(), Vec::new());
            let (line, _) = parse_request(bytes, &mut fields, 1000, 100).unwrap().unwrap();
            let facts = RequestFacts::read(bytes, &line, &fields).unwrap();
            decode(bytes, &line, &Lines::of_head(bytes, &fields), &facts, "https").unwrap()
        };
        let (post, cargo) = decoded(
            "POST /x?y HTTP/1.1\r\nHost: a.test:81\r\nX-A: b\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\
             Connection: TE\r\n\r\n",
        );
        assert_eq!((post.uri().to_string().as_str(), cargo), ("https://a.test:81/x?y", Cargo::Chunked));
        let names: Vec<_> = post.headers().keys().map(|name| name.as_str().to_owned()).collect();
        assert_eq!(names, ["x-a", "te"]);
        let (get, cargo) =
            decoded("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!((get.method(), cargo), (&Method::CONNECT, Cargo::Tunnel(Opens::WebSocket)));
        assert_eq!(get.extensions().get::<Protocol>().map(Protocol::as_str), Some("websocket"));
        assert!(get.headers().is_empty());
        let (connect, cargo) = decoded("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
        assert_eq!((connect.uri().to_string().as_str(), cargo), ("a:1", Cargo::Tunnel(Opens::Connect)));
    }
}
