//! What hooks are given: the messages of an exchange as they pass, and what came of it in the end.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use crate::error::{Error, Kind};
use crate::handler::Request;
use crate::message::Headers;
use crate::telemetry::Attempt;

use super::filter::BodyFilter;
use super::hooked::Hooked;

/// A request on its way, as [`Proxy::on_request`](crate::Proxy::on_request) has it. It reads like the [`Request`] of a
/// handler.
///
/// Fields that concern one connection only are not there, and none that is set here is sent; neither can the framing of
/// the message be changed. What an untrusted client says of where the request comes from is not there either; what a hook
/// says of that is believed.
#[derive(Debug)]
pub struct ProxyRequest(pub(super) Box<Hooked>);

/// A request as one endpoint gets it, as [`Proxy::on_upstream_request`](crate::Proxy::on_upstream_request) has it: after
/// all rules of the proxy.
#[derive(Debug)]
pub struct UpstreamRequest(pub(super) Box<Hooked>);

/// An answer on its way, as [`Proxy::on_response`](crate::Proxy::on_response) has it: before the rules of the proxy.
///
/// Fields that concern one connection only are not there, and none that is set here is sent; neither can the framing of
/// the message be changed. Only a 426 has an `Upgrade`, which says what the client should ask for.
#[derive(Debug)]
pub struct ProxyResponse(pub(super) Box<Hooked>);

/// What came of an exchange, as [`Proxy::on_done`](crate::Proxy::on_done) has it.
#[derive(Debug)]
pub struct Done(pub(super) Box<Hooked>);

impl ProxyRequest {
    /// The header fields, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        self.0.request.headers_mut()
    }

    /// Puts another path and query in place of those that came. They are sent as they are: rules of the
    /// [`Proxy`](crate::Proxy) for paths do not touch them.
    ///
    /// # Errors
    ///
    /// It does not begin with a slash, or holds what may not stand in a target (RFC 9112 §3.2): white space, control
    /// characters, `#`, bytes outside ASCII. Nothing has changed then.
    pub fn set_target(&mut self, target: &str) -> crate::Result<()> {
        let may_stand = |byte: u8| matches!(byte, 0x21..=0x7E) && byte != b'#';
        if !target.starts_with('/') || !target.bytes().all(may_stand) {
            return Err(Error::new(Kind::BadTarget).detail(format!("{target:?}")));
        }
        self.0.new_target = Some(target.to_owned());
        Ok(())
    }

    /// Calls `observe` with each piece of the body, as it passes, in whatever sizes they happen to come. A panic in it is
    /// that of a [`BodyFilter`].
    pub fn observe_body(&mut self, observe: impl FnMut(&[u8]) + 'static) {
        self.0.request_filters.observe(observe);
    }

    /// Changes the body, and perhaps its length: it is sent in chunks then (RFC 9112 §7.1). A request without a body is not
    /// given one. What the headers say of the body is for the hook to change. Several filters work in the order in which
    /// they were added. A request whose body is filtered is sent again only if
    /// [`Proxy::buffer_requests`](crate::Proxy::buffer_requests) has collected all of it.
    pub fn transform_body(&mut self, filter: impl BodyFilter) {
        self.0.request_filters.transform(filter, true);
    }

    /// Changes the body and keeps its length, so that a Content-Length stays. What comes out must be as long as what goes
    /// in, or the message is broken off.
    pub fn transform_body_in_place(&mut self, filter: impl BodyFilter) {
        self.0.request_filters.transform(filter, false);
    }

    /// Something that goes with the exchange from hook to hook; a default one the first time.
    ///
    /// ```
    /// use eproxy_core::Proxy;
    ///
    /// let proxy = Proxy::to("http://10.0.0.7:3000")
    ///     .on_request(|req| *req.state::<usize>() = req.headers().len())
    ///     .on_done(|done| println!("{} header lines", done.state::<usize>()));
    /// ```
    pub fn state<T: Default + 'static>(&mut self) -> &mut T {
        self.0.state.get()
    }
}

impl std::ops::Deref for ProxyRequest {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.0.request
    }
}

impl UpstreamRequest {
    /// The header fields as they will be sent, but for those that concern the connection or the framing.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.0.upstream_headers
    }

    /// The header fields, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.0.upstream_headers
    }

    /// The endpoint that it is sent to: `10.0.0.7:3000`.
    #[must_use]
    pub fn upstream(&self) -> &str {
        self.0.record.upstream.as_deref().unwrap_or_default()
    }

    /// The number of this try: 1, and more if earlier ones failed.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.record.attempts
    }

    /// The request that it was made of.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.0.request
    }

    /// See [`ProxyRequest::state`].
    pub fn state<T: Default + 'static>(&mut self) -> &mut T {
        self.0.state.get()
    }
}

