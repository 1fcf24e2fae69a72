//! Bodies in frames go as they come, and nobody is made to hold more than a little of what the other side does not take.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eproxy_core::{Builder, Group, Proxy, Request, Response, Server, Timeouts};
use h2::client::Builder as Codec;

use crate::support::certificates::{tls, trusting};
use crate::support::http2::{Http2, fields};
use crate::support::http2_upstream::{Asked, Settings, echoing2, http2_upstream};
use crate::support::secure::{TlsClient, socket};
use crate::support::wire::Connection;
use crate::support::{Running, crlf, eventually, get, pause, start};
use crate::upstream::{Peer, gate, upstream};

const BOTH: [fn() -> Settings; 2] = [Settings::plain, Settings::secure];

fn serve(group: impl Into<Group>) -> Running {
    start(Server::builder().workers(1).at("/*path", Proxy::to(group.into().tls(trusting()))))
}

#[test]
fn an_event_is_on_its_way_as_soon_as_it_came() {
    for is_http2 in [false, true] {
        let (open, gate) = gate();
        let gate = Arc::new(gate);
        let same = gate.clone();
        let one = upstream(move |peer: &mut Peer| {
            peer.request();
            peer.say(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            );
            for number in 0..5 {
                gate.wait();
                peer.say(format!("9\r\ndata: {number}\n\n\r\n"));
            }
            gate.wait();
            peer.say("0\r\n\r\n");
        });
        let two = http2_upstream(Settings::plain(), move |asked| {
            asked.head(200, &[("content-type", "text/event-stream")], false);
            for number in 0..5 {
                same.wait();
                asked.send(format!("data: {number}\n\n"));
            }
            same.wait();
            asked.send_end("");
        });
        let server = serve(if is_http2 { two.url() } else { one.url() });
        let client = Http2::to(server.address());
        let mut exchange = client.ask("GET", "/");
        assert_eq!(exchange.head().field("content-type"), Some("text/event-stream"));
        for number in 0..5 {
            open.send(()).expect("the upstream waits");
            assert_eq!(exchange.at_least(9), format!("data: {number}\n\n").as_bytes());
        }
        open.send(()).expect("the upstream waits");
        assert!(exchange.rest().0.is_empty());
    }
}

#[test]
fn what_is_said_goes_both_ways_in_turns() {
    for settings in BOTH {
        let upstream = http2_upstream(settings(), |asked| {
            asked.head(200, &[], false);
            while let Ok(Some(data)) = asked.try_data() {
                if !data.is_empty() {
                    asked.send([b"you said ", &data[..]].concat());
                }
            }
            asked.send_trailers(&[("x-end", "bye")]);
        });
        let server = serve(upstream.url());
        let client = Http2::to(server.address());
        let mut exchange = client.open("POST", "/");
        assert_eq!(exchange.head().status, 200);
        for number in 0..20 {
            let said = format!("{number}.");
            exchange.send(&*said);
            assert_eq!(exchange.at_least(9 + said.len()), format!("you said {said}").as_bytes());
        }
        exchange.send_end("");
        let (rest, end) = exchange.rest();
        assert_eq!((rest.len(), end), (0, Ok(fields(&[("x-end", "bye")]))));
    }
}

/// Sends what it can of an endless answer; counts it.
fn endless(counted: &Arc<AtomicUsize>) -> impl Fn(&mut Asked) + Send + Sync + 'static {
    let counted = counted.clone();
    move |asked| {
        asked.head(200, &[], false);
        while asked.try_send(vec![b'x'; 10_000], false).is_ok() {
            counted.fetch_add(10_000, Ordering::SeqCst);
        }
    }
}

/// Waits until a number stays as it is; gives it.
fn settled(number: &AtomicUsize) -> usize {
    let mut before = 0;
    eventually("it settles", || {
        pause(100);
        let now = number.load(Ordering::SeqCst);
        std::mem::replace(&mut before, now) == now && now > 0
    });
    before
}

/// More than what the windows, the ducts and the sockets' buffers on the way hold.
const MUCH: usize = 16 << 20;

