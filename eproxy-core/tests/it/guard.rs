//! Where the clients of a forward proxy may not go, whatever they call it: the address that is dialled is what counts.

use eproxy_core::{Forward, Proxy, Server};

use crate::forward::forwarding;
use crate::support::{Running, crlf, get, start};
use crate::upstream::{Upstream, echoing};

/// Both ways to ask for a place.
fn ways(host: &str, port: u16) -> [Vec<u8>; 2] {
    let get = format!("GET http://{host}:{port}/ HTTP/1.1\nHost: x\n\n");
    [crlf(&get), crlf(&format!("CONNECT {host}:{port} HTTP/1.1\nHost: x\n\n"))]
}

/// The statuses of what a forward proxy answers to both.
fn statuses(server: &Running, host: &str, port: u16) -> [u16; 2] {
    ways(host, port).map(|request| {
        let mut client = server.connect();
        client.send(request);
        client.head().expect("an answer comes").status
    })
}

fn port(upstream: &Upstream) -> u16 {
    upstream.address().port()
}

/// Asserts that nobody gets there, and that it is said why.
fn is_out_of_bounds(server: &Running, host: &str, port: u16) {
    let before = server.failures("destination_denied");
    for request in ways(host, port) {
        let reply = server.ask(request);
        assert_eq!((reply.status, reply.text()), (403, "403 Forbidden\n"), "{host}");
        let error = Some("eproxy; error=destination_ip_prohibited");
        assert_eq!((reply.header("proxy-status"), reply.says_close()), (error, false), "{host}");
    }
    assert_eq!(server.failures("destination_denied"), before + 2, "{host}");
}

#[test]
fn nothing_but_the_public_internet_may_be_reached_unless_it_is_allowed() {
    let upstream = echoing();
    let server = forwarding(Forward::new().connect_ports([port(&upstream)]));
    for host in [
        // This machine.
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "[::1]",
        "[::]",
        // Private networks, carriers' networks, links.
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.0.1",
        "[fc00::1]",
        "[fd12:3456::1]",
        "[fe80::1]",
        // Where clouds tell machines their secrets.
        "169.254.169.254",
        "100.100.100.200",
        "[fd00:ec2::254]",
        // Groups, everybody, and what is set aside.
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "[ff02::1]",
        "[2001:db8::1]",
    ] {
        is_out_of_bounds(&server, host, port(&upstream));
    }
    assert_eq!(upstream.accepted(), 0);
}

#[test]
fn the_same_address_in_another_spelling_fares_no_better() {
    let upstream = echoing();
    let server = forwarding(Forward::new().connect_ports([port(&upstream)]));
    for host in [
        "127.1",
        "127.0.1",
        "0x7f.1",
        "0x7F000001",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "0",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "127%2e0%2e0%2e1",
        "0xA9FEA9FE",
        "0251.0376.0251.0376",
    ] {
        is_out_of_bounds(&server, host, port(&upstream));
    }
    assert_eq!(upstream.accepted(), 0);
}

#[test]
fn an_ipv4_address_inside_of_an_ipv6_one_is_judged_as_what_it_is() {
    let upstream = echoing();
    let server = forwarding(Forward::new().connect_ports([port(&upstream)]));
    for host in [
        // Mapped and compatible (RFC 4291 §2.5.5), translated (RFC 2765 §2.1).
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:FFFF:127.0.0.1]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        // NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380).
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[2002:a00:1::1]",
        "[2001::1]",
    ] {
        is_out_of_bounds(&server, host, port(&upstream));
    }
    assert_eq!(upstream.accepted(), 0);
}

#[test]
fn a_name_is_worth_no_more_than_the_address_that_it_leads_to() {
    let upstream = echoing();
    let server = forwarding(Forward::new().connect_ports([port(&upstream)]));
    for host in ["localhost", "LocalHost", "%6cocalhost", "%E2%93%9Bocalhost"] {
        is_out_of_bounds(&server, host, port(&upstream));
    }
    // Systems do not agree on whether there is such a name.
    let rooted = statuses(&server, "localhost.", port(&upstream));
    assert!(matches!(rooted, [403, 403] | [502, 502]), "{rooted:?}");
    assert_eq!(upstream.accepted(), 0);
}

