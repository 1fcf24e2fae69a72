//! Servers that other people's libraries make, run inside of the test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_std::net::{TcpListener, TcpStream};
use async_std::task::{self, JoinHandle, block_on};

/// A server on a free port, with a task for each of its connections. Dropping it ends them all.
pub(crate) struct Library {
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Library {
    /// Starts a server; `serve` is run for each connection.
    pub(crate) fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = block_on(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
        let address = listener.local_addr().expect("the socket has an address");
        let connections = Arc::new(Mutex::new(Vec::new()));
        let shared = connections.clone();
        let acceptor = task::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = task::spawn(serve(stream));
                shared.lock().expect("nobody panics while holding this").push(connection);
            }
        });
        Self { address, acceptor: Some(acceptor), connections }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections, in the middle of whatever they are at.
    pub(crate) fn close_connections(&self) {
        let connections =
            std::mem::take(&mut *self.connections.lock().expect("nobody panics while holding this"));
        for connection in connections {
            block_on(connection.cancel());
        }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            block_on(acceptor.cancel());
        }
        self.close_connections();
    }
}
