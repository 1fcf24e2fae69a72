//! An HTTP proxy engine to embed: a [`Server`] whose handlers answer through callback [`Response`] objects, endpoints that
//! pass requests on ([`Proxy`], [`Forward`]), and an upstream [`Client`].
//!
//! ```no_run
//! use eproxy_core::{Client, Proxy, Request, Response, Server};
//!
//! #[async_std::main]
//! async fn main() -> eproxy_core::Result<()> {
//!     let client = Client::new();
//!     Server::builder()
//!         .get("/hello", |_: Request, res: Response| res.send("Hello, World!"))
//!         .get("/proxy", move |_: Request, res: Response| {
//!             client.fetch("http://127.0.0.1:9000/get", move |answer| match answer {
//!                 Ok(upstream) => res.forward(upstream),
//!                 Err(error) => res.status(error.status()).send(error.name()),
//!             })
//!         })
//!         .at("/api/*path", Proxy::to("http://127.0.0.1:3000").strip_prefix("/api"))
//!         .bind("127.0.0.1:8080")
//!         .run()
//!         .await
//! }
//! ```
//!
//! A [`Handler`] returns at once and answers when it likes, from any thread; [`async_handler`] makes one of an async
//! closure. Bodies are streams with back-pressure in both directions. Everything has a limit ([`Limits`], [`Timeouts`],
//! [`UpstreamOptions`]), and everything that is refused is counted by its name ([`Stats`]). The server runs inside the
//! program that starts it: it installs no signal handlers, prints nothing, and logs through the `log` facade.
//!
//! # Passing requests on
//!
//! A [`Proxy`] is mounted where a handler would be, and sends what comes there to an upstream or to several ([`Group`]);
//! [`Builder::forward`] takes a [`Forward`], for clients that say themselves where they want to go. What passes makes no
//! request or response objects. Hooks see it on its way as [`ProxyRequest`], [`UpstreamRequest`], [`ProxyResponse`] and
//! [`Done`], and bodies go through a [`BodyFilter`] where a hook has asked for that. `docs/proxying.md` has the whole story.
//!
//! # What is answered here
//!
//! [`Files`] from a folder, a [`Fixed`] answer and a [`Redirect`] need no upstream and no code; they are mounted as a [`Proxy`] is.
//! `docs/local.md` has the whole story.
//!
//! # Groups of upstreams
//!
//! A [`Group`] is a handle on the endpoints that share the requests of a proxy. It chooses among them ([`Balance`],
//! [`Sticky`]), finds out who is well ([`Probe`], [`Ejection`], [`Breaker`]), limits what they are given
//! ([`Group::max_requests`], [`AdaptiveLimit`]) and what is sent again ([`RetryBudget`]), and shows how they fare
//! ([`GroupSnapshot`]). Endpoints can be changed while a server runs, or found: a [`Discovery`] looks for them by the records
//! of names ([`Dns`], `Srv`) or in a file ([`EndpointsFile`]). `docs/upstreams.md` has the whole story.
//!
//! # What a server tells
//!
//! [`Handle::metrics`] reads what is counted, by route and by endpoint; [`AccessLog`] has a line for every exchange,
//! [`RequestIds`] gives it an identifier that goes with it, and [`Traces`] makes it part of a trace. `docs/observability.md`
//! has the whole story.
//!
//! # A configuration file
//!
//! A [`Config`] is read from a file in TOML that says all of this, hooks aside, and reads it again without losing what is known
//! of groups that stay. Everything that is wrong with it is told at once, with its place ([`Problems`]).
//! `docs/configuration.md` has every key.
//!
//! # Testing
//!
//! [`testing`] has a lab: a server, its clients and its upstreams on the thread of a test, with a clock that is moved. Nothing
//! is listened on, and what would take a minute takes no time.
//!
//! # The map
//!
//! Rooms stand on floors and use lower floors only. `docs/architecture.md` has every file.
//!
//! | floor | rooms |
//! |---|---|
//! | 9 | `config`: the configuration file |
//! | 8 | `admin`: an API and a page for whoever runs it; `testing`: a server with everything around it on one thread, for tests |
//! | 7 | `server`: listeners, connections, exchanges |
//! | 6 | `router`: which route; `otlp`: spans on their way to a collector |
//! | 5 | `proxy`: passing requests on; `client`: asking others; `local`: what is answered here |
//! | 4 | `handler`: the seam between the server and its user; `upstream`: groups of endpoints, their health, pools, names |
//! | 3 | `http2`: HTTP/2, and what goes over it in the words of HTTP/1.1 |
//! | 2 | `http1`: the wire; `tunnel`: bytes both ways; `telemetry`: counters |
//! | 1 | `message`: the words of HTTP; `tls`: certificates, and what stands between streams and sockets |
//! | 0 | `driver`: poll, tasks, timers, sockets; `error` |
//!
//! A request goes from `driver` to `server/at_once`, is parsed by `http1`, and is answered there or sent on there if nothing
//! has to be waited for. Otherwise it follows `server/exchange::run`; where it is passed on, `proxy/reverse::run`,
//! `proxy/tries::try_all` and `proxy/attempt::attempt`.

