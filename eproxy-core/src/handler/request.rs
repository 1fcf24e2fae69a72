//! The request as a handler sees it.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::error::{Error, Kind, Result};
use crate::message::{Body, Field, Headers, RequestLine, Span, Version, hop, http_types_field};
use crate::tls::{ClientCertificate, Session, TlsSession};
use crate::tunnel::{Fields, Handshake};

/// A request: its head as it came, and its body as a stream.
///
/// ```
/// use eproxy_core::{Request, Response, Server};
///
/// let server = Server::builder().get("/users/:id/*rest", |req: Request, res: Response| {
///     assert_eq!(req.method(), "GET");
///     let agent = req.headers().get_str("User-Agent").unwrap_or("unknown").to_owned();
///     res.send(format!("user {:?}, {:?}, query {:?}, agent {agent}",
///         req.param("id"), req.param("rest"), req.query()));
/// });
/// ```
pub struct Request(Option<Box<Parts>>);

/// Kept for the next request of its thread when a request is dropped there.
#[derive(Default)]
struct Parts {
    line: RequestLine,
    headers: Headers,
    /// The path and the query in the target's bytes, and the authority of an absolute target.
    path: Span,
    query: Option<Span>,
    authority: Option<Span>,
    /// Names and values of the path parameters, one behind the other.
    text: String,
    params: Vec<(Span, Span)>,
    peer: Option<SocketAddr>,
    tls: Option<TlsSession>,
    body: Option<Body>,
}

/// What a wire hands over of a request whose head it has parsed and checked.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) head: &'a [u8],
    pub(crate) line: RequestLine,
    pub(crate) fields: &'a [Field],
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
    pub(crate) authority: Option<Span>,
    pub(crate) peer: Option<SocketAddr>,
    /// What was agreed on with the client, if it speaks TLS.
    pub(crate) session: Option<&'a Session>,
}

