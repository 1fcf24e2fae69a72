//! Names to addresses to a connection.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use async_std::net::{TcpStream, ToSocketAddrs};
use http_types::url::Host;

use crate::error::{Error, Kind, Result};
use crate::message::Buffer;

use super::pool::{Connection, Origin};

/// How long an address is given before the next one is tried beside it (RFC 8305 §8).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to an origin; the caller sets the deadline.
///
/// # Errors
///
/// `Resolve` where the name has no address, `Connect` where none of them takes the connection.
pub(super) async fn connect(origin: &Origin) -> Result<Connection> {
    let addresses = resolve(origin).await?;
    let stream = race(&addresses).await.map_err(|error| {
        let tried: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        Error::new(Kind::Connect).detail(format!("{}: {error}", tried.join(", "))).because(error)
    })?;
    // Requests are written whole: there is nothing for the kernel to wait for.
    stream.set_nodelay(true).map_err(|error| Error::new(Kind::Connect).because(error))?;
    Ok(Connection { stream, input: Buffer::new() })
}

/// The addresses of an origin; names are looked up on async-std's threads for blocking work.
async fn resolve(origin: &Origin) -> Result<Vec<SocketAddr>> {
    let name = match &origin.host {
        Host::Ipv4(address) => return Ok(vec![SocketAddr::new(IpAddr::V4(*address), origin.port)]),
        Host::Ipv6(address) => return Ok(vec![SocketAddr::new(IpAddr::V6(*address), origin.port)]),
        Host::Domain(name) => name,
    };
    let failed = || Error::new(Kind::Resolve).detail(name.clone());
    let found = (name.as_str(), origin.port).to_socket_addrs().await;
    let addresses = interleave(found.map_err(|error| failed().because(error))?);
    match addresses.is_empty() {
        true => Err(failed()),
        false => Ok(addresses),
    }
}

/// The order of RFC 8305 §4: families in turn, that of the first address first, each in the resolver's order.
fn interleave(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut rest: Vec<SocketAddr> = addresses.collect();
    let mut out: Vec<SocketAddr> = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let other = |address: &SocketAddr| out.last().is_none_or(|last| last.is_ipv6() != address.is_ipv6());
        let next = rest.iter().position(other).unwrap_or(0);
        out.push(rest.remove(next));
    }
    out
}

/// Tries the addresses in their order, each with a head start over the next; the first connection wins.
async fn race(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;
    let mut waiting = addresses.iter().copied();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut start_next = true;
    loop {
        if start_next && let Some(address) = waiting.next() {
            attempts.push(Box::pin(TcpStream::connect(address)));
        }
        if attempts.is_empty() {
            return Err(failure);
        }
        let first = poll_fn(|cx| {
            for number in 0..attempts.len() {
                if let Poll::Ready(end) = attempts[number].as_mut().poll(cx) {
                    drop(attempts.swap_remove(number));
                    return Poll::Ready(end);
                }
            }
            Poll::Pending
        });
        let end = match waiting.len() {
            0 => Some(first.await),
            _ => async_std::future::timeout(HEAD_START, first).await.ok(),
        };
        match end {
            Some(Ok(stream)) => return Ok(stream),
            // The next address need not wait.
            Some(Err(error)) => failure = error,
            None => {}
        }
        start_next = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let addresses = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"];
        let ordered = interleave(addresses.iter().map(|address| address.parse().unwrap()));
        let ordered: Vec<_> = ordered.iter().map(ToString::to_string).collect();
        assert_eq!(ordered, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
    }

    #[test]
    fn an_address_that_refuses_gives_way_to_the_next() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let bad = {
            let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            closed.local_addr().unwrap()
        };
        let stream = futures_lite::future::block_on(race(&[bad, good])).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }
}
