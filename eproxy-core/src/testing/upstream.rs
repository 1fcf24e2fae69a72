//! A scripted server.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::driver::{Address, Core, Stream, TaskId, Welcome};

use super::line::Line;
use super::play;
use super::script::Script;
use super::seen::Seen;
use super::world::World;

/// A server that does what its [`Script`] says; [`Lab::upstream`](super::Lab::upstream) makes one. Clones are the same
/// server.
///
/// ```
/// use eproxy_core::{Proxy, Server};
/// use eproxy_core::testing::{Lab, Script};
///
/// let lab = Lab::new();
/// let app = lab.upstream("http://app.test", Script::new().answer(200, "one"));
/// lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test")));
/// assert_eq!(lab.get("/").text(), "one");
///
/// app.set(Script::new().answer(200, "two"));
/// assert_eq!(lab.get("/").text(), "two");
/// assert_eq!((app.requests(), app.connections()), (2, 1));
/// ```
#[derive(Clone)]
pub struct Upstream {
    world: Rc<World>,
    state: Rc<State>,
}

/// What an upstream and its connections share.
pub(super) struct State {
    world: Weak<World>,
    core: Rc<Core>,
    addresses: Vec<Address>,
    script: RefCell<Script>,
    greeting: RefCell<Option<Script>>,
    /// The script runs as soon as a head is there.
    at_head: Cell<bool>,
    /// Requests since the script was set.
    runs: Cell<usize>,
    requests: Cell<usize>,
    /// The last of them, with their numbers.
    seen: RefCell<VecDeque<(usize, Seen)>>,
    connections: Cell<usize>,
    /// Those that are open, with their tasks.
    lines: RefCell<Vec<(Rc<Line>, TaskId)>>,
}

/// Requests that are remembered.
const KEPT: usize = 1000;

impl State {
    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    pub(super) fn greeting(&self) -> Option<Script> {
        self.greeting.borrow().clone()
    }

    pub(super) fn runs_at_head(&self) -> bool {
        self.at_head.get()
    }

    /// Remembers a request; gives the number under which that is done.
    pub(super) fn note(&self, request: Seen) -> usize {
        let number = self.requests.get();
        self.requests.set(number + 1);
        let mut seen = self.seen.borrow_mut();
        if seen.len() == KEPT {
            seen.pop_front();
        }
        seen.push_back((number, request));
        number
    }

    /// Remembers the whole of a request that was noted when only its head was there.
    pub(super) fn complete(&self, number: usize, whole: Seen) {
        let mut seen = self.seen.borrow_mut();
        if let Some((_, request)) = seen.iter_mut().find(|(noted, _)| *noted == number) {
            *request = whole;
        }
    }

    /// What is to be done with the next request, and how many there were since that was set.
    pub(super) fn next_script(&self) -> (Script, usize) {
        let number = self.runs.get();
        self.runs.set(number + 1);
        (self.script.borrow().clone(), number)
    }

    /// Serves a new connection.
    fn accept(self: &Rc<Self>, stream: Stream) {
        let Some(world) = self.world.upgrade() else { return };
        self.connections.set(self.connections.get() + 1);
        let line = Rc::new(Line::new(stream));
        let (state, served) = (self.clone(), line.clone());
        let task = world.spawn(async move {
            play::serve(state.clone(), served.clone()).await;
            state.lines.borrow_mut().retain(|(line, _)| !Rc::ptr_eq(line, &served));
        });
        self.lines.borrow_mut().push((line, task));
    }

    /// Ends all connections.
    fn end_all(&self, end: impl Fn(&Line)) {
        let lines = self.lines.take();
        for (line, task) in lines {
            end(&line);
            self.core.wake(task);
        }
    }
}

impl Upstream {
    pub(super) fn new(world: &Rc<World>, addresses: Vec<Address>, script: Script) -> Self {
        let state = State {
            world: Rc::downgrade(world),
            core: world.core.clone(),
            addresses,
            script: RefCell::new(script),
            greeting: RefCell::default(),
            at_head: Cell::new(false),
            runs: Cell::new(0),
            requests: Cell::new(0),
            seen: RefCell::default(),
            connections: Cell::new(0),
            lines: RefCell::default(),
        };
        let upstream = Self { world: world.clone(), state: Rc::new(state) };
        upstream.accept();
        upstream
    }

