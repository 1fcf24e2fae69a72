//! A forward proxy behind another one, its parent.

use std::time::Duration;

use eproxy_core::{Forward, Server};

use crate::forward::{forwarding, get_at, open_to_loopback};
use crate::support::{Running, crlf, eventually, start};
use crate::upstream::{Upstream, echo, echoing, upstream};

/// `child:key`
const CHILD: &str = "Basic Y2hpbGQ6a2V5";

fn behind(parent: &Upstream) -> Forward {
    Forward::new().parent(parent.url()).connect_ports([443])
}

const CONNECT: &str = "CONNECT name.invalid:443 HTTP/1.1\r\nHost: name.invalid:443\r\n\r\n";

#[test]
fn a_request_goes_to_the_parent_as_it_came() {
    let parent = echoing();
    let server = forwarding(behind(&parent));
    // The name is looked up there, if it can be.
    let reply = server.ask(crlf(
        "GET http://name.invalid:81/a?b HTTP/1.1\nHost: other\nProxy-Authorization: Basic bWluZQ==\nX-A: 1\n\n",
    ));
    assert_eq!((reply.status, reply.text()), (200, "http://name.invalid:81/a?b"));
    let seen = parent.last();
    let expected = "GET http://name.invalid:81/a?b [Host: name.invalid:81|X-A: 1]";
    assert_eq!((seen.text().trim_end(), seen.values("via")), (expected, vec!["1.1 eproxy".to_owned()]));
    // One connection to the parent does for all places.
    assert_eq!(server.ask(crlf("OPTIONS http://b.invalid HTTP/1.1\nHost: b.invalid\n\n")).status, 200);
    assert_eq!((parent.last().target.as_str(), parent.accepted()), ("http://b.invalid", 1));
}

#[test]
fn a_tunnel_is_asked_of_the_parent() {
    let parent = upstream(|peer| {
        let seen = peer.request();
        let authority = "name.invalid:443";
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("CONNECT", authority));
        assert_eq!(seen.values("host"), [authority]);
        assert_eq!(seen.values("proxy-authorization"), [] as [&str; 0]);
        // An interim answer is none, and what comes with the final one is of the tunnel.
        peer.say("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 200 fine\r\nX-A: 1\r\n\r\nfirst");
        assert_eq!(peer.rest(), b"early late");
        peer.say("last");
    });
    let server = forwarding(behind(&parent));
    let mut client = server.connect();
    client.send(format!("{CONNECT}early "));
    let reply = client.head().unwrap();
    assert_eq!((reply.status, reply.header("x-a")), (200, None));
    assert_eq!(client.raw(5), b"first");
    client.send("late");
    client.finish();
    assert_eq!(client.rest(), b"last");
    assert_eq!((server.stats().tunnels, server.stats().tunnel_bytes_up), (1, 10));
}

#[test]
fn the_parent_is_shown_our_credentials_and_not_the_clients() {
    let parent = upstream(|peer| {
        while let Some(seen) = peer.next() {
            match seen.method.as_str() {
                "CONNECT" => peer.say("HTTP/1.1 200 OK\r\n\r\n"),
                _ => peer.say(echo(&seen)),
            }
        }
    });
    let server = forwarding(behind(&parent).user("ada", "secret").parent_user("child", "key"));
    let client = "Proxy-Authorization: Basic YWRhOnNlY3JldA==\r\n";
    let mut connection = server.connect();
    assert_eq!(connection.ask("GET http://a.invalid/ HTTP/1.1\r\nHost: a\r\n\r\n").status, 407);
    let get = format!("GET http://a.invalid/ HTTP/1.1\r\nHost: a\r\n{client}\r\n");
    assert_eq!(connection.ask(get).status, 200);
    connection.send(CONNECT.replace("\r\n\r\n", &format!("\r\n{client}\r\n")));
    assert_eq!(connection.head().unwrap().status, 200);
    assert_eq!(parent.count(), 2);
    for seen in parent.seen() {
        assert_eq!(seen.values("proxy-authorization"), [CHILD], "{}", seen.method);
    }
}

#[test]
fn a_parent_that_refuses_a_tunnel_or_does_not_make_sense_is_502() {
    for (answer, failure) in [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nevil", "parent_refused"),
        ("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", "parent_refused"),
        ("HTTP/1.1 502 Bad\r\n\r\n", "parent_refused"),
        ("HTTP/1.1 302 Found\r\nLocation: http://a/\r\n\r\n", "parent_refused"),
        ("SSH-2.0-parent\r\n\r\n", "bad_answer"),
        ("HTTP/1.1 200", "upstream_closed"),
        ("", "upstream_closed"),
    ] {
        let parent = upstream(move |peer| {
            peer.request();
            peer.say(answer);
        });
        let server = forwarding(behind(&parent));
        let mut client = server.connect();
        for _ in 0..2 {
            let reply = client.ask(CONNECT);
            assert_eq!((reply.status, reply.says_close()), (502, false), "{answer:?}");
            assert_eq!((reply.text(), reply.header("location")), ("502 Bad Gateway\n", None));
            assert_eq!(reply.header("proxy-authenticate"), None);
        }
        assert_eq!((server.failures(failure), server.stats().tunnels), (2, 0), "{answer:?}");
    }
}

