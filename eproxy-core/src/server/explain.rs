//! Telling what becomes of a request and why, without sending it: of one that is described, and of one that asks for it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::driver::Peer;
use crate::error::{Kind, Result};
use crate::handler::Word;
use crate::http1::{Lines, RequestFacts, parse_request};
use crate::message::target::{self, Form};
use crate::message::{Answer, Field, Limits, Timeouts};
use crate::proxy::{Bound, Head, Inquiry, Onward, Unit};
use crate::router::{self, Behind, Explained, Found, Route, RouteNumber, Sought, Table};

use super::asked::Asked;
use super::builder::Builder;
use super::desk::Desk;
use super::edition::Edition;
use super::explanation::{Explanation, Outcome};
use super::handle::Handle;
use super::open::{Opened, Opening, check_host, read_head, sought, take, unread};
use super::who::Who;

/// What requests meet.
struct Rules<'a> {
    routes: Routes<'a>,
    /// Requests that name where they are to go are passed on; nothing else is.
    forwards: bool,
    only_forwards: bool,
    limits: &'a Limits,
    timeouts: &'a Timeouts,
}

enum Routes<'a> {
    Built(&'a Table),
    Described(&'a [Route]),
}

/// A request, be it described or come.
struct Question<'a> {
    bytes: &'a [u8],
    fields: &'a [Field],
    head: &'a Head,
    client: Option<IpAddr>,
    /// It is for another host than the client has named in its TLS handshake.
    is_misdirected: bool,
}

impl Builder {
    /// Tells what would become of a request, and why, without a server being started. What is known of groups is what is
    /// known of them now: with no server running, nobody has found out how endpoints fare.
    ///
    /// ```
    /// use eproxy_core::{Asked, Proxy, Route, Server};
    ///
    /// let server = Server::builder().route(
    ///     Route::new("/api/*rest").host("*.example.com").any(Proxy::to("http://10.0.0.7:3000").strip_prefix("/api")),
    /// );
    /// let explanation = server.explain(&Asked::new("GET", "https://eu.example.com/api/users"))?;
    /// assert_eq!(explanation.onward.as_ref().map(|onward| onward.target.as_str()), Some("/users"));
    /// println!("{explanation}");
    /// # Ok::<(), eproxy_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The routes are wrong, as [`start`](Self::start) would tell it; or the request is no request: that error has the
    /// status with which a client would be refused.
    pub fn explain(&self, asked: &Asked) -> Result<Explanation> {
        let forwards = self.forward.is_some();
        let rules = Rules {
            routes: Routes::Described(&self.routes),
            forwards,
            only_forwards: forwards && self.routes.is_empty(),
            limits: &self.limits,
            timeouts: &self.timeouts,
        };
        rules.explain_asked(asked)
    }
}

impl Handle {
    /// Tells what would become of a request, and why: which routes are looked at and what speaks against each, which limits
    /// hold, and where it would be passed on to. Nothing is sent, and nothing is counted.
    ///
    /// ```no_run
    /// # fn told(server: &eproxy_core::Handle) -> eproxy_core::Result<()> {
    /// use eproxy_core::Asked;
    ///
    /// println!("{}", server.explain(&Asked::new("POST", "https://example.com/api/users"))?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The request is no request: the error has the status with which a client would be refused.
    pub fn explain(&self, asked: &Asked) -> Result<Explanation> {
        let Explains { table, limits, timeouts } = self.telling.explains();
        Rules::of(&table, &limits, &timeouts).explain_asked(asked)
    }
}

/// What a handle explains requests with.
#[derive(Clone, Debug)]
pub(super) struct Explains {
    pub(super) table: Arc<Table>,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
}

/// Answers a request that asks what becomes of it; the body is read and thrown away.
pub(super) fn answer(edition: &Edition, who: &Who, desk: &mut Desk, head: &Head) -> Opening {
    let client = match who.peer {
        Peer::Tcp(address) => Some(address.ip()),
        Peer::Unix => None,
    };
    let bytes = &desk.input.data()[..head.length];
    let rules = Rules::of(&edition.table, &edition.limits, edition.timeouts());
    let is_misdirected = check_host(who, head, bytes, &desk.fields).is_err();
    let question = Question { bytes, fields: &desk.fields, head, client, is_misdirected };
    let answer = match rules.explain(&question).map(|explanation| serde_json::to_vec_pretty(&explanation)) {
        Ok(Ok(json)) => {
            let mut answer = Answer::new(200).with_body(json);
            for (name, value) in [("Content-Type", "application/json"), ("Cache-Control", "no-store")] {
                let _valid = answer.headers_mut().insert(name, value);
            }
            answer
        }
        _ => Answer::plain(500),
    };
    desk.word = Some(Word::Answer(answer));
    let upload = unread(edition, &head.facts);
    desk.input.consume(head.length);
    Opening::Asked(Opened::new(take(&mut desk.kept), head, RouteNumber::NONE, upload))
}

/// Whether a request has a field of this name.
pub(super) fn asks(name: &str, bytes: &[u8], fields: &[Field]) -> bool {
    Lines { bytes, fields, end: None }.values(name).next().is_some()
}

