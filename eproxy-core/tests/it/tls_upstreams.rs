//! Upstreams that are spoken to over TLS: who they must prove to be, what they are shown, and what becomes of requests where
//! that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eproxy_core::{Endpoint, Group, Health, Probe, Proxy, Server, TlsVersion, UpstreamOptions, UpstreamTls};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};

use crate::support::certificates::{Authority, Pair, VERSIONS, authority, pair, provider, trusting};
use crate::support::http2_upstream::{Settings, echoing2, http2_upstream};
use crate::support::notes::Notes;
use crate::support::{Running, eventually, get, post, start};
use crate::upstream::{Peer, Upstream, echo, secure_upstream, upstream};

fn serve(group: Group) -> Running {
    start(Server::builder().workers(1).at("/*path", Proxy::to(group)))
}

fn script(peer: &mut Peer) {
    while let Some(seen) = peer.next().filter(|seen| seen.is_whole) {
        peer.say(echo(&seen));
    }
}

/// An upstream of HTTP/1 that shows this.
fn showing(pair: &Pair) -> Upstream {
    secure_upstream(pair.server(&["http/1.1"]), script)
}

/// One that has no part in the failure of its handshakes.
fn failing(config: ServerConfig) -> Upstream {
    secure_upstream(config, |peer| drop(peer.some()))
}

fn to(upstream: &Upstream) -> Group {
    Group::from(upstream.url()).tls(trusting())
}

#[test]
fn both_versions_are_spoken_and_what_is_agreed_on_is_used() {
    for version in VERSIONS {
        let config = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[version]);
        let config = config.expect("a version").with_no_client_auth();
        let mut config = config.with_single_cert(pair().chain(), pair().private_key()).expect("a pair");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let notes = Notes::default();
        let noted = notes.clone();
        let upstream = secure_upstream(config, move |peer| {
            let seen = peer.request();
            peer.say(echo(&seen));
            let session = peer.session();
            noted.add(format!(
                "{:?} {:?}",
                session.protocol_version(),
                session.alpn_protocol().map(<[u8]>::escape_ascii).map(|name| name.to_string())
            ));
        });
        let server = serve(to(&upstream));
        assert_eq!(server.connect().ask(get("/x")).text(), "/x");
        let is_new = version == VERSIONS[0];
        let named = if is_new { ProtocolVersion::TLSv1_3 } else { ProtocolVersion::TLSv1_2 };
        assert_eq!(notes.wait(1), [format!("Some({named:?}) Some(\"http/1.1\")")]);
    }
}