#[test]
fn an_address_that_is_allowed_opens_that_one_and_no_other() {
    let upstream = echoing();
    let port = port(&upstream);
    let server = forwarding(Forward::new().allow("127.0.0.1").connect_ports([port]));
    for host in ["127.0.0.1", "127.1", "2130706433", "localhost"] {
        assert_eq!(statuses(&server, host, port), [200, 200], "{host}");
    }
    for host in ["127.0.0.2", "127.0.1.1", "[::1]", "0.0.0.0", "10.0.0.1", "[2002:7f00:2::]"] {
        is_out_of_bounds(&server, host, port);
    }
    // The same one, which systems without IPv6 can't dial in this spelling.
    let mapped = statuses(&server, "[::ffff:127.0.0.1]", port);
    assert!(matches!(mapped, [200, 200] | [502, 502]), "{mapped:?}");
}

#[test]
fn a_network_that_is_allowed_opens_what_is_in_it() {
    let upstream = echoing();
    let port = port(&upstream);
    let server = forwarding(Forward::new().allow("127.0.0.0/30").connect_ports([port]));
    assert_eq!(statuses(&server, "127.0.0.1", port), [200, 200]);
    for host in ["127.0.0.4", "127.0.1.1", "[::1]", "192.168.0.1"] {
        is_out_of_bounds(&server, host, port);
    }
    let server = forwarding(Forward::new().allow("::/0").connect_ports([port]));
    for host in ["127.0.0.1", "10.0.0.1", "169.254.169.254"] {
        is_out_of_bounds(&server, host, port);
    }
}

#[test]
fn a_name_that_is_allowed_opens_that_name_and_not_its_address() {
    let upstream = echoing();
    let port = port(&upstream);
    for name in ["LocalHost", "localhost."] {
        let server = forwarding(Forward::new().allow(name).connect_ports([port]));
        for host in ["localhost", "LOCALHOST", "%6cocalhost"] {
            assert_eq!(statuses(&server, host, port), [200, 200], "{host}, where {name} is allowed");
        }
    }
    let server = forwarding(Forward::new().allow("localhost").connect_ports([port]));
    for host in ["127.0.0.1", "127.1", "[::ffff:127.0.0.1]"] {
        is_out_of_bounds(&server, host, port);
    }
    let [below, _] = statuses(&server, "a.localhost", port);
    assert!(matches!(below, 403 | 502), "{below}");
}

#[test]
fn what_is_denied_is_denied_whatever_is_allowed() {
    let upstream = echoing();
    let port = port(&upstream);
    let some = Forward::new().allow("127.0.0.0/8").deny("127.0.0.2").connect_ports([port]);
    let server = forwarding(some);
    assert_eq!(statuses(&server, "127.0.0.1", port), [200, 200]);
    for host in ["127.0.0.2", "127.2", "[::ffff:127.0.0.2]"] {
        is_out_of_bounds(&server, host, port);
    }
    let all = Forward::new().allow("localhost").allow("127.0.0.1").deny("127.0.0.0/8").connect_ports([port]);
    let server = forwarding(all);
    for host in ["localhost", "127.0.0.1"] {
        is_out_of_bounds(&server, host, port);
    }
    let count = upstream.count();
    let public = forwarding(Forward::new().deny("93.184.216.0/24").connect_ports([port]));
    is_out_of_bounds(&public, "93.184.216.34", port);
    assert_eq!(upstream.count(), count);
}

#[test]
fn a_connection_that_is_there_already_is_no_way_around_it() {
    let upstream = echoing();
    let port = port(&upstream);
    let [by_name, _] = ways("localhost", port);
    let server = start(
        Server::builder()
            .workers(1)
            .forward(Forward::new().allow("localhost").connect_ports([port]))
            .at("/*path", Proxy::to(upstream.url())),
    );
    // One that the reverse proxy has made, and one for a name that is allowed; both are unused now.
    assert_eq!(server.ask(get("/")).status, 200);
    assert_eq!(server.ask(&by_name).status, 200);
    assert_eq!((upstream.accepted(), upstream.open()), (2, 2));
    for host in ["127.0.0.1", "127.1"] {
        is_out_of_bounds(&server, host, port);
    }
    assert_eq!(server.ask(&by_name).status, 200);
    assert_eq!((upstream.accepted(), upstream.count(), server.stats().upstream_reused), (2, 3, 1));
}
