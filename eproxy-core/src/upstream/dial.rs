//! A target to a connection that can be spoken over: a socket, TLS over it where that is spoken, and HTTP/2 on top where the
//! two sides have agreed on it.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;

use crate::driver::{Core, Direction, Stream};
use crate::error::{Error, Kind, Result};
use crate::tls::{Alpn, Connector};

use super::connect::connect;
use super::destination::Destination;
use super::guard::Guard;
use super::multiplexed::Multiplexed;
use super::options::UpstreamOptions;
use super::pool::{Identity, Pool, ShelfNumber};
use super::resolve::Resolver;
use super::transport::{Target, Transport};

/// How a connection is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dial<'a> {
    /// Judges the addresses that are dialled.
    pub(crate) guard: Option<&'a Guard>,
    pub(crate) options: &'a UpstreamOptions,
    /// From looking the name up to the end of the handshake.
    pub(crate) patience: Duration,
    /// It is for a WebSocket.
    pub(crate) for_websocket: bool,
    /// On whose behalf it is made, and what says so, which goes before anything else (the PROXY protocol).
    pub(crate) identity: &'a Identity,
    pub(crate) introduction: &'a [u8],
}

impl<'a> Dial<'a> {
    /// One that is like any other.
    pub(crate) fn new(options: &'a UpstreamOptions) -> Self {
        Self {
            guard: None,
            options,
            patience: options.connect,
            for_websocket: false,
            identity: &None,
            introduction: b"",
        }
    }
}

/// What a connection turned out to speak.
pub(super) enum Dialled {
    Http1(Stream),
    Http2(Rc<Multiplexed>),
}

/// Connects to a target.
///
/// # Errors
///
/// `Resolve`, `Lookups`, `Destination`, `Connect`, `ConnectTimeout`; `TlsHandshake`.
pub(super) async fn dial(
    core: &Rc<Core>,
    resolver: &Resolver,
    target: &Target,
    dial: Dial<'_>,
) -> Result<Dialled> {
    let begun = core.now();
    let stream = connect(core, resolver, &target.place, dial.guard, dial.patience).await?;
    introduce(&stream, dial.introduction)?;
    let begin = async |stream, scheme| {
        Multiplexed::begin(core, stream, scheme, dial.identity.clone(), dial.options).await
    };
    match &target.transport {
        Transport::Plain => Ok(Dialled::Http1(stream)),
        Transport::Http2 => Ok(Dialled::Http2(begin(stream, "http").await?)),
        Transport::Tls { host, connector } => {
            let left = dial.patience.saturating_sub(core.now() - begun);
            let connector = match dial.for_websocket {
                // It may not be carried over HTTP/2, and that would be known only later.
                true => &connector.without_http2(),
                false => connector,
            };
            match shake(&stream, connector, host, left).await {
                Ok(Some(Alpn::Http2)) => Ok(Dialled::Http2(begin(stream, "https").await?)),
                Ok(_) => Ok(Dialled::Http1(stream)),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    Err(Error::new(Kind::ConnectTimeout).detail(format!("{}: TLS handshake", target.place)))
                }
                Err(error) => {
                    Err(Error::new(Kind::TlsHandshake).detail(format!("{}: {error}", target.place)))
                }
            }
        }
    }
}

/// Says on whose behalf the connection is made; one that was made just now takes a few hundred bytes at once.
fn introduce(stream: &Stream, introduction: &[u8]) -> Result<()> {
    if introduction.is_empty() {
        return Ok(());
    }
    match stream.try_write(introduction) {
        Some(Ok(written)) if written == introduction.len() => Ok(()),
        _ => Err(Kind::UpstreamIo.into()),
    }
}

async fn shake(
    stream: &Stream,
    connector: &Connector,
    host: &str,
    patience: Duration,
) -> io::Result<Option<Alpn>> {
    let (cipher, session) = connector.connect(host)?;
    stream.wear(cipher, &mut []);
    stream.set_deadline(Direction::Read, Some(patience));
    poll_fn(|cx| stream.poll_shake(cx)).await?;
    stream.set_deadline(Direction::Read, None);
    Ok(session.alpn())
}

/// Connects to a destination, for one request; another that is sent there later may use the connection, too.
///
/// # Errors
///
/// As for [`dial`].
pub(super) async fn dial_for(
    core: &Rc<Core>,
    resolver: &Resolver,
    pool: &Pool,
    destination: &Destination,
    wanted: Dial<'_>,
) -> Result<Stream> {
    if destination.target.transport == Transport::Plain {
        return match dial(core, resolver, &destination.target, wanted).await? {
            Dialled::Http1(stream) => Ok(stream),
            Dialled::Http2(_) => Err(Kind::UpstreamIo.into()),
        };
    }
    let shelf = destination.shelf(pool);
    if destination.target.transport == Transport::Http2 {
        pool.speaks(shelf, Alpn::Http2);
    }
    if !wanted.for_websocket {
        let joined = join(core, pool, shelf, wanted.identity);
        let too_late = async {
            core.sleep(wanted.patience).await;
            Err(Error::new(Kind::ConnectTimeout).detail(destination.target.place.to_string()))
        };
        if let Some(stream) = future::or(async { Ok(joined.await) }, too_late).await? {
            return Ok(stream);
        }
    }
    let maker = pool.make(shelf);
    let dialled = dial(core, resolver, &destination.target, wanted).await?;
    let multiplexed = match dialled {
        Dialled::Http1(stream) => {
            pool.speaks(shelf, Alpn::Http1);
            return Ok(stream);
        }
        Dialled::Http2(multiplexed) => multiplexed,
    };
    pool.speaks(shelf, Alpn::Http2);
    pool.add(shelf, &multiplexed);
    multiplexed.keep(maker);
    open(core, &multiplexed, wanted).await
}

/// Waits for those that somebody else is making to a target that speaks HTTP/2, until one of them has room; none where nobody
/// makes one.
async fn join(core: &Rc<Core>, pool: &Pool, shelf: ShelfNumber, identity: &Identity) -> Option<Stream> {
    loop {
        let making = pool.made(shelf).filter(|making| making.goes_on())?;
        core.among(making.wait()).await;
        if let Some(stream) = pool.take(shelf, identity, false) {
            return Some(stream);
        }
    }
}

/// Opens a way over a new connection.
///
/// # Errors
///
/// `UpstreamIo`: it is closed already. `UpgradeFailed`: it carries no WebSockets.
pub(super) async fn open(core: &Rc<Core>, multiplexed: &Rc<Multiplexed>, wanted: Dial<'_>) -> Result<Stream> {
    /// How long the upstream may take to say what it can, and how often it is looked for.
    const PATIENCE: Duration = Duration::from_secs(1);
    const TURN: Duration = Duration::from_millis(5);
    let begun = core.now();
    loop {
        if let Some(stream) = multiplexed.open(wanted.for_websocket) {
            return Ok(stream);
        }
        if !multiplexed.is_open() {
            return Err(Kind::UpstreamIo.into());
        }
        if multiplexed.settle() || core.now() - begun >= PATIENCE {
            return Err(Error::new(Kind::UpgradeFailed).detail("WebSockets over HTTP/2 are not supported"));
        }
        // It is about a WebSocket: whether these are carried stands in the first frame of the upstream.
        core.sleep(TURN).await;
    }
}