#[test]
fn connections_are_used_again() {
    let upstream = showing(pair());
    let server = serve(to(&upstream));
    let mut client = server.connect();
    for _ in 0..10 {
        assert_eq!(client.ask(get("/x")).text(), "/x");
        assert_eq!(client.ask(post("/x", "body")).text(), "body");
    }
    assert_eq!((upstream.accepted(), server.stats().upstream_reused), (1, 19));
    let much = vec![b'x'; 3_000_000];
    assert!(client.ask(post("/x", &much)).body == much);
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn an_upstream_that_ends_an_unused_connection_costs_no_request() {
    let upstream = secure_upstream(pair().server(&[]), |peer| {
        let seen = peer.request();
        peer.say(echo(&seen));
    });
    let server = serve(to(&upstream));
    let mut client = server.connect();
    for number in 1..6 {
        assert_eq!(client.ask(post("/x", "once")).text(), "once");
        eventually("it is closed", || upstream.open() == 0);
        assert_eq!(upstream.accepted(), number);
    }
}

#[test]
fn sessions_are_resumed() {
    let notes = Notes::default();
    let noted = notes.clone();
    let upstream = secure_upstream(pair().server(&[]), move |peer| {
        let seen = peer.request();
        peer.say(echo(&seen));
        let is_resumed = peer.session().handshake_kind() == Some(HandshakeKind::Resumed);
        noted.add(if is_resumed { "resumed" } else { "new" });
    });
    let server = serve(to(&upstream));
    for _ in 0..3 {
        assert_eq!(server.connect().ask(get("/x")).text(), "/x");
        eventually("it is closed", || upstream.open() == 0);
    }
    assert_eq!(notes.wait(3), ["new", "resumed", "resumed"]);
}

#[test]
fn who_does_not_prove_who_it_is_gets_no_request() {
    let stranger = Authority::new("somebody else").certify(&["127.0.0.1"]);
    let wrong_name = authority().certify(&["other.test"]);
    let with_dates = |from, to| {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
        (params.not_before, params.not_after) = (from, to);
        authority().sign(params)
    };
    let expired = with_dates(date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    let not_yet = with_dates(date_time_ymd(4000, 1, 1), date_time_ymd(4001, 1, 1));
    let mut for_clients = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let for_clients = authority().sign(for_clients);
    for (shown, what) in [
        (&stranger, "unknown"),
        (&wrong_name, "127.0.0.1"),
        (&expired, "expired"),
        (&not_yet, "not valid yet"),
        (&for_clients, "purpose"),
    ] {
        let notes = Notes::default();
        let noted = notes.clone();
        let upstream = failing(shown.server(&["http/1.1"]));
        let proxy = Proxy::to(to(&upstream)).on_done(move |done| {
            let tries: Vec<_> = done
                .tries()
                .iter()
                .map(|attempt| format!("{:?} {}", attempt.phase(), attempt.bytes_sent()))
                .collect();
            noted.add(format!("{:?} {:?} {tries:?}", done.status(), done.failure()));
        });
        let server = start(Server::builder().workers(1).at("/*path", proxy));
        let reply = server.connect().ask(post("/x", "secret"));
        assert_eq!(reply.status, 502, "{what}");
        assert_eq!(server.failures("tls_handshake"), 1, "{what}");
        assert_eq!(notes.wait(1), [r#"Some(502) Some("tls_handshake") ["Connect 0"]"#], "{what}");
        assert_eq!(upstream.count(), 0, "{what}");
    }
}

#[test]
fn what_is_wrong_with_an_upstream_is_said_of_its_probes() {
    let upstream = failing(authority().certify(&["other.test"]).server(&[]));
    let probe = Probe::http("/").interval(Duration::from_millis(20)).rise(1).fall(1);
    let group = to(&upstream).probe(probe);
    let server = serve(group.clone());
    let endpoint = || group.snapshot().endpoints.remove(0);
    eventually("it is down", || endpoint().health == Health::Down);
    let trouble = endpoint().trouble.expect("it is said why");
    assert!(
        trouble.contains("TLS") && trouble.contains("127.0.0.1") && trouble.contains("other.test"),
        "{trouble}"
    );
    drop(server);
}

#[test]
fn the_name_to_be_proven_can_be_another() {
    let upstream = showing(&authority().certify(&["app.inside"]));
    let tls = trusting().server_name("app.inside");
    let server = serve(Group::from(upstream.url()).tls(tls));
    assert_eq!(server.connect().ask(get("/x")).text(), "/x");
    // Or what the endpoint is called.
    let group = Group::new().with(Endpoint::new(upstream.url()).host("app.inside")).tls(trusting());
    let server = serve(group);
    assert_eq!(server.connect().ask(get("/x")).text(), "/x");
    let server = serve(to(&upstream));
    assert_eq!(server.connect().ask(get("/x")).status, 502);
}

#[test]
fn whoever_trusts_everybody_is_told_nothing() {
    let upstream = showing(&Authority::new("somebody else").certify(&["other.test"]));
    let group = |tls| Group::from(upstream.url()).tls(tls);
    let server = serve(group(UpstreamTls::new().dangerous_accept_any_certificate()));
    assert_eq!(server.connect().ask(get("/x")).text(), "/x");
    // The system's roots don't vouch for it.
    let server = serve(Group::from(upstream.url()));
    assert_eq!(server.connect().ask(get("/x")).status, 502);
}

#[test]
fn a_certificate_is_shown_to_an_upstream_that_asks_for_one() {
    let roots = Arc::new(authority().roots());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build().expect("a root");
    let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_client_cert_verifier(verifier);
    let config = config.with_single_cert(pair().chain(), pair().private_key()).expect("a pair");
    let own = authority().certify(&["proxy.test"]);
    let shown = own.chain().remove(0);
    let upstream = secure_upstream(config.clone(), move |peer| {
        let seen = peer.request();
        assert_eq!(peer.session().peer_certificates().and_then(<[_]>::first), Some(&shown));
        peer.say(echo(&seen));
    });
    let tls = trusting().client_certificate_pem(&own.certificate, &own.key);
    let server = serve(Group::from(upstream.url()).tls(tls));
    assert_eq!(server.connect().ask(get("/x")).text(), "/x");
    let upstream = failing(config);
    let server = serve(to(&upstream));
    assert_eq!(server.connect().ask(post("/x", "body")).status, 502);
}

#[test]
fn an_older_version_than_is_wanted_is_not_spoken() {
    let config = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[VERSIONS[1]]);
    let config = config.expect("a version").with_no_client_auth();
    let config = config.with_single_cert(pair().chain(), pair().private_key()).expect("a pair");
    let upstream = failing(config);
    let server = serve(Group::from(upstream.url()).tls(trusting().min_version(TlsVersion::Tls13)));
    assert_eq!(server.connect().ask(get("/x")).status, 502);
    assert_eq!(server.failures("tls_handshake"), 1);
}

#[test]
fn who_does_not_speak_tls_at_all_gets_no_request() {
    let plain = upstream(|peer| {
        peer.some();
        peer.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let url = plain.url().replace("http://", "https://");
    let server = serve(Group::from(url).tls(trusting()));
    assert_eq!(server.connect().ask(post("/x", "body")).status, 502);
    assert_eq!(server.failures("tls_handshake"), 1);
    // Nor who says nothing.
    let silent = upstream(|peer| drop(peer.rest()));
    let url = silent.url().replace("http://", "https://");
    let options = UpstreamOptions { connect: Duration::from_millis(100), ..UpstreamOptions::default() };
    let proxy = Proxy::to(Group::from(url).tls(trusting())).upstream_options(options);
    let server = start(Server::builder().workers(1).at("/*path", proxy));
    assert_eq!(server.connect().ask(get("/x")).status, 504);
    assert_eq!(server.failures("connect_timeout"), 1);
    eventually("it is left", || silent.open() == 0);
}

#[test]
fn an_endpoint_that_fails_is_left_for_another() {
    let wrong = failing(authority().certify(&["other.test"]).server(&[]));
    let right = showing(pair());
    let server = serve(Group::from([wrong.url(), right.url()]).tls(trusting()));
    let mut client = server.connect();
    for _ in 0..20 {
        // Nothing was sent: it may be anything.
        assert_eq!(client.ask(post("/x", "body")).text(), "body");
    }
    assert_eq!((right.count(), wrong.count()), (20, 0));
}

#[test]
fn an_answer_that_is_cut_off_is_not_whole() {
    let answers: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        // What ends with the connection is whole only if the end was said (RFC 9112 §9.8).
        b"HTTP/1.1 200 OK\r\n\r\nhalf",
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        for says_goodbye in [true, false] {
            let upstream = secure_upstream(pair().server(&[]), move |peer| {
                peer.request();
                peer.say(answer);
                if !says_goodbye {
                    peer.cut();
                }
            });
            let server = serve(to(&upstream));
            let mut client = server.connect();
            client.send(get("/x"));
            let reply = client.next(false).expect("an answer");
            assert_eq!((reply.status, reply.text()), (200, "half"));
            assert_eq!(reply.is_whole, says_goodbye && number == 2, "{number} {says_goodbye}");
        }
    }
}

#[test]
fn groups_with_other_options_share_no_connections() {
    // One trusts everybody: what it has connected to is not for those who want a proof.
    let upstream = showing(&authority().certify(&["other.test"]));
    let careless = Group::from(upstream.url()).tls(UpstreamTls::new().dangerous_accept_any_certificate());
    let careful = to(&upstream);
    let named = Group::from(upstream.url()).tls(trusting().server_name("other.test"));
    let same = Group::from(upstream.url()).tls(trusting().server_name("other.test"));
    let builder = Server::builder().workers(1);
    let builder = builder.at("/careless/*path", Proxy::to(careless)).at("/careful/*path", Proxy::to(careful));
    let server = start(builder.at("/named/*path", Proxy::to(named)).at("/same/*path", Proxy::to(same)));
    let mut client = server.connect();
    for _ in 0..3 {
        assert_eq!(client.ask(get("/careless/x")).status, 200);
        assert_eq!(client.ask(get("/careful/x")).status, 502);
        assert_eq!(client.ask(get("/named/x")).status, 200);
        // Equal options are the same.
        assert_eq!(client.ask(get("/same/x")).status, 200);
    }
    let used: std::collections::BTreeSet<_> = upstream.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(used.len(), 2);
}

#[test]
fn groups_with_other_options_share_no_connections_of_http2() {
    let shown = authority().certify(&["other.test"]);
    let settings = Settings { tls: Some(shown.server(&["h2"])), ..Settings::plain() };
    let upstream = echoing2(settings);
    let careless = Group::from(upstream.url()).tls(UpstreamTls::new().dangerous_accept_any_certificate());
    let careful = Group::from(upstream.url()).tls(trusting());
    let builder = Server::builder().workers(1);
    let server =
        start(builder.at("/careless/*path", Proxy::to(careless)).at("/careful/*path", Proxy::to(careful)));
    let mut client = server.connect();
    for _ in 0..3 {
        assert_eq!(client.ask(get("/careless/x")).status, 200);
        assert_eq!(client.ask(get("/careful/x")).status, 502);
    }
    assert!(upstream.seen().iter().all(|seen| seen.target == "/careless/x"));
}

#[test]
fn http2_is_spoken_only_where_it_may_be() {
    let upstream = secure_upstream(pair().server(&["h2", "http/1.1"]), script);
    let server = serve(Group::from(upstream.url()).tls(trusting().http2(false)));
    assert_eq!(server.connect().ask(get("/x")).text(), "/x");
    let upstream = echoing2(Settings::secure());
    let server = serve(Group::from(upstream.url()).tls(trusting().http2(false)));
    assert_eq!(server.connect().ask(get("/x")).status, 502);
    let server = serve(Group::from(upstream.url()).tls(trusting()));
    assert_eq!(server.connect().ask(get("/x")).text(), "/x");
}

#[test]
fn probes_speak_tls_too() {
    let probes = Arc::new(AtomicUsize::new(0));
    let counted = probes.clone();
    // Probes say that they are the last, as no request that is passed on does.
    let one = secure_upstream(pair().server(&["http/1.1"]), move |peer| {
        let mut came = Vec::new();
        while let Some(bytes) = peer.some() {
            came.extend(bytes);
            if came.ends_with(b"\r\n\r\n") {
                counted.fetch_add(usize::from(came.starts_with(b"GET /healthz ")), Ordering::SeqCst);
                peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                came.clear();
            }
        }
    });
    let two = echoing2(Settings::secure());
    for url in [one.url(), two.url()] {
        let probe = Probe::http("/healthz").interval(Duration::from_millis(20)).rise(1).fall(1);
        let group = Group::from(&*url).tls(trusting()).probe(probe);
        let server = serve(group.clone());
        assert_eq!(server.connect().ask(get("/x")).status, 200);
        let of_two = || two.seen().iter().filter(|seen| seen.target == "/healthz").count();
        eventually("it is probed", || {
            if url == one.url() { probes.load(Ordering::SeqCst) > 2 } else { of_two() > 2 }
        });
        assert_eq!(group.snapshot().endpoints[0].health, Health::Fit);
    }
}

#[test]
fn an_upstream_of_http2_over_tls_is_asked_for_by_the_name_of_its_url() {
    let notes = Notes::default();
    let noted = notes.clone();
    let upstream = http2_upstream(Settings::secure(), move |asked| {
        noted.add(format!("{} {}", asked.seen.scheme, asked.seen.authority));
        asked.answer(200, &[], "ok");
    });
    let port = upstream.address().port();
    let group = Group::from(format!("https://localhost:{port}")).tls(trusting());
    let server = start(Server::builder().workers(1).at("/*path", Proxy::to(group).upstream_host()));
    assert_eq!(server.connect().ask(get("/x")).text(), "ok");
    assert_eq!(notes.wait(1), [format!("https localhost:{port}")]);
}