#[test]
fn an_upstream_is_held_back_by_a_client_that_does_not_take_its_answer() {
    let sent = Arc::<AtomicUsize>::default();
    let counted = sent.clone();
    let two = http2_upstream(Settings::plain(), endless(&sent));
    let one = upstream(move |peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [b"2710\r\n", &[b'x'; 10_000][..], b"\r\n"].concat();
        while peer.try_say(&chunk) {
            counted.fetch_add(10_000, Ordering::SeqCst);
        }
    });
    for url in [one.url(), two.url()] {
        let server = serve(url);
        for is_http2 in [true, false] {
            sent.store(0, Ordering::SeqCst);
            if is_http2 {
                let client = Http2::to(server.address());
                let mut exchange = client.ask("GET", "/");
                assert_eq!(exchange.head().status, 200);
                assert!(settled(&sent) < MUCH);
                // It goes on where room is made.
                exchange.at_least(settled(&sent) + 1_000_000);
            } else {
                let mut client = server.connect();
                client.send(get("/"));
                assert_eq!(client.head().map(|head| head.status), Some(200));
                assert!(settled(&sent) < MUCH);
                client.raw(1_000_000);
                client.reset_on_drop();
            }
        }
        eventually("nothing is left", || server.stats().open == 0 && one.open() == 0);
    }
}

#[test]
fn a_client_is_held_back_by_an_upstream_that_does_not_take_its_request() {
    let (open, gate) = gate();
    let gate = Arc::new(gate);
    let same = gate.clone();
    let one = upstream(move |peer: &mut Peer| {
        let mut seen = peer.head();
        gate.wait();
        peer.body(&mut seen);
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{:08}", seen.body.len()));
    });
    let two = http2_upstream(Settings::plain(), move |asked| {
        same.wait();
        asked.read();
        let length = asked.seen.body.len();
        asked.answer(200, &[], format!("{length:08}"));
    });
    for url in [one.url(), two.url()] {
        let server = serve(url);
        let client = Http2::to(server.address());
        let mut exchange = client.open("POST", "/");
        let sent = exchange.send_until_stuck(2 * MUCH);
        assert!(sent < MUCH, "{sent}");
        open.send(()).expect("the upstream waits");
        exchange.send_end("");
        assert_eq!(exchange.whole().text(), format!("{sent:08}"));
    }
}

#[test]
fn one_slow_stream_does_not_hold_up_others_to_the_same_upstream() {
    let sent = Arc::<AtomicUsize>::default();
    let script = endless(&sent);
    let upstream = http2_upstream(Settings::plain(), move |asked| match &*asked.seen.target.clone() {
        "/endless" => script(asked),
        target => asked.answer(200, &[], target),
    });
    let server = serve(upstream.url());
    let client = Http2::with(server.address(), Codec::new().initial_connection_window_size(1 << 24));
    // Each may have this much under way to the proxy; together, more than the connection.
    let mut slow: Vec<_> = (0..3).map(|_| client.ask("GET", "/endless")).collect();
    slow.iter_mut().for_each(|exchange| assert_eq!(exchange.head().status, 200));
    settled(&sent);
    for _ in 0..10 {
        assert_eq!(client.get("/x").text(), "/x");
    }
    assert_eq!(upstream.accepted(), 1);
}

fn much() -> Builder {
    // Its streams are given up one by one, and what is left of them is little enough to wait in the kernel: the connection may
    // then be one that is not used.
    let short = Duration::from_millis(200);
    let timeouts = Timeouts { write_idle: short, keep_alive: short, ..Timeouts::default() };
    Server::builder()
        .workers(1)
        .timeouts(timeouts)
        .get("/much", |_: Request, res: Response| res.send(vec![b'x'; MUCH]))
        .get("/", |_: Request, res: Response| res.send("hello"))
}

/// The beginning of a connection that has room for everything, and a request for much on so many streams.
fn beginning(streams: u32) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE, and a WINDOW_UPDATE for the connection.
    bytes.extend(b"\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff");
    bytes.extend(b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0");
    let head = b"\x82\x86\x44\x05/much\x41\x04test";
    for stream in 0..streams {
        bytes.extend([0, 0, head.len() as u8, 1, 5]);
        bytes.extend((2 * stream + 1).to_be_bytes());
        bytes.extend(head);
    }
    bytes
}

