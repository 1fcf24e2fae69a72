//! The user's hooks: how a proxy is given them, what they may return, and how they are called.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use futures_lite::FutureExt as _;

use crate::error::{Error, Kind};
use crate::message::Answer;

use super::proxy::Proxy;
use super::view::{Done, ProxyRequest, ProxyResponse, UpstreamRequest};

/// Hooks: what a program of yours has to say about what passes. None of them is asked about what is refused before its route
/// is chosen, such as a malformed head.
impl Proxy {
    /// Calls `hook` with each request, after its head was checked and before an endpoint is chosen. It may look at the
    /// request and change it, or return an [`Answer`](crate::Answer) that the client is given at once: see [`IntoFlow`].
    ///
    /// ```
    /// use eproxy_core::{Answer, Proxy, ProxyRequest};
    ///
    /// let proxy = Proxy::to("http://10.0.0.7:3000").on_request(|req: &mut ProxyRequest| {
    ///     match req.headers().get("Authorization") {
    ///         Some(b"Bearer secret") => req.headers_mut().insert("X-User", "somebody").map(|()| None),
    ///         _ => Ok(Some(Answer::new(401).with_body("who are you?\n"))),
    ///     }
    /// });
    /// ```
    ///
    /// Several hooks are called in the order in which they were added, up to one that answers. A hook runs on the core that
    /// serves the connection: what takes its time belongs into the async form. A panic costs the request a 500.
    pub fn on_request<R: IntoFlow>(
        mut self,
        hook: impl Fn(&mut ProxyRequest) -> R + Send + Sync + 'static,
    ) -> Self {
        self.hooks.request.add(hook);
        self
    }

    /// The same as [`on_request`](Self::on_request), for a hook that waits for something.
    ///
    /// ```
    /// use eproxy_core::{Answer, Proxy, ProxyRequest};
    ///
    /// # async fn is_known(_: Option<&[u8]>) -> bool { true }
    /// let proxy = Proxy::to("http://10.0.0.7:3000").on_request_async(async |req: &mut ProxyRequest| {
    ///     match is_known(req.headers().get("Cookie")).await {
    ///         true => None,
    ///         false => Some(Answer::new(401)),
    ///     }
    /// });
    /// ```
    pub fn on_request_async<R: IntoFlow>(
        mut self,
        hook: impl AsyncFn(&mut ProxyRequest) -> R + Send + Sync + 'static,
    ) -> Self {
        self.hooks.request.add_async(hook);
        self
    }

    /// Calls `hook` with each request as an endpoint is about to get it, once for every try, before there is a connection
    /// for it. An [`Answer`](crate::Answer) that it returns is what the client gets, and nothing is sent.
    ///
    /// ```
    /// use eproxy_core::{Proxy, UpstreamRequest};
    ///
    /// let proxy = Proxy::to(["http://10.0.0.7:3000", "http://10.0.0.8:3000"]).on_upstream_request(
    ///     |req: &mut UpstreamRequest| {
    ///         let attempt = req.attempt().to_string();
    ///         req.headers_mut().insert("X-Attempt", attempt)
    ///     },
    /// );
    /// ```
    pub fn on_upstream_request<R: IntoFlow>(
        mut self,
        hook: impl Fn(&mut UpstreamRequest) -> R + Send + Sync + 'static,
    ) -> Self {
        self.hooks.upstream.add(hook);
        self
    }

    /// The same as [`on_upstream_request`](Self::on_upstream_request), for a hook that waits for something.
    ///
    /// ```
    /// use eproxy_core::{Proxy, UpstreamRequest};
    ///
    /// # async fn signature(_: &str) -> String { String::new() }
    /// let proxy = Proxy::to("http://10.0.0.7:3000").on_upstream_request_async(async |req: &mut UpstreamRequest| {
    ///     let signature = signature(req.request().target()).await;
    ///     req.headers_mut().insert("X-Signature", signature)
    /// });
    /// ```
    pub fn on_upstream_request_async<R: IntoFlow>(
        mut self,
        hook: impl AsyncFn(&mut UpstreamRequest) -> R + Send + Sync + 'static,
    ) -> Self {
        self.hooks.upstream.add_async(hook);
        self
    }

