//! Names to addresses to a connection.

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_std::net::{TcpStream, ToSocketAddrs};
use http_types::url::Host;

use crate::error::{Error, Kind, Result};
use crate::message::Buffer;
use crate::upstream::{HEAD_START, interleave, race};

use super::pool::{Connection, Origin, Scheme};
use super::tls::TlsStream;
use super::trust::Trust;
use super::wire::Wire;

/// Connects to an origin; the caller sets the deadline.
///
/// # Errors
///
/// `Resolve` where the name has no address, `Connect` where none of them takes the connection, `TlsHandshake` where who
/// takes it is not whom to talk to, `BadOption` where nobody knows who would be.
pub(super) async fn connect(origin: &Origin, trust: &Trust) -> Result<Connection> {
    let connector = match origin.scheme {
        Scheme::Http => None,
        Scheme::Https => Some(trust.connector().await?),
    };
    let addresses = resolve(origin).await?;
    let pause = || async_std::task::sleep(HEAD_START);
    let stream = race(&addresses, TcpStream::connect, pause).await.map_err(|error| {
        let tried: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        Error::new(Kind::Connect).detail(format!("{}: {error}", tried.join(", "))).because(error)
    })?;
    // Requests are written whole: there is nothing for the kernel to wait for.
    stream.set_nodelay(true).map_err(|error| Error::new(Kind::Connect).because(error))?;
    let stream = match connector {
        None => Wire::Plain(stream),
        Some(connector) => {
            let host = origin.host.to_string();
            let failed = |error: io::Error| {
                let what = error.to_string();
                let what = what.strip_prefix("tls: ").unwrap_or(&what);
                Error::new(Kind::TlsHandshake).detail(format!("{host}: {what}")).because(error)
            };
            let tls = connector.buffered(&host).map_err(failed)?;
            Wire::Tls(TlsStream::shake(stream, tls).await.map_err(failed)?)
        }
    };
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
