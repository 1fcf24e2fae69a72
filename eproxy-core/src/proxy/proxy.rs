//! The description of a reverse proxy.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::message::target::is_authority;
use crate::tunnel::ProxyProtocol;
use crate::upstream::{Destination, Group, Origin, Registry, UpstreamOptions};

use super::answer_head::AnswerRules;
use super::hooks::AllHooks;
use super::mirror::Mirror;
use super::request_head::{HostRule, RequestRules, Telling};
use super::retry::Retry;
use super::reverse::{Buffering, Reverse};
use super::rules;

/// A reverse proxy: an endpoint that passes requests on to upstreams, and their answers back.
///
/// It is mounted where a handler would be. Requests and answers are passed on as they came: order and case of the header
/// fields, unknown methods and statuses, values outside ASCII, the target byte for byte, bodies as they arrive. What
/// concerns one connection only is left out both ways (RFC 9110 §7.6.1); `Via`, `X-Forwarded-For`, `-Host`, `-Proto` and
/// `Forwarded` are set. Bodies are never held back: an event of a stream is on its way to the client as soon as it was
/// read.
///
/// ```
/// use eproxy_core::{Proxy, Server};
///
/// let server = Server::builder()
///     .at("/api/*path", Proxy::to("http://10.0.0.7:3000").strip_prefix("/api"))
///     .at("/*path", Proxy::to(["http://10.0.0.8:80", "http://10.0.0.9:80"]).response_header("X-Served-By", "eproxy"));
/// ```
///
/// What fails on the way is answered with 502, 503 or 504 and a `Proxy-Status` field (RFC 9209), and counted by its name
/// ([`Stats::failure`](crate::Stats::failure)). A request that no upstream can have seen goes to the next endpoint; one
/// that an upstream may have seen is sent again only as [`retries`](Self::retries) says. Requests for an upgrade, those of
/// WebSocket among them, are passed on, too: once the upstream has switched, bytes go both ways until both ends have closed
/// or [`Timeouts::tunnel_idle`](crate::Timeouts::tunnel_idle) has passed (RFC 9110 §7.8, RFC 6455 §4).
///
/// Its methods never fail. The first thing that is wrong with a description, such as an upstream that is no URL or a header
/// that can't be sent, is what [`Builder::start`](crate::Builder::start) returns: an error named `bad_option`.
#[must_use = "a proxy is mounted with Builder::at or Route::any"]
pub struct Proxy {
    pub(super) group: Group,
    pub(super) options: UpstreamOptions,
    pub(super) request: RequestRules,
    answer: AnswerRules,
    pub(super) retry: Retry,
    pub(super) hooks: AllHooks,
    buffering: Buffering,
    pub(super) mirror: Option<String>,
    proxy_protocol: Option<ProxyProtocol>,
    pub(crate) body_limit: Option<u64>,
    /// The first thing that is wrong with the description; told when the server starts.
    wrong: Option<Error>,
}

impl Proxy {
    /// Passes requests on to an upstream, `http://host:port` or `unix:/path`, to several that share them, or to a [`Group`]. The
    /// port is 80 unless given; a path in the URL is put in front of those of requests.
    ///
    /// ```
    /// use eproxy_core::{Group, Proxy};
    ///
    /// let one = Proxy::to("http://10.0.0.7:3000/base");
    /// let socket = Proxy::to("unix:/run/app.sock");
    /// let several = Proxy::to(["http://10.0.0.8:80", "http://10.0.0.9:80"]);
    /// let by_weight = Proxy::to(Group::new().endpoint("http://10.0.0.8:80", 3).endpoint("http://10.0.0.9:80", 1));
    /// ```
    pub fn to(upstream: impl Into<Group>) -> Self {
        Self {
            group: upstream.into(),
            options: UpstreamOptions::default(),
            request: RequestRules::default(),
            answer: AnswerRules::default(),
            retry: Retry::default(),
            hooks: AllHooks::default(),
            buffering: Buffering::default(),
            mirror: None,
            proxy_protocol: None,
            body_limit: None,
            wrong: None,
        }
    }