    /// Calls `hook` with each final answer of an upstream, before the rules of this proxy. It may look at the answer and
    /// change it, or return another [`Answer`](crate::Answer) that the client gets instead. Answers that are made here,
    /// such as a 502, and upgrades are not shown to it.
    ///
    /// ```
    /// use eproxy_core::{Proxy, ProxyResponse};
    ///
    /// let proxy = Proxy::to("http://10.0.0.7:3000").on_response(|res: &mut ProxyResponse| {
    ///     res.headers_mut().remove("Server");
    ///     res.observe_body(|bytes| println!("{} bytes", bytes.len()));
    /// });
    /// ```
    pub fn on_response<R: IntoFlow>(
        mut self,
        hook: impl Fn(&mut ProxyResponse) -> R + Send + Sync + 'static,
    ) -> Self {
        self.hooks.response.add(hook);
        self
    }

    /// The same as [`on_response`](Self::on_response), for a hook that waits for something. The answer's body waits in the
    /// upstream's connection meanwhile.
    ///
    /// ```
    /// use eproxy_core::{Answer, Proxy, ProxyResponse};
    ///
    /// # async fn page_for(_: u16) -> String { String::new() }
    /// let proxy = Proxy::to("http://10.0.0.7:3000").on_response_async(async |res: &mut ProxyResponse| {
    ///     match res.status() {
    ///         status @ 500.. => Some(Answer::new(status).with_body(page_for(status).await)),
    ///         _ => None,
    ///     }
    /// });
    /// ```
    pub fn on_response_async<R: IntoFlow>(
        mut self,
        hook: impl AsyncFn(&mut ProxyResponse) -> R + Send + Sync + 'static,
    ) -> Self {
        self.hooks.response.add_async(hook);
        self
    }

    /// Calls `hook` when an exchange is over, however it ended; for a tunnel, when that has ended. It is not called for
    /// what is cut off when a server is stopped. A panic is counted as `hook_failed`, and changes nothing.
    ///
    /// ```
    /// use eproxy_core::{Done, Proxy};
    ///
    /// let proxy = Proxy::to("http://10.0.0.7:3000").on_done(|done: &mut Done| {
    ///     let (request, status, upstream) = (done.request(), done.status(), done.upstream());
    ///     println!("{} {}: {status:?} of {upstream:?} in {:?}", request.method(), request.target(), done.duration());
    /// });
    /// ```
    pub fn on_done(mut self, hook: impl Fn(&mut Done) + Send + Sync + 'static) -> Self {
        self.hooks.done.add(hook);
        self
    }

    /// The same as [`on_done`](Self::on_done), for a hook that waits for something. The client has its answer by then; its
    /// next request on the connection waits for the hook.
    ///
    /// ```
    /// use eproxy_core::{Done, Proxy};
    ///
    /// # async fn record(_: String, _: Option<&'static str>) {}
    /// let proxy = Proxy::to("http://10.0.0.7:3000").on_done_async(async |done: &mut Done| {
    ///     record(done.request().target().to_owned(), done.failure()).await;
    /// });
    /// ```
    pub fn on_done_async(mut self, hook: impl AsyncFn(&mut Done) + Send + Sync + 'static) -> Self {
        self.hooks.done.add_async(hook);
        self
    }
}

/// What a hook says. Most need not name it: [`IntoFlow`] has what a hook may return instead.
#[derive(Debug)]
pub enum Flow {
    /// The message goes on.
    Continue,
    /// The client is given this answer instead.
    Answer(Box<Answer>),
}

/// What a hook may return: nothing, for the message to go on; an [`Answer`] that the client is given instead; an option of
/// one; a [`Flow`]. An error is answered with 500 and counted as `hook_failed`.
pub trait IntoFlow {
    /// What it says.
    ///
    /// # Errors
    ///
    /// The hook failed.
    fn into_flow(self) -> crate::Result<Flow>;
}

impl IntoFlow for () {
    fn into_flow(self) -> crate::Result<Flow> {
        Ok(Flow::Continue)
    }
}

impl IntoFlow for Flow {
    fn into_flow(self) -> crate::Result<Flow> {
        Ok(self)
    }
}

