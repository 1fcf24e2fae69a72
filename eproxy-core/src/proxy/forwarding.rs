//! Story 2 of a forward proxy: who asks, and for what; then a request is passed on as any other, and CONNECT becomes a
//! tunnel.
//!
//! ```text
//!   admit ──▶ destination ──▶ allowed ──▶ reverse::pass_to ──▶ …            a request
//!     │           │              └──▶ connect ──▶ (parent: CONNECT) ──▶ 200 ──▶ Tunnel
//!     └ 407       └ 400, 403, 502
//! ```

use std::future::poll_fn;
use std::io;

use futures_lite::future;

use crate::driver::{Address, Direction, Stream};
use crate::error::{Error, Kind};
use crate::http1::{self, Finder};
use crate::message::{Known, SMALL};
use crate::upstream::{Destination, Dial, Guard, Origin, Place, Target};

use super::relay::{Method, Outcome, Relay, Rest, answer_for};
use super::reverse::{Reverse, give_up, pass_to, refuse};
use super::tries::First;

/// What a forward proxy goes by.
#[derive(Debug)]
pub(super) struct Forwarding {
    /// Ports that CONNECT may reach.
    pub(super) ports: Vec<u16>,
    /// The credentials of those who may pass; all may where there are none.
    pub(super) users: Vec<Vec<u8>>,
    pub(super) guard: Guard,
    /// Another forward proxy that everything goes through.
    pub(super) parent: Option<Destination>,
}

/// The value of an Authorization field for Basic credentials (RFC 7617 §2).
pub(super) fn basic(name: &str, password: &str) -> Vec<u8> {
    format!("Basic {}", base64::encode(format!("{name}:{password}"))).into_bytes()
}

impl Forwarding {
    /// Whether the client may pass.
    pub(super) fn admits(&self, relay: &Relay<'_>) -> bool {
        let lines = relay.raw_lines();
        let mut given = lines.fields.iter().filter(|field| field.known == Known::ProxyAuthorization);
        match (given.next(), given.next()) {
            _ if self.users.is_empty() => true,
            (Some(field), None) => {
                let given = canonical_scheme(field.value.of(lines.bytes));
                // All are compared, whether or not one has fitted.
                self.users.iter().fold(false, |fits, user| fits | is_same(user, &given))
            }
            _ => false,
        }
    }
}

/// Credentials with their scheme in the case in which they are kept: it has none (RFC 9110 §11.1).
fn canonical_scheme(given: &[u8]) -> Vec<u8> {
    match given.get(..6) {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"basic ") => {
            [b"Basic ", given[6..].trim_ascii()].concat()
        }
        _ => given.to_vec(),
    }
}

/// Compares in a time that does not tell where the first difference is.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

/// Answers a client that has not said who it is, or somebody who is not known (RFC 9110 §15.5.8).
pub(super) fn challenge(relay: &mut Relay<'_>) -> Outcome {
    let error = Kind::ProxyAuth.into();
    relay.fail(&error, None);
    let mut answer = answer_for(&error);
    // A valid value.
    let _valid =
        answer.headers_mut().insert("Proxy-Authenticate", "Basic realm=\"eproxy\", charset=\"UTF-8\"");
    Outcome::Answer(Box::new(answer), Rest::Untouched)
}

/// Passes a request on to where it says.
pub(super) async fn forward(relay: &mut Relay<'_>, reverse: &Reverse, forwarding: &Forwarding) -> Outcome {
    let origin = match destination(relay) {
        Ok(origin) => origin,
        Err(error) => return refuse(relay, &error, Rest::Untouched),
    };
    if relay.head.method == Method::Connect {
        let client = relay.client.stream;
        let gone = async {
            poll_fn(|cx| client.poll_broken(cx)).await;
            Err(Kind::DownstreamGone.into())
        };
        return match future::or(connect(relay, reverse, forwarding, &origin), gone).await {
            Ok(outcome) => outcome,
            Err(error) => give_up(relay, &error, Rest::Untouched),
        };
    }
    match &forwarding.parent {
        Some(parent) => match judge_literal(forwarding, &origin.place) {
            Ok(()) => pass_to(relay, reverse, First::Only(parent)).await,
            Err(error) => refuse(relay, &error, Rest::Untouched),
        },
        None => {
            let destination = Destination::passing(origin);
            pass_to(relay, reverse, First::Only(&destination)).await
        }
    }
}

/// Where a request is to go.
fn destination(relay: &Relay<'_>) -> Result<Origin, Error> {
    let head = relay.head_bytes();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Some(authority) = relay.head.authority else { return Err(Kind::NotForward.into()) };
    let authority = text(authority.of(head));
    let target = relay.head.line.target.of(head);
    if target.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https://")) {
        return Err(Error::new(Kind::Scheme).detail("https in a request that is no CONNECT"));
    }
    let has_port =
        authority.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && !port.ends_with(']'));
    if relay.head.method == Method::Connect && !has_port {
        return Err(Kind::BadTarget.into());
    }
    Origin::parse(&format!("http://{authority}")).map_err(|_| Error::new(Kind::BadTarget).detail(authority))
}

