//! What scripted upstreams of a lab do, and what becomes of that on the way to a client.

use std::time::Duration;

use eproxy_core::testing::{Lab, Script};
use eproxy_core::{Balance, Group, Proxy, Server};

use crate::support::lab::{between, lab, seconds};

const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
const BEGUN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n";

#[test]
fn an_answer_that_comes_in_pieces_of_any_size_arrives() {
    let (lab, app) = lab(Script::new());
    for answer in [WHOLE, CHUNKED] {
        for piece in [1, 2, 3, 7, answer.len()] {
            app.set(Script::new().send_split(answer, piece));
            let reply = lab.get("/");
            assert_eq!((reply.text(), reply.is_whole()), ("0123456789", true), "{piece} bytes at a time");
        }
    }
    assert_eq!((app.connections(), lab.now()), (1, Duration::ZERO));
}

#[test]
fn an_answer_that_pauses_goes_on_where_it_stopped() {
    let (lab, _app) = lab(Script::new().send(BEGUN).pause(seconds(59)).send("56789"));
    assert_eq!(lab.get("/").text(), "0123456789");
    assert!(between(&lab, 59, 60), "{:?}", lab.now());
}

#[test]
fn an_answer_that_stalls_is_broken_off_after_a_minute() {
    let (lab, app) = lab(Script::new().send(BEGUN).stall());
    let reply = lab.get("/");
    assert_eq!((reply.status(), reply.is_whole()), (200, false));
    assert!(between(&lab, 60, 61), "{:?}", lab.now());
    assert_eq!((lab.stats().failure("upstream_body_timeout"), app.open_connections()), (1, 0));
}

#[test]
fn a_reset_in_the_middle_of_an_answer_reaches_the_client_behind_what_came_before() {
    let (lab, _app) = lab(Script::new().send(BEGUN).reset());
    let client = lab.connect();
    let reply = client.ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((reply.text(), reply.is_whole()), ("01234", false));
    assert!(client.is_closed());
    assert_eq!(lab.now(), Duration::ZERO);
}

#[test]
fn an_upstream_that_resets_before_it_answers_is_a_bad_gateway() {
    let (lab, app) = lab(Script::new().reset());
    assert_eq!(lab.get("/").status(), 502);
    app.set(Script::new().answer(200, "well again"));
    lab.advance(seconds(60));
    assert_eq!(lab.get("/").text(), "well again");
}

#[test]
fn statuses_come_in_turn() {
    let (lab, app) = lab(Script::new().statuses([200, 404, 503]));
    let statuses: Vec<_> = (0..7).map(|_| lab.get("/").status()).collect();
    assert_eq!(statuses, [200, 404, 503, 200, 404, 503, 200]);
    app.set(Script::new().statuses([204, 200]));
    assert_eq!((lab.get("/").status(), lab.get("/").status()), (204, 200));
}

#[test]
fn an_answer_to_head_has_no_body() {
    let (lab, app) = lab(Script::new().answer(200, "hello"));
    let client = lab.connect();
    let reply = client.ask("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((reply.header("content-length"), reply.text()), (Some("5"), ""));
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n").text(), "hello");
    assert_eq!((app.requests(), app.connections()), (2, 1));
}

#[test]
fn bodies_are_seen_without_their_framing_and_as_they_came() {
    let echo = |request: &eproxy_core::testing::Seen| Script::new().answer(200, request.body());
    let (lab, app) = lab(Script::from_request(echo));
    let head = "POST /form HTTP/1.1\r\nHost: test\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n");
    assert_eq!(lab.ask(chunked).text(), "abcde");
    let seen = app.last_request();
    assert_eq!((seen.method(), seen.target(), seen.body()), ("POST", "/form", &b"abcde"[..]));
    assert!(seen.bytes().starts_with(seen.head().as_bytes()) && seen.bytes().ends_with(b"0\r\n\r\n"));
    let long = "x".repeat(3 * 1024 * 1024);
    let reply = lab.ask(format!("{head}Content-Length: {}\r\n\r\n{long}", long.len()));
    assert_eq!(reply.body(), long.as_bytes());
}