    /// Sets timeouts and pool sizes of the connections to the upstreams; [`UpstreamOptions::default`] unless set. A
    /// [`timeout`](Self::timeout) that was set before is overridden.
    pub fn upstream_options(mut self, options: UpstreamOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets how long an upstream may take to begin its answer (504), and how long it may pause within it (the answer is
    /// broken off): [`UpstreamOptions::head`] and [`UpstreamOptions::body_idle`], 60 s each unless set. It is no limit on the
    /// whole of an exchange.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eproxy_core::Proxy;
    ///
    /// let proxy = Proxy::to("http://10.0.0.7:3000").timeout(Duration::from_secs(5));
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        (self.options.head, self.options.body_idle) = (timeout, timeout);
        self
    }

    /// Sends the upstream's own host and port in the Host field (RFC 9110 §7.2), instead of what the client sent. That of a
    /// unix-domain socket is `localhost`. The client's is in `X-Forwarded-Host` then.
    pub fn upstream_host(mut self) -> Self {
        self.request.host = HostRule::Upstream;
        self
    }

    /// Sends this in the Host field, instead of what the client sent: a host, and a port if need be. Anything else is a
    /// `bad_option`.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        let host = host.into();
        if host.is_empty() || !is_authority(host.as_bytes()) {
            self.refuse(format!("host {host:?}"));
        }
        self.request.host = HostRule::Set(host);
        self
    }

    /// Takes a prefix off the paths of requests: with `/api`, `/api/users` becomes `/users`, and `/api` becomes `/`. A
    /// path that does not begin with it, as whole segments, stays as it is. It is looked for in the canonical form of the
    /// path, the one that routes are chosen by, so that `/%61pi/users` fares the same.
    ///
    /// ```
    /// use eproxy_core::Proxy;
    ///
    /// // What is /api/users here is /v2/users there.
    /// let proxy = Proxy::to("http://10.0.0.7:3000").strip_prefix("/api").add_prefix("/v2").rewrite_locations();
    /// ```
    pub fn strip_prefix(mut self, prefix: &str) -> Self {
        match rules::prefix(prefix) {
            Ok(prefix) => self.request.path.strip = prefix,
            Err(error) => self.refuse_with(error),
        }
        self
    }

    /// Puts a prefix in front of the paths of requests, behind the one that the upstream's URL has.
    pub fn add_prefix(mut self, prefix: &str) -> Self {
        match rules::prefix(prefix) {
            Ok(prefix) => self.request.path.add = prefix,
            Err(error) => self.refuse_with(error),
        }
        self
    }

    /// Rewrites the paths of requests, after [`strip_prefix`](Self::strip_prefix) and before
    /// [`add_prefix`](Self::add_prefix). The function is given the path in its canonical form, percent-escapes decoded,
    /// and what it returns is escaped again; the query stays as it is.
    ///
    /// ```
    /// use eproxy_core::Proxy;
    ///
    /// let proxy = Proxy::to("http://10.0.0.7:3000").rewrite_path(|path| path.replace("/v1/", "/"));
    /// ```
    pub fn rewrite_path(mut self, rewrite: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.request.path.rewrite = Some(Arc::new(rewrite));
        self
    }

