//! A server on a free loopback port that ends with its test.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use async_std::task::block_on;
use eproxy_core::{Builder, Handle, Stats};
use socket2::{Domain, Socket, Type};

use super::wire::{Connection, PATIENCE, Reply};

/// A running server; dropping it ends it, and fails the test if it does not end.
pub(crate) struct Running(Option<Handle>);

/// The URL of a place where nobody listens, nor will as long as the tests run: the port is taken.
pub(crate) fn nobody() -> String {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a port is free");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket());
    std::mem::forget(socket);
    format!("http://{}", address.expect("the socket has an address"))
}

/// Starts a server on a free port of 127.0.0.1.
pub(crate) fn start(builder: Builder) -> Running {
    Running::new(builder.bind("127.0.0.1:0"))
}

impl Running {
    /// Starts a server that has its addresses already.
    pub(crate) fn new(builder: Builder) -> Self {
        Self(Some(builder.start().expect("the server starts")))
    }

    /// Takes over one that runs.
    pub(crate) fn of(handle: Handle) -> Self {
        Self(Some(handle))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.0.as_ref().expect("the server is there until it is dropped")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.handle().addresses()[0]
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::to(self.address())
    }

    /// Sends a request on a connection of its own and reads the answer.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Reply {
        self.connect().ask(request)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.handle().stats()
    }

    /// How often a failure of this name was counted.
    pub(crate) fn failures(&self, name: &str) -> u64 {
        self.stats().failure(name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(handle) = self.0.take() else { return };
        let panics = handle.stats().task_panics;
        let end = block_on(async_std::future::timeout(PATIENCE, handle.shutdown(Duration::ZERO)));
        if !thread::panicking() {
            assert!(end.is_ok(), "the server did not end");
            assert_eq!(panics, 0, "the engine panicked");
        }
    }
}