#[test]
fn a_client_that_reads_nothing_is_left() {
    let server = Running::new(much().bind("127.0.0.1:0").bind_tls("127.0.0.1:0", tls()));
    let [plain, secure] = *server.handle().addresses() else { panic!("two listeners") };
    let narrow = |address| {
        let socket: TcpStream = socket(address);
        socket2::SockRef::from(&socket).set_recv_buffer_size(64 * 1024).expect("an option can be set");
        socket
    };
    for is_secure in [false, true] {
        let mut clients = if is_secure {
            let client = TlsClient::new().alpn(&["h2"]).over(narrow(secure)).expect("the handshake succeeds");
            (None, Some(Connection::over(client)))
        } else {
            (Some(Connection::over(narrow(plain))), None)
        };
        clients.0.iter_mut().for_each(|client| client.send(beginning(5)));
        clients.1.iter_mut().for_each(|client| client.send(beginning(5)));
        eventually("it has begun", || server.stats().http2_streams == if is_secure { 10 } else { 5 });
        eventually("it is left", || server.stats().open == 0);
        drop(clients);
    }
    eventually("its requests are counted", || server.failures("downstream_gone") == 10);
}

#[test]
fn who_reads_slowly_gets_all_of_it() {
    let server = Running::new(much().timeouts(Timeouts::default()).bind_tls("127.0.0.1:0", tls()));
    let mut codec = Codec::new();
    codec.initial_window_size(1 << 20).initial_connection_window_size(1 << 23);
    let client = Http2::secure_with(server.address(), &TlsClient::new(), &codec);
    let mut exchanges: Vec<_> = (0..3).map(|_| client.ask("GET", "/much")).collect();
    exchanges.iter_mut().for_each(|exchange| assert_eq!(exchange.head().status, 200));
    pause(100);
    for exchange in &mut exchanges {
        let (body, end) = exchange.rest();
        assert!(end.is_ok() && body.len() == MUCH && body.iter().all(|byte| *byte == b'x'), "{}", body.len());
    }
}

#[test]
fn a_client_of_http10_gets_an_answer_without_a_length_up_to_its_end() {
    for settings in BOTH {
        let upstream = http2_upstream(settings(), |asked| {
            asked.head(200, &[], false);
            asked.send("one, ");
            if asked.seen.target == "/whole" {
                return asked.send_trailers(&[("x-end", "yes")]);
            }
            // What was not sent yet would be lost with the stream.
            pause(50);
            asked.reset(h2::Reason::INTERNAL_ERROR);
        });
        let server = serve(upstream.url());
        let mut client = server.connect();
        client.send(crlf("GET /whole HTTP/1.0\nHost: test\n\n"));
        let reply = client.reply();
        assert_eq!((reply.status, reply.text(), reply.says_close()), (200, "one, ", true));
        client.is_closed();
        // One that breaks off ends with a reset: nothing else would tell (RFC 9112 §8).
        let mut client = server.connect();
        client.send(crlf("GET /half HTTP/1.0\nHost: test\n\n"));
        assert_eq!(client.head().map(|head| head.status), Some(200));
        assert!(client.ends_with_reset());
    }
}

#[test]
fn a_client_that_waits_to_be_told_to_go_on_is_told_by_the_upstream() {
    for settings in BOTH {
        let upstream = http2_upstream(settings(), |asked| {
            assert_eq!(asked.seen.field("expect"), Some("100-continue"));
            if asked.seen.target == "/no" {
                return asked.answer(417, &[("content-length", "0")], "");
            }
            asked.interim(100, &[]);
            asked.read();
            let body = asked.seen.body.clone();
            asked.answer(200, &[], body);
        });
        let server = serve(upstream.url());
        let mut client = server.connect();
        let asking = |target: &str| {
            crlf(&format!("POST {target} HTTP/1.1\nHost: test\nContent-Length: 4\nExpect: 100-continue\n\n"))
        };
        client.send(asking("/yes"));
        assert_eq!(client.head().map(|head| head.status), Some(100));
        client.send("body");
        assert_eq!(client.reply().text(), "body");
        client.send(asking("/no"));
        assert_eq!(client.reply().status, 417);
        let client = Http2::to(server.address());
        for (target, status) in [("/yes", 200), ("/no", 417)] {
            let mut request = client.request("POST", target);
            request.headers_mut().insert("expect", http::HeaderValue::from_static("100-continue"));
            let mut exchange = client.begin_request(request, false);
            if status == 200 {
                assert_eq!(exchange.interim(), 100);
                exchange.send_end("body");
            }
            assert_eq!(exchange.head().status, status);
        }
    }
}

