//! Upstreams that speak HTTP/2, and follow a script for each request.

use std::future::poll_fn;
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_std::channel::{Sender, unbounded};
use async_std::net::{TcpListener, TcpStream};
use async_std::task::{self, JoinHandle};
use bytes::Bytes;
use futures_lite::future;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::{ServerConfig, ServerConnection};

use super::certificates::pair;
use super::helper::Helper;
use super::http2::{Broken, field, fields, status, wait};
use super::wires::Wire;

/// How an upstream is.
pub(crate) struct Settings {
    pub(crate) codec: Builder,
    /// It speaks TLS.
    pub(crate) tls: Option<ServerConfig>,
}

impl Settings {
    /// HTTP/2 from the first byte.
    pub(crate) fn plain() -> Self {
        Self { codec: Builder::new(), tls: None }
    }

    /// HTTP/2 over TLS, with the tests' certificate.
    pub(crate) fn secure() -> Self {
        Self { tls: Some(pair().server(&["h2"])), ..Self::plain() }
    }

    pub(crate) fn codec(mut self, change: impl FnOnce(&mut Builder) -> &mut Builder) -> Self {
        change(&mut self.codec);
        self
    }
}

/// A server that speaks HTTP/2. A panic in its script is the test's. It ends when it is dropped: after the server that sends
/// it requests, or the scripts that still run are cut short.
pub(crate) struct Http2Upstream {
    address: SocketAddr,
    scheme: &'static str,
    log: Arc<Log>,
    acceptor: Option<JoinHandle<()>>,
}

type Script = dyn Fn(&mut Asked) + Send + Sync;

#[derive(Default)]
struct Log {
    is_over: AtomicBool,
    accepted: AtomicUsize,
    open: AtomicUsize,
    seen: Mutex<Vec<Seen2>>,
    scripts: Mutex<Vec<Helper>>,
    sockets: Mutex<Vec<TcpStream>>,
}

/// A request that was seen, as far as it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen2 {
    /// The number of the connection that it came on; the first has 0.
    pub(crate) connection: usize,
    pub(crate) method: String,
    pub(crate) scheme: String,
    pub(crate) authority: String,
    /// With the query.
    pub(crate) target: String,
    pub(crate) protocol: Option<String>,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
    /// Its body was read to its end.
    pub(crate) is_whole: bool,
}

impl Seen2 {
    /// The value of a field that comes once at the most.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.fields, name)
    }
}

/// What a script can have its connection do.
enum Order {
    /// It takes no further request.
    Leave,
    /// It is given up with this reason.
    Abort(Reason),
    /// Its socket is closed.
    Cut,
}

