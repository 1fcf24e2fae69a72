//! `https://`: whom the client talks to, and what passes.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use eproxy_core::{Client, Side, TlsVersion, UpstreamTls};
use futures_lite::AsyncReadExt as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::raw::eventually;
use crate::support::{
    Line, Peer, Upstream, client, ok, pattern, post, send, text, upstream, upstream_over, wait_for,
};

#[cfg(feature = "tls-aws-lc")]
use rustls::crypto::aws_lc_rs as provider;
#[cfg(not(feature = "tls-aws-lc"))]
use rustls::crypto::ring as provider;

/// Who certifies.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        Self::named("root")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no name is no wrong name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(params, key).expect("it certifies itself"))
    }

    /// A certificate for these names and its key, in PEM.
    fn certify(&self, names: &[&str]) -> (String, String) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key can be made");
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.0).expect("it is certified");
        (certificate.pem(), key.serialize_pem())
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("it is a root");
        roots
    }

    /// A server with a certificate for these names; clients that must say who they are are to be certified by `clients`.
    fn server(&self, names: &[&str], clients: Option<&Self>) -> Arc<ServerConfig> {
        let (certificate, key) = self.certify(names);
        let provider = Arc::new(provider::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = match clients {
            None => builder.expect("it is good").with_no_client_auth(),
            Some(clients) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(clients.roots().into(), provider).build();
                builder.expect("it is good").with_client_cert_verifier(verifier.expect("it is good"))
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("it is good")];
        let mut config = builder
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("it is good"))
            .expect("it is good");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = provider::Ticketer::new().expect("random bytes");
        Arc::new(config)
    }

    fn trusted(&self) -> UpstreamTls {
        UpstreamTls::new().roots_pem(self.0.pem())
    }
}

/// An upstream that speaks TLS.
fn secure(
    connections: usize,
    config: &Arc<ServerConfig>,
    script: impl Fn(usize, &mut Peer) + Send + Sync + 'static,
) -> Upstream {
    let config = config.clone();
    let line = move |stream: TcpStream| {
        Line::Tls(Box::new(StreamOwned::new(
            ServerConnection::new(config.clone()).expect("a connection"),
            stream,
        )))
    };
    upstream_over(connections, line, script)
}

fn url(upstream: &Upstream) -> String {
    format!("https://localhost:{}/", upstream.address().port())
}

fn trusting(authority: &Authority) -> Client {
    client(|options| options.tls = authority.trusted())
}

/// Ends a connection of TLS as it should be ended.
fn say_goodbye(peer: &mut Peer) {
    let tls = peer.tls();
    tls.conn.send_close_notify();
    while tls.conn.wants_write() {
        tls.conn.write_tls(&mut tls.sock).expect("the client listens");
    }
}

#[test]
fn https_is_spoken_over_connections_that_are_kept() {
    let authority = Authority::new();
    let (tell, told) = channel();
    let upstream = secure(1, &authority.server(&["localhost"], None), move |_, peer| {
        while peer.next().is_some() {
            let tls = &peer.tls().conn;
            let alpn = tls.alpn_protocol().map(<[u8]>::to_vec);
            tell.send((tls.server_name().map(str::to_owned), alpn)).unwrap();
            peer.say(ok("secret"));
        }
    });
    let client = trusting(&authority);
    let url = url(&upstream);
    for _ in 0..3 {
        assert_eq!(text(&client, &*url).unwrap(), "secret");
    }
    assert_eq!(wait_for(client.get(&url).recv_string()).unwrap(), "secret");
    assert_eq!(upstream.accepted(), 1);
    drop(client);
    let seen: Vec<_> = told.iter().take(4).collect();
    assert!(
        seen.iter().all(|seen| *seen == (Some("localhost".into()), Some(b"http/1.1".to_vec()))),
        "{seen:?}"
    );
}

#[test]
fn long_bodies_go_both_ways() {
    let authority = Authority::new();
    let body = pattern(1 << 20);
    let expected = body.clone();
    let upstream = secure(1, &authority.server(&["localhost"], None), move |_, peer| {
        for _ in 0..2 {
            let sent = peer.request();
            assert!(sent.body == expected);
            peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.body.len()));
            peer.say(&sent.body);
        }
    });
    let client = trusting(&authority);
    let whole = post(&url(&upstream), body.clone());
    let parts = http_types_reader(body.clone());
    assert!(text(&client, whole).unwrap().as_bytes() == body);
    assert!(text(&client, post(&url(&upstream), parts)).unwrap().as_bytes() == body);
}

