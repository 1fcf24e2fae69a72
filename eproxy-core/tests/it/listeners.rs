//! Where a server can listen.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use eproxy_core::{Builder, Request, Response, Server};

use crate::support::{Connection, Running, get, start};

fn builder() -> Builder {
    Server::builder().get("/", |req: Request, res: Response| {
        res.send(match req.peer_addr() {
            Some(address) => address.ip().to_string(),
            None => "no address".into(),
        });
    })
}

#[test]
fn names_and_several_addresses_at_once() {
    let server = Running::new(builder().bind("127.0.0.1:0").bind("localhost:0"));
    let addresses = server.handle().addresses();
    assert_eq!(addresses.len(), 2);
    assert!(addresses.iter().all(|address| address.port() != 0 && address.ip().is_loopback()));
    assert!(server.handle().listeners().eq(addresses.iter().map(ToString::to_string)));
    for address in &*addresses {
        assert_eq!(Connection::to(*address).ask(get("/")).text(), address.ip().to_string());
    }
}

#[test]
fn ipv6_where_the_machine_has_it() {
    if let Err(error) = TcpListener::bind("[::1]:0") {
        eprintln!("SKIPPED: this machine has no IPv6 loopback: {error}");
        return;
    }
    let server = Running::new(builder().bind("[::1]:0"));
    assert!(server.address().is_ipv6());
    assert_eq!(server.ask(get("/")).text(), "::1");
}

#[cfg(unix)]
#[test]
fn unix_domain_sockets() {
    use std::os::unix::net::UnixStream;

    use async_std::task;

    use crate::support::PATIENCE;

    let folder = std::env::temp_dir().join(format!("eproxy-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("server.sock");
    let address = format!("unix:{}", path.display());
    // A file that a killed server left behind does not matter.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    for workers in [1, 2] {
        let server = Running::new(builder().workers(workers).bind(&address));
        assert!(server.handle().addresses().is_empty());
        assert!(server.handle().listeners().eq([address.clone()]));
        for _ in 0..3 {
            let stream = UnixStream::connect(&path).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut client = Connection::over(stream);
            for _ in 0..3 {
                assert_eq!(client.ask(get("/")).text(), "no address");
            }
        }
        assert_eq!(builder().bind(&address).start().unwrap_err().name(), "listen");
        task::block_on(server.handle().shutdown(PATIENCE));
        assert!(!path.exists(), "the file is removed at the end");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn connections_spread_over_the_workers() {
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let seen = threads.clone();
    let server = start(Server::builder().workers(2).get("/", move |_: Request, res: Response| {
        seen.lock().unwrap().insert(thread::current().name().map(str::to_owned));
        res.send("");
    }));
    // Each goes either way with the same chance: that all 64 go one way does not happen.
    let mut clients: Vec<_> = (0..64).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(get("/")).status, 200);
    }
    assert_eq!(threads.lock().unwrap().len(), 2);
    assert_eq!(server.stats().accepted, 64);
}