impl ProxyResponse {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.answer_status
    }

    /// Puts another status code in its place: from 200 to 999, others are left out of account. It can't make an answer
    /// with a body one without, or the reverse: 204 and 304 are neither set nor changed.
    pub fn set_status(&mut self, status: u16) {
        let is_bodiless = |status| matches!(status, 204 | 304);
        if (200..=999).contains(&status) && !is_bodiless(status) && !is_bodiless(self.0.answer_status) {
            self.0.answer_status = status;
        }
    }

    /// The header fields.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.0.answer_headers
    }

    /// The header fields, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.0.answer_headers
    }

    /// Calls `observe` with each piece of the body, as it passes, in whatever sizes they happen to come. A panic in it is
    /// that of a [`BodyFilter`].
    pub fn observe_body(&mut self, observe: impl FnMut(&[u8]) + 'static) {
        self.0.answer_filters.observe(observe);
    }

    /// Changes the body, and perhaps its length: where it was not there as a whole, it is sent in chunks, or up to the end
    /// of the connection to an HTTP/1.0 client. What the headers say of the body, such as `ETag` or `Content-Encoding`, is
    /// for the hook to change; an answer to HEAD, which has no body, is left without a `Content-Length`.
    pub fn transform_body(&mut self, filter: impl BodyFilter) {
        self.0.answer_filters.transform(filter, true);
    }

    /// Changes the body and keeps its length, so that a Content-Length stays. What comes out must be as long as what goes
    /// in, or the message is broken off.
    pub fn transform_body_in_place(&mut self, filter: impl BodyFilter) {
        self.0.answer_filters.transform(filter, false);
    }

    /// The request that it answers.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.0.request
    }

    /// See [`ProxyRequest::state`].
    pub fn state<T: Default + 'static>(&mut self) -> &mut T {
        self.0.state.get()
    }
}

impl Done {
    /// The request.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.0.request
    }

    /// The status that the client was sent; none where it went away before that.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.record.status
    }

    /// The name of the failure that ended the exchange, as [`Stats::failures`](crate::Stats::failures) has it.
    #[must_use]
    pub fn failure(&self) -> Option<&'static str> {
        self.0.record.failure.map(|kind| kind.row().name)
    }

    /// The endpoint that answered, or that was tried last.
    #[must_use]
    pub fn upstream(&self) -> Option<&str> {
        self.0.record.upstream.as_deref()
    }

    /// How often the request was sent, or tried to be.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.record.attempts
    }

    /// What came of each try, in their order.
    ///
    /// ```
    /// use eproxy_core::Proxy;
    ///
    /// let proxy = Proxy::to(["http://10.0.0.7:3000", "http://10.0.0.8:3000"]).on_done(|done| {
    ///     for attempt in done.tries() {
    ///         println!("{}: {:?} after {:?} ({attempt})", attempt.upstream(), attempt.failure(), attempt.duration());
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn tries(&self) -> &[Attempt] {
        &self.0.record.tries
    }

    /// Bytes of the request's body that were read from the client; of a tunnel, all that it sent.
    #[must_use]
    pub fn bytes_up(&self) -> u64 {
        self.0.record.bytes_up
    }

    /// Bytes of the answer's body that were read from the upstream; of a tunnel, all that it sent.
    #[must_use]
    pub fn bytes_down(&self) -> u64 {
        self.0.record.bytes_down
    }

    /// How long it took from the request's head to the answer's end.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.0.record.duration
    }

    /// See [`ProxyRequest::state`].
    pub fn state<T: Default + 'static>(&mut self) -> &mut T {
        self.0.state.get()
    }
}

/// The values that hooks keep in an exchange, one of each type.
#[derive(Default)]
pub(super) struct State(Vec<Box<dyn Any>>);

impl State {
    fn get<T: Default + 'static>(&mut self) -> &mut T {
        let known = self.0.iter().position(|value| value.is::<T>());
        let number = known.unwrap_or_else(|| {
            self.0.push(Box::<T>::default());
            self.0.len() - 1
        });
        self.0[number].downcast_mut().expect("a value of this type is in this place")
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("values", &self.0.len()).finish()
    }
}
