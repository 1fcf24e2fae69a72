//! Spans of exchanges and attempts, on their way off the cores to whoever exports them.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use async_std::channel::{Receiver, Sender};

use crate::driver::Peer;
use crate::message::Known;

use super::metrics::Losses;
use super::story::{AttemptEnd, AttemptSpan, Story};
use super::trace::Trace;
use super::watch::Ended;

/// A span that is over.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace: [u8; 16],
    pub(crate) id: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) side: SpanSide,
    pub(crate) name: String,
    /// In nanoseconds since 1970.
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) attributes: Attributes,
    pub(crate) has_failed: bool,
}

/// Which side of a message a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpanSide {
    /// What was asked of this server.
    Server,
    /// What this server has asked.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Cow<'static, str>),
    Number(i64),
    Flag(bool),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

/// The spans of an exchange that wait together.
pub(crate) type Spans = Vec<Span>;

/// What whoever exports spans is told.
#[derive(Debug)]
pub(crate) enum SpanNews {
    Spans(Spans),
    /// Somebody waits until all that came before is gone; this is dropped then.
    Flush(Sender<Infallible>),
}

/// The way to whoever exports spans.
#[derive(Clone, Debug)]
pub(crate) struct SpanQueue {
    to: Sender<SpanNews>,
    losses: Arc<Losses>,
}

/// Exchanges whose spans may wait; those of further ones are dropped and counted.
const WAITING: usize = 2048;

impl SpanQueue {
    pub(crate) fn new(losses: &Arc<Losses>) -> (Self, Receiver<SpanNews>) {
        let (to, from) = async_std::channel::bounded(WAITING);
        (Self { to, losses: losses.clone() }, from)
    }

    pub(super) fn put(&self, spans: Spans) {
        let count = spans.len() as u64;
        if self.to.try_send(SpanNews::Spans(spans)).is_err() {
            self.losses.add_spans(count);
        }
    }

    /// Has `told` be dropped when all that came before is gone.
    pub(crate) async fn flush(&self, told: Sender<Infallible>) {
        // Whoever exports ends with the last queue, and this is one.
        let _there = self.to.send(SpanNews::Flush(told)).await;
    }
}

