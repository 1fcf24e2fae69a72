//! A server, and the world around it.

use std::cell::Cell;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use crate::driver::{Address, Stream};
use crate::server::{Alone, Builder};
use crate::telemetry::{Metrics, Stats};
use crate::upstream::{Origin, Place};

use super::connection::{Connection, Pending};
use super::reply::Reply;
use super::script::Script;
use super::upstream::Upstream;
use super::world::World;

/// A server on the thread of a test, with its upstreams and its clients; see the [module](super).
///
/// Requests, answers and whatever else is waited for may take an hour on the lab's clock, and what answers from another
/// thread ten seconds: whatever is not there then never comes, and the test fails. Deadlines come up to 8 ms late, as they do
/// elsewhere. The clock on the wall begins at the year 2000.
///
/// It stays on its thread:
///
/// ```compile_fail
/// let lab = eproxy_core::testing::Lab::new();
/// std::thread::spawn(move || lab.now());
/// ```
pub struct Lab {
    world: Rc<World>,
    /// For the names that are not told where they lead.
    next_host: Cell<u32>,
    next_port: Cell<u16>,
}

/// Where names lead that nobody says more about. Nothing is ever sent there; to a guard, these are public addresses.
const FIRST_HOST: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 1);

/// Where clients are, and what they connect to (RFC 5737).
const CLIENTS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254)), 80);

/// The first port that a client has.
const FIRST_PORT: u16 = 10_000;