/// Takes the fields of this name out of the head, as if they had never come; gives its new length.
pub(super) fn forget(name: &str, desk: &mut Desk, length: usize) -> usize {
    let Desk { input, fields, .. } = desk;
    let bytes = input.data();
    let mut kept = Vec::with_capacity(bytes.len());
    let mut from = 0;
    let starts: Vec<usize> = fields.iter().map(|field| field.name.start as usize).collect();
    for (number, field) in fields.iter().enumerate() {
        if field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes()) {
            kept.extend_from_slice(&bytes[from..starts[number]]);
            // A line ends where the next one begins, or in front of the empty one.
            from = starts.get(number + 1).copied().unwrap_or(length - 2);
        }
    }
    let removed = from - kept.len();
    kept.extend_from_slice(&bytes[from..]);
    input.clear();
    input.space(kept.len())[..kept.len()].copy_from_slice(&kept);
    input.filled(kept.len());
    fields.clear();
    // It was parsed before, and has only lost lines.
    let _parsed = parse_request(input.data(), fields, usize::MAX, usize::MAX);
    length - removed
}

fn refused(kind: Kind) -> Outcome {
    Outcome::Server { status: kind.row().status, allow: None }
}

impl<'a> Rules<'a> {
    fn of(table: &'a Table, limits: &'a Limits, timeouts: &'a Timeouts) -> Self {
        let (forwards, only_forwards) = (table.forward().is_some(), table.only_forwards());
        Self { routes: Routes::Built(table), forwards, only_forwards, limits, timeouts }
    }

    fn explain_asked(&self, asked: &Asked) -> Result<Explanation> {
        let head = asked.head(self.limits)?;
        let facts = RequestFacts::read(&head.bytes, &head.line, &head.fields)?;
        let form = Form::parse(head.line.method.of(&head.bytes), head.line.target.of(&head.bytes))?;
        let read = read_head(&head.bytes, head.bytes.len(), head.line, facts, &form);
        self.explain(&Question {
            bytes: &head.bytes,
            fields: &head.fields,
            head: &read,
            client: asked.client,
            is_misdirected: false,
        })
    }

    /// # Errors
    ///
    /// The routes are wrong.
    fn explain(&self, question: &Question<'_>) -> Result<Explanation> {
        let Question { bytes, fields, head, .. } = *question;
        let path = target::canonical(head.path.of(bytes));
        let sought = sought(bytes, fields, head, &path);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut told = Explanation {
            method: text(sought.method),
            host: sought.host().map(text),
            target: text(head.line.target.of(bytes)),
            path: path.clone().into_owned(),
            outcome: Outcome::Forward,
            route: None,
            candidates: Vec::new(),
            left_out: 0,
            bounds: Vec::new(),
            onward: None,
        };
        let mut body = self.limits.body;
        if self.forwards && head.authority.is_some() {
            body = u64::MAX;
        } else if self.only_forwards {
            told.outcome = refused(Kind::NotForward);
        } else if question.is_misdirected {
            told.outcome = refused(Kind::Misdirected);
        } else {
            let inquiry = Inquiry {
                path: head.path.of(bytes),
                query: sought.query,
                host: sought.host().filter(|host| !host.is_empty()),
                lines: sought.lines,
                client: question.client,
            };
            body = self.route(&mut told, &sought, &inquiry)?;
        }
        told.bounds = self.bounds(body);
        Ok(told)
    }

    /// Fills in what the router has to say; gives the limit of the body.
    fn route(&self, told: &mut Explanation, sought: &Sought<'_>, inquiry: &Inquiry<'_>) -> Result<u64> {
        let Explained { candidates, left_out, found } = match &self.routes {
            Routes::Built(table) => table.explain(sought),
            Routes::Described(routes) => router::explain(routes, sought)?,
        };
        (told.candidates, told.left_out) = (candidates, left_out);
        let (route, behind) = match found {
            Found::Route(route, behind) => (route, behind),
            Found::NoMethod { status, allow } => {
                told.outcome = Outcome::Server { status, allow: Some(allow) };
                return Ok(self.limits.body);
            }
            Found::Nothing => {
                told.outcome = Outcome::Server { status: 404, allow: None };
                return Ok(self.limits.body);
            }
        };
        let own = route.body_limit;
        told.route = Some(*route);
        let (onward, body): (Option<Onward>, Option<u64>) = match behind {
            Behind::Handler => (None, Some(self.limits.body)),
            Behind::Reverse(reverse) => (Some(reverse.explain(inquiry)), reverse.body_limit),
            Behind::Proxy(proxy) => (Some(proxy.explain(inquiry)), proxy.body_limit),
        };
        told.outcome = if onward.is_some() { Outcome::Proxy } else { Outcome::Handler };
        told.onward = onward;
        Ok(own.or(body).unwrap_or(u64::MAX))
    }

    fn bounds(&self, body: u64) -> Vec<Bound> {
        let Limits { head, target, headers, .. } = *self.limits;
        let timeouts = self.timeouts;
        vec![
            Bound::bytes("body", body),
            Bound::bytes("head", head as u64),
            Bound::bytes("target", target as u64),
            Bound::count("headers", headers as u64),
            Bound::time("head_timeout", timeouts.head),
            Bound::time("body_idle", timeouts.body_idle),
            Bound::time("write_idle", timeouts.write_idle),
            Bound {
                value: Some(timeouts.body_rate),
                unit: Unit::BytesPerSecond,
                ..Bound::count("body_rate", 0)
            },
            Bound::time("keep_alive", timeouts.keep_alive),
            Bound::time("tunnel_idle", timeouts.tunnel_idle),
        ]
    }
}
