//! One probe of one endpoint, from the connection to the answer.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, future};

use crate::driver::{Address, Core, Stream};
use crate::error::{Error, Kind, Result};
use crate::http1::{Decoder, Step, encode_field, read_answer};
use crate::message::grpc::Code;
use crate::message::{Buffer, SMALL};
use crate::upstream::origin::{Origin, Place, host_of};

use super::grpc_probe;
use super::probe_options::{Asks, BODY, Probe, Question};

/// Why an endpoint is not well.
#[derive(Debug)]
pub(in crate::upstream) enum Unwell {
    /// There was no connection.
    Unreachable(Error),
    /// Not all of it was over in time.
    Late(Duration),
    /// The request could not be sent, or no answer could be read.
    Failed(Error),
    /// It answered with another status than those that were expected.
    Status(u16),
    /// The body does not contain what was expected.
    Body,
    /// The call ended with another code than OK.
    Code(Code),
    /// It says of itself that it is not serving.
    NotServing,
}

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) | Self::Failed(error) => error.fmt(f),
            Self::Late(timeout) => write!(f, "no answer within {timeout:?}"),
            Self::Status(status) => write!(f, "answered with status {status}"),
            Self::Code(code) => write!(f, "answered with gRPC status {code}"),
            Self::NotServing => f.write_str("says that it is not serving"),
            Self::Body => f.write_str("answered without what was expected in the body"),
        }
    }
}

impl From<Kind> for Unwell {
    fn from(kind: Kind) -> Self {
        Self::Failed(kind.into())
    }
}

impl From<io::Error> for Unwell {
    fn from(error: io::Error) -> Self {
        Self::Failed(Error::new(Kind::UpstreamIo).because(error))
    }
}

/// Probes an endpoint; `connect` makes a connection to the place that it is given. Gives how long that took. It is over
/// within the probe's timeout, whatever the endpoint does, and reads no more of an answer than it has to.
///
/// # Errors
///
/// Why it is not well.
pub(in crate::upstream) async fn examine(
    core: &Rc<Core>,
    probe: &Probe,
    origin: &Origin,
    connect: impl AsyncFnOnce(&Place) -> Result<Stream>,
) -> Result<Duration, Unwell> {
    let begun = core.now();
    let examined = async {
        let place = place(probe, origin);
        let mut stream = connect(&place).await.map_err(Unwell::Unreachable)?;
        match &probe.asks {
            Asks::Connection => Ok(()),
            Asks::Http(question) => ask(&mut stream, question, probe, origin).await,
            Asks::Grpc(check) => {
                let host = check.host.clone().unwrap_or_else(|| authority(probe, origin));
                grpc_probe::ask(&mut stream, check, &host, &origin.base).await
            }
        }
    };
    let late = async {
        core.sleep(probe.timeout).await;
        Err(Unwell::Late(probe.timeout))
    };
    future::or(examined, late).await?;
    Ok(core.now() - begun)
}

/// Where the endpoint is probed.
fn place(probe: &Probe, origin: &Origin) -> Place {
    match (&origin.place, probe.port) {
        (Place::Name(name, _), Some(port)) => Place::Name(name.clone(), port),
        (Place::Address(Address::Tcp(address)), Some(port)) => {
            let mut address = *address;
            address.set_port(port);
            Place::Address(Address::Tcp(address))
        }
        // A unix-domain socket has no ports.
        (place, _) => place.clone(),
    }
}

/// Sends the request, and looks at the answer.
async fn ask(stream: &mut Stream, question: &Question, probe: &Probe, origin: &Origin) -> Result<(), Unwell> {
    stream.write_all(&encode(question, probe, origin)).await?;
    stream.flush().await?;
    let mut input = Buffer::new();
    let answer = read_answer(stream, &mut input, question.method.as_bytes()).await?;
    if !question.statuses.has(answer.status) {
        return Err(Unwell::Status(answer.status));
    }
    match &question.body {
        Some(wanted) => find(stream, &mut input, Decoder::new(answer.framing), wanted).await,
        None => Ok(()),
    }
}