impl Lab {
    /// A lab without a server and without upstreams, whose clock is at its beginning.
    ///
    /// # Panics
    ///
    /// The system has no descriptor left.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "it takes something of the system, which may have none left"
    )]
    pub fn new() -> Self {
        Self { world: World::new(), next_host: Cell::new(0), next_port: Cell::new(FIRST_PORT) }
    }

    /// Puts a server into the lab. It has one worker, whatever it says of workers, and its addresses are not listened on.
    ///
    /// # Panics
    ///
    /// Something is wrong with it that [`Builder::start`] would tell, or the lab has one.
    #[track_caller]
    pub fn serve(&self, server: Builder) {
        assert!(self.world.server().is_none(), "the lab has a server");
        match Alone::new(server, &self.world.core) {
            Ok(server) => self.world.set_server(server),
            Err(error) => panic!("the server can't be started: {error}"),
        }
        self.world.settle();
    }

    /// Puts an upstream into the lab, under the URL that a [`Proxy`](crate::Proxy) has: with a name, an address, or
    /// `unix:/run/app.sock`. A name leads to an address of its own, or to all those that [`name`](Self::name) was told before.
    /// Another upstream under the same URL takes its place.
    ///
    /// # Panics
    ///
    /// The URL is none of an upstream's.
    #[track_caller]
    pub fn upstream(&self, url: &str, script: Script) -> Upstream {
        let place = match Origin::parse(url) {
            Ok(origin) => origin.place,
            Err(error) => panic!("{error}"),
        };
        let addresses = match place {
            Place::Address(address) => vec![address],
            Place::Name(name, port) => {
                let network = self.world.network();
                if network.look_up(&name, port).is_empty() {
                    network.name(&name, vec![self.new_host()]);
                }
                network.look_up(&name, port).into_iter().map(Address::Tcp).collect()
            }
        };
        Upstream::new(&self.world, addresses, script)
    }

    /// Says what a name leads to, in the order in which a resolver gives it; without addresses, it is not known any more.
    /// Names that nobody speaks of are not known.
    ///
    /// ```
    /// use eproxy_core::{Proxy, Server};
    /// use eproxy_core::testing::{Lab, Script};
    ///
    /// let lab = Lab::new();
    /// lab.name("app.test", ["2600::1", "11.1.1.1"]);
    /// lab.upstream("http://[2600::1]", Script::new()).hang();
    /// lab.upstream("http://11.1.1.1", Script::new().answer(200, "the other"));
    /// lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test")));
    /// assert_eq!(lab.get("/").text(), "the other");
    /// ```
    ///
    /// # Panics
    ///
    /// What is said to be an address is none.
    #[track_caller]
    pub fn name<'a>(&self, name: &str, addresses: impl IntoIterator<Item = &'a str>) {
        let address = |text: &str| match text.parse() {
            Ok(address) => address,
            Err(_) => panic!("{text:?} is no address"),
        };
        self.world.network().name(name, addresses.into_iter().map(address).collect());
    }

    fn new_host(&self) -> IpAddr {
        let number = self.next_host.get();
        self.next_host.set(number + 1);
        IpAddr::V4((u32::from(FIRST_HOST) + number).into())
    }

    /// Asks for a target on a connection of its own and waits for the answer.
    ///
    /// # Panics
    ///
    /// As for [`ask`](Self::ask).
    #[track_caller]
    pub fn get(&self, target: &str) -> Reply {
        self.ask(format!("GET {target} HTTP/1.1\r\nHost: lab.test\r\n\r\n"))
    }

    /// Sends a request, byte for byte, on a connection of its own and waits for the answer.
    ///
    /// ```
    /// use eproxy_core::{Request, Response, Server};
    /// use eproxy_core::testing::Lab;
    ///
    /// let lab = Lab::new();
    /// lab.serve(Server::builder().post("/", |mut req: Request, res: Response| res.send(req.take_body())));
    /// let reply = lab.ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
    /// assert_eq!((reply.status(), reply.text()), (200, "hello"));
    /// ```
    ///
    /// # Panics
    ///
    /// No answer comes, or something that is none.
    #[track_caller]
    pub fn ask(&self, request: impl AsRef<[u8]>) -> Reply {
        let pending = self.send(request);
        self.wait(pending)
    }

    /// Sends a request, byte for byte, on a connection of its own, and has everything run that can run then. No time passes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eproxy_core::{Proxy, Server};
    /// use eproxy_core::testing::{Lab, Script};
    ///
    /// let lab = Lab::new();
    /// let app = lab.upstream("http://app.test", Script::new().latency(Duration::from_secs(1)).answer(200, "x"));
    /// lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test")));
    /// let all: Vec<_> = (0..10).map(|_| lab.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")).collect();
    /// assert_eq!(app.requests(), 10);
    /// assert!(all.into_iter().all(|pending| lab.wait(pending).status() == 200));
    /// assert_eq!(lab.now().as_secs(), 1);
    /// ```
    ///
    /// # Panics
    ///
    /// The lab has no server, or the system no descriptor left.
    #[track_caller]
    pub fn send(&self, request: impl AsRef<[u8]>) -> Pending {
        Pending::new(self.connect(), request.as_ref())
    }

    /// Waits for the answer to a request.
    ///
    /// # Panics
    ///
    /// As for [`ask`](Self::ask).
    #[track_caller]
    pub fn wait(&self, pending: Pending) -> Reply {
        pending.wait()
    }

    /// Connects to the server, from an address that no other client has.
    ///
    /// # Panics
    ///
    /// The lab has no server, or the system no descriptor left.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        let port = self.next_port.get();
        self.next_port.set(port.checked_add(1).unwrap_or(FIRST_PORT));
        self.connect_from(SocketAddr::new(CLIENTS.into(), port))
    }

    /// Connects to the server, which takes it for a client at this address.
    ///
    /// # Panics
    ///
    /// The lab has no server, or the system no descriptor left.
    #[track_caller]
    pub fn connect_from(&self, client: SocketAddr) -> Connection {
        let server = self.world.server().expect("the lab has a server: call serve");
        let (ours, theirs) = Stream::pair(&self.world.core).expect("the system has descriptors left");
        server.admit(theirs, client, SERVER);
        Connection::new(&self.world, ours)
    }

    /// Lets time pass: everything happens that happens meanwhile, each at its time. With no time at all, everything runs that
    /// can run now.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eproxy_core::Server;
    /// use eproxy_core::testing::Lab;
    ///
    /// let lab = Lab::new();
    /// lab.serve(Server::builder());
    /// let client = lab.connect();
    /// lab.advance(Duration::from_secs(29));
    /// assert!(!client.is_closed());
    /// lab.advance(Duration::from_secs(2));
    /// assert!(client.is_closed(), "no request came within Timeouts::head");
    /// ```
    pub fn advance(&self, by: Duration) {
        self.world.advance(by);
    }

    /// Waits until `done` says so, which is asked whenever nothing is left to do in the present.
    ///
    /// # Panics
    ///
    /// It does not say so within an hour on the lab's clock, or nothing is left that could happen.
    #[track_caller]
    pub fn until(&self, done: impl FnMut() -> bool) {
        self.world.wait("what is waited for", done);
    }

    /// How much time has passed since the lab was made.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.world.now()
    }

    /// Has the server finish what runs and take nothing new, as [`Handle::shutdown`](crate::Handle::shutdown) does: idle
    /// connections are open until the clock has moved by [`Timeouts::drain_idle`](crate::Timeouts::drain_idle).
    pub fn drain(&self) {
        if let Some(server) = self.world.server() {
            server.drain();
        }
        self.world.settle();
    }

    /// Reads what the server counts, as [`Handle::metrics`](crate::Handle::metrics) does.
    ///
    /// # Panics
    ///
    /// The lab has no server.
    #[must_use]
    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        self.world.server().expect("the lab has a server: call serve").metrics()
    }

    /// What the server has counted so far.
    ///
    /// # Panics
    ///
    /// The lab has no server.
    #[must_use]
    #[track_caller]
    pub fn stats(&self) -> Stats {
        self.world.server().expect("the lab has a server: call serve").stats()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.world.end();
    }
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab").field("now", &self.now()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use crate::{Proxy, Server};

    use super::*;

    #[test]
    fn nothing_is_left_of_a_lab_that_is_dropped_with_all_that_came_from_it() {
        let request = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
        for order in 0..3 {
            let lab = Lab::new();
            let app = lab.upstream("http://app.test", Script::new().latency(Duration::from_secs(1)));
            let stalls = lab.upstream("http://stalls.test", Script::new().stall());
            lab.serve(
                Server::builder()
                    .at("/", Proxy::to("http://app.test"))
                    .at("/stalls", Proxy::to("http://stalls.test")),
            );
            let (client, pending) = (lab.connect(), lab.send(request));
            lab.connect().send("GET /stalls HTTP/1.1\r\nHost: test\r\n\r\n");
            client.send(request);
            let (world, core) = (Rc::downgrade(&lab.world), Rc::downgrade(&lab.world.core));
            match order {
                0 => drop((lab, app, stalls, client, pending)),
                1 => drop((pending, client, stalls, app, lab)),
                _ => drop((app, lab, client, stalls, pending)),
            }
            assert_eq!((world.strong_count(), core.strong_count()), (0, 0));
        }
    }
}