/// Starts an upstream on a free port. `script` is run for each request, on a thread of its own.
pub(crate) fn http2_upstream(
    settings: Settings,
    script: impl Fn(&mut Asked) + Send + Sync + 'static,
) -> Http2Upstream {
    let listener = wait(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
    let address = listener.local_addr().expect("the socket has an address");
    let scheme = if settings.tls.is_some() { "https" } else { "h2c" };
    let log = Arc::<Log>::default();
    let script: Arc<Script> = Arc::new(script);
    let tls = settings.tls.map(Arc::new);
    let shared = log.clone();
    let acceptor = task::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.expect("connections can be taken");
            socket.set_nodelay(true).expect("an option can be set");
            lock(&shared.sockets).push(socket.clone());
            let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
            shared.open.fetch_add(1, Ordering::SeqCst);
            let (log, script, tls) = (shared.clone(), script.clone(), tls.clone());
            let codec = settings.codec.clone();
            task::spawn(async move {
                serve(socket.clone(), number, tls, codec, &log, &script).await;
                let _gone = socket.shutdown(Shutdown::Both);
                log.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    Http2Upstream { address, scheme, log, acceptor: Some(acceptor) }
}

/// One that answers with the body that it was sent, or with the target where there is none.
pub(crate) fn echoing2(settings: Settings) -> Http2Upstream {
    http2_upstream(settings, |asked| {
        asked.read();
        let body = if asked.seen.body.is_empty() {
            asked.seen.target.clone().into()
        } else {
            asked.seen.body.clone()
        };
        asked.answer(200, &[("content-length", &body.len().to_string())], body);
    })
}

async fn serve(
    socket: TcpStream,
    number: usize,
    tls: Option<Arc<ServerConfig>>,
    codec: Builder,
    log: &Arc<Log>,
    script: &Arc<Script>,
) {
    let wire = match tls {
        None => Wire::plain(socket.clone()),
        Some(config) => {
            let tls = ServerConnection::new(config).expect("the configuration is one");
            match Wire::secure(socket.clone(), tls).await {
                Ok((wire, _)) => wire,
                Err(_) => return,
            }
        }
    };
    let Ok(mut codec) = codec.handshake::<_, Bytes>(wire).await else { return };
    let (orders, ordered) = unbounded();
    loop {
        let order = async { Err(ordered.recv().await.expect("this side sends, too")) };
        match future::or(order, async { Ok(codec.accept().await) }).await {
            Ok(Some(Ok((request, respond)))) => {
                let mut asked = Asked::new(request, respond, number, log, orders.clone());
                let (log, script) = (log.clone(), script.clone());
                let helper = Helper::run({
                    let log = log.clone();
                    move || {
                        let end = catch_unwind(AssertUnwindSafe(|| script(&mut asked)));
                        drop(asked);
                        match end {
                            // A script that the end of the test has cut short is no failure.
                            Err(panic) if !log.is_over.load(Ordering::SeqCst) => resume_unwind(panic),
                            _ => {}
                        }
                    }
                });
                lock(&log.scripts).push(helper);
            }
            Ok(Some(Err(_)) | None) => return,
            Err(Order::Leave) => codec.graceful_shutdown(),
            Err(Order::Abort(reason)) => codec.abrupt_shutdown(reason),
            Err(Order::Cut) => drop(socket.shutdown(Shutdown::Both)),
        }
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().expect("nobody panics while holding this")
}

impl Http2Upstream {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Connections that it has taken so far.
    pub(crate) fn accepted(&self) -> usize {
        self.log.accepted.load(Ordering::SeqCst)
    }

    /// Those that have not ended.
    pub(crate) fn open(&self) -> usize {
        self.log.open.load(Ordering::SeqCst)
    }

    /// The requests that came so far.
    pub(crate) fn seen(&self) -> Vec<Seen2> {
        lock(&self.log.seen).clone()
    }

    /// The last of them.
    pub(crate) fn last(&self) -> Seen2 {
        self.seen().pop().expect("a request was seen")
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.log.seen).len()
    }
}

impl Drop for Http2Upstream {
    fn drop(&mut self) {
        self.log.is_over.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            wait(acceptor.cancel());
        }
        for socket in lock(&self.log.sockets).drain(..) {
            let _gone = socket.shutdown(Shutdown::Both);
        }
        let scripts = std::mem::take(&mut *lock(&self.log.scripts));
        drop(scripts);
    }
}

/// A request that is to be answered.
pub(crate) struct Asked {
    pub(crate) seen: Seen2,
    /// Its number among those that were seen.
    index: usize,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    log: Arc<Log>,
    orders: Sender<Order>,
}

impl Asked {
    fn new(
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        connection: usize,
        log: &Arc<Log>,
        orders: Sender<Order>,
    ) -> Self {
        let (head, body) = request.into_parts();
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let protocol = head.extensions.get::<h2::ext::Protocol>();
        let seen = Seen2 {
            connection,
            method: head.method.to_string(),
            scheme: text(head.uri.scheme_str()),
            authority: text(head.uri.authority().map(|authority| authority.as_str())),
            target: text(head.uri.path_and_query().map(|path| path.as_str())),
            protocol: protocol.map(|protocol| protocol.as_str().to_owned()),
            fields: head.headers,
            is_whole: body.is_end_stream(),
            ..Seen2::default()
        };
        let index = {
            let mut all = lock(&log.seen);
            all.push(seen.clone());
            all.len() - 1
        };
        Self { seen, index, body, respond, send: None, log: log.clone(), orders }
    }

    fn note(&self) {
        lock(&self.log.seen)[self.index] = self.seen.clone();
    }

    /// The next data of the request, for which the other side is then given room; none at the end.
    pub(crate) fn try_data(&mut self) -> Result<Option<Bytes>, Broken> {
        let data = self.data_only()?;
        if let Some(data) = &data {
            let _gone = self.body.flow_control().release_capacity(data.len());
        }
        Ok(data)
    }

    /// The same, and it is given no room.
    pub(crate) fn data_only(&mut self) -> Result<Option<Bytes>, Broken> {
        let data = wait(poll_fn(|cx| self.body.poll_data(cx))).transpose().map_err(|error| error.reason())?;
        if let Some(data) = &data {
            self.seen.body.extend_from_slice(data);
            self.note();
        }
        Ok(data)
    }

    /// Reads the request to its end; says why where that does not come.
    pub(crate) fn try_read(&mut self) -> Result<(), Broken> {
        while self.try_data()?.is_some() {}
        let trailers = wait(poll_fn(|cx| self.body.poll_trailers(cx))).map_err(|error| error.reason())?;
        self.seen.trailers = trailers.unwrap_or_default();
        self.seen.is_whole = true;
        self.note();
        Ok(())
    }

    pub(crate) fn read(&mut self) {
        self.try_read().unwrap_or_else(|reason| panic!("the request broke off: {reason:?}"));
    }

    /// Sends an interim answer.
    pub(crate) fn interim(&mut self, number: u16, with: &[(&'static str, &str)]) {
        self.respond.send_informational(response(number, with)).expect("the stream is there");
    }

    /// Sends the head of the answer. That whoever has asked is gone shows when more is sent.
    pub(crate) fn head(&mut self, number: u16, with: &[(&'static str, &str)], ends: bool) {
        self.send = self.respond.send_response(response(number, with), ends).ok();
    }

    /// Sends data as there is room for it; says why where the stream is gone.
    pub(crate) fn try_send(&mut self, data: impl Into<Vec<u8>>, ends: bool) -> Result<(), Broken> {
        let Some(send) = &mut self.send else { return Err(None) };
        let mut data = Bytes::from(data.into());
        let broken = |error: h2::Error| error.reason();
        if data.is_empty() {
            return send.send_data(data, ends).map_err(broken);
        }
        while !data.is_empty() {
            send.reserve_capacity(data.len());
            let room = wait(poll_fn(|cx| send.poll_capacity(cx))).ok_or(None)?.map_err(broken)?;
            let piece = data.split_to(room.min(data.len()));
            send.send_data(piece, ends && data.is_empty()).map_err(broken)?;
        }
        Ok(())
    }

    pub(crate) fn send(&mut self, data: impl Into<Vec<u8>>) {
        self.try_send(data, false).expect("it is taken");
    }

    pub(crate) fn send_end(&mut self, data: impl Into<Vec<u8>>) {
        self.try_send(data, true).expect("it is taken");
    }

    pub(crate) fn send_trailers(&mut self, trailers: &[(&'static str, &str)]) {
        let send = self.send.as_mut().expect("the head was sent");
        send.send_trailers(fields(trailers)).expect("the stream is there");
    }

    /// Answers with a body, which may be empty.
    pub(crate) fn answer(&mut self, number: u16, with: &[(&'static str, &str)], body: impl Into<Vec<u8>>) {
        let body = body.into();
        let is_empty = body.is_empty() || self.seen.method == "HEAD";
        self.head(number, with, is_empty);
        if !is_empty {
            // Whoever has asked may be gone.
            let _gone = self.try_send(body, true);
        }
    }

    /// Breaks it off.
    pub(crate) fn reset(&mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    /// Waits until it was broken off by whoever has asked; says with which reason.
    pub(crate) fn was_reset(&mut self) -> Broken {
        let reset = match &mut self.send {
            Some(send) => wait(poll_fn(|cx| send.poll_reset(cx))),
            None => wait(poll_fn(|cx| self.respond.poll_reset(cx))),
        };
        reset.map_or_else(|error| error.reason(), Some)
    }

    /// Has its connection take no further request.
    pub(crate) fn connection_leaves(&self) {
        self.order(Order::Leave);
    }

    /// Gives its connection up.
    pub(crate) fn connection_aborts(&self, reason: Reason) {
        self.order(Order::Abort(reason));
    }

    /// Closes the socket of its connection.
    pub(crate) fn connection_is_cut(&self) {
        self.order(Order::Cut);
    }

    fn order(&self, order: Order) {
        // One that is over takes none.
        let _over = self.orders.try_send(order);
    }
}

fn response(number: u16, with: &[(&'static str, &str)]) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status(number);
    *response.headers_mut() = fields(with);
    response
}
