//! What answers requests.

use crate::error::{Error, Kind};
use crate::message::{Answer, Body};

use super::request::Request;
use super::response::Response;

/// Answers requests. Closures `Fn(Request, Response)` are handlers; [`async_handler`] makes one of an async closure.
///
/// `handle` runs on the thread that serves the connection and must return at once; whoever needs time keeps the
/// [`Response`] and answers later, from any thread or task. A handler that panics costs its own request a 500.
///
/// ```
/// use eproxy_core::{Handler, Request, Response, Server};
///
/// struct Greeter { greeting: String }
///
/// impl Handler for Greeter {
///     fn handle(&self, req: Request, res: Response) {
///         res.send(format!("{}, {}!", self.greeting, req.param("name").unwrap_or("nobody")));
///     }
/// }
///
/// let server = Server::builder().get("/greet/:name", Greeter { greeting: "Hello".into() });
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Answers `req` through `res`, now or later.
    fn handle(&self, req: Request, res: Response);
}

impl<F: Fn(Request, Response) + Send + Sync + 'static> Handler for F {
    fn handle(&self, req: Request, res: Response) {
        self(req, res);
    }
}

/// Makes a handler of an async closure: it runs as a task of async-std, and what it returns is sent.
///
/// ```
/// use eproxy_core::{Request, Server, async_handler};
///
/// let server = Server::builder().post(
///     "/length",
///     async_handler(|mut req: Request| async move {
///         let body = req.take_body().bytes(1 << 20).await?;
///         Ok::<_, eproxy_core::Error>(format!("{} bytes\n", body.len()))
///     }),
/// );
/// ```
pub fn async_handler<F, R>(run: F) -> impl Handler
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output: IntoAnswer> + Send + 'static,
{
    move |req: Request, res: Response| {
        let answer = run(req);
        async_std::task::spawn(async move { res.forward(answer.await.into_answer()) });
    }
}

/// What an async handler may return.
///
/// Text, bytes, a [`Body`] and `()` are sent with 200, a pair puts a status before any of them, an [`Answer`] or an
/// `http_types::Response` is sent as it is. An error is answered with its own [`status`](Error::status) and logged;
/// nothing of what it says goes to the client.
pub trait IntoAnswer {
    /// The answer to send.
    fn into_answer(self) -> Answer;
}

impl IntoAnswer for Answer {
    fn into_answer(self) -> Answer {
        self
    }
}

impl<B: Into<Body>> IntoAnswer for B {
    fn into_answer(self) -> Answer {
        Answer::new(200).with_body(self)
    }
}

impl<B: Into<Body>> IntoAnswer for (u16, B) {
    fn into_answer(self) -> Answer {
        Answer::new(self.0).with_body(self.1)
    }
}

impl IntoAnswer for http_types::Response {
    fn into_answer(self) -> Answer {
        Answer::try_from(self).unwrap_or_else(IntoAnswer::into_answer)
    }
}

impl IntoAnswer for Error {
    fn into_answer(self) -> Answer {
        let status = match self.kind() {
            // Nobody is there to see it.
            Kind::DownstreamGone => 400,
            _ => self.status(),
        };
        log::log!(self.kind().row().level, "async handler failed: {}", Chain(&self));
        Answer::plain(status)
    }
}

impl IntoAnswer for http_types::Error {
    fn into_answer(self) -> Answer {
        let status = self.status().into();
        log::error!("async handler failed: {self}");
        Answer::plain(status)
    }
}

impl<T: IntoAnswer, E: IntoAnswer> IntoAnswer for Result<T, E> {
    fn into_answer(self) -> Answer {
        self.map_or_else(IntoAnswer::into_answer, IntoAnswer::into_answer)
    }
}

/// An error with its causes, on one line.
struct Chain<'a>(&'a Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