    /// Gives it another script, for the requests from now on.
    pub fn set(&self, script: Script) {
        *self.state.script.borrow_mut() = script;
        self.state.runs.set(0);
        self.state.at_head.set(false);
    }

    /// Gives it another script, which runs as soon as the head of a request is there. What comes of its body meanwhile is read,
    /// and the next request follows when that has come to its end. A request counts when its head is there.
    ///
    /// ```
    /// use eproxy_core::{Proxy, Server};
    /// use eproxy_core::testing::{Lab, Script};
    ///
    /// let lab = Lab::new();
    /// let app = lab.upstream("http://app.test", Script::new());
    /// app.set_at_head(Script::new().answer(413, "too long").close());
    /// lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test")));
    /// let client = lab.connect();
    /// client.send("PUT /x HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n");
    /// assert!(client.received().starts_with(b"HTTP/1.1 413 "));
    /// ```
    pub fn set_at_head(&self, script: Script) {
        self.set(script);
        self.state.at_head.set(true);
    }

    /// Has it do something with every connection from now on before there is a request: say something, close it, or
    /// [echo](Script::echo) whatever comes.
    ///
    /// ```
    /// use eproxy_core::{Forward, Server};
    /// use eproxy_core::testing::{Lab, Script};
    ///
    /// let lab = Lab::new();
    /// lab.upstream("http://far.test:443", Script::new()).greet(Script::new().echo());
    /// lab.serve(Server::builder().forward(Forward::new()));
    /// let client = lab.connect();
    /// assert_eq!(client.ask("CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n").status(), 200);
    /// client.send("anybody there?");
    /// assert_eq!(client.received(), b"anybody there?");
    /// ```
    pub fn greet(&self, script: Script) {
        *self.state.greeting.borrow_mut() = Some(script);
    }

    /// Takes connections from now on, as it does from the beginning.
    pub fn accept(&self) {
        self.accept_after(Duration::ZERO);
    }

    /// Takes connections from now on, each of them so late. Whoever has no patience for that gets none.
    pub fn accept_after(&self, late: Duration) {
        // Whoever listens holds the state, the state does not hold the world: nothing keeps itself.
        let state = self.state.clone();
        self.welcome(&Welcome::Accept(late, Rc::new(move |stream| state.accept(stream))));
    }

    /// Refuses connections from now on. Those that are open stay so.
    pub fn refuse(&self) {
        self.welcome(&Welcome::Refuse);
    }

    /// Answers no attempt to connect from now on: they last until who connects gives up.
    pub fn hang(&self) {
        self.welcome(&Welcome::Hang);
    }

    fn welcome(&self, welcome: &Welcome) {
        for address in &self.state.addresses {
            self.world.network().listen(address.clone(), welcome.clone());
        }
    }

    /// Closes all connections that are open, in the middle of whatever happens on them.
    pub fn close_connections(&self) {
        self.state.end_all(Line::close);
        self.world.settle();
    }

    /// Resets all connections that are open, in the middle of whatever happens on them.
    pub fn reset_connections(&self) {
        self.state.end_all(Line::reset);
        self.world.settle();
    }

    /// The connections that are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.state.lines.borrow().len()
    }

    /// The connections that there were so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.get()
    }

    /// The requests that there were so far, as far as they came as a whole.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state.requests.get()
    }

    /// The last request that came as a whole.
    ///
    /// # Panics
    ///
    /// There was none.
    #[must_use]
    #[track_caller]
    pub fn last_request(&self) -> Seen {
        let seen = self.state.seen.borrow();
        let (_, last) = seen.back().expect("the upstream has seen a request");
        last.clone()
    }

    /// The requests that came, the last thousand of them, in their order.
    ///
    /// ```
    /// use eproxy_core::{Proxy, Server};
    /// use eproxy_core::testing::{Lab, Script};
    ///
    /// let lab = Lab::new();
    /// let urls = ["http://app.test", "http://copy.test"];
    /// let [app, copy] = urls.map(|url| lab.upstream(url, Script::new().answer(200, "")));
    /// lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test").mirror("http://copy.test")));
    /// lab.get("/a");
    /// lab.get("/b");
    /// for upstream in [app, copy] {
    ///     assert!(upstream.seen().iter().map(|seen| seen.target()).eq(["/a", "/b"]));
    /// }
    /// ```
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.borrow().iter().map(|(_, seen)| seen.clone()).collect()
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.state.addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
        f.debug_struct("Upstream").field("addresses", &addresses).finish_non_exhaustive()
    }
}
