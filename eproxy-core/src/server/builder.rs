//! What is served, where, and by how many workers.

use crate::error::Result;
use crate::handler::Handler;
use crate::message::{Limits, Timeouts};
use crate::router::{Mount, Route};

use super::handle::Handle;
use super::start;

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
    pub(super) addresses: Vec<String>,
    pub(super) workers: Option<usize>,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
}

impl Builder {
    /// Adds a route; routes with the same pattern become one.
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Answers every method on a pattern, by a handler or a [`Proxy`](crate::Proxy); see [`Route::any`].
    pub fn at(self, pattern: impl Into<String>, answers: impl Mount) -> Self {
        self.route(Route::new(pattern).any(answers))
    }

    /// Answers GET and HEAD on a pattern; see [`Route::get`].
    pub fn get(self, pattern: impl Into<String>, handler: impl Handler) -> Self {
        self.route(Route::new(pattern).get(handler))
    }

    /// Answers POST on a pattern.
    pub fn post(self, pattern: impl Into<String>, handler: impl Handler) -> Self {
        self.route(Route::new(pattern).post(handler))
    }

    /// Answers PUT on a pattern.
    pub fn put(self, pattern: impl Into<String>, handler: impl Handler) -> Self {
        self.route(Route::new(pattern).put(handler))
    }

    /// Answers DELETE on a pattern.
    pub fn delete(self, pattern: impl Into<String>, handler: impl Handler) -> Self {
        self.route(Route::new(pattern).delete(handler))
    }

    /// Listens on an address; may be called several times. `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` (the first
    /// address that the name has), `unix:/run/app.sock`. Port 0 lets the system choose; [`Handle::addresses`] tells
    /// what it chose. `[::]` listens on IPv6 alone.
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Sets the number of worker threads; as many as there are processors unless set.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets all limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets all timeouts.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Starts the server on threads of its own and returns at once, with every address bound.
    ///
    /// # Errors
    ///
    /// A pattern is invalid or overlaps with another, an option is out of its bounds, an address is invalid or in use,
    /// there is none, or the system has no thread or descriptor left. Nothing is left running then.
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