#[test]
fn whoever_expects_100_continue_is_told_to() {
    let (lab, app) = lab(Script::new().answer(200, "thanks"));
    let client = lab.connect();
    client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    lab.advance(seconds(2));
    assert_eq!(client.received(), b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(app.requests(), 0);
    client.send("abc");
    assert!(client.received().ends_with(b"thanks"));
    assert_eq!(app.last_request().body(), b"abc");
}

#[test]
fn a_refused_connection_fails_at_once_and_one_that_hangs_when_its_time_is_over() {
    let (lab, app) = lab(Script::new().answer(200, "here"));
    app.refuse();
    assert_eq!((lab.get("/").status(), lab.now()), (502, Duration::ZERO));
    app.hang();
    assert_eq!(lab.get("/").status(), 504);
    assert!(between(&lab, 5, 6), "{:?}", lab.now());
    app.accept();
    assert_eq!(lab.get("/").text(), "here");
    let failure = |name| lab.stats().failure(name);
    assert_eq!((failure("connect"), failure("connect_timeout"), app.connections()), (1, 1, 1));
}

#[test]
fn connections_are_kept_until_their_time_is_over_on_the_labs_clock() {
    let (lab, app) = lab(Script::new().answer(200, ""));
    lab.get("/");
    lab.advance(seconds(29));
    assert_eq!(app.open_connections(), 1);
    lab.advance(seconds(2));
    assert_eq!(app.open_connections(), 0);
    lab.get("/");
    assert_eq!(app.connections(), 2);
}

#[test]
fn connections_that_the_upstream_ends_are_made_anew() {
    let (lab, app) = lab(Script::new().answer(200, ""));
    let ends: [fn(&eproxy_core::testing::Upstream); 2] =
        [|app| app.close_connections(), |app| app.reset_connections()];
    for end in ends {
        assert_eq!(lab.get("/").status(), 200);
        end(&app);
        assert_eq!(app.open_connections(), 0);
    }
    assert_eq!(lab.get("/").status(), 200);
    assert_eq!((app.requests(), app.connections(), lab.stats().retries), (3, 3, 0));
}

#[test]
fn of_a_name_with_several_addresses_the_one_that_connects_first_is_taken() {
    let lab = Lab::new();
    lab.name("app.test", ["2600::1", "11.9.9.9", "11.9.9.8"]);
    let addresses = ["http://[2600::1]:81", "http://11.9.9.9:81", "http://11.9.9.8:81"];
    let [six, four, last] = addresses.map(|url| lab.upstream(url, Script::new().answer(200, url)));
    six.hang();
    four.refuse();
    lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test:81")));
    assert_eq!(lab.get("/").text(), "http://11.9.9.8:81");
    assert!((250..=266).contains(&lab.now().as_millis()), "a head start for the first: {:?}", lab.now());
    assert_eq!((six.connections(), four.connections(), last.connections()), (0, 0, 1));
}

#[test]
fn a_name_that_leads_elsewhere_is_followed_once_it_is_looked_up_again() {
    let lab = Lab::new();
    let [_old, _new] = ["http://11.0.1.1", "http://11.0.1.2"]
        .map(|url| lab.upstream(url, Script::new().answer(200, url).close()));
    lab.name("app.test", ["11.0.1.1"]);
    lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test")));
    assert_eq!(lab.get("/").text(), "http://11.0.1.1");
    lab.name("app.test", ["11.0.1.2"]);
    assert_eq!(lab.get("/").text(), "http://11.0.1.1", "it was looked up just now");
    lab.advance(seconds(11));
    // The old addresses are used while the name is looked up anew.
    assert_eq!(lab.get("/").text(), "http://11.0.1.1");
    assert_eq!(lab.get("/").text(), "http://11.0.1.2");
}

#[test]
fn a_name_that_nobody_knows_is_never_looked_up_elsewhere() {
    let lab = Lab::new();
    // The system's resolver would find it.
    lab.serve(Server::builder().at("/*path", Proxy::to("http://localhost:1")));
    assert_eq!(lab.get("/").status(), 502);
    assert_eq!(lab.stats().failure("resolve"), 1);
}

#[test]
fn nothing_leaves_the_lab() {
    let real = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    real.set_nonblocking(true).unwrap();
    let lab = Lab::new();
    let url = format!("http://{}", real.local_addr().unwrap());
    lab.serve(Server::builder().at("/*path", Proxy::to(url)));
    assert_eq!((lab.get("/").status(), lab.stats().failure("connect")), (502, 1));
    assert_eq!(real.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn an_upstream_may_be_a_socket_file_that_is_not_there() {
    let lab = Lab::new();
    lab.upstream("unix:/nowhere/app.sock", Script::new().answer(200, "a file"));
    lab.serve(Server::builder().at("/*path", Proxy::to("unix:/nowhere/app.sock")));
    assert_eq!(lab.get("/").text(), "a file");
}

#[test]
fn a_request_that_one_endpoint_fails_is_answered_by_another() {
    let lab = Lab::new();
    let [a, b] =
        ["http://a.test", "http://b.test"].map(|url| lab.upstream(url, Script::new().answer(200, url)));
    let group = Group::from(["http://a.test", "http://b.test"]).balance(Balance::RoundRobin);
    lab.serve(Server::builder().at("/*path", Proxy::to(group)));
    for _ in 0..10 {
        lab.get("/");
    }
    assert_eq!((a.requests(), b.requests()), (5, 5));
    a.set(Script::new().close());
    // A second each, as the budget of the group has it.
    let all_are_served = (0..10).all(|_| {
        lab.advance(Duration::from_secs(1));
        lab.get("/").text() == "http://b.test"
    });
    assert!(all_are_served && lab.stats().retries > 0);
}

#[test]
fn a_long_answer_that_is_reset_is_told_to_the_client() {
    const LONG: usize = 4 * 1024 * 1024;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LONG}\r\n\r\n");
    let (lab, app) = lab(Script::new().send(&head).send(vec![b'x'; LONG]));
    assert_eq!(lab.get("/").body().len(), LONG);
    app.set(Script::new().send(&head).send(vec![b'x'; LONG - 1]).reset());
    let reply = lab.get("/");
    assert!(!reply.is_whole() && reply.body().len() < LONG);
}

#[test]
fn a_script_may_begin_before_the_body_has_come() {
    let (lab, app) = lab(Script::new());
    app.set_at_head(Script::new().pause(seconds(1)).answer(200, "I have seen enough"));
    let client = lab.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n01234");
    assert_eq!((app.requests(), app.last_request().body()), (1, &b""[..]));
    client.send("56789");
    lab.advance(seconds(2));
    assert!(client.received().ends_with(b"I have seen enough"));
    assert_eq!((app.requests(), app.last_request().body()), (1, &b"0123456789"[..]));
    app.set_at_head(Script::new().pause(seconds(1)).reset());
    let pending = lab.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n01234");
    assert_eq!(lab.wait(pending).status(), 502);
}

#[test]
fn an_upstream_that_takes_connections_late_is_waited_for_as_long_as_there_is_time() {
    let (lab, app) = lab(Script::new().answer(200, "here"));
    app.accept_after(seconds(4));
    assert_eq!((lab.get("/").text(), lab.now().as_secs()), ("here", 4));
    app.close_connections();
    app.accept_after(seconds(6));
    assert_eq!((lab.get("/").status(), lab.stats().failure("connect_timeout")), (504, 1));
}

#[test]
fn a_copy_that_waits_for_its_request_to_go_on_holds_nobody_up() {
    let lab = Lab::new();
    let [app, copy] =
        ["http://app.test", "http://copy.test"].map(|url| lab.upstream(url, Script::new().answer(200, "")));
    app.set_at_head(Script::new().latency(seconds(1)).answer(200, "enough"));
    lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test").mirror("http://copy.test")));
    let pending = lab.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n01234");
    assert_eq!((copy.connections(), copy.requests()), (1, 0));
    assert_eq!((lab.wait(pending).text(), lab.now().as_secs()), ("enough", 1));
}

#[test]
fn requests_that_wait_for_room_hold_nobody_up() {
    let lab = Lab::new();
    let app = lab.upstream("http://app.test", Script::new().latency(seconds(1)).answer(200, "x"));
    let group = Group::from("http://app.test").max_requests(1).queue(10, seconds(5));
    lab.serve(Server::builder().at("/*path", Proxy::to(group)));
    let all: Vec<_> = (0..3).map(|_| lab.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")).collect();
    assert_eq!(app.requests(), 1);
    let waited: Vec<_> =
        all.into_iter().map(|pending| (lab.wait(pending).status(), lab.now().as_secs())).collect();
    assert_eq!(waited, [(200, 1), (200, 2), (200, 3)]);
}