/// An address that is spelled out is judged before a parent is asked; names are for the parent.
fn judge_literal(forwarding: &Forwarding, place: &Place) -> Result<(), Error> {
    match place {
        Place::Address(Address::Tcp(address)) if !forwarding.guard.allows(None, *address) => {
            Err(Error::new(Kind::Destination).detail(place.to_string()))
        }
        _ => Ok(()),
    }
}

/// Makes a tunnel.
async fn connect(
    relay: &mut Relay<'_>,
    reverse: &Reverse,
    forwarding: &Forwarding,
    origin: &Origin,
) -> Result<Outcome, Error> {
    let head = relay.head;
    if !head.facts.framing.is_none() {
        return Err(Kind::BodyWithTrace.into());
    }
    let port = origin.place.port().unwrap_or(0);
    if !forwarding.ports.contains(&port) {
        return Err(Error::new(Kind::PortDenied).detail(port.to_string()));
    }
    let (upstreams, counters) = (&relay.site.upstreams, &relay.site.counters);
    counters.upstream_connects.add();
    relay.desk.take_input();
    let stream = match &forwarding.parent {
        None => {
            let dial = Dial { guard: Some(&forwarding.guard), ..Dial::new(&reverse.options) };
            upstreams.reach.connect_alone(&Target::plain(origin.place.clone()), dial).await?
        }
        Some(parent) => {
            judge_literal(forwarding, &origin.place)?;
            let stream = upstreams.reach.connect_alone(&parent.target, Dial::new(&reverse.options)).await?;
            stream.set_deadline(Direction::Read, Some(reverse.options.head));
            ask_parent(relay, reverse, &stream).await?;
            stream.set_deadline(Direction::Read, None);
            stream
        }
    };
    // RFC 9110 §9.3.6: no Content-Length and no Transfer-Encoding.
    relay.out.extend_from_slice(b"HTTP/1.1 200 Connection Established\r\n\r\n");
    relay.account.status = 200;
    relay.take_head(0);
    match relay.flush().await {
        Ok(()) => Ok(Outcome::Tunnel(stream, None)),
        Err(kind) => {
            relay.fail(&kind.into(), None);
            Ok(Outcome::Close)
        }
    }
}

/// Has the parent make a tunnel; what comes behind its answer stays in the desk's input.
async fn ask_parent(relay: &mut Relay<'_>, reverse: &Reverse, stream: &Stream) -> Result<(), Error> {
    let target = relay.head.line.target.of(relay.head_bytes());
    let mut out = [b"CONNECT ", target, b" HTTP/1.1\r\nHost: ", target, b"\r\n"].concat();
    if let Some(credentials) = &reverse.request.proxy_authorization {
        http1::encode_field(&mut out, b"Proxy-Authorization", credentials);
    }
    // RFC 9110 §7.6.3; and a tunnel that goes round in circles is noticed by it.
    let lines = relay.raw_lines();
    for field in lines.fields.iter().filter(|field| field.known == Known::Via) {
        http1::encode_field(&mut out, b"Via", field.value.of(lines.bytes));
    }
    out.extend_from_slice(b"Via: 1.1 eproxy\r\n\r\n");
    // A connection that was made just now takes a few hundred bytes at once.
    if !matches!(stream.try_write(&out), Some(Ok(written)) if written == out.len()) {
        return Err(Kind::UpstreamIo.into());
    }
    let mut finder = Finder::new();
    let status = loop {
        let (desk, method) = (&mut *relay.desk, relay.head.method.for_answers());
        if let Some((line, _, length)) =
            http1::find_answer(&mut finder, desk.input.data(), &mut desk.fields, method)?
        {
            desk.input.consume(length);
            if line.status >= 200 {
                break line.status;
            }
            finder = Finder::new();
            continue;
        }
        match poll_fn(|cx| stream.poll_read(cx, desk.input.space(SMALL))).await {
            Ok(0) => return Err(Kind::UpstreamClosed.into()),
            Ok(n) => desk.input.filled(n),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(Kind::UpstreamHeadTimeout.into());
            }
            Err(_) => return Err(Kind::UpstreamIo.into()),
        }
    };
    match status {
        200..300 => Ok(()),
        _ => Err(Error::new(Kind::ParentRefused).detail(format!("with {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_compared_as_a_whole_and_their_scheme_in_any_case() {
        let known = basic("ada", "open:sesame");
        assert_eq!(known, b"Basic YWRhOm9wZW46c2VzYW1l");
        for (given, fits) in [
            (&b"Basic YWRhOm9wZW46c2VzYW1l"[..], true),
            (b"basic  YWRhOm9wZW46c2VzYW1l ", true),
            (b"Basic YWRhOm9wZW46c2VzYW1", false),
            (b"Bearer YWRhOm9wZW46c2VzYW1l", false),
            (b"Basic", false),
            (b"", false),
        ] {
            assert_eq!(is_same(&known, &canonical_scheme(given)), fits, "{}", given.escape_ascii());
        }
    }
}
