//! Clients that speak HTTP/2, through h2 over sockets of async-std; tests call them as if they were blocking.

use std::future::{Future, poll_fn};
use std::net::{Shutdown, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use async_std::net::TcpStream;
use async_std::task::{self, JoinHandle, block_on};
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, StatusCode};

use super::secure::TlsClient;
use super::wire::PATIENCE;
use super::wires::Wire;

/// Waits for what has to come.
pub(crate) fn wait<T>(what: impl Future<Output = T>) -> T {
    block_on(async_std::future::timeout(PATIENCE, what)).expect("it comes in time")
}

/// A connection that speaks HTTP/2.
pub(crate) struct Http2 {
    send: SendRequest<Bytes>,
    socket: TcpStream,
    driver: Option<JoinHandle<Result<(), h2::Error>>>,
    pings: std::sync::Mutex<Option<h2::PingPong>>,
    authority: String,
    scheme: &'static str,
}

impl Http2 {
    /// Connects, with prior knowledge.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::with(address, &Builder::new())
    }

    /// The same, as `builder` says.
    pub(crate) fn with(address: SocketAddr, builder: &Builder) -> Self {
        Self::over(socket(address), builder)
    }

    /// Over a connection on which something was said before.
    pub(crate) fn over(socket: TcpStream, builder: &Builder) -> Self {
        Self::begin(Wire::plain(socket.clone()), socket, "http", builder)
    }

    /// Connects over TLS.
    pub(crate) fn secure(address: SocketAddr) -> Self {
        Self::secure_with(address, &TlsClient::new(), &Builder::new())
    }

    pub(crate) fn secure_with(address: SocketAddr, client: &TlsClient, builder: &Builder) -> Self {
        Self::secure_over(socket(address), client, builder)
    }

    pub(crate) fn secure_over(socket: TcpStream, client: &TlsClient, builder: &Builder) -> Self {
        let tls = client.clone().alpn(&["h2", "http/1.1"]).begin();
        let (wire, alpn) = wait(Wire::secure(socket.clone(), tls)).expect("the handshake comes to its end");
        assert_eq!(alpn.as_deref(), Some(&b"h2"[..]), "HTTP/2 was agreed on");
        Self::begin(wire, socket, "https", builder)
    }

    fn begin(wire: Wire, socket: TcpStream, scheme: &'static str, builder: &Builder) -> Self {
        let (send, mut connection) =
            wait(builder.handshake::<_, Bytes>(wire)).expect("the connection begins");
        let pings = std::sync::Mutex::new(connection.ping_pong());
        let driver = Some(task::spawn(connection));
        Self { send, socket, driver, pings, authority: "test".into(), scheme }
    }

    /// Asks for things of this host.
    pub(crate) fn of_host(mut self, authority: &str) -> Self {
        self.authority = authority.into();
        self
    }

    /// The beginning of a request; `target` is a path, or a URI.
    pub(crate) fn request(&self, method: &str, target: &str) -> Request<()> {
        let uri = match target.starts_with('/') {
            true => format!("{}://{}{target}", self.scheme, self.authority),
            false => target.to_owned(),
        };
        Request::builder().method(method).uri(uri).body(()).expect("a request")
    }

    /// Begins a request, once there is room for one more.
    pub(crate) fn begin_request(&self, request: Request<()>, is_end: bool) -> Exchange {
        let mut send = wait(self.send.clone().ready()).expect("the connection takes requests");
        let (answer, stream) = send.send_request(request, is_end).expect("the request is one");
        Exchange { answer: Some(answer), send: stream, body: None, interim: Vec::new() }
    }

    /// Begins a request without a body, if the connection still takes one.
    pub(crate) fn try_ask(&self, method: &str, target: &str) -> Option<Exchange> {
        let mut send = wait(self.send.clone().ready()).ok()?;
        let (answer, stream) = send.send_request(self.request(method, target), true).ok()?;
        Some(Exchange { answer: Some(answer), send: stream, body: None, interim: Vec::new() })
    }

    /// Begins a request that has a body.
    pub(crate) fn open(&self, method: &str, target: &str) -> Exchange {
        self.begin_request(self.request(method, target), false)
    }

    /// Begins a request without a body.
    pub(crate) fn ask(&self, method: &str, target: &str) -> Exchange {
        self.begin_request(self.request(method, target), true)
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.ask("GET", target).whole()
    }

    pub(crate) fn post(&self, target: &str, body: impl Into<Vec<u8>>) -> Answer {
        let mut exchange = self.open("POST", target);
        // An answer that does not wait for the body may have ended the stream: it is the answer that counts.
        let _ = exchange.try_send(body.into(), true);
        exchange.whole()
    }

    /// Whether it is known that WebSockets are carried (RFC 8441 §3).
    pub(crate) fn carries_websockets(&self) -> bool {
        self.send.is_extended_connect_protocol_enabled()
    }

    /// How many requests the server takes at once.
    pub(crate) fn streams(&self) -> usize {
        self.send.current_max_send_streams()
    }

    /// What pings go through; it is to be had once.
    pub(crate) fn pings(&self) -> h2::PingPong {
        self.pings.lock().expect("nobody panics while holding this").take().expect("it is taken once")
    }

    /// Whether the server takes no further request.
    pub(crate) fn is_closed(&self) -> bool {
        let mut send = self.send.clone();
        let ready = wait(poll_fn(|cx| Poll::Ready(send.poll_ready(cx))));
        matches!(ready, Poll::Ready(Err(_)))
    }

    /// Waits until the server has ended the connection.
    pub(crate) fn ended(mut self) -> Result<(), h2::Error> {
        let driver = self.driver.take().expect("it is waited for once");
        // One that has no requests to send ends by itself: this one may have.
        let end = wait(driver);
        drop(self);
        end
    }

    /// Cuts the connection off.
    pub(crate) fn cut(&self) {
        let _gone = self.socket.shutdown(Shutdown::Both);
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        let Some(driver) = self.driver.take() else { return };
        let socket = self.socket.clone();
        // It ends with its last request; whoever has one left has it broken off.
        task::spawn(async move {
            let _late = async_std::future::timeout(Duration::from_secs(5), driver).await;
            let _gone = socket.shutdown(Shutdown::Both);
        });
    }
}

