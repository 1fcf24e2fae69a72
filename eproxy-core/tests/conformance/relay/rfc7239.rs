//! RFC 7239, Forwarded, and the fields that were there before it: an upstream is told where a request comes from, by us;
//! what a client says of that itself is nobody's word.

use crate::support::get;
use crate::table::{bytes, get_with};

use super::seen::Seen;
use super::table::{each, each_with};

/// What clients claim.
const CLAIMS: &str = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n\
                      Forwarded: for=203.0.113.7;host=evil.example\r\nX-Real-IP: 203.0.113.7\r\n\
                      X-Forwarded-Port: 1\r\nX-Forwarded-Server: evil\r\nX-Forwarded-Prefix: /evil\r\n\
                      x_forwarded_for: 203.0.113.7\r\nX-Forwarded_Proto: https\r\nx-real_ip: 203.0.113.7\r\n";

/// Names that say where a request comes from.
fn claims(seen: &Seen) -> Vec<String> {
    let is_claim = |name: &str| {
        let name = name.to_ascii_lowercase().replace('_', "-");
        name.starts_with("x-forwarded") || name == "forwarded" || name == "x-real-ip"
    };
    let fields = seen.fields.iter().filter(|(name, _)| is_claim(name));
    fields.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect()
}

#[test]
fn an_upstream_is_told_where_a_request_comes_from() {
    let told = |host: &str| {
        [
            "X-Forwarded-For: 127.0.0.1".to_owned(),
            "X-Forwarded-Proto: http".to_owned(),
            format!("X-Forwarded-Host: {host}"),
            format!("Forwarded: for=127.0.0.1;host=\"{host}\";proto=http"),
        ]
    };
    each(|relay| {
        let claims = |request: Vec<u8>| {
            assert_eq!(relay.server.ask(request).status, 200);
            claims(&relay.upstream.last())
        };
        assert_eq!(claims(get("/")), told("test"));
        assert_eq!(claims(bytes("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n")), told("[::1]:80"));
        // RFC 9112 §3.2.2: an absolute target says which host was asked for.
        assert_eq!(claims(bytes("GET http://a:1/ HTTP/1.1\r\nHost: test\r\n\r\n")), told("a:1"));
        // What clients claim is left out, in whatever spelling a gateway could take for the same.
        assert_eq!(claims(get_with(CLAIMS)), told("test"));
        let hidden = format!("Connection: X-Forwarded-For, Forwarded\r\n{CLAIMS}");
        assert_eq!(claims(get_with(&hidden)), told("test"));
    });
}

#[test]
fn without_a_host_nothing_is_made_up() {
    each(|relay| {
        for request in ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\n\r\n"] {
            assert_eq!(relay.server.ask(request).status, 200);
            let claims = claims(&relay.upstream.last());
            let expected = [
                "X-Forwarded-For: 127.0.0.1",
                "X-Forwarded-Proto: http",
                "Forwarded: for=127.0.0.1;proto=http",
            ];
            assert_eq!(claims, expected, "{request:?}");
        }
    });
}

#[test]
fn where_an_upstream_is_not_to_be_told_it_is_not_told_by_others_either() {
    each_with(
        |proxy| proxy.without_forwarding_headers(),
        |relay| {
            for request in [get("/"), get_with(CLAIMS)] {
                assert_eq!(relay.server.ask(request).status, 200);
                let seen = relay.upstream.last();
                assert_eq!(claims(&seen), [] as [&str; 0]);
                assert_eq!(seen.values("via"), ["1.1 eproxy"]);
            }
        },
    );
}
