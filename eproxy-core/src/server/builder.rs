//! What is served, where, and by how many workers.

use crate::error::{Error, Kind, Result};
use crate::message::{Limits, Timeouts};
use crate::proxy::Forward;
use crate::router::{Mount, Route};
use crate::tls::Tls;

use super::handle::Handle;
use super::inherited::Inherited;
use super::start;
use super::telling::Wanted;
use super::trust::Trusted;

/// An HTTP server inside this program; see [`Server::builder`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Server {}

impl Server {
    /// Begins to describe a server.
    ///
    /// ```
    /// use eproxy_core::{Request, Response, Server};
    ///
    /// # futures_lite::future::block_on(async {
    /// let server = Server::builder()
    ///     .get("/hello", |_: Request, res: Response| res.send("Hello, World!"))
    ///     .bind("127.0.0.1:0")
    ///     .start()?;
    /// println!("listening on {:?}", server.addresses());
    /// server.shutdown(std::time::Duration::from_secs(30)).await;
    /// # Ok::<_, eproxy_core::Error>(()) }).unwrap();
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }
}

/// Describes a server: routes, addresses, limits. [`start`](Self::start) or [`run`](Self::run) makes it one.
#[derive(Debug, Default)]
#[must_use = "a server is started by start or run"]
pub struct Builder {
    pub(super) routes: Vec<Route>,
    pub(super) forward: Option<Forward>,
    pub(super) addresses: Vec<Listening>,
    pub(super) inherited: Inherited,
    pub(super) trusted: Vec<String>,
    pub(super) workers: Option<usize>,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    /// What is told of exchanges.
    pub(super) wanted: Wanted,
    /// The header field of requests that ask what becomes of them.
    pub(super) explain: Option<String>,
}

/// Where to listen.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) address: String,
    /// Connections begin with a PROXY protocol header.
    pub(super) introduces: bool,
    /// They speak TLS.
    pub(super) tls: Option<Tls>,
}

impl Builder {
    /// Adds a route; routes with the same hosts, pattern, conditions and priority become one, unless they have different
    /// names. What is wrong with it is told by [`start`](Self::start).
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Answers every method on a pattern, by a handler or a [`Proxy`](crate::Proxy); see [`Route::any`].
    ///
    /// ```
    /// use eproxy_core::{Proxy, Request, Response, Server};
    ///
    /// let server = Server::builder()
    ///     .at("/echo", |req: Request, res: Response| res.send(req.method().to_owned()))
    ///     .at("/*path", Proxy::to("http://10.0.0.7:3000"));
    /// ```
    pub fn at(self, pattern: impl Into<String>, answers: impl Mount) -> Self {
        self.route(Route::new(pattern).any(answers))
    }

    /// Answers GET and HEAD on a pattern; see [`Route::get`].
    pub fn get(self, pattern: impl Into<String>, answers: impl Mount) -> Self {
        self.route(Route::new(pattern).get(answers))
    }

    /// Answers POST on a pattern.
    pub fn post(self, pattern: impl Into<String>, answers: impl Mount) -> Self {
        self.route(Route::new(pattern).post(answers))
    }

    /// Answers PUT on a pattern.
    pub fn put(self, pattern: impl Into<String>, answers: impl Mount) -> Self {
        self.route(Route::new(pattern).put(answers))
    }

    /// Answers DELETE on a pattern.
    pub fn delete(self, pattern: impl Into<String>, answers: impl Mount) -> Self {
        self.route(Route::new(pattern).delete(answers))
    }

    /// Passes requests on that name where they are to go, `GET http://host/` and `CONNECT host:443` (RFC 9112 §3.2.2, §3.2.3);
    /// all others go to the routes or, where there are none, get 400 (`not_forward`). A second call replaces the first.
    ///
    /// ```
    /// use eproxy_core::{Forward, Request, Response, Server};
    ///
    /// let server = Server::builder()
    ///     .forward(Forward::new().user("ada", "secret"))
    ///     .get("/", |_: Request, res: Response| res.send("a proxy; use it with curl -x"))
    ///     .bind("127.0.0.1:3128");
    /// ```
    pub fn forward(mut self, forward: Forward) -> Self {
        self.forward = Some(forward);
        self
    }

    /// Listens on an address; may be called several times. `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` (the first
    /// address that the name has), `unix:/run/app.sock`. Port 0 lets the system choose; [`Handle::addresses`] tells
    /// what it chose. `[::]` listens on IPv6 alone. With [`inherit`](Self::inherit), also `systemd:NAME` or `fd:NAME`.
    pub fn bind(self, address: impl Into<String>) -> Self {
        self.listen(address.into(), false, None)
    }

    /// Has listeners use sockets that this process was given, in place of opening their own: all sockets on the address of the
    /// listener, whoever gave them. One on port 0 takes those that an earlier eproxy has opened on the same IP address and
    /// that no other listener names. A listener on `systemd:NAME` or `fd:NAME` takes all sockets of that name, whatever
    /// their addresses; it is an error if there is none. Sockets that no listener wants are closed, with a warning in the
    /// log.
    ///
    /// Sockets that are somebody else's, such as systemd's, are left as they are at the end: so are their files.
    pub fn inherit(mut self, inherited: Inherited) -> Self {
        self.inherited = inherited;
        self
    }

