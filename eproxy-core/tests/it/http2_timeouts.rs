//! How long a client that speaks HTTP/2 may take, with frames put together byte by byte and a clock that is moved.

use eproxy_core::testing::{Connection, Lab, Script};
use eproxy_core::{Proxy, Request, Response, Server};

use crate::support::lab::seconds;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// Types of frames (RFC 9113 §6).
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// A GET on a stream (RFC 7541 §6).
fn get(stream: u8, path: &str) -> Vec<u8> {
    let head = [b"\x82\x86\x44", &[path.len() as u8][..], path.as_bytes(), b"\x41\x04test"].concat();
    [&[0, 0, head.len() as u8, 1, 5, 0, 0, 0, stream], &head[..]].concat()
}

/// The types and streams of the frames that have come, and what is in them.
fn frames(client: &Connection) -> Vec<(u8, u8, Vec<u8>)> {
    let bytes = client.received();
    let mut rest = &bytes[..];
    let mut frames = Vec::new();
    while let [a, b, c, kind, _, _, _, _, stream, behind @ ..] = rest {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        frames.push((*kind, *stream, behind[..length].to_vec()));
        rest = &behind[length..];
    }
    frames
}

fn has(frames: &[(u8, u8, Vec<u8>)], kind: u8) -> bool {
    frames.iter().any(|frame| frame.0 == kind)
}

fn lab(script: Script) -> Lab {
    let lab = Lab::new();
    lab.upstream("http://app.test", script);
    let builder = Server::builder().get("/", |_: Request, res: Response| res.send("hello"));
    lab.serve(builder.at("/up", Proxy::to("http://app.test")));
    lab
}

fn connect(lab: &Lab) -> Connection {
    let client = lab.connect();
    client.send([PREFACE, SETTINGS].concat());
    client
}

#[test]
fn a_preface_has_the_time_of_a_head() {
    let lab = lab(Script::new());
    for beginning in [&PREFACE[..10], PREFACE, &[PREFACE, &SETTINGS[..5]].concat()] {
        let client = lab.connect();
        client.send(beginning);
        lab.advance(seconds(29));
        assert!(!client.is_closed(), "{}", beginning.escape_ascii());
        lab.advance(seconds(2));
        // One whose preface has come is told to go.
        lab.advance(seconds(80));
        assert!(client.is_closed(), "{}", beginning.escape_ascii());
    }
}

#[test]
fn an_unused_connection_is_told_to_go_and_closed_whether_or_not_the_client_listens() {
    let lab = lab(Script::new());
    let client = connect(&lab);
    client.send(get(1, "/"));
    lab.advance(seconds(74));
    client.send(get(3, "/"));
    lab.advance(seconds(74));
    let frames_so_far = frames(&client);
    assert!(
        !has(&frames_so_far, GOAWAY) && frames_so_far.iter().filter(|frame| frame.2 == b"hello").count() == 2
    );
    lab.advance(seconds(2));
    assert!(has(&frames(&client), GOAWAY) && !client.is_closed());
    // What is begun by then is answered still.
    client.send(get(5, "/"));
    assert!(frames(&client).iter().any(|frame| frame.2 == b"hello"));
    lab.advance(seconds(6));
    assert!(client.is_closed());
    // What it still sends is read for a while.
    lab.advance(seconds(3));
    assert_eq!(lab.stats().open, 0);
}

#[test]
fn a_connection_that_waits_for_an_answer_is_not_unused() {
    let lab = lab(Script::new().latency(seconds(50)).answer(200, "slow"));
    let client = connect(&lab);
    client.send(get(1, "/up"));
    for stream in [3, 5, 7] {
        lab.advance(seconds(45));
        client.send(get(stream, "/up"));
    }
    lab.advance(seconds(60));
    let frames = frames(&client);
    assert!(!has(&frames, GOAWAY));
    assert_eq!(frames.iter().filter(|frame| frame.2 == b"slow").count(), 4);
    lab.advance(seconds(90));
    assert!(client.is_closed());
}

#[test]
fn a_head_that_does_not_come_to_its_end_keeps_no_connection() {
    let lab = lab(Script::new());
    let client = connect(&lab);
    let mut half = get(1, "/");
    // Without END_HEADERS: a CONTINUATION would have to follow (RFC 9113 §6.10).
    half[4] = 1;
    client.send(half);
    lab.advance(seconds(100));
    assert!(client.is_closed());
}

#[test]
fn a_body_that_does_not_come_ends_its_stream_alone() {
    let lab = lab(Script::new().answer(200, "all"));
    let client = connect(&lab);
    let mut post = get(1, "/up");
    // Without END_STREAM, and a POST.
    (post[4], post[9]) = (4, 0x83);
    client.send(post);
    // It must bring so much on average, after the first ten seconds.
    lab.advance(seconds(9));
    client.send(get(3, "/"));
    let frames_first = frames(&client);
    assert!(
        frames_first.iter().any(|frame| frame.2 == b"hello") && frames_first.iter().all(|frame| frame.1 != 1)
    );
    lab.advance(seconds(60));
    let frames_then = frames(&client);
    // 408: literal status, and the stream is reset as the rest of the request is not wanted.
    assert!(frames_then.iter().any(|frame| (frame.0, frame.1) == (1, 1)), "{frames_then:?}");
    assert!(frames_then.iter().any(|frame| (frame.0, frame.1) == (RST_STREAM, 1)), "{frames_then:?}");
    assert_eq!(lab.stats().failure("body_timeout"), 1);
    assert!(!client.is_closed());
}

#[test]
fn a_server_that_ends_waits_a_little_for_a_client_that_does_not_listen() {
    let lab = lab(Script::new());
    let client = connect(&lab);
    client.send(get(1, "/"));
    lab.drain();
    let told = frames(&client);
    assert!(has(&told, GOAWAY) && has(&told, PING) && !client.is_closed());
    lab.advance(seconds(6));
    assert!(client.is_closed());
}

#[test]
fn a_server_that_ends_does_not_wait_for_one_that_listens() {
    let lab = lab(Script::new());
    let client = connect(&lab);
    client.send(get(1, "/"));
    lab.drain();
    let ping = frames(&client).into_iter().find(|frame| frame.0 == PING).expect("it asks");
    // The same with ACK (RFC 9113 §6.7).
    client.send([&[0, 0, 8, PING, 1, 0, 0, 0, 0], &ping.2[..]].concat());
    assert!(has(&frames(&client), GOAWAY) && client.is_closed());
}
