//! Proxies in front of this one, and which of them are believed when they say where a request comes from.

use eproxy_core::{Builder, Proxy, Server};

use crate::support::{Connection, Running, crlf, start};
use crate::upstream::{Upstream, echoing};

/// What is claimed of a request.
const CLAIMS: &str = "X-Forwarded-For: 192.0.2.7\nX-Forwarded-Host: app.example\nX-Forwarded-Proto: https\n\
                      Forwarded: for=192.0.2.7;host=app.example;proto=https\nX-Real-IP: 192.0.2.7\n";

/// What it is passed on with.
fn told(upstream: &Upstream, client: &mut Connection, claims: &str) -> [String; 5] {
    let request = crlf(&format!("GET / HTTP/1.1\nHost: test\n{claims}\n"));
    assert_eq!(client.ask(request).status, 200);
    let seen = upstream.last();
    ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip"]
        .map(|name| seen.values(name).join(" & "))
}

/// Passes everything on, and believes some.
fn builder(upstream: &Upstream, trusted: &[&str]) -> Builder {
    Server::builder()
        .workers(1)
        .trusted_proxies(trusted.iter().copied())
        .at("/*path", Proxy::to(upstream.url()))
}

const OURS: [&str; 5] = ["127.0.0.1", "test", "http", "for=127.0.0.1;host=\"test\";proto=http", ""];

#[test]
fn the_word_of_those_who_are_trusted_is_kept_and_added_to() {
    let upstream = echoing();
    for trusted in ["127.0.0.1", "127.0.0.0/8", "0.0.0.0/0"] {
        let server = start(builder(&upstream, &["192.0.2.0/24", trusted]));
        let expected = [
            "192.0.2.7, 127.0.0.1",
            "app.example",
            "https",
            "for=192.0.2.7;host=app.example;proto=https, for=127.0.0.1;host=\"test\";proto=http",
            "192.0.2.7",
        ];
        assert_eq!(told(&upstream, &mut server.connect(), CLAIMS), expected, "{trusted}");
    }
}

#[test]
fn several_fields_and_lists_become_one_list_in_their_order() {
    let upstream = echoing();
    let server = start(builder(&upstream, &["127.0.0.1"]));
    let claims = "X-Forwarded-For: 192.0.2.1,192.0.2.2\nForwarded: for=192.0.2.1\nx-forwarded-for:  192.0.2.3 ,\n\
                  Forwarded: for=\"[2001:db8::1]:80\", for=192.0.2.3\nX-Forwarded-For:\n";
    let [xff, host, proto, forwarded, _] = told(&upstream, &mut server.connect(), claims);
    assert_eq!(xff, "192.0.2.1, 192.0.2.2, 192.0.2.3, 127.0.0.1");
    let ours = "for=127.0.0.1;host=\"test\";proto=http";
    assert_eq!(forwarded, format!("for=192.0.2.1, for=\"[2001:db8::1]:80\", for=192.0.2.3, {ours}"));
    // What they have not said is said by us.
    assert_eq!((host.as_str(), proto.as_str()), ("test", "http"));
    assert_eq!(told(&upstream, &mut server.connect(), ""), OURS);
}

#[test]
fn the_word_of_anybody_else_is_nothing() {
    let upstream = echoing();
    for trusted in [&[][..], &["127.0.0.2"], &["10.0.0.0/8", "::/0", "unix"]] {
        let server = start(builder(&upstream, trusted));
        assert_eq!(told(&upstream, &mut server.connect(), CLAIMS), OURS, "{trusted:?}");
    }
}

#[test]
fn a_connection_that_is_introduced_is_believed_as_whoever_it_is_then() {
    let upstream = echoing();
    let server =
        Running::new(builder(&upstream, &["127.0.0.1", "192.0.2.0/24"]).bind_proxy_protocol("127.0.0.1:0"));
    let introduced = |line: &str| {
        let mut client = server.connect();
        client.send(line);
        told(&upstream, &mut client, CLAIMS)
    };
    // An edge proxy behind a balancer that speaks the PROXY protocol.
    let [xff, _, proto, ..] = introduced("PROXY TCP4 192.0.2.99 198.51.100.1 1234 80\r\n");
    assert_eq!((xff.as_str(), proto.as_str()), ("192.0.2.7, 192.0.2.99", "https"));
    // A client behind it: that the balancer is believed is no reason to believe what its clients say.
    let [xff, host, proto, forwarded, real] = introduced("PROXY TCP4 203.0.113.9 198.51.100.1 1234 80\r\n");
    assert_eq!([xff.as_str(), &host, &proto, &real], ["203.0.113.9", "test", "http", ""]);
    assert_eq!(forwarded, "for=203.0.113.9;host=\"test\";proto=http");
    let [xff, .., forwarded, _] = introduced("PROXY TCP6 2001:db8::9 2001:db8::1 1234 80\r\n");
    assert_eq!(xff, "2001:db8::9");
    assert_eq!(forwarded, "for=\"[2001:db8::9]\";host=\"test\";proto=http");
    // The balancer's own.
    let [xff, ..] = introduced("PROXY UNKNOWN\r\n");
    assert_eq!(xff, "192.0.2.7, 127.0.0.1");
}

#[cfg(unix)]
#[test]
fn processes_of_this_machine_are_believed_where_that_is_said() {
    use std::os::unix::net::UnixStream;

    use crate::support::folder::Folder;
    use crate::support::{PATIENCE, get};

    let (folder, upstream) = (Folder::new(), echoing());
    let ask = |trusted: &[&str]| {
        let path = folder.path("server.sock");
        let server = Running::new(builder(&upstream, trusted).bind(format!("unix:{}", path.display())));
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Connection::over(stream);
        assert_eq!(client.ask(get("/")).status, 200);
        let request = crlf(&format!("GET / HTTP/1.1\nHost: test\n{CLAIMS}\n"));
        assert_eq!(client.ask(request).status, 200);
        drop(server);
        let seen = upstream.last();
        (seen.values("x-forwarded-for"), seen.values("forwarded"))
    };
    let unknown = "for=unknown;host=\"test\";proto=http";
    assert_eq!(ask(&["0.0.0.0/0", "::/0"]), (vec![], vec![unknown.to_owned()]));
    let forwarded = format!("for=192.0.2.7;host=app.example;proto=https, {unknown}");
    assert_eq!(ask(&["unix"]), (vec!["192.0.2.7".to_owned()], vec![forwarded]));
}

#[test]
fn what_is_no_address_is_refused_when_the_server_starts() {
    let upstream = echoing();
    for wrong in ["localhost", "10.0.0.0/33", "10.0.0", "127.0.0.1:80", "", "unix:/run/x"] {
        let error = builder(&upstream, &["127.0.0.1", wrong]).bind("127.0.0.1:0").start().unwrap_err();
        let text = error.to_string();
        assert!(error.name() == "bad_option" && text.contains(&format!("{wrong:?}")), "{text}");
    }
}