/// A body whose length is not told.
fn http_types_reader(body: Vec<u8>) -> eproxy_core::http_types::Body {
    eproxy_core::http_types::Body::from_reader(
        futures_lite::io::BufReader::new(futures_lite::io::Cursor::new(body)),
        None,
    )
}

#[test]
fn a_server_that_is_not_whom_it_should_be_is_not_talked_to() {
    let [authority, stranger] = ["root", "stranger"].map(Authority::named);
    for (server, told) in [
        (stranger.server(&["localhost"], None), "certificate of an issuer that is not trusted here"),
        (authority.server(&["other.test"], None), "certificate not valid for \"localhost\""),
    ] {
        let upstream = secure(1, &server, |_, peer| {
            // It sees the alert, and no request.
            assert!(peer.next().is_none());
        });
        let error = send(&trusting(&authority), &*url(&upstream)).expect_err("nobody to talk to");
        assert_eq!((error.name(), error.status(), error.side()), ("tls_handshake", 502, Side::Upstream));
        assert!(error.to_string().contains(told) && error.to_string().contains("localhost"), "{error}");
        assert!(upstream.seen().is_empty());
    }
}

#[test]
fn whom_to_trust_can_be_said() {
    let authority = Authority::new();
    let anybody = UpstreamTls::new().dangerous_accept_any_certificate();
    for (names, tls) in [
        (&["other.test"], authority.trusted().server_name("other.test")),
        (&["other.test"], anybody),
        (&["localhost"], authority.trusted().and_system_roots().min_version(TlsVersion::Tls13)),
    ] {
        let upstream = secure(1, &authority.server(names, None), |_, peer| {
            peer.request();
            peer.say(ok("here"));
        });
        let client = client(|options| options.tls = tls);
        assert_eq!(text(&client, &*url(&upstream)).unwrap(), "here");
    }
}

#[test]
fn an_address_is_as_good_as_a_name() {
    let authority = Authority::new();
    let upstream = secure(1, &authority.server(&["127.0.0.1"], None), |_, peer| {
        peer.request();
        assert_eq!(peer.tls().conn.server_name(), None);
        peer.say(ok("here"));
    });
    assert_eq!(text(&trusting(&authority), format!("https://{}/", upstream.address())).unwrap(), "here");
}

#[test]
fn a_server_is_shown_the_clients_certificate() {
    let [authority, clients] = ["root", "clients"].map(Authority::named);
    let (certificate, key) = clients.certify(&["client.test"]);
    for (is_shown, told) in [(true, None), (false, Some("it wants a certificate of us"))] {
        let upstream = secure(1, &authority.server(&["localhost"], Some(&clients)), |_, peer| {
            if peer.next().is_some() {
                assert!(peer.tls().conn.peer_certificates().is_some());
                peer.say(ok("hello"));
            }
        });
        let client = client(|options| {
            options.tls = match is_shown {
                true => authority.trusted().client_certificate_pem(&certificate, &key),
                false => authority.trusted(),
            };
        });
        let answer = text(&client, &*url(&upstream));
        match told {
            None => assert_eq!(answer.unwrap(), "hello"),
            // In TLS 1.3 the client's handshake is over before the server has looked at it.
            Some(told) => {
                let error = answer.unwrap_err();
                assert!(error.status() == 502 && error.to_string().contains(told), "{error}");
            }
        }
    }
}

#[test]
fn an_end_that_nobody_has_announced_is_no_end_of_a_body() {
    let authority = Authority::new();
    let config = authority.server(&["localhost"], None);
    for (says_goodbye, expected) in [(true, Ok("all of it".to_owned())), (false, Err("upstream_truncated"))] {
        let upstream = secure(1, &config, move |_, peer| {
            peer.request();
            peer.say("HTTP/1.1 200 OK\r\n\r\nall of it");
            if says_goodbye {
                say_goodbye(peer);
            }
        });
        let answer = text(&trusting(&authority), &*url(&upstream));
        assert_eq!(answer.map_err(|error| error.name()), expected);
    }
    // Where the length is known, nobody has to say it.
    let upstream = secure(1, &config, |_, peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    });
    assert_eq!(text(&trusting(&authority), &*url(&upstream)).unwrap(), "ok");
}

