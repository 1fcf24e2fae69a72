//! RFC 9110 §15.2, Informational: interim answers are passed on as they come, to clients that know of such; and none of
//! them is ever taken for the answer.

use crate::support::get;

use super::table::{BAD_ANSWER, Got, each, got, server, stays, tell, text};
use super::upstream::{gate, upstream};

const FINAL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn interim_answers_are_passed_on_and_the_final_one_is_as_it_would_be_without() {
    let cases: [(&str, &str, &[u16]); 7] = [
        ("100 that nobody asked for", "HTTP/1.1 100 Continue\r\n\r\n", &[100]),
        ("102", "HTTP/1.1 102 Processing\r\n\r\n", &[102]),
        ("103", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n", &[103]),
        ("an unknown one", "HTTP/1.1 199 Whatever\r\nX-I: 1\r\n\r\n", &[199]),
        ("of HTTP/1.0", "HTTP/1.0 103 Early Hints\r\n\r\n", &[103]),
        ("with a length", "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n", &[103]),
        (
            "several",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\
             \r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n",
            &[100, 102, 103, 103],
        ),
    ];
    each(|relay| {
        let mut client = relay.server.connect();
        for (name, interim, statuses) in cases {
            relay.says(&stays(&format!("{interim}{FINAL}")));
            let reply = client.ask(get("/told"));
            assert_eq!(
                (text(&reply).as_str(), &*reply.interim),
                ("200 OK [Content-Length: 2] ok", statuses),
                "{name}"
            );
            assert_eq!(client.ask(get("/next")).text(), "/next", "{name}");
        }
    });
}

#[test]
fn an_interim_answer_is_on_its_way_before_the_final_one_is_known() {
    // RFC 8297 §2: that is what hints are for.
    let (go, goes) = gate();
    let upstream = upstream(move |peer| {
        peer.request();
        peer.say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-Caf\u{65}: caf\r\n");
        peer.say("Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 7\r\n\r\n");
        goes.wait();
        peer.say(FINAL);
    });
    let server = server(&upstream);
    let mut client = server.connect();
    client.send(get("/"));
    let hints = client.head().unwrap();
    let names: Vec<_> = hints.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((hints.status, hints.reason.as_str()), (103, "Early Hints"));
    assert_eq!(hints.header("link"), Some("</a.css>"));
    // What concerns the upstream's connection, or a body, is no hint.
    assert!(!names.contains(&"Connection") && !names.contains(&"Keep-Alive"), "{hints:?}");
    assert!(!names.contains(&"Content-Length"), "{hints:?}");
    go.send(()).unwrap();
    assert_eq!(text(&client.reply()), "200 OK [Content-Length: 2] ok");
}

#[test]
fn a_client_of_http_1_0_gets_the_final_answer_only() {
    let old = b"GET /told HTTP/1.0\r\nHost: test\r\n\r\n";
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    each(|relay| {
        relay.says(&stays(&format!("{interim}{FINAL}")));
        let reply = relay.server.ask(old);
        assert_eq!(text(&reply), "200 OK [Content-Length: 2|Connection: close] ok");
        assert_eq!(reply.interim.len(), 0);
    });
}

#[test]
fn interim_answers_without_end_are_no_answer() {
    let endless = stays(&"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000));
    tell(&[
        ("one after the other", endless, BAD_ANSWER),
        (
            "one that is malformed",
            stays(&format!("HTTP/1.1 103 Early Hints\r\nA\r\n\r\n{FINAL}")),
            BAD_ANSWER,
        ),
    ]);
}

#[test]
fn a_switch_that_nobody_asked_for_is_no_answer() {
    // §15.2.2, §7.8: otherwise the upstream could open a tunnel that passes us by.
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\nTUNNEL";
    let failed = || Got::Instead(502, "upgrade_failed");
    tell(&[
        ("to something", stays(switch), failed()),
        ("to nothing", stays("HTTP/1.1 101 Switching Protocols\r\n\r\n"), failed()),
        ("behind another", stays(&format!("HTTP/1.1 100 Continue\r\n\r\n{switch}")), failed()),
        ("plain", stays(FINAL), got("200 OK [Content-Length: 2] ok")),
    ]);
}
