//! A pattern with its handlers and options.

use std::fmt;

use super::condition::{Condition, Match};
use super::mount::{Mount, Mounted};

/// Which requests it is for, what answers their methods, and its options.
///
/// A pattern begins with a slash. `:name` matches one segment and `*name` at the end matches the rest, be it empty.
/// Literal segments win over parameters, parameters over wildcards. Patterns are matched against the decoded path with
/// dot segments resolved and runs of slashes merged, so that two spellings of a path meet the same route.
///
/// A route may be for [some hosts](Self::host) only, and may ask for [header fields](Self::when_header) and
/// [query parameters](Self::when_query). Of the routes that a request fits, this one is chosen:
///
/// 1. one for its very host before one for `*.` and a longer name, before one for `*.` and a shorter name, before one for any
///    host;
/// 2. then the one with the most specific pattern: literal before parameter before wildcard, from left to right;
/// 3. then, of those with the same host and pattern, the one with the higher [priority](Self::priority), the one that asks
///    for more header fields, the one that asks for more query parameters, the one that was added first.
///
/// Where a request is not as a route wants it, the search goes on with the next one in this order. The method is looked at
/// last, among the routes of one host and pattern that the request fits: if none of them has it, the answer is 405, or 204
/// to OPTIONS, whatever less specific routes have. `docs/routing.md` has examples.
///
/// ```
/// use eproxy_core::{Request, Response, Route, Server};
///
/// let server = Server::builder().route(
///     Route::new("/files/*path")
///         .get(|req: Request, res: Response| res.send(format!("reading {:?}", req.param("path"))))
///         .put(|_: Request, res: Response| res.status(201).send(()))
///         .body_limit(64 << 20),
/// );
/// ```
pub struct Route {
    pub(super) pattern: String,
    pub(super) methods: Vec<(String, Mounted)>,
    pub(super) any: Option<Mounted>,
    pub(super) body_limit: Option<u64>,
    /// As they were written; none means any.
    pub(super) hosts: Vec<String>,
    pub(super) conditions: Vec<Condition>,
    pub(super) name: Option<String>,
    pub(super) priority: i32,
}

impl Route {
    /// A route without handlers. The pattern is checked when the server starts.
    #[must_use]
    pub fn new(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            methods: Vec::new(),
            any: None,
            body_limit: None,
            hosts: Vec::new(),
            conditions: Vec::new(),
            name: None,
            priority: 0,
        }
    }

    /// Has the route be for requests to this host only: a name, an IP address, or `*.` and a name, which stands for one or
    /// more labels in front of that. May be called several times: any of them will do. Default: any host, as `*` says, and
    /// requests without one.
    ///
    /// The host is that of an absolute target or of `:authority`, else that of the Host field (RFC 9112 §3.2.2). Names
    /// compare without regard to case, to a final dot and to the port; names in other scripts are those that they are
    /// spelled as in ASCII.
    ///
    /// ```
    /// use eproxy_core::{Proxy, Route, Server};
    ///
    /// let server = Server::builder()
    ///     .route(Route::new("/*path").host("api.example.com").any(Proxy::to("http://10.0.0.7:3000")))
    ///     .route(Route::new("/*path").host("*.example.com").host("example.com").any(Proxy::to("http://10.0.0.8:3000")));
    /// ```
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Has the route be for requests with such a header field only; may be called several times: all of them have to fit.
    /// Names compare without regard to case. The Host is for [`host`](Self::host) to say.
    #[must_use]
    pub fn when_header(mut self, name: impl AsRef<str>, value: Match) -> Self {
        self.conditions.push(Condition::header(name.as_ref(), value));
        self
    }

    /// Has the route be for requests with such a query parameter only; may be called several times: all of them have to fit.
    /// Names and values are those of the query with percent-escapes decoded; `+` is a plus. A parameter without `=` is
    /// empty.
    #[must_use]
    pub fn when_query(mut self, name: impl Into<String>, value: Match) -> Self {
        self.conditions.push(Condition::query(name.into(), value));
        self
    }

    /// Sets what the route is called in logs, in metrics and by `explain`: visible ASCII. Default: its pattern.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Has the route come before others of the same host and pattern whose priority is lower. Default 0.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Answers GET, and HEAD without the body unless it has a handler of its own.
    #[must_use]
    pub fn get(self, answers: impl Mount) -> Self {
        self.method("GET", answers)
    }

    /// Answers POST.
    #[must_use]
    pub fn post(self, answers: impl Mount) -> Self {
        self.method("POST", answers)
    }

    /// Answers PUT.
    #[must_use]
    pub fn put(self, answers: impl Mount) -> Self {
        self.method("PUT", answers)
    }

    /// Answers DELETE.
    #[must_use]
    pub fn delete(self, answers: impl Mount) -> Self {
        self.method("DELETE", answers)
    }

    /// Answers PATCH.
    #[must_use]
    pub fn patch(self, answers: impl Mount) -> Self {
        self.method("PATCH", answers)
    }

    /// Answers a method by its name, which may be any token; methods are case-sensitive (RFC 9110 §9.1). What answers may
    /// be a handler or a [`Proxy`](crate::Proxy). A second one for a method replaces the first.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>, answers: impl Mount) -> Self {
        let method = method.into();
        self.methods.retain(|(known, _)| *known != method);
        self.methods.push((method, answers.mount()));
        self
    }

    /// Answers every method that nothing else answers, but for CONNECT: that is a tunnel's beginning and no request for a
    /// path (RFC 9110 §9.3.6). What answers may be a handler or a [`Proxy`](crate::Proxy).
    #[must_use]
    pub fn any(mut self, answers: impl Mount) -> Self {
        self.any = Some(answers.mount());
        self
    }

    /// Sets the largest request body in bytes; a longer one is refused with 413 (RFC 9110 §15.5.14). Unless set,
    /// [`Limits::body`](crate::Limits::body) holds for handlers and [`Proxy::body_limit`](crate::Proxy::body_limit) for
    /// proxies; `u64::MAX` means no limit.
    #[must_use]
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.body_limit = Some(bytes);
        self
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods: Vec<_> = self.methods.iter().map(|(method, _)| method).collect();
        f.debug_struct("Route")
            .field("pattern", &self.pattern)
            .field("hosts", &self.hosts)
            .field("conditions", &self.conditions)
            .field("methods", &methods)
            .finish_non_exhaustive()
    }
}