impl IntoFlow for Answer {
    fn into_flow(self) -> crate::Result<Flow> {
        Ok(Flow::Answer(Box::new(self)))
    }
}

impl IntoFlow for Option<Answer> {
    fn into_flow(self) -> crate::Result<Flow> {
        self.map_or(Ok(Flow::Continue), IntoFlow::into_flow)
    }
}

impl<T: IntoFlow> IntoFlow for crate::Result<T> {
    fn into_flow(self) -> crate::Result<Flow> {
        self.and_then(IntoFlow::into_flow)
    }
}

type SyncHook<T> = dyn Fn(&mut T) -> crate::Result<Flow> + Send + Sync;

/// A hook that takes its time. What it waits with stays on its core.
trait AsyncHook<T>: Send + Sync {
    fn call<'a>(&'a self, with: &'a mut T) -> Pin<Box<dyn Future<Output = crate::Result<Flow>> + 'a>>;
}

struct Async<F>(F);

impl<T, F, R> AsyncHook<T> for Async<F>
where
    F: AsyncFn(&mut T) -> R + Send + Sync,
    R: IntoFlow,
{
    fn call<'a>(&'a self, with: &'a mut T) -> Pin<Box<dyn Future<Output = crate::Result<Flow>> + 'a>> {
        Box::pin(async move { self.0(with).await.into_flow() })
    }
}

#[derive(Clone)]
enum Hook<T> {
    Sync(Arc<SyncHook<T>>),
    Async(Arc<dyn AsyncHook<T>>),
}

/// The hooks for one moment of an exchange, in the order in which they were added.
#[derive(Clone)]
pub(super) struct Hooks<T>(Vec<Hook<T>>);

impl<T> Default for Hooks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: 'static> Hooks<T> {
    pub(super) fn add<R: IntoFlow>(&mut self, hook: impl Fn(&mut T) -> R + Send + Sync + 'static) {
        self.0.push(Hook::Sync(Arc::new(move |with| hook(with).into_flow())));
    }

    pub(super) fn add_async<R: IntoFlow>(&mut self, hook: impl AsyncFn(&mut T) -> R + Send + Sync + 'static) {
        self.0.push(Hook::Async(Arc::new(Async(hook))));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them may take its time; otherwise [`run`](Self::run) waits for nothing.
    pub(super) fn may_wait(&self) -> bool {
        self.0.iter().any(|hook| matches!(hook, Hook::Async(_)))
    }

    /// Calls all hooks, up to one that answers.
    ///
    /// # Errors
    ///
    /// `HookFailed`: one of them failed, or panicked.
    pub(super) async fn run(&self, with: &mut T) -> crate::Result<Flow> {
        for hook in &self.0 {
            let said = match hook {
                Hook::Sync(hook) => catch_unwind(AssertUnwindSafe(|| hook(with))),
                Hook::Async(hook) => AssertUnwindSafe(hook.call(with)).catch_unwind().await,
            };
            match said {
                Ok(Ok(Flow::Continue)) => {}
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => {
                    return Err(Error::new(Kind::HookFailed).detail(error.to_string()).because(error));
                }
                Err(_) => return Err(Error::new(Kind::HookFailed).detail("a panic")),
            }
        }
        Ok(Flow::Continue)
    }
}

impl<T> fmt::Debug for Hooks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("number", &self.0.len()).finish()
    }
}

/// The hooks of a proxy.
#[derive(Debug, Default)]
pub(super) struct AllHooks {
    pub(super) request: Hooks<ProxyRequest>,
    pub(super) upstream: Hooks<UpstreamRequest>,
    pub(super) response: Hooks<ProxyResponse>,
    pub(super) done: Hooks<Done>,
}

impl AllHooks {
    pub(super) fn is_empty(&self) -> bool {
        self.request.is_empty()
            && self.upstream.is_empty()
            && self.response.is_empty()
            && self.done.is_empty()
    }

    pub(super) fn may_wait(&self) -> bool {
        self.request.may_wait()
            || self.upstream.may_wait()
            || self.response.may_wait()
            || self.done.may_wait()
    }
}