#[test]
fn what_a_parent_answers_to_other_requests_is_passed_on_unless_it_asks_who_we_are() {
    let parent = upstream(|peer| {
        while let Some(seen) = peer.next() {
            let (_, status) = seen.target.rsplit_once('/').unwrap();
            peer.say(format!(
                "HTTP/1.1 {status} Said\r\nProxy-Authenticate: Basic realm=\"parent\"\r\nContent-Length: 4\r\n\r\nsaid"
            ));
        }
    });
    let server = forwarding(behind(&parent));
    let mut client = server.connect();
    for status in [200, 403, 502] {
        let get = format!("GET http://a.invalid/{status} HTTP/1.1\r\nHost: a\r\n\r\n");
        let reply = client.ask(get);
        assert_eq!((reply.status, reply.text()), (status, "said"));
    }
    // The client may take a challenge for one of this proxy's.
    for request in [
        "GET http://a.invalid/407 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST http://a.invalid/407 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
    ] {
        let reply = client.ask(request);
        assert_eq!((reply.status, reply.header("proxy-authenticate")), (502, None), "{request}");
        assert_eq!(reply.header("proxy-status"), Some("eproxy; error=http_request_denied"));
    }
    assert_eq!((server.failures("parent_refused"), parent.accepted()), (2, 1));
}

#[test]
fn a_parent_that_is_not_there_is_502_and_a_silent_one_504() {
    let dead = behind(&echoing());
    let server = forwarding(dead);
    let get = "GET http://a.invalid/ HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!([get, CONNECT].map(|request| server.ask(request).status), [502, 502]);
    assert_eq!(server.failures("connect"), 2);
    let silent = upstream(|peer| {
        peer.request();
        assert_eq!(peer.rest(), b"");
    });
    let server = forwarding(behind(&silent).timeout(Duration::from_millis(100)));
    assert_eq!([get, CONNECT].map(|request| server.ask(request).status), [504, 504]);
    assert_eq!(server.failures("upstream_head_timeout"), 2);
}

#[test]
fn a_client_that_is_gone_needs_no_tunnel() {
    let silent = upstream(|peer| {
        peer.request();
        assert_eq!(peer.rest(), b"");
    });
    let server = forwarding(behind(&silent));
    let mut client = server.connect();
    client.send(CONNECT);
    eventually("it is with the parent", || silent.count() == 1);
    client.reset_on_drop();
    drop(client);
    eventually("the parent is told", || silent.open() == 0 && server.stats().open == 0);
    assert_eq!((server.failures("downstream_gone"), server.stats().tunnels), (1, 0));
}

#[test]
fn addresses_that_are_spelled_out_and_ports_are_judged_here_too() {
    let parent = echoing();
    let server = forwarding(behind(&parent).allow("10.1.0.0/16"));
    for place in ["10.0.0.1", "127.1", "[::ffff:169.254.169.254]", "2130706433"] {
        let get = crlf(&format!("GET http://{place}/ HTTP/1.1\nHost: x\n\n"));
        let connect = crlf(&format!("CONNECT {place}:443 HTTP/1.1\nHost: x\n\n"));
        assert_eq!([get, connect].map(|request| server.ask(request).status), [403, 403], "{place}");
    }
    assert_eq!(server.ask(crlf("CONNECT name.invalid:22 HTTP/1.1\nHost: x\n\n")).status, 403);
    assert_eq!((server.failures("destination_denied"), server.failures("port_denied")), (8, 1));
    assert_eq!(parent.accepted(), 0);
    assert_eq!(server.ask(crlf("GET http://10.1.2.3/ HTTP/1.1\nHost: x\n\n")).status, 200);
}

#[test]
fn two_of_them_make_a_way() {
    let upstream = upstream(|peer| {
        while let Some(seen) = peer.next() {
            peer.say(echo(&seen));
        }
    });
    let port = upstream.address().port();
    let grandparent = forwarding(open_to_loopback().user("child", "key").connect_ports([port]));
    let child = |credentials: Option<(&str, &str)>| {
        let url = format!("http://{}", grandparent.address());
        let forward = open_to_loopback().parent(url).connect_ports([port]);
        forwarding(match credentials {
            Some((name, password)) => forward.parent_user(name, password),
            None => forward,
        })
    };
    let connect = |server: &Running| {
        let authority = upstream.address();
        let mut client = server.connect();
        client.send(crlf(&format!("CONNECT {authority} HTTP/1.1\nHost: {authority}\n\n")));
        (client.head().unwrap().status, client)
    };
    let server = child(Some(("child", "key")));
    let reply = server.ask(get_at(&upstream, "/way"));
    assert_eq!((reply.status, reply.text()), (200, "/way"));
    assert_eq!(upstream.last().values("via"), ["1.1 eproxy", "1.1 eproxy"]);
    let (status, mut client) = connect(&server);
    assert_eq!((status, client.ask("GET /in HTTP/1.1\r\nHost: a\r\n\r\n").text()), (200, "/in"));
    assert_eq!(upstream.last().values("via"), [] as [&str; 0]);
    for wrong in [None, Some(("child", "lock"))] {
        assert_eq!(connect(&child(wrong)).0, 502);
    }
    assert_eq!(grandparent.failures("proxy_authentication"), 2);
}

#[cfg(unix)]
#[test]
fn what_goes_round_in_circles_ends() {
    // It is its own parent.
    let folder = crate::support::folder::Folder::new();
    let address = format!("unix:{}", folder.path("self.sock").display());
    let forward = Forward::new().parent(&address).timeout(Duration::from_secs(5));
    let server = start(Server::builder().workers(1).forward(forward).bind(&address));
    // `start` has added an address that a client can connect to.
    let reply = server.ask("GET http://a.invalid/ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        (reply.status, reply.header("proxy-status")),
        (508, Some("eproxy; error=proxy_loop_detected"))
    );
    assert_eq!(server.failures("loop_detected"), 1);
    assert_eq!(server.ask(CONNECT).status, 502);
    assert_eq!((server.failures("loop_detected"), server.stats().tunnels), (2, 0));
}
