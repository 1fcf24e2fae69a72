//! The server that requests of HTTP/2 are sent to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_std::task;
use eproxy_core::{Builder, Headers, Request, Response, Server};

use crate::support::{Running, start};
use crate::table::reflect;

/// A server; one worker, so that whatever is done to one connection is done on the core of all others.
pub(crate) struct Site {
    pub(crate) server: Running,
    held: Arc<Mutex<Vec<Response>>>,
    calls: Arc<Mutex<Vec<Option<SocketAddr>>>>,
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::with(Server::builder())
    }

    /// The same with options of the server's.
    pub(crate) fn with(builder: Builder) -> Self {
        let held = Arc::<Mutex<Vec<_>>>::default();
        let calls = Arc::<Mutex<Vec<_>>>::default();
        let (keeps, counts) = (held.clone(), calls.clone());
        let count_for = |calls: &Mutex<Vec<_>>, req: &Request| {
            calls.lock().expect("nobody panics while holding this").push(req.peer_addr());
        };
        let builder = builder
            .workers(1)
            .at("/*rest", move |req: Request, res: Response| {
                count_for(&counts, &req);
                reflect(req, res);
            })
            .at("/held", {
                let calls = calls.clone();
                move |req: Request, res: Response| {
                    count_for(&calls, &req);
                    keeps.lock().expect("nobody panics while holding this").push(res);
                }
            });
        Self { server: start(answering(builder)), held, calls }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Requests that the mirror and `/held` have seen.
    pub(crate) fn calls(&self) -> usize {
        self.calls.lock().expect("nobody panics while holding this").len()
    }

    /// Those that a client has sent.
    pub(crate) fn calls_of(&self, client: SocketAddr) -> usize {
        let calls = self.calls.lock().expect("nobody panics while holding this");
        calls.iter().filter(|peer| **peer == Some(client)).count()
    }

    /// Answers every request for `/held`.
    pub(crate) fn release(&self) {
        let held = std::mem::take(&mut *self.held.lock().expect("nobody panics while holding this"));
        held.into_iter().for_each(|response| response.send("released"));
    }

    /// How many of those that wait for an answer from `/held` are gone.
    pub(crate) fn closed(&self) -> usize {
        let held = self.held.lock().expect("nobody panics while holding this");
        held.iter().filter(|response| response.is_closed()).count()
    }

    /// How many requests for `/held` wait.
    pub(crate) fn held(&self) -> usize {
        self.held.lock().expect("nobody panics while holding this").len()
    }
}

/// Adds the routes that answer without being asked to wait.
fn answering(builder: Builder) -> Builder {
    builder
        .at("/status/:code", |req: Request, res: Response| {
            let code = req.param("code").and_then(|code| code.parse().ok()).unwrap_or(500_u16);
            res.status(code).send(());
        })
        .at("/bytes/:count", |req: Request, res: Response| res.send(pattern(count(&req))))
        .at("/stream/:count", |req: Request, res: Response| {
            let bytes = pattern(count(&req));
            let mut writer = res.stream();
            task::spawn(async move {
                for piece in bytes.chunks(10_000) {
                    if writer.send(piece).await.is_err() {
                        return;
                    }
                }
                writer.finish();
            });
        })
        .at("/endless", |_: Request, res: Response| {
            let mut writer = res.stream();
            task::spawn(async move { while writer.send(ENDLESS).await.is_ok() {} });
        })
        .at("/trailers", |_: Request, res: Response| {
            let mut writer = res.header("Trailer", "X-Sum").stream();
            task::spawn(async move {
                let _gone = writer.send("text").await;
                let mut trailers = Headers::new();
                trailers.insert("X-Sum", "4").expect("a field");
                writer.finish_with_trailers(trailers);
            });
        })
        .at("/broken", |_: Request, res: Response| {
            let mut writer = res.stream();
            task::spawn(async move {
                let _gone = writer.send("half of").await;
            });
        })
        .at("/early", |_: Request, res: Response| res.send("early"))
        .at("/forgotten", |_: Request, res: Response| drop(res))
        .at("/panic", |_: Request, _: Response| panic!("a test of what becomes of it"))
        .at("/fields", |_: Request, res: Response| {
            let res = OF_CONNECTIONS.iter().fold(res, |res, name| res.header(name, "x"));
            res.header("X-Mixed-Case", "Kept").append_header("Set-Cookie", "a=1").send("fields");
        })
        .at("/facts", |req: Request, res: Response| {
            let cookies = req.headers().get_all("cookie");
            let cookies: Vec<_> = cookies.map(|cookie| cookie.escape_ascii().to_string()).collect();
            res.send(format!(
                "{} {} {} {:?} {:?} {cookies:?}",
                req.version(),
                req.method(),
                req.path(),
                req.host(),
                req.query()
            ));
        })
}

fn count(req: &Request) -> usize {
    req.param("count").and_then(|count| count.parse().ok()).unwrap_or_default()
}

/// Bytes in which each place looks different from its neighbours.
pub(crate) fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| b'a' + u8::try_from((at / 7 + at) % 26).expect("a letter")).collect()
}

/// What there is no end of.
const ENDLESS: &[u8] = &[b'e'; 16_384];

/// Fields that handlers set, and that HTTP/2 never carries.
const OF_CONNECTIONS: [&str; 5] =
    ["Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"];

/// Long enough for a machine that has much to do, short enough for a test that waits for the end of a client who does
/// nothing.
pub(crate) const SHORT: Duration = Duration::from_millis(500);