#[test]
fn a_head_that_is_cut_off_is_told_as_without_tls() {
    let authority = Authority::new();
    let config = authority.server(&["localhost"], None);
    for (head, expected) in [("", "upstream_closed"), ("HTTP/1.1 200 OK\r\nA: ", "upstream_truncated")] {
        let upstream = secure(1, &config, move |_, peer| {
            peer.request();
            peer.say(head);
        });
        let error = send(&trusting(&authority), post(&url(&upstream), "x")).expect_err("there is no answer");
        assert_eq!(error.name(), expected, "{head:?}");
    }
}

#[test]
fn what_the_two_sides_say_between_requests_does_not_end_a_connection_and_the_servers_end_does() {
    let authority = Authority::new();
    let (tell, told) = channel();
    let (go_on, wait) = channel();
    let wait = std::sync::Mutex::new(wait);
    let upstream = secure(2, &authority.server(&["localhost"], None), move |number, peer| {
        peer.request();
        peer.say(ok("one"));
        if number == 0 {
            // A new key, and nothing that anybody has asked for.
            let tls = peer.tls();
            tls.conn.refresh_traffic_keys().unwrap();
            while tls.conn.wants_write() {
                tls.conn.write_tls(&mut tls.sock).unwrap();
            }
            tell.send(()).unwrap();
            peer.request();
            peer.say(ok("two"));
            say_goodbye(peer);
            tell.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
        }
    });
    let client = trusting(&authority);
    assert_eq!(text(&client, &*url(&upstream)).unwrap(), "one");
    told.recv().unwrap();
    assert_eq!(text(&client, &*url(&upstream)).unwrap(), "two");
    assert_eq!(upstream.accepted(), 1);
    told.recv().unwrap();
    assert_eq!(text(&client, &*url(&upstream)).unwrap(), "one");
    assert_eq!(upstream.accepted(), 2);
    go_on.send(()).unwrap();
}

#[test]
fn a_client_ends_its_connections_as_it_should() {
    let authority = Authority::new();
    let upstream = secure(1, &authority.server(&["localhost"], None), |_, peer| {
        peer.request();
        peer.say(ok("x"));
        // The end without the announcement would be an error.
        assert_eq!(std::io::Read::read(peer.tls(), &mut [0]).unwrap(), 0);
    });
    let client = client(|options| {
        options.tls = authority.trusted();
        options.pool_size = 0;
    });
    assert_eq!(text(&client, &*url(&upstream)).unwrap(), "x");
}

#[test]
fn a_handshake_that_does_not_come_to_an_end_is_a_connect_timeout() {
    let upstream = upstream(1, |_, peer| peer.stay_deaf());
    let client = client(|options| options.connect = Duration::from_millis(200));
    let error = send(&client, &*url(&upstream)).expect_err("nobody answers");
    assert_eq!((error.name(), error.status(), error.is_timeout()), ("connect_timeout", 504, true));
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let authority = Authority::new();
    for (answer, told) in
        [("HTTP/1.1 400 Bad Request\r\n\r\n", "what came is not TLS"), ("", "the server has hung up")]
    {
        let upstream = upstream(1, move |_, peer| {
            peer.take(5);
            peer.say(answer);
            peer.finish();
            peer.stay_deaf();
        });
        let error = send(&trusting(&authority), &*url(&upstream)).expect_err("that is no TLS");
        assert_eq!(error.name(), "tls_handshake");
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn roots_that_cannot_be_read_are_told_with_every_request() {
    let client = client(|options| options.tls = UpstreamTls::new().roots_file("/nowhere/roots.pem"));
    for _ in 0..2 {
        let error = send(&client, "https://127.0.0.1:1/").expect_err("nobody is trusted");
        assert_eq!((error.name(), error.side()), ("bad_option", Side::Local));
        assert!(error.to_string().contains("/nowhere/roots.pem: No such file"), "{error}");
    }
}

#[test]
fn a_body_may_be_read_slowly_and_left() {
    let authority = Authority::new();
    let (tell, told) = channel();
    let upstream = secure(1, &authority.server(&["localhost"], None), move |_, peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        while peer.try_say(pattern(100_000)) {}
        tell.send(()).unwrap();
    });
    let mut body = send(&trusting(&authority), &*url(&upstream)).unwrap().into_body();
    let mut some = vec![0; 200_000];
    wait_for(body.read_exact(&mut some)).unwrap();
    assert_eq!(some[..1000], pattern(1000));
    drop(body);
    eventually("the upstream sees that nobody reads on", || told.try_recv().is_ok());
}
