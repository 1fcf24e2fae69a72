//! A pattern with its handlers and options.

use std::fmt;

use super::mount::{Mount, Mounted};

/// A path pattern, what answers its methods, and its options.
///
/// A pattern begins with a slash. `:name` matches one segment and `*name` at the end matches the rest, be it empty.
/// Literal segments win over parameters, parameters over wildcards. Patterns are matched against the decoded path with
/// dot segments resolved and runs of slashes merged, so that two spellings of a path meet the same route.
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
}

impl Route {
    /// A route without handlers. The pattern is checked when the server starts.
    #[must_use]
    pub fn new(pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), methods: Vec::new(), any: None, body_limit: None }
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

    /// Adds the handlers and options of another route with the same pattern.
    pub(super) fn merge(&mut self, other: Self) {
        for (method, handler) in other.methods {
            self.methods.retain(|(known, _)| *known != method);
            self.methods.push((method, handler));
        }
        self.any = other.any.or(self.any.take());
        self.body_limit = other.body_limit.or(self.body_limit);
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods: Vec<_> = self.methods.iter().map(|(method, _)| method).collect();
        f.debug_struct("Route")
            .field("pattern", &self.pattern)
            .field("methods", &methods)
            .finish_non_exhaustive()
    }
}
