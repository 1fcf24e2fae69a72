//! Every version of HTTP that a client may speak, in front of every one that an upstream may: messages arrive as they were
//! sent, whatever there is between the two.

use bytes::Bytes;
use eproxy_core::{Group, Proxy, Server};

use crate::echoing::pattern;
use crate::support::certificates::{pair, tls, trusting};
use crate::support::http2::{Exchange, Http2};
use crate::support::http2_upstream::{Asked, Http2Upstream, Settings, http2_upstream};
use crate::support::secure::{Secure, TlsClient};
use crate::support::wire::Reply;
use crate::support::{Connection, Running, eventually};
use crate::upstream::{Peer, Upstream, secure_upstream, upstream};

/// What is spoken on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    Http1,
    Http1OverTls,
    Http2,
    Http2OverTls,
}

use Speech::{Http1, Http1OverTls, Http2 as Http2Plain, Http2OverTls};

const ALL: [Speech; 4] = [Http1, Http1OverTls, Http2Plain, Http2OverTls];

/// An upstream's side of an exchange.
trait Answering {
    fn target(&self) -> String;
    fn is_head(&self) -> bool;
    /// Reads the request; gives its body and trailers.
    fn read(&mut self) -> (Vec<u8>, String);
    fn interim(&mut self);
    fn with_length(&mut self, status: u16, body: &[u8]);
    /// A head without a body, which tells the length of one.
    fn with_length_only(&mut self, status: u16, length: usize);
    fn without_body(&mut self, status: u16);
    fn in_pieces(&mut self, pieces: &[&[u8]], trailer: Option<&str>);
    /// The beginning of an answer, after which nothing comes.
    fn broken(&mut self, has_length: bool);
    /// No answer at all.
    fn nothing(&mut self);
}

impl Answering for (&mut Peer, crate::seen::Seen) {
    fn target(&self) -> String {
        self.1.target.clone()
    }

    fn is_head(&self) -> bool {
        self.1.method == "HEAD"
    }

    fn read(&mut self) -> (Vec<u8>, String) {
        self.0.body(&mut self.1);
        assert!(self.1.is_whole, "{:?}", self.1);
        let shown = |(name, value): &(String, Vec<u8>)| format!("{name}: {}", String::from_utf8_lossy(value));
        (self.1.body.clone(), self.1.trailers.iter().map(shown).collect())
    }

    fn interim(&mut self) {
        self.0.say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    }

    fn with_length(&mut self, status: u16, body: &[u8]) {
        self.with_length_only(status, body.len());
        self.0.say(body);
    }

    fn with_length_only(&mut self, status: u16, length: usize) {
        self.0.say(format!("HTTP/1.1 {status} X\r\nX-A: b\r\nContent-Length: {length}\r\n\r\n"));
    }

    fn without_body(&mut self, status: u16) {
        self.0.say(format!("HTTP/1.1 {status} X\r\nX-A: b\r\n\r\n"));
    }