impl Request {
    pub(crate) fn new<'p>(
        incoming: Incoming<'_>,
        params: impl Iterator<Item = (&'p str, &'p str)>,
        body: Body,
    ) -> Self {
        let mut parts = SPARE.with_borrow_mut(|spare| spare.parts.pop()).unwrap_or_default();
        parts.line = incoming.line;
        parts.headers.assign(incoming.head, incoming.fields);
        (parts.path, parts.query, parts.authority) = (incoming.path, incoming.query, incoming.authority);
        parts.peer = incoming.peer;
        parts.tls = incoming.session.and_then(Session::agreed).cloned();
        parts.body = Some(body);
        for (name, value) in params {
            let start = parts.text.len();
            parts.text.push_str(name);
            let middle = parts.text.len();
            parts.text.push_str(value);
            let end = parts.text.len();
            parts.params.push((Span::new(start, middle), Span::new(middle, end)));
        }
        Self(Some(parts))
    }

    fn parts(&self) -> &Parts {
        self.0.as_ref().expect("the parts are there until the request is dropped")
    }

    fn parts_mut(&mut self) -> &mut Parts {
        self.0.as_mut().expect("the parts are there until the request is dropped")
    }

    fn text(&self, span: Span) -> &str {
        // Methods and targets are checked to be ASCII when they are parsed.
        std::str::from_utf8(span.of(self.parts().headers.bytes())).unwrap_or_default()
    }

    /// The method, as it came: methods are case-sensitive, and unknown ones are passed on (RFC 9110 §9.1).
    #[must_use]
    pub fn method(&self) -> &str {
        self.text(self.parts().line.method)
    }

    /// The request target, byte for byte as it came (RFC 9112 §3.2).
    #[must_use]
    pub fn target(&self) -> &str {
        self.text(self.parts().line.target)
    }

    /// The path, as it came: percent-escapes are not decoded. `*` for `OPTIONS *`.
    #[must_use]
    pub fn path(&self) -> &str {
        match self.text(self.parts().path) {
            "" => "/",
            path => path,
        }
    }

    /// What stands behind the question mark, as it came.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.parts().query.map(|span| self.text(span))
    }

    /// A parameter of the route's pattern, decoded: for `/users/:id` and `/users/a%20b`, `id` is `a b`.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        let parts = self.parts();
        let (_, value) = parts.params.iter().find(|(key, _)| &parts.text[key.range()] == name)?;
        Some(&parts.text[value.range()])
    }

    /// The host and port that the request is for: that of an absolute target, else the Host header (RFC 9110 §7.1).
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self.parts().authority {
            Some(span) => Some(self.text(span)),
            None => self.headers().get_str("host"),
        }
    }

    /// Whether the target is a whole URL.
    pub(crate) fn is_absolute(&self) -> bool {
        self.parts().authority.is_some()
    }

    /// The header fields, to be changed before a user sees them.
    pub(crate) fn headers_mut(&mut self) -> &mut Headers {
        &mut self.parts_mut().headers
    }

    /// The header fields, in their order and case, values as bytes.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.parts().headers
    }

    /// Checks that this is the handshake of a WebSocket (RFC 6455 §4.2.1), and gives the value of the
    /// `Sec-WebSocket-Accept` field that answers it.
    ///
    /// ```
    /// use eproxy_core::{Request, Response, Server};
    ///
    /// let server = Server::builder().get("/chat", |req: Request, res: Response| match req.websocket_accept() {
    ///     Ok(accept) => {
    ///         let connection = res.header("Sec-WebSocket-Accept", accept).upgrade("websocket");
    ///         // Hand it to a WebSocket library: it reads and writes like a socket.
    ///         drop(connection);
    ///     }
    ///     Err(error) => res.status(error.status()).header("Sec-WebSocket-Version", "13").send(error.to_string()),
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// It is none, with 400, or one of another version than 13, with 426.
    pub fn websocket_accept(&self) -> Result<String> {
        let headers = self.headers();
        let names = |field: &str, word: &str| {
            headers
                .get_all(field)
                .flat_map(hop::members)
                .any(|member| member.eq_ignore_ascii_case(word.as_bytes()))
        };
        if !names("connection", "upgrade") || !names("upgrade", "websocket") {
            return Err(Kind::BadUpgrade.into());
        }
        let fields = Fields { bytes: headers.bytes(), fields: headers.fields() };
        Ok(Handshake::of_request(self.method().as_bytes(), fields)?.into_accept())
    }

    /// The HTTP version of the client.
    #[must_use]
    pub fn version(&self) -> http_types::Version {
        match self.parts().line.version {
            Version::Http10 => http_types::Version::Http1_0,
            Version::Http11 => http_types::Version::Http1_1,
            Version::Http2 => http_types::Version::Http2_0,
        }
    }

    /// The address that the connection comes from; `None` over a unix-domain socket.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.parts().peer
    }

    /// `https` where the client speaks TLS with us, else `http`. What a proxy in between says is in X-Forwarded-Proto.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.parts().tls.is_some() { "https" } else { "http" }
    }

    /// What was agreed on with the client, if it speaks TLS with us.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsSession> {
        self.parts().tls.as_ref()
    }

    /// The certificate with which the client has said who it is, where the listener asks for one
    /// ([`Tls::client_certificates`](crate::Tls::client_certificates)). It was verified.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.tls()?.client_certificate()
    }

    /// Takes the body, a stream that is read from the client as it is wanted; an empty body the second time.
    ///
    /// It fails with 413 past the route's limit, with 408 when it stalls, and with 400 when it is malformed or broken
    /// off.
    #[must_use]
    pub fn take_body(&mut self) -> Body {
        self.parts_mut().body.take().unwrap_or_default()
    }

    /// Reads the whole body, then calls back, on a task of async-std unless all of it is there already. The route's
    /// limit bounds it.
    ///
    /// ```
    /// use eproxy_core::{Request, Response, Server};
    ///
    /// let server = Server::builder().post("/echo", |req: Request, res: Response| {
    ///     req.read(move |body| match body {
    ///         Ok(bytes) => res.send(bytes),
    ///         Err(error) => res.status(error.status()).send(error.to_string()),
    ///     });
    /// });
    /// ```
    pub fn read(mut self, callback: impl FnOnce(Result<Vec<u8>>) + Send + 'static) {
        let body = self.take_body();
        match body.in_hand().is_some() {
            true => callback(futures_lite::future::block_on(body.bytes(u64::MAX))),
            false => {
                async_std::task::spawn(async move { callback(body.bytes(u64::MAX).await) });
            }
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(mut parts) = self.0.take() {
            // Not while it is borrowed: a body may run foreign code when it is dropped.
            drop(parts.body.take());
            SPARE.with_borrow_mut(|spare| spare.keep(parts));
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("target", &self.target())
            .field("headers", self.headers())
            .finish_non_exhaustive()
    }
}

/// The parts of dropped requests, for the next ones: in the steady state a request allocates nothing.
struct Spare {
    #[expect(clippy::vec_box, reason = "it is the boxes that are kept: a request is one pointer")]
    parts: Vec<Box<Parts>>,
    limit: usize,
}

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { parts: Vec::new(), limit: 0 }) };
}

/// Lets the calling thread, one that serves connections, keep up to `limit` dropped requests for reuse.
pub(crate) fn keep_requests_of_this_thread(limit: usize) {
    SPARE.with_borrow_mut(|spare| spare.limit = limit);
}

impl Spare {
    fn keep(&mut self, mut parts: Box<Parts>) {
        if self.parts.len() >= self.limit {
            return;
        }
        parts.headers.clear();
        parts.text.clear();
        parts.params.clear();
        parts.tls = None;
        self.parts.push(parts);
    }
}

/// Fails where http-types has no word for it: an unknown method, a header value outside ASCII. Its headers lose their
/// order and case, its URL is normalized. Without a Host, the host is `localhost`.
impl TryFrom<Request> for http_types::Request {
    type Error = Error;

    fn try_from(mut request: Request) -> Result<Self> {
        let convert = |what: String| Error::new(Kind::Convert).detail(what);
        let method = http_types::Method::from_str(request.method())
            .map_err(|_| convert(format!("http-types has no method {}", request.method())))?;
        let host = request.host().filter(|host| !host.is_empty()).unwrap_or("localhost");
        let query = request.query().map_or(String::new(), |query| format!("?{query}"));
        let url = http_types::Url::parse(&format!("{}://{host}{}{query}", request.scheme(), request.path()))
            .map_err(|error| convert(format!("URL of {}", request.target())).because(error))?;
        let mut out = Self::new(method, url);
        out.set_version(Some(request.version()));
        out.set_peer_addr(request.peer_addr());
        out.set_body(request.take_body());
        out.remove_header("content-type");
        for (name, value) in request.headers().iter() {
            let (name, value) = http_types_field(name, value)?;
            out.append_header(name, value);
        }
        Ok(out)
    }
}
