//! RFC 9113 §3.4, HTTP/2 Connection Preface.

use eproxy_core::{Request, Response, Server};

use crate::h2::check::get;
use crate::h2::client::Client;
use crate::h2::frame::*;
use crate::h2::site::Site;
use crate::support::{self, eventually};

#[test]
fn the_server_begins_with_settings_and_acknowledges_those_of_the_client() {
    let site = Site::start();
    let mut client = Client::silent(site.address());
    client.send(PREFACE);
    client.set(&[]);
    assert!(client.step());
    assert_eq!(client.heard.settings_frames, 1, "the first frame is SETTINGS: {:?}", client.heard);
    client.until("ours are acknowledged", |heard| heard.settings_acks == 1);
    // What is promised in docs: streams, the size of heads, the extended CONNECT.
    assert_eq!(client.setting(MAX_CONCURRENT_STREAMS), Some(100));
    assert_eq!(client.setting(MAX_HEADER_LIST_SIZE), Some(32 * 1024));
    assert_eq!(client.setting(ENABLE_CONNECT_PROTOCOL), Some(1));
    assert_eq!(client.ask("/").text(), "GET / [] ");
}

#[test]
fn a_client_need_not_wait_for_the_settings_of_the_server() {
    let site = Site::start();
    let mut client = Client::silent(site.address());
    // All at once: the settings of the server have not come, let alone been acknowledged.
    client.send([PREFACE, &settings(&[]), &get(1, "/early-bird")].concat());
    client.expect_ack(&[]);
    assert_eq!(client.answer(1).text(), "GET /early-bird [] ");
}

#[test]
fn the_preface_may_come_byte_by_byte() {
    let site = Site::start();
    let mut client = Client::silent(site.address());
    for byte in [PREFACE, &settings(&[]), &get(1, "/slow")].concat() {
        client.send([byte]);
        std::thread::yield_now();
    }
    client.expect_ack(&[]);
    assert_eq!(client.answer(1).text(), "GET /slow [] ");
}

#[test]
fn what_is_not_the_preface_ends_the_connection() {
    let site = Site::start();
    let cases = [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "PRI * HTTP/2.0\r\nHost: test\r\n\r\nSM\r\n\r\n",
        "PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: test\r\n\r\n",
    ];
    for preface in cases {
        let mut client = Client::silent(site.address());
        client.send(preface);
        client.send(settings(&[]));
        client.send(get(1, "/never"));
        // It may end with an answer of HTTP/1, with a GOAWAY, or without a word.
        let rest = client.raw_rest();
        let is_answer = rest.starts_with(b"HTTP/1.1 4") || rest.starts_with(b"HTTP/1.1 505");
        let is_frames = rest.get(3).is_none_or(|kind| [SETTINGS, GOAWAY].contains(kind));
        assert!(is_answer || is_frames, "{preface:?}: {:?}", rest.escape_ascii().to_string());
    }
    assert_eq!(site.calls(), 0);
    assert_eq!(Client::to(site.address()).ask("/").text(), "GET / [] ");
}

#[test]
fn the_first_frame_has_to_be_settings() {
    let site = Site::start();
    let frames = [
        ("HEADERS", get(1, "/never")),
        ("PING", ping([1; 8])),
        ("an acknowledgement of settings", settings_ack()),
        ("an unknown frame", frame(0xbe, 0, 0, b"x")),
        ("SETTINGS of stream 1", frame(SETTINGS, 0, 1, b"")),
    ];
    for (name, frame) in frames {
        let mut client = Client::silent(site.address());
        client.send([PREFACE, &frame].concat());
        client.read_to_end();
        let codes: Vec<_> = client.heard.goaways.iter().map(|(_, code)| *code).collect();
        assert!(codes.iter().all(|code| *code == PROTOCOL_ERROR), "{name}: {codes:?}");
        assert!(client.heard.answers.is_empty(), "{name}");
    }
    assert_eq!(site.calls(), 0);
}

#[test]
fn one_listener_speaks_both_versions() {
    let site = Site::start();
    let mut old = site.server.connect();
    let mut new = Client::to(site.address());
    for _ in 0..3 {
        assert_eq!(old.ask(support::get("/1")).text(), "GET /1 [] ");
        assert_eq!(new.ask("/2").text(), "GET /2 [] ");
    }
}

#[test]
fn connections_and_streams_are_counted() {
    let site = Site::start();
    assert_eq!(site.server.ask(support::get("/")).status, 200);
    for _ in 0..2 {
        let mut client = Client::to(site.address());
        for _ in 0..3 {
            assert_eq!(client.ask("/").status, 200);
        }
    }
    let stats = site.server.stats();
    assert_eq!((stats.http2_connections, stats.http2_streams, stats.requests), (2, 6, 7));
    assert_eq!(stats.failures().map(|(_, count)| count).sum::<u64>(), 0);
    eventually("they are gone", || site.server.stats().open == 0);
}

#[test]
fn the_preface_behind_a_request_of_http_1_is_no_preface() {
    // §3.3: prior knowledge is knowledge from the first byte on.
    let site = Site::start();
    let mut client = site.server.connect();
    assert_eq!(client.ask(support::get("/1")).text(), "GET /1 [] ");
    client.send([PREFACE, &settings(&[]), &get(1, "/never")].concat());
    let rest = client.rest();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 "), "{:?}", rest.escape_ascii().to_string());
    assert_eq!(site.calls(), 1);
}

#[test]
fn a_header_of_the_proxy_protocol_may_stand_in_front() {
    let server = Server::builder()
        .workers(1)
        .trusted_proxies(["127.0.0.1"])
        .get("/", |req: Request, res: Response| res.send(format!("{:?}", req.peer_addr())))
        .bind_proxy_protocol("127.0.0.1:0");
    let server = support::Running::new(server);
    let mut client = Client::silent(server.address());
    client.send("PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n");
    client.send(PREFACE);
    client.set(&[]);
    assert_eq!(client.ask("/").text(), "Some(203.0.113.7:4711)");
}

#[test]
fn an_upgrade_to_h2c_is_declined() {
    // §3.1: the upgrade of RFC 7540 is obsolete; a server ignores it (RFC 9110 §7.8).
    let site = Site::start();
    let mut client = site.server.connect();
    client.send(
        "GET /up HTTP/1.1\r\nHost: test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    );
    let reply = client.reply();
    assert_eq!((reply.status, reply.text()), (200, "GET /up [] "));
}