fn socket(address: SocketAddr) -> TcpStream {
    let socket = wait(TcpStream::connect(address)).expect("the server takes connections");
    socket.set_nodelay(true).expect("an option can be set");
    socket
}

/// Says that nothing of its stream is there any more.
pub(crate) type Broken = Option<Reason>;

/// A request, and its answer.
pub(crate) struct Exchange {
    answer: Option<ResponseFuture>,
    send: SendStream<Bytes>,
    body: Option<RecvStream>,
    /// Statuses of the interim answers that have come.
    pub(crate) interim: Vec<u16>,
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

impl Exchange {
    /// Sends data as the windows have room for it; says why where the stream is gone.
    pub(crate) fn try_send(&mut self, data: impl Into<Vec<u8>>, ends: bool) -> Result<(), Broken> {
        let mut data = Bytes::from(data.into());
        let broken = |error: h2::Error| error.reason();
        if data.is_empty() {
            return self.send.send_data(data, ends).map_err(broken);
        }
        while !data.is_empty() {
            self.send.reserve_capacity(data.len());
            let room = wait(poll_fn(|cx| self.send.poll_capacity(cx)));
            let room = room.ok_or(None)?.map_err(broken)?;
            let piece = data.split_to(room.min(data.len()));
            self.send.send_data(piece, ends && data.is_empty()).map_err(broken)?;
        }
        Ok(())
    }

    /// Sends until there is no room for a while; says how much there was room for.
    pub(crate) fn send_until_stuck(&mut self, most: usize) -> usize {
        let mut sent = 0;
        while sent < most {
            self.send.reserve_capacity(16 * 1024);
            let capacity = poll_fn(|cx| self.send.poll_capacity(cx));
            match block_on(async_std::future::timeout(Duration::from_millis(300), capacity)) {
                Ok(Some(Ok(room))) => {
                    self.send.send_data(vec![b'x'; room].into(), false).expect("there is room");
                    sent += room;
                }
                Ok(end) => panic!("the stream is gone: {end:?}"),
                Err(_) => break,
            }
        }
        sent
    }

    pub(crate) fn send(&mut self, data: impl Into<Vec<u8>>) {
        self.try_send(data, false).expect("the server takes it");
    }

    pub(crate) fn send_end(&mut self, data: impl Into<Vec<u8>>) {
        self.try_send(data, true).expect("the server takes it");
    }