    /// Listens on an address for clients that speak TLS, with HTTP/2 or HTTP/1.1 as they choose; addresses are those of
    /// [`bind`](Self::bind). Certificates are read by [`start`](Self::start), and again when their files change. A request
    /// for another host than the client has named in its handshake gets 421 (RFC 9110 §15.5.20).
    ///
    /// ```no_run
    /// use eproxy_core::{Request, Response, Server, Tls};
    ///
    /// let server = Server::builder()
    ///     .get("/", |_: Request, res: Response| res.send("Hello, World!"))
    ///     .bind_tls("0.0.0.0:443", Tls::files("cert.pem", "key.pem"));
    /// ```
    pub fn bind_tls(self, address: impl Into<String>, tls: Tls) -> Self {
        self.listen(address.into(), false, Some(tls))
    }

    /// Listens on an address where every connection begins with a PROXY protocol header, version 1 or 2: the connection is
    /// taken for that of the client whose address the header names. Only [`trusted_proxies`](Self::trusted_proxies) may
    /// connect there: others, and those that send no valid header, are closed and counted as `bad_proxy_protocol`, and as
    /// `head_timeout` if it has not come within [`Timeouts::head`]. It is an error to name no trusted proxy.
    ///
    /// ```
    /// use eproxy_core::{Proxy, Server};
    ///
    /// let server = Server::builder()
    ///     .trusted_proxies(["10.0.0.0/8"])
    ///     .bind_proxy_protocol("0.0.0.0:8080")
    ///     .at("/*path", Proxy::to("http://127.0.0.1:3000"));
    /// ```
    pub fn bind_proxy_protocol(self, address: impl Into<String>) -> Self {
        self.listen(address.into(), true, None)
    }

    /// As [`bind_proxy_protocol`](Self::bind_proxy_protocol), for clients that speak TLS behind the header.
    pub fn bind_tls_proxy_protocol(self, address: impl Into<String>, tls: Tls) -> Self {
        self.listen(address.into(), true, Some(tls))
    }

    /// Whether there is something to listen on, and somebody to speak where only some may.
    ///
    /// # Errors
    ///
    /// `BadOption`, `BadAddress`.
    pub(super) fn check_addresses(&self, trusted: &Trusted) -> Result<()> {
        let nobody = self.addresses.iter().find(|listening| listening.introduces && trusted.is_empty());
        if let Some(listening) = nobody {
            return Err(Error::new(Kind::BadOption).detail(format!(
                "PROXY protocol on {} and nobody who may speak it: call trusted_proxies",
                listening.address
            )));
        }
        match self.addresses.is_empty() {
            true => Err(Error::new(Kind::BadAddress).detail("none was given: call bind")),
            false => Ok(()),
        }
    }

    fn listen(mut self, address: String, introduces: bool, tls: Option<Tls>) -> Self {
        self.addresses.push(Listening { address, introduces, tls });
        self
    }

    /// Names the peers that are believed when they say where a request comes from: addresses, networks (`10.0.0.0/8`), and
    /// `unix` for unix-domain sockets. Their X-Forwarded-For, -Host, -Proto and Forwarded fields are kept and added to,
    /// those of anybody else are left out; and they may speak the PROXY protocol where
    /// [`bind_proxy_protocol`](Self::bind_proxy_protocol) listens. Nobody is believed unless this is set. May be called
    /// several times; what is none of these is told by [`start`](Self::start).
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.trusted.extend(proxies.into_iter().map(Into::into));
        self
    }

    /// Has requests of [trusted peers](Self::trusted_proxies) that have a header field of this name be answered with what
    /// would become of them and why, as JSON with 200: an [`Explanation`](crate::Explanation). They are neither handled nor
    /// passed on. From anybody else the field is left out, as if it had never come. Off unless set.
    ///
    /// ```
    /// use eproxy_core::{Proxy, Server};
    ///
    /// let server = Server::builder()
    ///     .trusted_proxies(["10.0.0.0/8"])
    ///     .explain_header("X-Eproxy-Explain")
    ///     .at("/*path", Proxy::to("http://127.0.0.1:3000"));
    /// ```
    pub fn explain_header(mut self, name: impl Into<String>) -> Self {
        self.explain = Some(name.into());
        self
    }

    /// Sets the number of worker threads, from 1 to 1,024; as many as there are processors unless set. Each keeps connections
    /// of its own to every upstream.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets all limits; [`Limits::default`] unless set.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets all timeouts; [`Timeouts::default`] unless set.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Starts the server on threads of its own and returns at once, with every address bound.
    ///
    /// # Errors
    ///
    /// A pattern is invalid or overlaps with another, an option is out of its bounds, an address is invalid or in use,
    /// there is none, a socket was not handed over that is asked for by its name, or the system has no thread or descriptor left. Nothing is left running then.
    pub fn start(self) -> Result<Handle> {
        start::start(self)
    }

    /// Starts the server and waits until it ends.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the server at once, in the middle of what it does; use [`start`](Self::start) and
    /// [`Handle::shutdown`] to end it in good order.
    pub async fn run(self) -> Result<()> {
        let handle = self.start()?;
        let stop = handle.stop_on_drop();
        handle.wait().await;
        drop(stop);
        Ok(())
    }
}