    fn in_pieces(&mut self, pieces: &[&[u8]], trailer: Option<&str>) {
        self.0.say("HTTP/1.1 200 X\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in pieces {
            self.0.say([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
        }
        let trailer = trailer.map_or(String::new(), |value| format!("X-End: {value}\r\n"));
        self.0.say(format!("0\r\n{trailer}\r\n"));
    }

    fn broken(&mut self, has_length: bool) {
        let framing = if has_length {
            "Content-Length: 9\r\n\r\nhalf"
        } else {
            "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
        };
        self.0.say(format!("HTTP/1.1 200 X\r\n{framing}"));
    }

    fn nothing(&mut self) {}
}

impl Answering for &mut Asked {
    fn target(&self) -> String {
        self.seen.target.clone()
    }

    fn is_head(&self) -> bool {
        self.seen.method == "HEAD"
    }

    fn read(&mut self) -> (Vec<u8>, String) {
        Asked::read(self);
        let trailers = self.seen.trailers.iter();
        let shown = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        (self.seen.body.clone(), trailers.map(shown).collect())
    }

    fn interim(&mut self) {
        Asked::interim(self, 103, &[("link", "</a>")]);
    }

    fn with_length(&mut self, status: u16, body: &[u8]) {
        self.answer(status, &[("x-a", "b"), ("content-length", &body.len().to_string())], body);
    }

    fn with_length_only(&mut self, status: u16, length: usize) {
        self.head(status, &[("x-a", "b"), ("content-length", &length.to_string())], true);
    }

    fn without_body(&mut self, status: u16) {
        self.head(status, &[("x-a", "b")], true);
    }

    fn in_pieces(&mut self, pieces: &[&[u8]], trailer: Option<&str>) {
        self.head(200, &[("x-a", "b")], false);
        for piece in pieces {
            self.send(*piece);
        }
        match trailer {
            Some(value) => self.send_trailers(&[("x-end", value)]),
            None => self.send_end(""),
        }
    }

    fn broken(&mut self, has_length: bool) {
        let length: &[_] = if has_length { &[("content-length", "9")] } else { &[] };
        self.head(200, length, false);
        self.send("half");
        // Data that was not sent yet would be lost with the stream.
        crate::support::pause(50);
        self.reset(h2::Reason::INTERNAL_ERROR);
    }

    fn nothing(&mut self) {
        self.reset(h2::Reason::INTERNAL_ERROR);
    }
}

/// Answers as the target says; says whether another request may follow on the connection.
fn behave(end: &mut impl Answering) -> bool {
    let target = end.target();
    let is_early = target == "/early";
    let (body, trailers) = if is_early { Default::default() } else { end.read() };
    match &*target {
        "/echo" if body.is_empty() => end.with_length(200, b"nothing"),
        "/echo" if end.is_head() => end.with_length_only(200, 5),
        "/echo" => end.with_length(200, &body),
        "/trailers" => {
            end.with_length(200, [&body, &b" {"[..], trailers.as_bytes(), b"}"].concat().as_slice())
        }
        "/head" => end.with_length_only(200, 12345),
        "/empty" => end.with_length(200, b""),
        "/204" => end.without_body(204),
        "/304" => end.with_length_only(304, 5),
        "/404" => end.with_length(404, b"no"),
        "/pieces" => end.in_pieces(&[b"one ", b"two ", &vec![b'x'; 100_000]], None),
        "/no-pieces" => end.in_pieces(&[], None),
        "/trailing" => end.in_pieces(&[b"body"], Some("here")),
        "/hints" => {
            for _ in 0..2 {
                end.interim();
                // The codec of a client that has all of it at once tells of the last only.
                crate::support::pause(10);
            }
            end.with_length(200, b"hinted");
        }
        "/early" => {
            end.with_length(413, b"too much");
            return false;
        }
        "/broken" => {
            end.broken(true);
            return false;
        }
        "/broken-pieces" => {
            end.broken(false);
            return false;
        }
        "/nothing" => {
            end.nothing();
            return false;
        }
        other => panic!("{other}"),
    }
    true
}

fn script1(peer: &mut Peer) {
    while let Some(seen) = peer.next_head() {
        let is_early = seen.target == "/early";
        if !behave(&mut (&mut *peer, seen)) {
            if is_early {
                peer.finish();
                peer.rest();
            }
            return;
        }
    }
}

/// An upstream, whatever it speaks.
enum Behind {
    One(Upstream),
    Two(Http2Upstream),
}

impl Behind {
    fn new(speech: Speech) -> Self {
        let script2 = |mut asked: &mut Asked| {
            behave(&mut asked);
        };
        match speech {
            Http1 => Self::One(upstream(script1)),
            Http1OverTls => Self::One(secure_upstream(pair().server(&["http/1.1"]), script1)),
            Http2Plain => Self::Two(http2_upstream(Settings::plain(), script2)),
            Http2OverTls => Self::Two(http2_upstream(Settings::secure(), script2)),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::One(upstream) => upstream.url(),
            Self::Two(upstream) => upstream.url(),
        }
    }

    fn accepted(&self) -> usize {
        match self {
            Self::One(upstream) => upstream.accepted(),
            Self::Two(upstream) => upstream.accepted(),
        }
    }
}

/// A client, whatever it speaks.
enum Before {
    One(Connection),
    OneOverTls(Box<Connection<Secure>>),
    Two(Http2),
}

/// What is sent behind a head.
#[derive(Clone, Copy)]
enum Sent<'a> {
    Nothing,
    Length(&'a [u8]),
    Pieces(&'a [&'a [u8]], Option<&'a str>),
}

/// What came back.
#[derive(Debug, Default, PartialEq, Eq)]
struct Got {
    status: u16,
    interim: Vec<u16>,
    length: Option<usize>,
    a: Option<String>,
    body: Bytes,
    trailer: Option<String>,
    is_whole: bool,
}

impl Got {
    fn of_reply(reply: Reply) -> Self {
        let trailers = reply.trailers.iter();
        let mut ends = trailers.filter(|(name, _)| name.eq_ignore_ascii_case("x-end"));
        Self {
            status: reply.status,
            length: reply.header("content-length").map(|length| length.parse().expect("a length")),
            a: reply.header("x-a").map(str::to_owned),
            trailer: ends.next().map(|(_, value)| String::from_utf8_lossy(value).into_owned()),
            interim: reply.interim,
            body: reply.body.into(),
            is_whole: reply.is_whole,
        }
    }

    fn of_exchange(mut exchange: Exchange) -> Self {
        let Ok(head) = exchange.try_head() else { return Self::default() };
        let (body, end) = exchange.rest();
        let interim = exchange.interim.clone();
        Self {
            status: head.status,
            length: head.field("content-length").map(|length| length.parse().expect("a length")),
            a: head.field("x-a").map(str::to_owned),
            trailer: end
                .as_ref()
                .ok()
                .and_then(|end| end.get("x-end"))
                .map(|end| end.to_str().expect("text").into()),
            interim,
            body: body.into(),
            is_whole: end.is_ok(),
        }
    }

    fn brief(&self) -> (u16, &str) {
        (self.status, std::str::from_utf8(&self.body).expect("a body of text"))
    }
}

impl Before {
    fn new(speech: Speech, server: &Running) -> Self {
        let [plain, secure] = *server.handle().addresses() else { panic!("two listeners") };
        match speech {
            Http1 => Self::One(Connection::to(plain)),
            Http1OverTls => Self::OneOverTls(Box::new(TlsClient::new().alpn(&["http/1.1"]).connect(secure))),
            Http2Plain => Self::Two(Http2::to(plain)),
            Http2OverTls => Self::Two(Http2::secure(secure)),
        }
    }

    fn ask(&mut self, method: &str, target: &str, sent: Sent<'_>) -> Got {
        let is_head = method == "HEAD";
        match self {
            Self::One(client) => {
                // One that is refused early may not be read to its end.
                let _cut = client.try_send(in_http1(method, target, sent));
                Got::of_reply(client.next(is_head).unwrap_or_else(|| panic!("no answer to {target}")))
            }
            Self::OneOverTls(client) => {
                let _cut = client.try_send(in_http1(method, target, sent));
                Got::of_reply(client.next(is_head).unwrap_or_else(|| panic!("no answer to {target}")))
            }
            Self::Two(client) => Got::of_exchange(in_http2(client, method, target, sent)),
        }
    }
}

fn in_http1(method: &str, target: &str, sent: Sent<'_>) -> Vec<u8> {
    let mut out = format!("{method} {target} HTTP/1.1\r\nHost: test\r\nTE: trailers\r\nConnection: te\r\n")
        .into_bytes();
    match sent {
        Sent::Nothing => out.extend(b"\r\n"),
        Sent::Length(body) => {
            out.extend(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            out.extend(body);
        }
        Sent::Pieces(pieces, trailer) => {
            out.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for piece in pieces {
                out.extend(format!("{:x}\r\n", piece.len()).as_bytes());
                out.extend(*piece);
                out.extend(b"\r\n");
            }
            out.extend(b"0\r\n");
            out.extend(trailer.map_or(String::new(), |value| format!("X-End: {value}\r\n")).as_bytes());
            out.extend(b"\r\n");
        }
    }
    out
}

fn in_http2(client: &Http2, method: &str, target: &str, sent: Sent<'_>) -> Exchange {
    let mut request = client.request(method, target);
    request.headers_mut().insert("te", http::HeaderValue::from_static("trailers"));
    match sent {
        Sent::Nothing => client.begin_request(request, true),
        Sent::Length(body) => {
            request.headers_mut().insert("content-length", body.len().into());
            let mut exchange = client.begin_request(request, false);
            let _cut = exchange.try_send(body, true);
            exchange
        }
        Sent::Pieces(pieces, trailer) => {
            let mut exchange = client.begin_request(request, false);
            for piece in pieces {
                exchange.send(*piece);
            }
            match trailer {
                Some(value) => exchange.send_trailers(&[("x-end", value)]),
                None => exchange.send_end(""),
            }
            exchange
        }
    }
}

/// What is between a client and an upstream.
struct Between<'a> {
    before: Speech,
    upstream: &'a Behind,
    server: &'a Running,
}

/// Does this with each pair of what is spoken in front and behind.
fn with_all(check: impl Fn(&mut Before, &Between<'_>, &str)) {
    for behind in ALL {
        let upstream = Behind::new(behind);
        let group = Group::from(upstream.url()).tls(trusting());
        let builder = Server::builder().workers(1).at("/*path", Proxy::to(group));
        let server = Running::new(builder.bind("127.0.0.1:0").bind_tls("127.0.0.1:0", tls()));
        for before in ALL {
            let mut client = Before::new(before, &server);
            let between = Between { before, upstream: &upstream, server: &server };
            check(&mut client, &between, &format!("{before:?} in front of {behind:?}"));
        }
        eventually("nothing is left", || server.stats().open == 0);
    }
}

#[test]
fn bodies_of_all_framings_arrive_as_they_were_sent() {
    with_all(|client, _, pair| {
        let got = client.ask("GET", "/echo", Sent::Nothing);
        assert_eq!(
            (got.brief(), got.length, got.a.as_deref()),
            ((200, "nothing"), Some(7), Some("b")),
            "{pair}"
        );
        for size in [1, 5, 16_384, 65_535, 300_000] {
            let body = pattern(size);
            let got = client.ask("POST", "/echo", Sent::Length(&body));
            assert_eq!((got.status, got.length, got.is_whole), (200, Some(size), true), "{pair}");
            assert!(got.body == body, "{pair}: {size} bytes came back as {}", got.body.len());
            let (one, two) = body.split_at(size / 2);
            let pieces: &[&[u8]] = if one.is_empty() { &[two] } else { &[one, two] };
            let got = client.ask("PUT", "/echo", Sent::Pieces(pieces, None));
            let at = got.body.iter().zip(&body).position(|(one, other)| one != other);
            assert_eq!((got.body.len(), at, got.is_whole), (size, None, true), "{pair}: in pieces");
        }
        assert_eq!(client.ask("POST", "/echo", Sent::Length(b"")).brief(), (200, "nothing"), "{pair}");
        assert_eq!(client.ask("POST", "/echo", Sent::Pieces(&[], None)).brief(), (200, "nothing"), "{pair}");
        let got = client.ask("GET", "/pieces", Sent::Nothing);
        let expected = [&b"one two "[..], &[b'x'; 100_000]].concat();
        assert!(got.body == expected && got.is_whole && got.trailer.is_none(), "{pair}");
        assert_eq!(client.ask("GET", "/no-pieces", Sent::Nothing).brief(), (200, ""), "{pair}");
    });
}

#[test]
fn trailers_pass_in_both_directions() {
    with_all(|client, _, pair| {
        let got = client.ask("POST", "/trailers", Sent::Pieces(&[b"hello"], Some("there")));
        assert_eq!(got.body.to_ascii_lowercase(), b"hello {x-end: there}", "{pair}");
        let got = client.ask("POST", "/trailers", Sent::Pieces(&[], Some("there")));
        assert_eq!(got.body.to_ascii_lowercase(), b" {x-end: there}", "{pair}");
        let got = client.ask("GET", "/trailing", Sent::Nothing);
        assert_eq!((got.brief(), got.trailer.as_deref()), ((200, "body"), Some("here")), "{pair}");
    });
}

#[test]
fn answers_without_a_body_stay_such() {
    with_all(|client, _, pair| {
        for (method, target, expected, length) in [
            ("HEAD", "/head", 200, Some(12345)),
            ("GET", "/empty", 200, Some(0)),
            ("GET", "/204", 204, None),
            ("GET", "/304", 304, Some(5)),
            ("HEAD", "/304", 304, Some(5)),
        ] {
            let got = client.ask(method, target, Sent::Nothing);
            let told = (got.status, got.length, got.body.len(), got.is_whole);
            assert_eq!(told, (expected, length, 0, true), "{pair}: {method} {target}");
        }
        // The next one is not confused.
        assert_eq!(client.ask("GET", "/404", Sent::Nothing).brief(), (404, "no"), "{pair}");
    });
}

#[test]
fn interim_answers_come_first() {
    with_all(|client, _, pair| {
        let got = client.ask("GET", "/hints", Sent::Nothing);
        assert_eq!((got.brief(), &got.interim[..]), ((200, "hinted"), &[103, 103][..]), "{pair}");
    });
}

#[test]
fn an_answer_that_does_not_wait_for_the_request_arrives() {
    with_all(|client, Between { server, .. }, pair| {
        let body = vec![b'x'; 3_000_000];
        let got = client.ask("POST", "/early", Sent::Length(&body));
        assert_eq!(got.brief(), (413, "too much"), "{pair}");
        // Streams beside it go on; connections of HTTP/1 may have been closed.
        if let Before::Two(client) = client {
            assert_eq!(client.post("/echo", "hello").text(), "hello", "{pair}");
        }
        assert_eq!(server.failures("downstream_gone"), 0, "{pair}");
    });
}

#[test]
fn an_answer_that_breaks_off_is_not_taken_for_whole() {
    with_all(|_, Between { before, server, .. }, pair| {
        for target in ["/broken", "/broken-pieces"] {
            let failures = || server.failures("upstream_truncated") + server.failures("upstream_io");
            let failed = failures();
            let got = Before::new(*before, server).ask("GET", target, Sent::Nothing);
            // A stream that is reset may be so before what was sent of it (RFC 9113 §5.4.2).
            let is_lost = matches!(before, Http2Plain | Http2OverTls) && got.status == 0;
            assert!(is_lost || got.status == 200, "{pair}: {target}: {got:?}");
            assert!(!got.is_whole && b"half".starts_with(&got.body), "{pair}: {target}: {got:?}");
            eventually("it is counted", || failures() == failed + 1);
        }
    });
}

#[test]
fn an_upstream_that_breaks_off_before_its_answer_is_a_bad_gateway() {
    with_all(|client, Between { upstream, server, .. }, pair| {
        let before = upstream.accepted();
        let got = client.ask("POST", "/nothing", Sent::Length(b"once"));
        assert_eq!(got.status, 502, "{pair}");
        assert_eq!(server.failures("upstream_closed"), server.failures("upstream_closed").max(1), "{pair}");
        assert_eq!(client.ask("POST", "/echo", Sent::Length(b"again")).brief(), (200, "again"), "{pair}");
        assert!(upstream.accepted() <= before + 2, "{pair}");
    });
}

#[test]
fn an_upstream_of_http2_has_one_connection_for_all() {
    for behind in [Http2Plain, Http2OverTls] {
        let upstream = Behind::new(behind);
        let builder =
            Server::builder().workers(1).at("/*path", Proxy::to(Group::from(upstream.url()).tls(trusting())));
        let server = Running::new(builder.bind("127.0.0.1:0").bind_tls("127.0.0.1:0", tls()));
        for before in ALL {
            let mut client = Before::new(before, &server);
            for _ in 0..5 {
                assert_eq!(client.ask("POST", "/echo", Sent::Length(b"hello")).brief(), (200, "hello"));
            }
        }
        assert_eq!((upstream.accepted(), server.stats().upstream_connects), (1, 1), "{behind:?}");
    }
}
