//! What is kept of an exchange for identifiers, logs and traces, from its head to its end.
//!
//! A story is made only where one of these is on. It is lent from a core's stock and given back, so that it costs no
//! allocation; until its end nothing of it is put into words.

use std::rc::Rc;

use crate::driver::Peer;
use crate::error::Kind;
use crate::message::{Field, Headers, RequestLine, Version};

use super::access_log::LogRules;
use super::dice::Dice;
use super::request_id::IdRules;
use super::trace::{Trace, TraceRules};

/// What stories are made by; the same for all of a core.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) dice: Dice,
    pub(super) ids: Option<IdRules>,
    pub(super) log: Option<LogRules>,
    pub(super) traces: Option<TraceRules>,
}

/// What is kept of an exchange.
#[derive(Debug)]
pub(crate) struct Story {
    pub(super) rules: Rc<Rules>,
    pub(super) peer: Peer,
    pub(super) tls: Option<&'static str>,
    /// The head of the request, where somebody will want to know what it said; it may have been none.
    pub(super) head: Vec<u8>,
    pub(super) fields: Vec<Field>,
    pub(super) line: RequestLine,
    /// The identifier; empty for none.
    pub(super) id: Vec<u8>,
    pub(super) trace: Option<Trace>,
    /// The span that the upstream is told of, of the attempt that was begun last.
    pub(super) attempt_span: [u8; 8],
    /// When it began: nanoseconds of the core's time, and since 1970.
    pub(super) began: u64,
    pub(super) began_unix: u64,
    /// Whom it was sent to, the last time.
    pub(super) group: String,
    pub(super) endpoint: String,
    pub(super) attempts: u32,
    /// How long after its beginning the head of the answer came.
    pub(super) head_after: Option<u64>,
    /// What is to be told of each attempt, where the trace is kept.
    pub(super) spans: Vec<AttemptSpan>,
}

/// An attempt, as traces tell it.
#[derive(Debug)]
pub(super) struct AttemptSpan {
    pub(super) id: [u8; 8],
    pub(super) endpoint: String,
    pub(super) group: String,
    /// In nanoseconds after the beginning of the exchange.
    pub(super) began: u64,
    pub(super) ended: Option<u64>,
    /// None where the exchange ended before it.
    pub(super) end: Option<AttemptEnd>,
}

/// How an attempt has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptEnd {
    /// The head of an answer has come.
    Answered(u16),
    Failed(Kind),
    /// Another endpoint, which was asked as well, has ended it: this one's answer is not waited for.
    Cancelled,
    /// A hook has answered before anything was sent.
    Unsent,
}

impl Story {
    pub(super) fn new(rules: &Rc<Rules>) -> Box<Self> {
        Box::new(Self {
            rules: rules.clone(),
            peer: Peer::Unix,
            tls: None,
            head: Vec::new(),
            fields: Vec::new(),
            line: RequestLine::default(),
            id: Vec::new(),
            trace: None,
            attempt_span: [0; 8],
            began: 0,
            began_unix: 0,
            group: String::new(),
            endpoint: String::new(),
            attempts: 0,
            head_after: None,
            spans: Vec::new(),
        })
    }

    /// Forgets everything; says whether it is worth being kept.
    pub(super) fn clear(&mut self) -> bool {
        /// Bytes of a head; what is larger is not kept allocated.
        const MOST: usize = 16 * 1024;
        self.head.clear();
        self.fields.clear();
        self.id.clear();
        self.group.clear();
        self.endpoint.clear();
        self.spans.clear();
        (self.line, self.trace, self.tls) = (RequestLine::default(), None, None);
        (self.attempts, self.head_after) = (0, None);
        self.head.capacity() <= MOST
    }