mod admin;
mod client;
#[cfg(feature = "config")]
mod config;
mod driver;
mod error;
#[cfg(all(unix, any(test, fuzzing)))]
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod http1;
mod http2;
mod local;
mod message;
mod otlp;
mod proxy;
mod router;
mod server;
mod telemetry;
pub mod testing;
mod tls;
mod tunnel;
mod upstream;

pub use admin::Admin;
pub use client::{Client, ClientOptions, IntoRequest};
#[cfg(feature = "config")]
pub use config::{Config, Files as ConfigFiles, LogFormat, Problem, Problems};
pub use error::{Error, Result, Side};
pub use handler::{BodyWriter, Handler, IntoAnswer, IntoStatus, Request, Response, Upgraded, async_handler};
pub use local::{Files, Fixed, Redirect};
pub use message::{Answer, Body, Headers, Limits, Timeouts};
pub use otlp::Traces;
pub use proxy::{
    BodyFilter, Bound, Done, Flow, Forward, IntoFlow, Leads, Onward, OnwardEndpoint, Proxy, ProxyRequest,
    ProxyResponse, Unit, UpstreamRequest,
};
pub use router::{
    Candidate, ChosenRoute, Finding, Hidden, Match, Mount, Mounted, Route, Unreachable, Verdict,
};
#[cfg(unix)]
pub use server::ListeningSocket;
pub use server::{Asked, Builder, Explanation, Handle, Inherited, Outcome, Server, Shutdown};
pub use telemetry::{
    AccessLog, Attempt, Classes, EndpointMetrics, Failure, GroupMetrics, Latencies, Metrics, MetricsSnapshot,
    Phase, ProcessMetrics, RequestIds, RouteMetrics, Stats,
};
pub use tls::{
    Certificate, CertificateResolver, ClientCertificate, ClientCertificates, Hello, Tls, TlsSession,
    TlsVersion, UpstreamTls,
};
pub use tunnel::ProxyProtocol;
#[cfg(feature = "dns")]
pub use upstream::Srv;
pub use upstream::{
    AdaptiveLimit, Balance, Breaker, Discovery, Dns, Ejection, Endpoint, EndpointSnapshot, EndpointsFile,
    Feed, Found, Group, GroupSnapshot, HashKey, Health, Mode, Probe, RetryBudget, Sticky, UpstreamOptions,
};

/// The Rust in the guides compiles.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../docs/admin.md")]
    struct Admin;
    #[cfg(feature = "config")]
    #[doc = include_str!("../../docs/configuration.md")]
    struct Configuration;
    #[doc = include_str!("../../docs/http2.md")]
    struct Http2;
    #[doc = include_str!("../../docs/local.md")]
    struct Local;
    #[doc = include_str!("../../docs/observability.md")]
    struct Observability;
    #[cfg(unix)]
    #[doc = include_str!("../../docs/operations.md")]
    struct Operations;
    #[doc = include_str!("../../docs/proxying.md")]
    struct Proxying;
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/routing.md")]
    struct Routing;
    #[doc = include_str!("../../docs/tls.md")]
    struct Tls;
    #[cfg(feature = "dns")]
    #[doc = include_str!("../../docs/upstreams.md")]
    struct Upstreams;
}

/// The vocabulary of HTTP: methods, status codes, URLs, media types.
pub use http_types;
/// The request builder and middleware of the [`Client`].
pub use surf;
