//! An exchange that hooks look at: what they have made of it, and the moments at which they are called.
//!
//! ```text
//!   on_request ──▶ (on_upstream_request ──▶ an attempt)* ──▶ on_response ──▶ the body ──▶ on_done
//! ```

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::error::{Error, Kind};
use crate::handler::Request;
use crate::http1::{self, Lines};
use crate::message::target::is_authority;
use crate::message::{Answer, Headers, Known, hop};
use crate::telemetry::Attempt;

use super::attempt::{Failure, Reached, Reply};
use super::filter::Filters;
use super::hooks::Flow;
use super::relay::{Outcome, Relay, Rest};
use super::reverse::{Reverse, refuse};
use super::view::{Done, ProxyRequest, ProxyResponse, State, UpstreamRequest};

/// What hooks have made of an exchange.
#[derive(Debug)]
pub(crate) struct Hooked {
    pub(super) request: Request,
    pub(super) new_target: Option<String>,
    pub(super) request_filters: Filters,
    /// The request as one endpoint gets it.
    pub(super) upstream_headers: Headers,
    /// The answer.
    pub(super) answer_status: u16,
    pub(super) answer_headers: Headers,
    pub(super) answer_filters: Filters,
    pub(super) state: State,
    pub(super) record: Record,
    /// `on_request` was called, and so was `on_response`: an exchange that is given a task does not begin anew.
    saw_request: bool,
    saw_response: bool,
    began: Instant,
}

/// What is kept of an exchange.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) status: Option<u16>,
    pub(super) failure: Option<Kind>,
    pub(super) upstream: Option<Arc<str>>,
    pub(super) attempts: u32,
    pub(super) tries: SmallVec<[Attempt; 1]>,
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
    pub(super) duration: Duration,
}

impl Hooked {
    /// Begins; hooks are shown nothing of the request that concerns its connection only, and nothing that a client which
    /// is not trusted says of where it comes from.
    pub(crate) fn new(mut request: Request, is_trusted: bool, now: Instant) -> Box<Self> {
        let asked_for = request.is_absolute().then(|| request.host().unwrap_or_default().to_owned());
        let headers = request.headers_mut();
        hop::strip(headers);
        headers.retain(|known, _| match known {
            Known::Forwarded | Known::XForwardedFor | Known::XForwardedHost => is_trusted,
            Known::XForwardedProto | Known::XForwardedOther => is_trusted,
            Known::Expect | Known::ProxyAuthorization => false,
            _ => true,
        });
        if let Some(host) = asked_for {
            // RFC 9112 §3.2.2: an absolute target overrides the field. It was checked to be one that a field can hold.
            let _valid = headers.insert("Host", host);
        }
        Box::new(Self {
            request,
            new_target: None,
            request_filters: Filters::default(),
            upstream_headers: Headers::new(),
            answer_status: 0,
            answer_headers: Headers::new(),
            answer_filters: Filters::default(),
            state: State::default(),
            record: Record::default(),
            saw_request: false,
            saw_response: false,
            began: now,
        })
    }

    /// The fields of the request as they are passed on.
    pub(super) fn lines(&self) -> Lines<'_> {
        Lines::of_headers(self.request.headers())
    }

    /// Whether the answer is the one that hooks have seen.
    pub(super) fn has_answer(&self) -> bool {
        self.saw_response
    }

    /// Notes what a tunnel has carried when it ends.
    pub(crate) fn carried(&mut self, (up, down): (u64, u64)) {
        (self.record.bytes_up, self.record.bytes_down) = (up, down);
    }
}

/// Shows the request to the hooks.
///
/// # Errors
///
/// It does not go on: this is what becomes of the exchange.
pub(super) async fn on_request(relay: &mut Relay<'_>, reverse: &Reverse) -> Result<(), Outcome> {
    let hooks = &reverse.hooks.request;
    let is_due =
        relay.hooked.as_mut().is_some_and(|hooked| !std::mem::replace(&mut hooked.saw_request, true));
    if !is_due {
        return Ok(());
    }
    if hooks.may_wait() && relay.flush().await.is_err() {
        return Err(Outcome::Close);
    }
    let Some(hooked) = relay.hooked.take() else { return Ok(()) };
    let mut request = ProxyRequest(hooked);
    let said = hooks.run(&mut request).await.and_then(|flow| check_host(flow, request.headers(), 0));
    *relay.hooked = Some(request.0);
    match said {
        Ok(Flow::Continue) => Ok(()),
        Ok(Flow::Answer(answer)) => Err(Outcome::Answer(answer, Rest::Untouched)),
        Err(error) => Err(refuse(relay, &error, Rest::Untouched)),
    }
}