    /// The value of the first field of a name.
    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// The values of all fields of a name, in their order.
    pub(super) fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.head, &self.fields, name)
    }

    /// What the client speaks.
    pub(super) fn version(&self) -> &'static str {
        match self.line.version {
            Version::Http10 => "1.0",
            Version::Http11 => "1.1",
            Version::Http2 => "2",
        }
    }

    /// Whether a field of the request is one that upstreams are told of anew, if at all.
    pub(crate) fn owns_of_request(&self, name: &[u8]) -> bool {
        let is_id = || self.rules.ids.as_ref().is_some_and(|ids| ids.is_field(name));
        match (name.len(), &self.trace) {
            (11, Some(_)) if name.eq_ignore_ascii_case(b"traceparent") => true,
            (10, Some(trace)) if name.eq_ignore_ascii_case(b"tracestate") => !trace.keeps_state,
            _ => is_id(),
        }
    }

    /// Appends what an upstream is told in fields, but for those that `is_decided` says somebody else has a word on.
    pub(crate) fn encode_for_upstream(&self, out: &mut Vec<u8>, is_decided: impl Fn(&[u8]) -> bool) {
        self.encode_id(out, &is_decided);
        if let Some(trace) = self.trace.as_ref().filter(|_| !is_decided(b"traceparent")) {
            out.extend_from_slice(b"traceparent: ");
            trace.push_parent(out, &self.attempt_span);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Whether a field of an answer is one that the client is told of anew.
    pub(crate) fn owns_of_answer(&self, name: &[u8]) -> bool {
        self.rules.ids.as_ref().is_some_and(|ids| ids.is_field(name))
    }

    /// Appends the field that tells the identifier, if there is one, unless `is_decided` says that somebody else has a word
    /// on it.
    pub(crate) fn encode_id(&self, out: &mut Vec<u8>, is_decided: impl Fn(&[u8]) -> bool) {
        let ids = self.rules.ids.as_ref().filter(|_| !self.id.is_empty());
        if let Some(ids) = ids.filter(|ids| !is_decided(ids.name.as_bytes())) {
            out.extend_from_slice(&ids.line);
            out.extend_from_slice(&self.id);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Appends the identifier to a head that is whole, unless it is there.
    pub(crate) fn add_id(&self, head: &mut Vec<u8>, headers: &Headers) {
        let is_there = |name: &str| headers.get(name).is_some();
        if self.rules.ids.as_ref().is_some_and(|ids| !is_there(&ids.name)) && head.ends_with(b"\r\n\r\n") {
            head.truncate(head.len() - 2);
            self.encode_id(head, |_| false);
            head.extend_from_slice(b"\r\n");
        }
    }

    /// Tells a handler, or hooks, the identifier as a field of the request.
    pub(crate) fn tell(&self, headers: &mut Headers) {
        if let Some(ids) = self.rules.ids.as_ref().filter(|_| !self.id.is_empty()) {
            // Visible characters make a valid value.
            let _valid = headers.insert(&ids.name, &self.id[..]);
        }
    }

    /// An attempt is begun with an endpoint, at that time of the core's.
    pub(crate) fn begin_attempt(&mut self, group: &str, endpoint: &str, now: u64) {
        self.attempts += 1;
        self.head_after = None;
        self.group.clear();
        self.group.push_str(group);
        self.endpoint.clear();
        self.endpoint.push_str(endpoint);
        let Some(trace) = &self.trace else { return };
        self.attempt_span = self.rules.dice.throw_one().to_be_bytes();
        if trace.is_sampled {
            self.spans.push(AttemptSpan {
                id: self.attempt_span,
                endpoint: endpoint.into(),
                group: group.into(),
                began: now - self.began,
                ended: None,
                end: None,
            });
        }
    }

    /// An attempt with an endpoint has ended. What was not sent is not told of.
    pub(crate) fn end_attempt(&mut self, endpoint: &str, now: u64, end: AttemptEnd) {
        let after = now - self.began;
        if matches!(end, AttemptEnd::Answered(_)) {
            self.head_after = Some(after);
            if self.endpoint != endpoint {
                // Of two that were asked it was the other.
                self.endpoint.clear();
                self.endpoint.push_str(endpoint);
            }
        }
        let is_it = |span: &AttemptSpan| span.end.is_none() && span.endpoint == endpoint;
        match self.spans.iter().rposition(is_it) {
            Some(at) if end == AttemptEnd::Unsent => drop(self.spans.remove(at)),
            Some(at) => (self.spans[at].ended, self.spans[at].end) = (Some(after), Some(end)),
            None => {}
        }
    }

    /// The attempt that decides has ended: what was asked beside it is not waited for any more.
    pub(crate) fn cancel_attempts(&mut self, now: u64) {
        let after = now - self.began;
        for span in self.spans.iter_mut().filter(|span| span.end.is_none()) {
            (span.ended, span.end) = (Some(after), Some(AttemptEnd::Cancelled));
        }
    }
}

/// The values of the fields of a name, in their order.
pub(super) fn values<'a>(head: &'a [u8], fields: &'a [Field], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let is_it = move |field: &&Field| field.name.of(head).eq_ignore_ascii_case(name.as_bytes());
    fields.iter().filter(is_it).map(|field| field.value.of(head))
}