#[test]
fn long_heads_pass_in_both_directions() {
    // Longer than a frame: they come in several (RFC 9113 §6.10).
    let upstream = http2_upstream(Settings::plain(), |asked| {
        let long = asked.seen.field("x-long").expect("it has come").to_owned();
        asked.answer(200, &[("x-back", &long)], "ok");
    });
    let server = serve(upstream.url());
    let client = Http2::with(server.address(), Codec::new().max_header_list_size(1 << 20));
    let long: String = (0..20_000).map(|at| char::from(b'!' + (at * 7 % 90) as u8)).collect();
    let mut request = client.request("GET", "/");
    request.headers_mut().insert("x-long", long.parse().expect("a value"));
    let answer = client.begin_request(request, true).whole();
    assert_eq!((answer.status, answer.field("x-back")), (200, Some(&*long)));
    let mut http1 = server.connect();
    let reply = http1.ask(crlf(&format!("GET / HTTP/1.1\nHost: test\nX-Long: {long}\n\n")));
    assert_eq!((reply.status, reply.header("x-back")), (200, Some(&*long)));
}

#[test]
fn an_answer_whose_head_is_too_long_is_a_bad_gateway() {
    let upstream = http2_upstream(Settings::plain(), |asked| {
        let length = if asked.seen.target == "/long" { 200_000 } else { 10 };
        asked.answer(200, &[("x-long", &"x".repeat(length))], "ok");
    });
    let server = serve(upstream.url());
    let mut client = server.connect();
    assert_eq!(client.ask(get("/long")).status, 502);
    assert_eq!(client.ask(get("/short")).text(), "ok");
}

#[test]
fn trailers_that_are_announced_are_not_lost_behind_a_body_of_a_known_length() {
    let upstream = http2_upstream(Settings::plain(), |asked| {
        asked.read();
        let trailers = asked.seen.trailers.clone();
        asked.head(200, &[("content-length", "4"), ("trailer", "x-sum")], false);
        asked.send("body");
        let came = trailers.get("x-sum").and_then(|sum| sum.to_str().ok()).unwrap_or("none").to_owned();
        asked.send_trailers(&[("x-sum", &came)]);
    });
    let server = serve(upstream.url());
    let client = Http2::to(server.address());
    let mut request = client.request("POST", "/");
    request.headers_mut().insert("content-length", 4.into());
    request.headers_mut().insert("trailer", http::HeaderValue::from_static("x-sum"));
    let mut exchange = client.begin_request(request, false);
    exchange.send("sent");
    exchange.send_trailers(&[("x-sum", "7")]);
    let answer = exchange.whole();
    assert_eq!((answer.text(), &answer.trailers), ("body", &fields(&[("x-sum", "7")])));
}

#[test]
fn several_workers_have_each_their_own_connections() {
    let upstream = echoing2(Settings::secure());
    let proxy = Proxy::to(Group::from(upstream.url()).tls(trusting()));
    let server = Server::builder().workers(3).at("/*path", proxy).bind("127.0.0.1:0");
    let server = Running::new(server.bind_tls("127.0.0.1:0", tls()));
    let [plain, secure] = *server.handle().addresses() else { panic!("two listeners") };
    let clients: Vec<_> =
        (0..12).map(|n| if n % 2 == 0 { Http2::to(plain) } else { Http2::secure(secure) }).collect();
    for round in 0..5 {
        let exchanges: Vec<_> =
            clients.iter().map(|client| client.ask("GET", &format!("/{round}"))).collect();
        for exchange in exchanges {
            assert_eq!(exchange.whole().text(), format!("/{round}"));
        }
    }
    assert!(upstream.accepted() <= 12, "{}", upstream.accepted());
    drop(clients);
    eventually("nothing is left", || server.stats().open == 0);
}
