//! Which of several addresses takes the connection (RFC 8305, "happy eyeballs").

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use futures_lite::future;

/// How long an address is given before the next one is tried beside it (RFC 8305 §8).
pub(crate) const HEAD_START: Duration = Duration::from_millis(250);

/// The order of RFC 8305 §4: families in turn, that of the first address first, each in the resolver's order.
pub(crate) fn interleave(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut rest: Vec<SocketAddr> = addresses.collect();
    let mut out: Vec<SocketAddr> = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let other = |address: &SocketAddr| out.last().is_none_or(|last| last.is_ipv6() != address.is_ipv6());
        let next = rest.iter().position(other).unwrap_or(0);
        out.push(rest.remove(next));
    }
    out
}

/// Tries the addresses in their order, each with a head start over the next, which `pause` is as long as; the first
/// connection wins.
///
/// # Errors
///
/// The failure of the address that failed last.
pub(crate) async fn race<T, C, P>(
    addresses: &[SocketAddr],
    connect: impl Fn(SocketAddr) -> C,
    pause: impl Fn() -> P,
) -> io::Result<T>
where
    C: Future<Output = io::Result<T>>,
    P: Future<Output = ()>,
{
    let mut waiting = addresses.iter();
    let mut attempts = Vec::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(Box::pin(connect(*address)));
        }
        if attempts.is_empty() {
            return Err(failure);
        }
        let first = poll_fn(|cx| {
            for number in 0..attempts.len() {
                if let Poll::Ready(end) = attempts[number].as_mut().poll(cx) {
                    drop(attempts.swap_remove(number));
                    return Poll::Ready(Some(end));
                }
            }
            Poll::Pending
        });
        let end = match waiting.len() {
            0 => first.await,
            _ => {
                let head_start = async {
                    pause().await;
                    None
                };
                future::or(first, head_start).await
            }
        };
        match end {
            Some(Ok(connected)) => return Ok(connected),
            // The next address need not wait.
            Some(Err(error)) => failure = error,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::{pending, ready};

    use super::*;

    fn addresses(all: &[&str]) -> Vec<SocketAddr> {
        all.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let ordered = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
        assert_eq!(interleave(found.into_iter()), ordered);
    }

    /// Runs a race in which the address with port 1 refuses, that with port 2 never answers, and others connect; gives the
    /// winner's port, and the ports that were tried.
    fn run(all: &[&str]) -> (io::Result<u16>, Vec<u16>) {
        let tried = RefCell::new(Vec::new());
        let connect = |address: SocketAddr| {
            tried.borrow_mut().push(address.port());
            async move {
                match address.port() {
                    1 => Err(io::ErrorKind::ConnectionRefused.into()),
                    2 => pending().await,
                    port => Ok(port),
                }
            }
        };
        let end = future::block_on(race(&addresses(all), connect, || ready(())));
        (end, tried.take())
    }

    #[test]
    fn who_refuses_or_is_slow_gives_way_and_the_first_connection_wins() {
        let (end, tried) = run(&["[::1]:1", "1.1.1.1:2", "[::1]:3", "1.1.1.1:4"]);
        assert_eq!((end.unwrap(), tried), (3, vec![1, 2, 3]));
    }

    #[test]
    fn where_nobody_connects_the_last_failure_is_told() {
        let (end, tried) = run(&["[::1]:1", "1.1.1.1:1"]);
        assert_eq!((end.unwrap_err().kind(), tried), (io::ErrorKind::ConnectionRefused, vec![1, 1]));
        assert_eq!(run(&[]).0.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