    /// Sets a header of requests in place of all of that name, those included that this proxy would add itself, but for
    /// `Via`. Rules for headers work in the order in which they were added.
    ///
    /// A name that is no token, a value with control characters, `Host` (see [`host`](Self::host)), and fields that frame
    /// the message or concern its connection, are a `bad_option`.
    ///
    /// ```
    /// use eproxy_core::Proxy;
    ///
    /// let proxy = Proxy::to("http://10.0.0.7:3000")
    ///     .request_header("X-Api-Key", "secret")
    ///     .remove_request_header("Cookie")
    ///     .response_header("Strict-Transport-Security", "max-age=31536000");
    /// ```
    pub fn request_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.headers.set(name.into(), value.into());
        self
    }

    /// Adds a header to requests, behind those of the same name. What it may be is said at
    /// [`request_header`](Self::request_header).
    pub fn add_request_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.headers.add(name.into(), value.into());
        self
    }

    /// Removes a header from requests.
    pub fn remove_request_header(mut self, name: impl Into<String>) -> Self {
        self.request.headers.remove(name.into());
        self
    }

    /// Sets a header of answers in place of all of that name, those of interim answers not included. What it may be is said
    /// at [`request_header`](Self::request_header).
    pub fn response_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.answer.headers.set(name.into(), value.into());
        self
    }

    /// Adds a header to answers, behind those of the same name. What it may be is said at
    /// [`request_header`](Self::request_header).
    pub fn add_response_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.answer.headers.add(name.into(), value.into());
        self
    }

    /// Removes a header from answers.
    pub fn remove_response_header(mut self, name: impl Into<String>) -> Self {
        self.answer.headers.remove(name.into());
        self
    }

    /// Rewrites `Location` and `Content-Location` of answers where they name the upstream, by its own host and port or by
    /// those that the client asked for. The latter is what they become, and their paths lose what
    /// [`add_prefix`](Self::add_prefix) and the upstream's URL put in front and get back what
    /// [`strip_prefix`](Self::strip_prefix) took off. Other places stay as they are, and all do where
    /// [`rewrite_path`](Self::rewrite_path) is set, which has no way back. Off unless set.
    pub fn rewrite_locations(mut self) -> Self {
        self.answer.redirects.locations = true;
        self
    }

    /// Replaces the `Domain` of cookies that answers set (RFC 6265 §4.1.2.3); `*` stands for any, and an empty `to` takes it
    /// out, so that the cookie belongs to the host that the client asked. May be called several times; the first that fits
    /// counts.
    ///
    /// ```
    /// use eproxy_core::Proxy;
    ///
    /// let proxy = Proxy::to("http://10.0.0.7:3000").cookie_domain("*", "").cookie_path("/app", "/");
    /// ```
    pub fn cookie_domain(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        let (from, to) = (from.into(), to.into());
        self.check_attribute(&to);
        self.answer.redirects.cookie_domains.push((from, to));
        self
    }

    /// Replaces the `Path` of cookies that answers set (RFC 6265 §4.1.2.4); `*` stands for any, and an empty `to` takes it
    /// out. May be called several times; the first that fits counts.
    pub fn cookie_path(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        let (from, to) = (from.into(), to.into());
        self.check_attribute(&to);
        self.answer.redirects.cookie_paths.push((from, to));
        self
    }

    /// Does not tell upstreams where requests come from: `X-Forwarded-For`, `-Host`, `-Proto` and `Forwarded` (RFC 7239) are
    /// not set. What an untrusted client says of that is left out all the same; what a
    /// [trusted](crate::Builder::trusted_proxies) one says passes.
    pub fn without_forwarding_headers(mut self) -> Self {
        self.request.telling = Telling::Nothing;
        self
    }

    /// Sets the largest request body in bytes; a longer one is refused with 413 (RFC 9110 §15.5.14). No limit unless set,
    /// because nothing of a body is kept; [`Route::body_limit`](crate::Route::body_limit) comes before it.
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// Sends a copy of each request to another upstream, `http://host:port` or `unix:/path`, and forgets its answers: to try
    /// a new version with real requests. Nothing that happens to a copy touches the request itself. A copy whose upstream
    /// takes its body more slowly than the request's own (256 KiB may wait), or that comes while 256 are under way on a
    /// core, is dropped: [`Stats::mirror_dropped`](crate::Stats::mirror_dropped). Requests for an upgrade are not copied.
    /// A copy is what [`on_request`](Self::on_request) and the rules of this proxy have made of the request.
    pub fn mirror(mut self, upstream: impl Into<String>) -> Self {
        self.mirror = Some(upstream.into());
        self
    }

    /// Begins each connection to an upstream with a PROXY protocol header, which says whose connection it is made for. It
    /// carries the requests of that client's connection only, so every client costs the upstreams a connection of its own.
    /// Off unless set; a mirror gets none.
    pub fn proxy_protocol(mut self, version: ProxyProtocol) -> Self {
        self.proxy_protocol = Some(version);
        self
    }

    /// Reads request bodies of up to so many bytes before the request is passed on: a slow client does not occupy an
    /// upstream then, and the request can be [sent again](Self::retries). A longer body, or what a body without a length
    /// has beyond that, is passed on as it comes, as all are unless this is set. It costs memory: so many bytes for each
    /// request that is under way. A client that waits for 100 (Continue) is told to go on by this proxy then.
    pub fn buffer_requests(mut self, bytes: u64) -> Self {
        self.buffering.requests = bytes;
        self
    }

    /// Reads up to so many bytes of an answer ahead of a client that is slower than the upstream, whose connection is free
    /// again so much sooner. What the client can take is passed on at once all the same. Nothing is read ahead unless this
    /// is set. It costs memory: so many bytes for each answer to a slow client.
    pub fn buffer_responses(mut self, bytes: usize) -> Self {
        self.buffering.answers = bytes;
        self
    }

    /// Translates calls of gRPC-Web, as browsers make them, for upstreams that speak gRPC: `application/grpc-web` and
    /// `application/grpc-web-text`, from clients of HTTP/1.1 and HTTP/2. Answers get their trailers as the last frame of the
    /// body; everything passes as it comes. A body that is not in base64, though its content type says so, gets 400,
    /// `bad_grpc_web`. Other requests and answers stay as they are. Off unless set.
    ///
    /// What a browser wants to know before it calls another origin (CORS) is for [hooks](Self::on_request) and
    /// [rules](Self::response_header) to say.
    ///
    /// ```
    /// use eproxy_core::Proxy;
    ///
    /// let proxy = Proxy::to("h2c://10.0.0.7:50051").grpc_web();
    /// ```
    pub fn grpc_web(mut self) -> Self {
        self.request.grpc_web = true;
        self
    }

    fn check_attribute(&mut self, value: &str) {
        if !value.bytes().all(|byte| matches!(byte, 0x20..=0x7E) && byte != b';') {
            self.refuse(format!("cookie attribute {value:?}"));
        }
    }

    pub(super) fn refuse(&mut self, what: String) {
        self.refuse_with(Error::new(Kind::BadOption).detail(what));
    }

    fn refuse_with(&mut self, error: Error) {
        self.wrong.get_or_insert(error);
    }

    /// Makes it what cores work with.
    ///
    /// # Errors
    ///
    /// `BadOption`, with the first thing that is wrong.
    pub(crate) fn build(self, registry: &mut Registry) -> Result<Reverse> {
        if let Some(error) = self.wrong {
            return Err(error);
        }
        self.request.headers.check()?;
        self.answer.headers.check()?;
        self.group.build()?;
        let group = registry.group(&self.group, self.proxy_protocol.is_some());
        let mirror = match &self.mirror {
            Some(url) => {
                let destination = Destination::known(Origin::parse(url)?, self.group.connector().as_ref());
                Some(Arc::new(Mirror { destination, options: self.options.clone() }))
            }
            None => None,
        };
        Ok(Reverse {
            group: Some(group),
            group_name: self.group.inner().name().into(),
            wishes: self.group.wishes(),
            endpoints: Some(self.group),
            options: self.options,
            request: self.request,
            answer: self.answer,
            retry: self.retry,
            hooks: self.hooks,
            buffering: self.buffering,
            mirror,
            proxy_protocol: self.proxy_protocol,
            body_limit: self.body_limit,
            forwarding: None,
        })
    }
}

impl Proxy {
    /// Whether it can be built, as far as that can be told without building it.
    ///
    /// # Errors
    ///
    /// As for [`build`](Self::build).
    pub(crate) fn check(&self) -> Result<()> {
        self.wrong.as_ref().map_or(Ok(()), |error| Err(error.again()))?;
        self.request.headers.check()?;
        self.answer.headers.check()?;
        self.group.check_as_said()?;
        self.mirror.as_deref().map_or(Ok(()), |url| Origin::parse(url).map(drop))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("group", &self.group).finish_non_exhaustive()
    }
}