/// The request. The connection serves nothing else (RFC 9112 §9.6).
fn encode(question: &Question, probe: &Probe, origin: &Origin) -> Vec<u8> {
    let host = question.host.clone().unwrap_or_else(|| authority(probe, origin));
    let Question { method, path, headers, .. } = question;
    let mut head = format!("{method} {}{path} HTTP/1.1\r\n", origin.base).into_bytes();
    encode_field(&mut head, b"Host", host.as_bytes());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("User-Agent")) {
        encode_field(&mut head, b"User-Agent", b"eproxy-probe");
    }
    for (name, value) in headers {
        encode_field(&mut head, name.as_bytes(), value.as_bytes());
    }
    // Methods that usually have a body say that they have none (RFC 9110 §8.6).
    if matches!(method.as_str(), "POST" | "PUT" | "PATCH") {
        encode_field(&mut head, b"Content-Length", b"0");
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    head
}

/// What the endpoint is called where it is probed.
fn authority(probe: &Probe, origin: &Origin) -> String {
    let Some(port) = probe.port.filter(|_| origin.place.port().is_some()) else {
        return origin.authority.clone();
    };
    let host = host_of(&origin.authority);
    if port == origin.scheme.port() { host.to_owned() } else { format!("{host}:{port}") }
}

/// Reads a body until it has shown what is wanted.
async fn find(
    stream: &mut Stream,
    input: &mut Buffer,
    mut decoder: Decoder,
    wanted: &[u8],
) -> Result<(), Unwell> {
    let mut seen = Vec::new();
    loop {
        let known = seen.len();
        decode(input, &mut decoder, &mut seen)?;
        // It may have begun in what came before.
        let from = (known + 1).saturating_sub(wanted.len());
        if memchr::memmem::find(&seen[from..], wanted).is_some() {
            return Ok(());
        }
        let left = BODY - seen.len();
        if decoder.is_done() || left == 0 {
            return Err(Unwell::Body);
        }
        let space = input.space(SMALL);
        let most = space.len().min(left);
        match stream.read(&mut space[..most]).await? {
            0 if decoder.ends_with_connection() => return Err(Unwell::Body),
            0 => return Err(Kind::UpstreamTruncated.into()),
            n => input.filled(n),
        }
    }
}