/// Shows the request that is about to be sent to an endpoint, the head of which is in the desk's `out`, to the hooks.
pub(super) async fn on_upstream_request(relay: &mut Relay<'_>, reverse: &Reverse) -> Result<(), Failure> {
    let hooks = &reverse.hooks.upstream;
    if hooks.is_empty() {
        return Ok(());
    }
    if hooks.may_wait() {
        // Answers to earlier requests must not wait for them.
        relay.flush().await?;
    }
    let Some(mut hooked) = relay.hooked.take() else { return Ok(()) };
    let mut out = std::mem::take(&mut relay.desk.out);
    // It was made here and is well-formed.
    out.extend_from_slice(b"\r\n");
    relay.desk.fields.clear();
    let _parsed = http1::parse_request(&out, &mut relay.desk.fields, usize::MAX, usize::MAX);
    hooked.upstream_headers.assign(&out, &relay.desk.fields);
    let mut request = UpstreamRequest(hooked);
    let said = hooks.run(&mut request).await.and_then(|flow| check_host(flow, request.headers(), 1));
    let line = out.iter().position(|byte| *byte == b'\n').map_or(out.len(), |at| at + 1);
    out.truncate(line);
    http1::encode_lines(&mut out, &Lines::of_headers(request.headers()), |field| {
        !matches!(field.known, Known::ContentLength | Known::Expect) && !field.known.is_hop_by_hop()
    });
    (relay.desk.out, relay.desk.has_length, *relay.hooked) = (out, false, Some(request.0));
    match said {
        Ok(Flow::Continue) => Ok(()),
        Ok(Flow::Answer(answer)) => Err(Failure::Answered(answer)),
        Err(error) => Err(Failure::Failed { error, reached: Reached::Somebody }),
    }
}

/// A Host field that can be sent, once at the most (RFC 9112 §3.2), and `least` times where none is put in later.
fn check_host(flow: Flow, headers: &Headers, least: usize) -> Result<Flow, Error> {
    let number = headers.get_all("host").count();
    match (least..=1).contains(&number) && headers.get_all("host").all(is_authority) {
        true => Ok(flow),
        false => Err(Error::new(Kind::HookFailed).detail("it left no valid Host")),
    }
}

/// Shows the answer to the hooks; gives the one that is to be passed back instead, if there is one.
///
/// # Errors
///
/// `HookFailed`.
pub(super) async fn on_response(
    relay: &mut Relay<'_>,
    reverse: &Reverse,
    reply: &Reply,
) -> Result<Option<Box<Answer>>, Error> {
    let hooks = &reverse.hooks.response;
    let is_due =
        |hooked: &mut Box<Hooked>| !hooks.is_empty() && !std::mem::replace(&mut hooked.saw_response, true);
    if !relay.hooked.as_mut().is_some_and(is_due) {
        return Ok(None);
    }
    let Some(mut hooked) = relay.hooked.take() else { return Ok(None) };
    let head = &relay.desk.input.data()[..reply.length];
    hooked.answer_headers.assign(head, &relay.desk.fields);
    strip(&mut hooked.answer_headers, reply.line.status);
    hooked.answer_status = reply.line.status;
    let mut response = ProxyResponse(hooked);
    let said = hooks.run(&mut response).await;
    *relay.hooked = Some(response.0);
    Ok(match said? {
        Flow::Continue => None,
        Flow::Answer(answer) => Some(answer),
    })
}

/// Removes what concerns the connection only. Which protocols would do where this one does not is for the client to know
/// (RFC 9110 §15.5.22).
fn strip(headers: &mut Headers, status: u16) {
    let protocols: Vec<Vec<u8>> = match status {
        426 => headers.get_all("upgrade").map(<[u8]>::to_vec).collect(),
        _ => Vec::new(),
    };
    hop::strip(headers);
    for protocol in protocols {
        // It was a valid value when it came.
        let _valid = headers.append("Upgrade", protocol);
    }
}

/// Tells the hooks what became of the exchange. A tunnel goes on, and they are told when it has ended; of an answer that is
/// made here, those that may take their time are told when the client has it.
pub(super) async fn on_done(relay: &mut Relay<'_>, reverse: &Reverse, outcome: &Outcome) {
    let Some(mut hooked) = relay.hooked.take() else { return };
    match outcome {
        Outcome::Tunnel(..) => return *relay.hooked = Some(hooked),
        Outcome::Answer(answer, _) => {
            hooked.record.status = Some(answer.status());
            if reverse.hooks.done.may_wait() {
                return *relay.hooked = Some(hooked);
            }
        }
        Outcome::Keep | Outcome::Close | Outcome::Linger | Outcome::Reset => {}
    }
    if reverse.hooks.done.may_wait() && !relay.out.is_empty() {
        // The client need not wait for what happens behind its answer; that it is gone will be noticed.
        let _gone = relay.flush().await;
    }
    if let Err(error) = tell(reverse, hooked, relay.site.core.now()).await {
        relay.note(&error, None);
    }
}

/// Tells the hooks that an exchange is over. An answer of theirs has nobody to be given to.
///
/// # Errors
///
/// `HookFailed`.
pub(crate) async fn tell(reverse: &Reverse, mut hooked: Box<Hooked>, now: Instant) -> Result<(), Error> {
    hooked.record.duration = now.saturating_duration_since(hooked.began);
    reverse.hooks.done.run(&mut Done(hooked)).await.map(|_| ())
}

/// Runs what has nothing to wait for.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("hooks that are not async wait for nothing"),
    }
}
