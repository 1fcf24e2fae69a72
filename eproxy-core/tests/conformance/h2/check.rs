//! Tables of bytes, each sent on a connection of its own behind the preface, and what comes of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::client::{Client, head};
use super::frame::*;
use super::hpack::block;
use super::site::Site;
use crate::support::eventually;

/// What comes of the bytes of a case. A stream error may always be made one of the connection (RFC 9113 §5.4.1), and a
/// connection may end without a GOAWAY. Whatever comes, the server goes on to serve others.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    /// A connection error with one of these codes.
    Connection(&'static [u32]),
    /// A stream error with one of these codes.
    Stream(u32, &'static [u32]),
    /// The request on this stream is malformed (§8.1.1): a stream error PROTOCOL_ERROR, or an answer 400. No handler has
    /// seen it.
    Malformed(u32),
    /// The same of one whose head was well-formed, so that a handler may have seen that.
    Broken(u32),
    /// The RFC has it malformed; but the codec leaves out what is wrong before anybody sees it. So it may also be answered
    /// as if that had not been there.
    LeftOut(u32, &'static str),
    /// No answer but one of these statuses, or a stream error. No handler has seen it.
    Refused(u32, &'static [u16]),
    /// The stream is answered with 200 and this text; the connection goes on.
    Answered(u32, String),
    /// Nothing comes of it, and the connection goes on.
    Ignored,
    /// The same, or an error, of the stream or the connection, with one of these codes.
    IgnoredOr(&'static [u32]),
}

/// What is said of a frame of a wrong size. RFC 9113 §4.2 wants FRAME_SIZE_ERROR; the codec has the general code (§7) for
/// most of them.
pub(crate) const WRONG_SIZE: &[u32] = &[FRAME_SIZE_ERROR, PROTOCOL_ERROR];

/// What is said of a header block that can't be read. RFC 9113 §4.3 wants COMPRESSION_ERROR; the codec has the general code.
pub(crate) const UNREADABLE: &[u32] = &[COMPRESSION_ERROR, PROTOCOL_ERROR];

/// What is said of frames on a stream that its client has ended. RFC 9113 §5.1 wants STREAM_CLOSED; the codec has the general
/// code.
pub(crate) const CLOSED: &[u32] = &[STREAM_CLOSED, PROTOCOL_ERROR];

/// A name, the bytes, what comes of them.
pub(crate) type Case<'n> = (&'n str, Vec<u8>, Want);

/// Goes through a table, and fails with all that is wrong.
pub(crate) fn check(cases: &[Case<'_>]) {
    let site = Site::start();
    check_at(&site, &[], cases);
}

/// The same at a site that is there, with settings of the client's.
pub(crate) fn check_at(site: &Site, settings: &[(u16, u32)], cases: &[Case<'_>]) {
    let mut wrong = Vec::new();
    for (name, bytes, want) in cases {
        let run = || {
            let counted = given_up(site);
            let mut client = Client::with(site.address(), settings);
            client.send(bytes);
            let verdict = judge(&mut client, want);
            if client.heard.is_closed {
                eventually("it is counted", || given_up(site) == counted + 1);
            }
            verdict.and_then(|()| match (want, site.calls_of(client.local())) {
                (Want::Malformed(_) | Want::Refused(..), calls @ 1..) => {
                    Err(format!("handlers saw {calls} requests"))
                }
                _ => Ok(()),
            })
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => {}
            Ok(Err(what)) => wrong.push(format!("{name}: {what}")),
            Err(panic) => wrong.push(format!("{name}: {}", message(&*panic))),
        }
        site.release();
    }
    let mut client = Client::to(site.address());
    assert_eq!(client.ask("/next").text(), "GET /next [] ", "the server goes on");
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
}

/// Connections that were given up for what came on them.
fn given_up(site: &Site) -> u64 {
    site.server.failures("http2_error") + site.server.failures("http2_flood")
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Reads what comes, and says what is wrong with it.
fn judge(client: &mut Client, want: &Want) -> Result<(), String> {
    if let Want::Connection(codes) = want {
        client.read_to_end();
        return ended(client, codes);
    }
    let is_alive = client.is_alive();
    match want {
        Want::Connection(_) => Ok(()),
        Want::Stream(stream, codes) => {
            let answer = client.answer(*stream);
            match answer.reset {
                Some(code) if codes.contains(&code) => Ok(()),
                None if client.heard.is_closed => ended(client, codes),
                _ => Err(format!("wanted one of {codes:?} on {stream}, but {:?}", client.heard)),
            }
        }
        Want::Malformed(stream) | Want::Broken(stream) => refused(client, *stream, &[400]),
        Want::LeftOut(stream, text) => match client.answer(*stream) {
            answer if answer.status == 200 && answer.text() == *text => Ok(()),
            _ => refused(client, *stream, &[400]),
        },
        Want::Refused(stream, statuses) => refused(client, *stream, statuses),
        Want::Answered(stream, text) => {
            let answer = client.answer(*stream);
            match answer.is_whole && answer.status == 200 && answer.text() == text && client.is_alive() {
                true => Ok(()),
                false => Err(format!("wanted {text:?} on {stream}, but {:?}", client.heard)),
            }
        }
        Want::Ignored => {
            let is_quiet = client.heard.answers.values().all(|answer| answer.reset.is_none());
            match is_alive && is_quiet && client.heard.goaways.is_empty() {
                true => Ok(()),
                false => Err(format!("wanted nothing to come of it, but {:?}", client.heard)),
            }
        }
        Want::IgnoredOr(codes) => {
            let mut resets = client.heard.answers.values().filter_map(|answer| answer.reset);
            match is_alive {
                true if resets.all(|code| codes.contains(&code) || code == NO_ERROR) => Ok(()),
                true => Err(format!("wanted nothing or one of {codes:?}, but {:?}", client.heard)),
                false => ended(client, codes),
            }
        }
    }
}

/// The connection has ended with one of these codes, if with any.
fn ended(client: &Client, codes: &[u32]) -> Result<(), String> {
    // NO_ERROR comes first where a server shuts down in two steps (§6.8).
    let code = client.heard.goaways.iter().map(|(_, code)| *code).rfind(|code| *code != NO_ERROR);
    match code {
        Some(code) if !codes.contains(&code) => {
            Err(format!("wanted one of {codes:?}, but {:?}", client.heard))
        }
        _ => Ok(()),
    }
}

fn refused(client: &mut Client, stream: u32, statuses: &[u16]) -> Result<(), String> {
    let answer = client.answer(stream);
    let is_refused = match (answer.status, answer.reset) {
        (0, Some(code)) => code == PROTOCOL_ERROR || statuses != [400],
        (0, None) => client.heard.is_closed && ended(client, &[PROTOCOL_ERROR]).is_ok(),
        (status, _) => statuses.contains(&status),
    };
    match is_refused {
        true => Ok(()),
        false => Err(format!("wanted {statuses:?} or a stream error on {stream}, but {:?}", client.heard)),
    }
}

/// The frame of a GET for `/`, with more fields.
pub(crate) fn get_with(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    headers(stream, END, &block(&[&head("GET", "/")[..], fields].concat()))
}

/// The frame of a GET.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, END, &block(&head("GET", path)))
}

/// The frame of a POST whose body follows.
pub(crate) fn post(stream: u32, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    headers(stream, END_HEADERS, &block(&[&head("POST", path)[..], fields].concat()))
}

/// The frame of a GET with these fields, and none beside them.
pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    headers(1, END, &block(fields))
}

pub(crate) fn answered(stream: u32, text: &str) -> Want {
    Want::Answered(stream, text.to_owned())
}