/// Decodes what is in hand of a body, as much of it as is looked at.
fn decode(input: &mut Buffer, decoder: &mut Decoder, seen: &mut Vec<u8>) -> Result<(), Kind> {
    while !decoder.is_done() && seen.len() < BODY {
        match decoder.decode(input.data(), BODY - seen.len())? {
            Step::Data { skip: 0, data: 0 } => break,
            Step::Data { skip, data } => {
                seen.extend_from_slice(&input.data()[skip..skip + data]);
                input.consume(skip + data);
            }
            Step::Done { skip } => input.consume(skip),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use crate::driver::on_a_core;

    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::parse(url).unwrap()
    }

    /// What a probe says of an endpoint that sends this, and then ends the connection or keeps it open; the request that
    /// it got, too.
    fn answered(probe: Probe, answer: impl AsRef<[u8]>, ends: bool) -> (Result<(), Unwell>, String) {
        probe.check().unwrap();
        let answer = answer.as_ref().to_vec();
        on_a_core(async move |core| {
            let (stream, mut peer) = Stream::with_std_peer(&core).unwrap();
            peer.write_all(&answer).unwrap();
            if ends {
                peer.shutdown(std::net::Shutdown::Write).unwrap();
            }
            let connect = async |_: &Place| Ok(stream);
            let said = examine(&core, &probe, &origin("http://app.test:3000/base"), connect).await;
            let mut request = String::new();
            peer.read_to_string(&mut request).unwrap_or_default();
            (said.map(|_| ()), request)
        })
    }

    fn said(probe: Probe, answer: impl AsRef<[u8]>) -> Result<(), Unwell> {
        answered(probe, answer, true).0
    }

    fn page() -> Probe {
        Probe::http("/healthz").timeout(Duration::from_secs(30))
    }

    #[test]
    fn a_request_has_the_path_of_the_endpoint_in_front_and_closes_its_connection() {
        let (said, request) = answered(page(), "HTTP/1.1 204 No Content\r\n\r\n", true);
        assert!(said.is_ok(), "{said:?}");
        assert_eq!(
            request,
            "GET /base/healthz HTTP/1.1\r\nHost: app.test:3000\r\nUser-Agent: eproxy-probe\r\n\
             Connection: close\r\n\r\n"
        );
        let told = page().method("POST").host("other.test").header("user-agent", "me").header("X-A", "b");
        assert_eq!(
            answered(told, "HTTP/1.1 204 No Content\r\n\r\n", true).1,
            "POST /base/healthz HTTP/1.1\r\nHost: other.test\r\nuser-agent: me\r\nX-A: b\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn an_endpoint_is_well_whose_status_is_expected() {
        let status = |status: u16| format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        for good in [200, 204, 302, 399] {
            assert!(said(page(), status(good)).is_ok(), "{good}");
        }
        for bad in [400, 404, 503] {
            let said = said(page(), status(bad));
            assert!(matches!(said, Err(Unwell::Status(status)) if status == bad), "{said:?}");
        }
        assert!(said(page().expect_status([401]), status(401)).is_ok());
        assert!(said(page().expect_status([401]), status(200)).is_err());
    }

    #[test]
    fn an_interim_answer_is_not_the_answer() {
        let answer = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(said(page(), answer), Err(Unwell::Status(503))));
    }

    #[test]
    fn a_body_that_nobody_wants_to_see_is_not_waited_for() {
        let (said, _) = answered(page(), "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", false);
        assert!(said.is_ok(), "{said:?}");
    }

    #[test]
    fn what_a_body_has_to_contain_is_looked_for_in_any_framing() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nstatus: ready!",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nstatus: re\r\n4\r\nady!\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nstatus: ready!",
        ] {
            assert!(said(page().expect_body("ready"), answer).is_ok(), "{answer}");
            let missing = said(page().expect_body("raedy"), answer);
            assert!(matches!(missing, Err(Unwell::Body)), "{answer}: {missing:?}");
        }
        let status = said(page().expect_body("x"), "HTTP/1.1 500 X\r\nContent-Length: 1\r\n\r\nx");
        assert!(matches!(status, Err(Unwell::Status(500))), "{status:?}");
    }

    #[test]
    fn a_body_is_read_only_until_it_has_shown_what_is_wanted() {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nready";
        let (said, _) = answered(page().expect_body("ready"), answer, false);
        assert!(said.is_ok(), "{said:?}");
    }

    #[test]
    fn what_comes_in_pieces_is_found_across_them() {
        let probe = page().expect_body("ready");
        probe.check().unwrap();
        let said = on_a_core(async move |core| {
            let (stream, mut peer) = Stream::with_std_peer(&core).unwrap();
            let pieces = async {
                for piece in ["HTTP/1.1 200 OK\r\n\r\nstatus: re", "a", "dy"] {
                    peer.write_all(piece.as_bytes()).unwrap();
                    // A turn of the core, in which this much is read.
                    core.sleep(Duration::from_millis(1)).await;
                }
                future::pending().await
            };
            let connect = async |_: &Place| Ok(stream);
            let origin = origin("http://app.test");
            future::or(examine(&core, &probe, &origin, connect), pieces).await.map(|_| ())
        });
        assert!(said.is_ok(), "{said:?}");
    }

    #[test]
    fn no_more_than_the_beginning_of_a_body_is_read() {
        let with = |before: usize| {
            let body = format!("{}ready", "x".repeat(before));
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        assert!(said(page().expect_body("ready"), with(BODY - 5)).is_ok());
        let late = said(page().expect_body("ready"), with(BODY - 4));
        assert!(matches!(late, Err(Unwell::Body)), "{late:?}");
    }

    #[test]
    fn an_endless_body_is_left_at_the_limit() {
        let (said, read) = on_a_core(async |core| {
            let (stream, peer) = Stream::with_std_peer(&core).unwrap();
            let sender = std::thread::spawn(move || {
                let (mut peer, mut sent) = (peer, 0);
                peer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                // Until nobody reads any more.
                while let Ok(n) = peer.write(&[b'x'; 4096]) {
                    sent += n;
                }
                sent
            });
            let probe = page().expect_body("ready");
            let connect = async |_: &Place| Ok(stream);
            let said = examine(&core, &probe, &origin("http://app.test"), connect).await;
            (said, sender.join().unwrap())
        });
        assert!(matches!(said, Err(Unwell::Body)), "{said:?}");
        // What the system holds between the two was sent, too.
        assert!((BODY..BODY + 4 * 1024 * 1024).contains(&read), "{read}");
    }

    #[test]
    fn what_is_no_answer_is_told() {
        let failed = |answer: &str| match said(page().expect_body("ok"), answer) {
            Err(Unwell::Failed(error)) => error.name(),
            other => panic!("{other:?}"),
        };
        assert_eq!(failed(""), "upstream_closed");
        assert_eq!(failed("HTTP/1.1 200 OK\r\nA"), "upstream_truncated");
        assert_eq!(failed("SSH-2.0-x\r\n\r\n"), "bad_answer");
        assert_eq!(failed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\no"), "upstream_truncated");
    }

    #[test]
    fn an_endpoint_that_keeps_silent_or_stalls_is_late() {
        for answer in ["", "HTTP/1.1 200 O", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nstat"] {
            let probe = page().expect_body("status").timeout(Duration::from_millis(50));
            let (said, _) = answered(probe, answer, false);
            assert!(matches!(said, Err(Unwell::Late(_))), "{answer:?}: {said:?}");
        }
    }

    #[test]
    fn a_connection_that_is_not_made_in_time_is_late() {
        let said = on_a_core(async |core| {
            let probe = Probe::tcp().timeout(Duration::from_millis(20));
            examine(&core, &probe, &origin("http://app.test"), async |_: &Place| future::pending().await)
                .await
        });
        assert!(matches!(said, Err(Unwell::Late(_))), "{said:?}");
    }

    #[test]
    fn a_connection_is_all_that_tcp_asks_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let examined = move |url: String| {
            on_a_core(async move |core| {
                let connect = async |place: &Place| match place {
                    Place::Address(address) => Stream::connect(&core, address, Duration::from_secs(5))
                        .await
                        .map_err(|error| Error::new(Kind::Connect).because(error)),
                    Place::Name(..) => Err(Kind::Resolve.into()),
                };
                examine(&core, &Probe::tcp(), &origin(&url), connect).await
            })
        };
        assert!(examined(url.clone()).is_ok());
        drop(listener);
        let refused = examined(url);
        assert!(matches!(&refused, Err(Unwell::Unreachable(error)) if error.kind() == Kind::Connect));
    }

    #[test]
    fn another_port_is_probed_where_that_was_asked_for_and_called_by_its_name() {
        let probed = |url: &str, port| {
            let (probe, origin) = (Probe::http("/").port(port), origin(url));
            (place(&probe, &origin).to_string(), authority(&probe, &origin))
        };
        let expected = |place: &str, authority: &str| (place.to_owned(), authority.to_owned());
        assert_eq!(probed("http://app.test:3000", 81), expected("app.test:81", "app.test:81"));
        assert_eq!(probed("http://app.test", 81), expected("app.test:81", "app.test:81"));
        assert_eq!(probed("http://app.test:81", 80), expected("app.test:80", "app.test"));
        assert_eq!(probed("https://app.test:3000", 443), expected("app.test:443", "app.test"));
        assert_eq!(probed("https://app.test", 80), expected("app.test:80", "app.test:80"));
        assert_eq!(probed("http://[::1]:3000", 81), expected("[::1]:81", "[::1]:81"));
        assert_eq!(probed("http://[::1]", 81), expected("[::1]:81", "[::1]:81"));
        assert_eq!(probed("unix:/run/app.sock", 81), expected("unix:/run/app.sock", "localhost"));
    }

    #[test]
    fn why_an_endpoint_is_not_well_reads_as_a_sentence() {
        assert_eq!(Unwell::Status(503).to_string(), "answered with status 503");
        assert_eq!(Unwell::Late(Duration::from_secs(2)).to_string(), "no answer within 2s");
        assert_eq!(
            Unwell::from(Kind::UpstreamClosed).to_string(),
            "upstream closed the connection before answering"
        );
    }
}
