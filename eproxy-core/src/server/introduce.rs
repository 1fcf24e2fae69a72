//! A connection that begins with a PROXY protocol header: it is read before anything else, and the connection is then that
//! of whoever the header names.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;

use crate::driver::{Direction, Peer};
use crate::error::Kind;
use crate::message::SMALL;
use crate::tunnel::proxy_protocol;

use super::desk::Desk;
use super::downstream::Connection;
use super::worker::Worker;

/// Reads the header.
///
/// # Errors
///
/// `BadProxyProtocol`; `HeadTimeout`; `DownstreamGone`, also where nothing came, as when somebody looks whether the port
/// is open.
pub(super) async fn introduce(
    worker: &Worker,
    connection: &mut Connection,
    desk: &mut Desk,
) -> Result<(), Kind> {
    connection.stream.set_deadline(Direction::Read, Some(worker.edition().timeouts().head));
    let (length, ends) = loop {
        if let Some(found) = proxy_protocol::parse(desk.input.data())? {
            break found;
        }
        match poll_fn(|cx| connection.stream.poll_read(cx, desk.input.space(SMALL))).await {
            Ok(0) if desk.input.is_empty() => return Err(Kind::DownstreamGone),
            Ok(0) => return Err(Kind::BadProxyProtocol),
            Ok(n) => desk.input.filled(n),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(Kind::HeadTimeout),
            Err(_) => return Err(Kind::DownstreamGone),
        }
    };
    desk.input.consume(length);
    if let Some((source, destination)) = ends {
        let who = &mut connection.who;
        (who.peer, who.local) = (Peer::Tcp(source), Some(Rc::new(destination)));
        who.is_trusted = worker.edition().trusted.believes(who.peer);
    }
    Ok(())
}