type Attributes = Vec<(&'static str, Value)>;

/// The spans of an exchange that is over, by the semantic conventions of OpenTelemetry for HTTP.
pub(super) fn of(story: &Story, trace: &Trace, ended: &Ended<'_>) -> Spans {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (scheme, port) = if story.tls.is_some() { ("https", 443) } else { ("http", 80) };
    let mut attributes: Attributes =
        vec![("url.scheme", scheme.into()), ("network.protocol.version", story.version().into())];
    let method = push_method(&mut attributes, story.line.method.of(&story.head));
    let target = story.line.target.of(&story.head);
    if target.starts_with(b"/") {
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        attributes.push(("url.path", text(path).into()));
    }
    if let Some(host) = story.fields.iter().find(|field| field.known == Known::Host) {
        push_server(&mut attributes, &text(host.value.of(&story.head)), Some(port));
    }
    if let Peer::Tcp(address) = story.peer {
        attributes.push(("client.address", address.ip().to_canonical().to_string().into()));
    }
    if let Some(agent) = story.field("user-agent") {
        attributes.push(("user_agent.original", text(agent).into()));
    }
    if !ended.route.is_empty() {
        attributes.push(("http.route", ended.route.to_owned().into()));
    }
    if !story.id.is_empty() {
        attributes.push(("eproxy.request_id", text(&story.id).into()));
    }
    if ended.status > 0 {
        attributes.push(("http.response.status_code", Value::Number(i64::from(ended.status))));
    }
    // A client's own fault is none of the server's.
    let has_failed = ended.status >= 500 || ended.status == 0;
    let failure = ended.failure.map(|failure| failure.row().name);
    push_error(&mut attributes, failure, has_failed.then_some(ended.status));
    let name = if ended.route.is_empty() { method.to_owned() } else { format!("{method} {}", ended.route) };
    let exchange = Span {
        trace: trace.trace,
        id: trace.span,
        parent: trace.parent,
        side: SpanSide::Server,
        name,
        began: story.began_unix,
        ended: story.began_unix + ended.duration,
        attributes,
        has_failed,
    };
    let asked = story.line.method.of(&story.head);
    let attempt = |(number, attempt): (usize, &AttemptSpan)| attempt_span(number, attempt, asked, &exchange);
    let mut spans: Spans = story.spans.iter().enumerate().map(attempt).collect();
    spans.push(exchange);
    spans
}

fn attempt_span(number: usize, attempt: &AttemptSpan, method: &[u8], exchange: &Span) -> Span {
    let mut attributes = Attributes::new();
    let name = push_method(&mut attributes, method);
    push_server(&mut attributes, &attempt.endpoint, None);
    if !attempt.group.is_empty() {
        attributes.push(("eproxy.group", attempt.group.clone().into()));
    }
    if number > 0 {
        attributes.push(("http.request.resend_count", Value::Number(number as i64)));
    }
    let (status, failure) = match attempt.end {
        Some(AttemptEnd::Answered(status)) => (Some(status), None),
        Some(AttemptEnd::Failed(kind)) => (None, Some(kind.row().name)),
        Some(AttemptEnd::Cancelled | AttemptEnd::Unsent) => (None, None),
        None => (None, Some("given_up")),
    };
    if attempt.end == Some(AttemptEnd::Cancelled) {
        attributes.push(("eproxy.cancelled", Value::Flag(true)));
    }
    if let Some(status) = status {
        attributes.push(("http.response.status_code", Value::Number(i64::from(status))));
    }
    // To whoever has asked, a 4xx is an error as well.
    let bad = status.filter(|status| *status >= 400);
    push_error(&mut attributes, failure, bad);
    Span {
        trace: exchange.trace,
        id: attempt.id,
        parent: Some(exchange.id),
        side: SpanSide::Client,
        name: name.to_owned(),
        began: exchange.began + attempt.began,
        ended: attempt.ended.map_or(exchange.ended, |ended| exchange.began + ended),
        attributes,
        has_failed: failure.is_some() || bad.is_some(),
    }
}

/// Adds the method of a request; gives what spans are called by: methods that are known, so that no client can have names
/// be made up.
fn push_method(attributes: &mut Attributes, method: &[u8]) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    if let Some(known) = KNOWN.into_iter().find(|known| known.as_bytes() == method) {
        attributes.push(("http.request.method", known.into()));
        return known;
    }
    attributes.push(("http.request.method", "_OTHER".into()));
    if !method.is_empty() {
        attributes
            .push(("http.request.method_original", String::from_utf8_lossy(method).into_owned().into()));
    }
    "HTTP"
}

/// Adds a host and its port, or a path that begins with `unix:`.
fn push_server(attributes: &mut Attributes, authority: &str, default_port: Option<i64>) {
    let (host, port) = match authority.rsplit_once(':') {
        _ if authority.starts_with("unix:") => (&authority["unix:".len()..], None),
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok().or(default_port)),
        _ => (authority, default_port),
    };
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    attributes.push(("server.address", literal.unwrap_or(host).to_owned().into()));
    if let Some(port) = port {
        attributes.push(("server.port", Value::Number(port)));
    }
}

/// Adds what went wrong: what failed, or else the status that says so, 0 where there was none.
fn push_error(attributes: &mut Attributes, failure: Option<&'static str>, status: Option<u16>) {
    let error: Value = match (failure, status) {
        (Some(failure), _) => failure.into(),
        (None, Some(0)) => "_OTHER".into(),
        (None, Some(status)) => status.to_string().into(),
        (None, None) => return,
    };
    attributes.push(("error.type", error));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        let server = |authority, port| {
            let mut attributes = Attributes::new();
            push_server(&mut attributes, authority, port);
            attributes
        };
        for (authority, default, host, port) in [
            ("a.test", Some(80), "a.test", Some(80)),
            ("a.test:", Some(443), "a.test", Some(443)),
            ("a.test:8080", Some(80), "a.test", Some(8080)),
            ("[::1]", Some(80), "::1", Some(80)),
            ("[::1]:3000", None, "::1", Some(3000)),
            ("10.0.0.7:3000", None, "10.0.0.7", Some(3000)),
            ("unix:/run/a:1", None, "/run/a:1", None),
        ] {
            let mut expected: Attributes = vec![("server.address", host.into())];
            expected.extend(port.map(|port| ("server.port", Value::Number(port))));
            assert_eq!(server(authority, default), expected, "{authority}");
        }
    }
}
