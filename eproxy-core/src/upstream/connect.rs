//! A place to a connection: names are looked up, addresses judged, and tried.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;

use crate::driver::{Address, Core, Stream};
use crate::error::{Error, Kind, Result};

use super::guard::Guard;
use super::origin::Place;
use super::race::{HEAD_START, interleave, race};
use super::resolve::Resolver;

/// Connects to a place.
///
/// # Errors
///
/// `Resolve`, `Lookups`; `Destination` where the guard allows no address that there is; `Connect`, `ConnectTimeout`.
pub(super) async fn connect(
    core: &Rc<Core>,
    resolver: &Resolver,
    place: &Place,
    guard: Option<&Guard>,
    patience: Duration,
) -> Result<Stream> {
    let timeout = || Error::new(Kind::ConnectTimeout).detail(place.to_string());
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut => timeout(),
        _ => Error::new(Kind::Connect).detail(format!("{place}: {error}")).because(error),
    };
    match place {
        Place::Address(address) => {
            if let (Address::Tcp(tcp), Some(guard)) = (address, guard)
                && !guard.allows(None, *tcp)
            {
                return Err(Error::new(Kind::Destination).detail(place.to_string()));
            }
            Stream::connect(core, address, patience).await.map_err(failed)
        }
        Place::Name(name, port) => {
            let connected = async {
                let found = resolver.resolve(name, *port).await?;
                let allowed =
                    |address: &&SocketAddr| guard.is_none_or(|guard| guard.allows(Some(name), **address));
                let addresses = interleave(found.iter().filter(allowed).copied());
                if addresses.is_empty() {
                    return Err(Error::new(Kind::Destination).detail(place.to_string()));
                }
                let connect = async |address| Stream::connect(core, &Address::Tcp(address), patience).await;
                race(&addresses, connect, || core.sleep(HEAD_START)).await.map_err(failed)
            };
            let too_late = async {
                core.sleep(patience).await;
                Err(timeout())
            };
            future::or(connected, too_late).await
        }
    }
}

#[cfg(test)]
mod tests {

    use crate::driver::on_a_core;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn a_name_is_looked_up_and_its_addresses_are_judged() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        on_a_core(async move |core| {
            let resolver = Resolver::new(core.clone());
            let place = Place::Name("localhost".into(), port);
            assert!(connect(&core, &resolver, &place, None, PATIENCE).await.is_ok());
            let refused = connect(&core, &resolver, &place, Some(&Guard::default()), PATIENCE).await;
            assert_eq!(refused.unwrap_err().kind(), Kind::Destination);
            let nowhere = Place::Name("name.invalid".into(), port);
            let unknown = connect(&core, &resolver, &nowhere, None, PATIENCE).await;
            assert_eq!(unknown.unwrap_err().kind(), Kind::Resolve);
        });
    }

    /// A guard that allows one address of this machine.
    fn only(address: &str) -> Guard {
        Guard { allowed: vec![format!("{address}/32").parse().unwrap()], ..Guard::default() }
    }

    #[test]
    fn of_several_addresses_only_those_that_are_allowed_are_dialled() {
        let good = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = good.local_addr().unwrap().port();
        // On some systems, 127.0.0.1 is all that there is of this network; the other is not dialled there either.
        let bad = std::net::TcpListener::bind(("127.0.0.2", port)).ok();
        if let Some(bad) = &bad {
            bad.set_nonblocking(true).unwrap();
        }
        let forbidden = ["127.0.0.2", "[::1]", "169.254.169.254", "[::ffff:127.0.0.2]"];
        let peers = on_a_core(async move |core| {
            let resolver = Resolver::new(core.clone());
            let address = |ip: &str| format!("{ip}:{port}").parse::<SocketAddr>().unwrap();
            let place = Place::Name("several.test".into(), port);
            let mut peers = Vec::new();
            for at in 0..=forbidden.len() {
                let mut found = forbidden.map(address).to_vec();
                found.insert(at, address("127.0.0.1"));
                resolver.remember("several.test", port, &found);
                let guard = only("127.0.0.1");
                let stream = connect(&core, &resolver, &place, Some(&guard), PATIENCE).await.unwrap();
                peers.push(stream.peer_port());
            }
            resolver.remember("several.test", port, &forbidden.map(address));
            let refused = connect(&core, &resolver, &place, Some(&only("127.0.0.1")), PATIENCE).await;
            assert_eq!(refused.unwrap_err().kind(), Kind::Destination);
            peers
        });
        assert_eq!(peers, [Some(port); 5]);
        let dialled = (0..5).all(|_| good.accept().is_ok());
        assert!(dialled && bad.is_none_or(|bad| bad.accept().is_err()));
    }

    #[test]
    fn a_name_that_leads_somewhere_else_the_next_time_is_judged_again() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        on_a_core(async move |core| {
            let resolver = Resolver::new(core.clone());
            let place = Place::Name("rebinding.test".into(), port);
            let guard = only("127.0.0.1");
            for (ip, is_allowed) in
                [("127.0.0.1", true), ("127.0.0.2", false), ("127.0.0.1", true), ("10.0.0.1", false)]
            {
                let address = SocketAddr::new(ip.parse().unwrap(), port);
                resolver.remember("rebinding.test", port, &[address]);
                let end = connect(&core, &resolver, &place, Some(&guard), PATIENCE).await;
                let kind = end.map(|_| ()).map_err(|error| error.kind());
                assert_eq!(kind, if is_allowed { Ok(()) } else { Err(Kind::Destination) }, "{ip}");
            }
        });
    }
}
