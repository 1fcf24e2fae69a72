//! A client.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;

use crate::driver::{Stream, TaskId};

use super::line::{End, Line};
use super::reply::Reply;
use super::world::World;

/// A client's connection to the server of a [`Lab`](super::Lab), to say any bytes at all on; [`Lab::connect`] makes one.
/// It is closed when it is dropped.
///
/// ```
/// use std::time::Duration;
/// use eproxy_core::{Request, Response, Server};
/// use eproxy_core::testing::Lab;
///
/// let lab = Lab::new();
/// lab.serve(Server::builder().get("/", |_: Request, res: Response| res.send("hello")));
/// let client = lab.connect();
/// client.send("GET / HT");
/// lab.advance(Duration::from_secs(29));
/// client.send("TP/1.1\r\nHost: test\r\n\r\n");
/// assert!(client.received().starts_with(b"HTTP/1.1 200 OK\r\n"));
/// ```
///
/// [`Lab::connect`]: super::Lab::connect
#[must_use = "it is closed when it is dropped"]
pub struct Connection {
    world: Rc<World>,
    line: Rc<Line>,
    task: TaskId,
}

impl Connection {
    pub(super) fn new(world: &Rc<World>, stream: Stream) -> Self {
        let line = Rc::new(Line::new(stream));
        let driven = line.clone();
        let task = world.spawn(async move {
            // It is woken when there is something to be said, also after the other side has said all it had to.
            poll_fn(|cx| driven.poll_closed(cx)).await;
        });
        Self { world: world.clone(), line, task }
    }

    /// Sends bytes, and has everything run that can run then. No time passes.
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> &Self {
        self.line.say(bytes.as_ref());
        self.run();
        self
    }

    /// Sends a request and waits for its answer, as [`Lab::ask`](super::Lab::ask) does. Requests may follow each other.
    ///
    /// # Panics
    ///
    /// As for [`Lab::ask`](super::Lab::ask).
    #[track_caller]
    pub fn ask(&self, request: impl AsRef<[u8]>) -> Reply {
        let request = request.as_ref();
        self.send(request);
        self.reply(method(request))
    }

    /// Takes what has come and was not taken yet. No time passes.
    #[must_use]
    pub fn received(&self) -> Vec<u8> {
        self.world.settle();
        self.line.take(|heard| Some((heard.to_vec(), heard.len()))).unwrap_or_default()
    }

    /// Waits until the other side has closed the connection, and gives what has come before that.
    ///
    /// # Panics
    ///
    /// It is not closed within an hour on the lab's clock.
    #[must_use]
    #[track_caller]
    pub fn received_to_end(&self) -> Vec<u8> {
        self.world.wait("the end of the connection", || self.line.is_over());
        self.received()
    }

    /// Whether the other side has closed the connection, or reset it. No time passes.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.world.settle();
        self.line.is_over()
    }

    /// Whether the other side has reset the connection. No time passes.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.world.settle();
        self.line.end() == Some(End::Reset)
    }

    /// Reads nothing from now on, so that the other side can't write any more at some point.
    pub fn stop_reading(&self) {
        self.line.set_deaf(true);
    }

    /// Reads what comes, as it does from the beginning.
    pub fn read_on(&self) {
        self.line.set_deaf(false);
        self.run();
    }

    /// Says that nothing more will be sent, and goes on to listen.
    pub fn finish(&self) {
        self.line.finish();
        self.run();
    }

    /// Closes the connection, both ways.
    pub fn close(self) {}

    /// Resets the connection: the other side gets an error instead of an end.
    pub fn reset(self) {
        self.line.reset();
    }

    /// Waits for an answer to a request of `method`.
    #[track_caller]
    pub(super) fn reply(&self, method: &[u8]) -> Reply {
        let mut reply = None;
        self.world.wait("the answer", || {
            let is_over = self.line.is_over();
            reply = self.line.take(|heard| Reply::find(heard, method, is_over));
            assert!(reply.is_some() || !is_over, "the connection was closed without an answer");
            reply.is_some()
        });
        reply.expect("it was waited for")
    }

    /// Has the connection's task run, and all that follows from it.
    fn run(&self) {
        self.world.core.wake(self.task);
        self.world.settle();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.line.close();
        self.world.core.wake(self.task);
        // In the middle of a panic, it is enough that it is closed.
        if !std::thread::panicking() {
            self.world.settle();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("is_over", &self.line.is_over()).finish_non_exhaustive()
    }
}

/// A request whose answer is not waited for yet; see [`Lab::send`](super::Lab::send). Dropping it closes its connection.
#[must_use = "dropping it closes its connection"]
#[derive(Debug)]
pub struct Pending {
    connection: Connection,
    method: Vec<u8>,
}

impl Pending {
    pub(super) fn new(connection: Connection, request: &[u8]) -> Self {
        connection.send(request);
        Self { connection, method: method(request).to_vec() }
    }

    /// Whether the answer is there. No time passes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eproxy_core::{Proxy, Server};
    /// use eproxy_core::testing::{Lab, Script};
    ///
    /// let lab = Lab::new();
    /// lab.upstream("http://app.test", Script::new().latency(Duration::from_secs(1)).answer(200, "x"));
    /// lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test")));
    /// let pending = lab.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    /// assert!(!pending.is_answered());
    /// lab.advance(Duration::from_secs(2));
    /// assert!(pending.is_answered());
    /// ```
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.connection.world.settle();
        let line = &self.connection.line;
        line.look(|heard| Reply::find(heard, &self.method, line.is_over()).is_some())
    }

    #[track_caller]
    pub(super) fn wait(&self) -> Reply {
        self.connection.reply(&self.method)
    }
}

/// The method of a request.
fn method(request: &[u8]) -> &[u8] {
    request.split(|byte| *byte == b' ').next().unwrap_or_default()
}
