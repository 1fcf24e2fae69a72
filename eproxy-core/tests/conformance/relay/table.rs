//! Tables of requests and answers, and the proxies that they go through.
//!
//! Each table is gone through twice. A proxy that keeps connections sends what it can at once over one of them, and gives
//! the answer back without a task; one that keeps none makes a connection for every request, in a task. Both ways have to
//! keep to the same rules.

use std::sync::{Arc, Mutex};

use eproxy_core::{Proxy, UpstreamOptions};

use crate::support::wire::Reply;
use crate::support::{Connection, Running, eventually};
use crate::table::bytes;

use super::seen::{Seen, one_line};
use super::upstream::{Upstream, echo, serve, upstream};

/// What comes of a request.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    /// The upstream saw this ([`Seen::text`]) and nothing else, and its answer came back; the connection is kept and in
    /// step.
    Passed(String),
    /// The same, and the connection ends.
    PassedLast(String),
    /// The proxy answered by itself with this status, counted under this name if there is one, and keeps the connection; the
    /// upstream was sent no byte.
    Answered(u16, &'static str),
    /// Refused with this status and counted under this name; the connection ends; the upstream was sent no byte.
    Refused(u16, &'static str),
    /// The same, but of a request that may have been passed on when it went wrong: the upstream never sees the end of it,
    /// nor anything behind it.
    Broken(u16, &'static str),
}

/// What the upstream says to a request for [`TOLD`].
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// This, and the connection stays open.
    Stays(Vec<u8>),
    /// This, and nothing more.
    Closes(Vec<u8>),
}

/// What the client gets to see of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Got {
    /// This ([`text`]); both connections go on.
    Passed(String),
    /// The same, but the upstream's connection is not used again.
    PassedOnce(String),
    /// Instead of it an answer of the proxy's own, with this status, and counted under this name; the client's connection
    /// goes on.
    Instead(u16, &'static str),
    /// The beginning of an answer with this status, and no end of it that could be taken for one; counted under this name.
    Broken(u16, &'static str),
}

/// A proxy with its upstream.
pub(crate) struct Relay {
    // Dropped first: an upstream outlives those that use it.
    pub(crate) server: Running,
    pub(crate) upstream: Upstream,
    told: Arc<Mutex<Told>>,
    /// It keeps connections to its upstream.
    keeps: bool,
}

/// The target that the upstream has an answer of its own for.
pub(crate) const TOLD: &str = "GET /told HTTP/1.1\r\nHost: test\r\n\r\n";

const NEXT: &str = "GET /next HTTP/1.1\r\nHost: test\r\n\r\n";
const NEXT_SEEN: &str = "GET /next [Host: test] ";

/// Goes through a table of requests; behind each is another on the same connection.
pub(crate) fn check(cases: &[(&str, Vec<u8>, Want)]) {
    each(|relay| relay.check(cases));
}

/// Goes through a table of answers to a GET.
pub(crate) fn tell(cases: &[(&str, Told, Got)]) {
    each(|relay| relay.tell(cases));
}

/// Does something with proxies of both ways of working.
pub(crate) fn each(with: impl Fn(&Relay)) {
    each_with(|proxy| proxy, with);
}

/// The same with a change of the proxies.
pub(crate) fn each_with(change: impl Fn(Proxy) -> Proxy, with: impl Fn(&Relay)) {
    for keeps in [true, false] {
        with(&Relay::with(keeps, &change));
    }
}

impl Relay {
    /// Starts a proxy that keeps connections to its upstream, or none that does.
    pub(crate) fn start(keeps: bool) -> Self {
        Self::with(keeps, |proxy| proxy)
    }

    /// The same with a change of the proxy.
    pub(crate) fn with(keeps: bool, change: impl FnOnce(Proxy) -> Proxy) -> Self {
        let told = Arc::new(Mutex::new(Told::Closes(Vec::new())));
        let script = told.clone();
        let upstream = upstream(move |peer| {
            while let Some(seen) = peer.next().filter(|seen| seen.is_whole) {
                if !seen.target.starts_with("/told") {
                    peer.say(echo(&seen));
                    continue;
                }
                let told = script.lock().expect("nobody panics while holding this").clone();
                // The proxy may end the connection before it has heard everything.
                let (Told::Stays(answer) | Told::Closes(answer)) = &told;
                let _gone = peer.try_say(answer);
                if let Told::Closes(_) = told {
                    return;
                }
            }
        });
        let pool_size = if keeps { 8 } else { 0 };
        let proxy = Proxy::to(upstream.url())
            .upstream_options(UpstreamOptions { pool_size, ..UpstreamOptions::default() });
        let server = serve(change(proxy));
        let relay = Self { server, upstream, told, keeps };
        relay.probe();
        relay
    }

    /// Sets what the upstream says to [`TOLD`].
    pub(crate) fn says(&self, told: &Told) {
        *self.told.lock().expect("nobody panics while holding this") = told.clone();
    }

    pub(crate) fn check(&self, cases: &[(&str, Vec<u8>, Want)]) {
        for (name, request, want) in cases {
            let name = &format!("{name}, connections kept: {}", self.keeps);
            match want {
                Want::Passed(text) => self.passes(name, request, text, false),
                Want::PassedLast(text) => self.passes(name, request, text, true),
                Want::Answered(status, failure) => self.answers(name, request, *status, failure),
                Want::Refused(status, failure) => self.refuses(name, request, *status, failure),
                Want::Broken(status, failure) => self.breaks(name, request, *status, failure),
            }
        }
    }

    fn passes(&self, name: &str, request: &[u8], text: &str, is_last: bool) {
        let (before, counted) = (self.upstream.count(), self.counted(""));
        let mut client = self.asking(request);
        let reply = reply_to(&mut client, request);
        assert_eq!((reply.status, reply.says_close()), (200, is_last), "{name}: {reply:?}");
        match is_last {
            true => client.is_closed(),
            false => assert_eq!(client.reply().text(), "/next", "{name}: the request behind it"),
        }
        let texts = self.upstream.texts_from(before);
        let expected = [text, NEXT_SEEN];
        assert_eq!(texts, expected[..if is_last { 1 } else { 2 }], "{name}");
        assert_eq!(self.counted(""), counted, "{name}: failures");
    }

    fn answers(&self, name: &str, request: &[u8], status: u16, failure: &str) {
        let (bytes, counted) = (self.upstream.bytes(), self.counted(failure));
        let mut client = self.asking(request);
        let reply = reply_to(&mut client, request);
        assert_eq!((reply.status, reply.says_close()), (status, false), "{name}: {reply:?}");
        assert_eq!(client.reply().text(), "/next", "{name}: the request behind it");
        let next = self.upstream.last();
        assert_eq!(next.text(), NEXT_SEEN, "{name}");
        assert_eq!(
            self.upstream.bytes(),
            bytes + next.head.len(),
            "{name}: bytes that the upstream was sent"
        );
        match failure {
            "" => assert_eq!(self.counted(failure), counted, "{name}: failures"),
            failure => self.has_counted(name, failure, counted),
        }
    }

    fn refuses(&self, name: &str, request: &[u8], status: u16, failure: &str) {
        let (bytes, counted) = (self.upstream.bytes(), self.counted(failure));
        let connects = self.server.stats().upstream_connects;
        let mut client = self.asking(request);
        let reply = reply_to(&mut client, request);
        assert_eq!((reply.status, reply.says_close()), (status, true), "{name}: {reply:?}");
        client.is_closed();
        drop(client);
        self.has_counted(name, failure, counted);
        // What comes next over the same connection shows that nothing came before it.
        let probe = self.probe();
        assert_eq!(
            self.upstream.bytes(),
            bytes + probe.head.len(),
            "{name}: bytes that the upstream was sent"
        );
        let connects = self.server.stats().upstream_connects - connects;
        assert_eq!(connects, u64::from(!self.keeps), "{name}: connections to the upstream");
    }

    fn breaks(&self, name: &str, request: &[u8], status: u16, failure: &str) {
        let (whole, nexts, counted) = (self.whole(), self.nexts(), self.counted(failure));
        let mut client = self.asking(request);
        let reply = reply_to(&mut client, request);
        assert_eq!((reply.status, reply.says_close()), (status, true), "{name}: {reply:?}");
        client.is_closed();
        self.has_counted(name, failure, counted);
        eventually("the upstream's connection ends", || self.upstream.open() == 0);
        assert_eq!(self.whole(), whole, "{name}: requests that the upstream saw the end of");
        assert_eq!(self.nexts(), nexts, "{name}: the request behind it was passed on");
        self.probe();
    }

    /// Sends a request, with another behind it.
    fn asking(&self, request: &[u8]) -> Connection {
        let mut client = self.server.connect();
        let _cut = client.try_send([request, NEXT.as_bytes()].concat());
        client
    }

    fn tell(&self, cases: &[(&str, Told, Got)]) {
        for (name, told, got) in cases {
            self.tell_to(name, TOLD.as_bytes(), told, got);
        }
    }

    /// Has the upstream answer this request, which must be for `/told`.
    pub(crate) fn tell_to(&self, name: &str, request: &[u8], told: &Told, got: &Got) {
        let name = &format!("{name}, connections kept: {}", self.keeps);
        self.says(told);
        let failure = match got {
            Got::Passed(_) | Got::PassedOnce(_) => "",
            Got::Instead(_, failure) | Got::Broken(_, failure) => failure,
        };
        let counted = self.counted(failure);
        let mut client = self.server.connect();
        client.send(request);
        let reply = match request.starts_with(b"HEAD ") {
            true => client.next(true),
            false => client.next(false),
        };
        let reply = reply.unwrap_or_else(|| panic!("{name}: no answer at all"));
        let is_used_again = match got {
            Got::Passed(expected) | Got::PassedOnce(expected) => {
                assert!(reply.is_whole, "{name}: {reply:?}");
                assert_eq!(text(&reply), *expected, "{name}");
                assert_eq!(self.counted(failure), counted, "{name}: failures");
                matches!(got, Got::Passed(_)) && self.keeps
            }
            Got::Instead(status, _) => {
                assert_eq!((reply.status, reply.is_whole), (*status, true), "{name}: {reply:?}");
                assert!(reply.header("proxy-status").is_some(), "{name}: {reply:?}");
                self.has_counted(name, failure, counted);
                false
            }
            Got::Broken(status, _) => {
                assert_eq!((reply.status, reply.is_whole), (*status, false), "{name}: {reply:?}");
                self.has_counted(name, failure, counted);
                eventually("the upstream's connection ends", || self.upstream.open() == 0);
                self.probe();
                return;
            }
        };
        let before = self.upstream.count();
        if !reply.says_close() {
            assert_eq!(client.ask(NEXT).text(), "/next", "{name}: the answer behind it");
            let seen = self.upstream.seen();
            let (told, next) = (&seen[before - 1], &seen[before]);
            assert_eq!(told.connection == next.connection, is_used_again, "{name}: used again");
        } else {
            client.is_closed();
        }
    }

    /// How many failures were counted, and how many of this name.
    fn counted(&self, failure: &str) -> (u64, u64) {
        let stats = self.server.stats();
        (stats.failures().map(|(_, count)| count).sum(), stats.failure(failure))
    }

    /// Asserts that a failure was counted since, and no other.
    fn has_counted(&self, name: &str, failure: &str, (all, named): (u64, u64)) {
        let counts: Vec<_> = self.server.stats().failures().filter(|(_, count)| *count > 0).collect();
        assert_eq!(self.counted(failure), (all + 1, named + 1), "{name}: {failure} among {counts:?}");
    }

    /// Requests that the upstream saw the end of.
    fn whole(&self) -> usize {
        self.upstream.seen().iter().filter(|seen| seen.is_whole).count()
    }

    /// How often the bytes that the upstream was sent hold the target of [`NEXT`].
    fn nexts(&self) -> usize {
        let count = |bytes: Vec<u8>| bytes.windows(5).filter(|window| *window == b"/next").count();
        (0..self.upstream.accepted()).map(|connection| count(self.upstream.heard(connection))).sum()
    }

    /// Sends a good request on a connection of its own, and gives back what the upstream saw of it.
    pub(crate) fn probe(&self) -> Seen {
        let reply = self.server.ask("GET /probe HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(reply.text(), "/probe");
        let last = self.upstream.last();
        assert_eq!(last.target, "/probe");
        last
    }
}

fn reply_to(client: &mut Connection, request: &[u8]) -> Reply {
    match request.starts_with(b"HEAD ") {
        true => client.reply_to_head(),
        false => client.reply(),
    }
}

/// An answer in one line: `STATUS REASON [Name: value|Name: value] BODY {Trailer: value}`, without its Date.
pub(crate) fn text(reply: &Reply) -> String {
    let fields = reply.headers.iter().filter(|(name, _)| name != "Date");
    one_line(&format!("{} {}", reply.status, reply.reason), fields, &reply.body, &reply.trailers)
}

pub(crate) fn passed(text: impl Into<String>) -> Want {
    Want::Passed(text.into())
}

/// Each character up to U+00FF stands for its byte.
pub(crate) fn stays(answer: &str) -> Told {
    Told::Stays(bytes(answer))
}

pub(crate) fn closes(answer: &str) -> Told {
    Told::Closes(bytes(answer))
}

/// The answer, passed on.
pub(crate) fn got(text: impl Into<String>) -> Got {
    Got::Passed(text.into())
}

/// Instead of what no answer is.
pub(crate) const BAD_ANSWER: Got = Got::Instead(502, "bad_answer");

/// Starts a proxy in front of an upstream with a script of its own.
pub(crate) fn server(upstream: &Upstream) -> Running {
    serve(Proxy::to(upstream.url()))
}