    pub(crate) fn send_trailers(&mut self, trailers: &[(&'static str, &str)]) {
        self.send.send_trailers(fields(trailers)).expect("the stream is open");
    }

    /// Gives it up.
    pub(crate) fn reset(mut self, reason: Reason) {
        self.send.send_reset(reason);
    }

    /// Waits for the server to reset it; says with which reason.
    pub(crate) fn was_reset(&mut self) -> Broken {
        wait(poll_fn(|cx| self.send.poll_reset(cx))).map_or_else(|error| error.reason(), Some)
    }

    /// Waits for the head of the answer.
    pub(crate) fn try_head(&mut self) -> Result<Head, Broken> {
        let mut answer = self.answer.take().expect("the head comes once");
        let interim = &mut self.interim;
        let response = wait(poll_fn(|cx| {
            while let Poll::Ready(Some(Ok(response))) = answer.poll_informational(cx) {
                interim.push(response.status().as_u16());
            }
            std::pin::Pin::new(&mut answer).poll(cx)
        }));
        let (head, body) = response.map_err(|error| error.reason())?.into_parts();
        self.body = Some(body);
        Ok(Head { status: head.status.as_u16(), fields: head.headers })
    }

    pub(crate) fn head(&mut self) -> Head {
        self.try_head().unwrap_or_else(|reason| panic!("there is no answer: {reason:?}"))
    }

    /// Waits for an interim answer.
    pub(crate) fn interim(&mut self) -> u16 {
        let answer = self.answer.as_mut().expect("the head is still to come");
        let response = wait(poll_fn(|cx| answer.poll_informational(cx)));
        response.expect("an interim answer").expect("an interim answer").status().as_u16()
    }

    /// Whether the head is still to come, a moment from now.
    pub(crate) fn waits(&mut self) -> bool {
        let answer = self.answer.as_mut().expect("the head is still to come");
        block_on(async_std::future::timeout(Duration::from_millis(100), answer)).is_err()
    }

    /// The next data, which the server is then given room for; none at the end.
    pub(crate) fn try_data(&mut self) -> Result<Option<Bytes>, Broken> {
        let body = self.body.as_mut().expect("the head has come");
        let data = wait(poll_fn(|cx| body.poll_data(cx))).transpose().map_err(|error| error.reason())?;
        if let Some(data) = &data {
            let _gone = body.flow_control().release_capacity(data.len());
        }
        Ok(data)
    }

    pub(crate) fn data(&mut self) -> Option<Bytes> {
        self.try_data().unwrap_or_else(|reason| panic!("the answer broke off: {reason:?}"))
    }

    /// So many bytes of the answer at least.
    pub(crate) fn at_least(&mut self, n: usize) -> Vec<u8> {
        let mut read = Vec::new();
        while read.len() < n {
            read.extend_from_slice(&self.data().expect("there is more"));
        }
        read
    }

    /// What is left of the body, and how it ends.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, Result<HeaderMap, Broken>) {
        let mut read = Vec::new();
        loop {
            match self.try_data() {
                Ok(Some(data)) => read.extend_from_slice(&data),
                Ok(None) => break,
                Err(broken) => return (read, Err(broken)),
            }
        }
        let body = self.body.as_mut().expect("the head has come");
        let trailers = wait(poll_fn(|cx| body.poll_trailers(cx)));
        (read, trailers.map(Option::unwrap_or_default).map_err(|error| error.reason()))
    }

    /// The answer, if there is one that is whole.
    pub(crate) fn try_whole(&mut self) -> Result<Answer, Broken> {
        let Head { status, fields } = self.try_head()?;
        let (body, end) = self.rest();
        Ok(Answer { status, fields, body, trailers: end? })
    }

    /// The answer, which has to be whole.
    pub(crate) fn whole(mut self) -> Answer {
        self.try_whole().unwrap_or_else(|reason| panic!("the answer broke off: {reason:?}"))
    }

    /// Whether the answer has no body, not even one that is empty.
    pub(crate) fn is_over(&self) -> bool {
        self.body.as_ref().is_some_and(RecvStream::is_end_stream)
    }
}

impl Answer {
    /// The value of a field that comes once at the most.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.fields, name)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }
}

impl Head {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.fields, name)
    }
}

/// The value of a field that comes once at the most.
pub(crate) fn field<'f>(fields: &'f HeaderMap, name: &str) -> Option<&'f str> {
    let mut values = fields.get_all(name).iter();
    let value = values.next().map(|value| value.to_str().expect("an ASCII value"));
    assert!(values.next().is_none(), "{name} comes twice: {fields:?}");
    value
}

/// Fields of a message.
pub(crate) fn fields(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, value.parse().expect("a value"));
    }
    map
}

/// A status, as the codec has it.
pub(crate) fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).expect("a status")
}
