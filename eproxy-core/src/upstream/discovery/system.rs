//! Questions to the system's resolver, which does not say for how long its answers hold.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use async_std::future::timeout;
use async_std::task::spawn_blocking;

use super::names::Answer;

/// How long addresses are taken for fresh.
const FRESH: Duration = Duration::from_secs(10);

/// How long to wait.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) limit: Duration,
}

/// One round of questions.
pub(super) struct Round {
    limit: Duration,
}

impl Asking {
    /// Begins a round of questions.
    ///
    /// # Errors
    ///
    /// None: the system is always there.
    pub(super) async fn begin(&self) -> Result<Round, String> {
        Ok(Round { limit: self.limit })
    }
}

impl Round {
    /// The addresses of a name: IPv4, IPv6.
    pub(super) async fn addresses(&self, name: &str) -> (Answer<IpAddr>, Answer<IpAddr>) {
        let both = |why: String| (Answer::Failed(why.clone()), Answer::Failed(why));
        let asked = name.to_owned();
        let asked = spawn_blocking(move || (asked.as_str(), 0).to_socket_addrs().map(Vec::from_iter));
        let found = match timeout(self.limit, asked).await {
            Err(_) => return both(format!("{name}: no answer within {:?}", self.limit)),
            Ok(Err(error)) => return both(format!("{name}: {error}")),
            Ok(Ok(found)) => found,
        };
        let (v4, v6): (Vec<_>, Vec<_>) = found.iter().map(SocketAddr::ip).partition(IpAddr::is_ipv4);
        let family = |found: Vec<IpAddr>| match found.is_empty() {
            true => Answer::None(format!("{name} has no address")),
            false => Answer::Found(found, FRESH),
        };
        (family(v4), family(v6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_told_by_family() {
        let asked = async {
            let round = Asking { limit: Duration::from_secs(15) }.begin().await.unwrap();
            (
                round.addresses("127.0.0.1").await,
                round.addresses("::1").await,
                round.addresses("no name").await,
            )
        };
        let (v4, v6, neither) = async_std::task::block_on(asked);
        assert!(
            matches!(v4, (Answer::Found(ips, FRESH), Answer::None(_)) if ips.iter().all(IpAddr::is_loopback))
        );
        assert!(
            matches!(v6, (Answer::None(_), Answer::Found(ips, FRESH)) if ips.iter().all(IpAddr::is_loopback))
        );
        assert!(matches!(neither, (Answer::Failed(why), Answer::Failed(_)) if why.starts_with("no name: ")));
    }
}
