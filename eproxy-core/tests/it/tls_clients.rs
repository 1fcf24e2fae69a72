//! Clients that say who they are by a certificate.

use eproxy_core::{Builder, ClientCertificates, Proxy, Request, Response, Server};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose};

use crate::support::certificates::{Authority, Pair, VERSIONS, authority, tls};
use crate::support::http2::Http2;
use crate::support::secure::{Secure, TlsClient};
use crate::support::{Connection, Running, crlf, eventually, get};
use crate::upstream::{Upstream, echoing};

fn client_pair(authority: &Authority, name: &str) -> Pair {
    let mut params = CertificateParams::new(["billing.test".to_owned()]).expect("a name of a host");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    authority.sign(params)
}

fn builder(upstream: &Upstream) -> Builder {
    Server::builder()
        .workers(1)
        .get("/who", |req: Request, res: Response| {
            let who = req.client_certificate().map(|shown| format!("{} {:?}", shown.subject(), shown.sans()));
            res.send(who.unwrap_or_else(|| "nobody".into()))
        })
        .at("/up/*path", Proxy::to(upstream.url()))
}

fn server(upstream: &Upstream, asks: ClientCertificates) -> Running {
    Running::new(builder(upstream).bind_tls("127.0.0.1:0", tls().client_certificates(asks)))
}

/// Connects; with TLS 1.3 a client learns that it is refused when it reads.
fn is_refused(client: &TlsClient, server: &Running) -> bool {
    match client.try_connect(server.address()) {
        Err(_) => true,
        Ok(secure) => {
            let mut client = Connection::over(secure);
            let _cut = client.try_send(get("/who"));
            client.rest().is_empty()
        }
    }
}

#[test]
fn who_has_none_is_refused_where_one_is_required() {
    let upstream = echoing();
    let server = server(&upstream, ClientCertificates::required_pem(authority().pem()));
    let stranger = client_pair(&Authority::new("somebody else"), "stranger");
    let mut refused = 0;
    for version in VERSIONS {
        for shown in [None, Some(&stranger)] {
            assert!(is_refused(&TlsClient::of(&[version], shown), &server));
            refused += 1;
            eventually("it is counted", || server.failures("tls_handshake_failed") == refused);
        }
        let known = client_pair(authority(), "billing");
        let mut client = TlsClient::of(&[version], Some(&known)).connect(server.address());
        assert_eq!(client.ask(get("/who")).text(), r#"CN=billing,O=Example ["DNS:billing.test"]"#);
    }
}

#[test]
fn a_certificate_that_is_for_servers_only_is_refused() {
    let upstream = echoing();
    let server = server(&upstream, ClientCertificates::required_pem(authority().pem()));
    let mut params = CertificateParams::new(["a.test".to_owned()]).expect("a name of a host");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert!(is_refused(&TlsClient::showing(&authority().sign(params)), &server));
}

#[test]
fn who_has_none_is_nobody_where_it_is_optional() {
    let upstream = echoing();
    let server = server(&upstream, ClientCertificates::optional_pem(authority().pem()));
    assert_eq!(TlsClient::new().connect(server.address()).ask(get("/who")).text(), "nobody");
    let known = client_pair(authority(), "billing");
    let client = TlsClient::showing(&known);
    assert!(client.connect(server.address()).ask(get("/who")).text().starts_with("CN=billing"));
    let http2 = Http2::secure_with(server.address(), &client, &h2::client::Builder::new());
    assert!(http2.get("/who").text().starts_with("CN=billing"));
    // One that nobody vouches for is worse than none.
    let stranger = client_pair(&Authority::new("somebody else"), "stranger");
    assert!(is_refused(&TlsClient::showing(&stranger), &server));
}

#[test]
fn upstreams_are_told_who_the_client_is_and_never_what_it_says() {
    let upstream = echoing();
    let server = server(&upstream, ClientCertificates::optional_pem(authority().pem()));
    let known = client_pair(authority(), "billing");
    let lies = "Client-Cert: :bGll:\nClient-Cert-Chain: :bGll:\nX-Client-Subject: CN=root\n";
    let asking = crlf(&format!("GET /up/x HTTP/1.1\nHost: test\n{lies}\n"));
    let der = known.chain().remove(0);
    let expected = format!(":{}:", base64(&der));
    let ask = |mut client: Connection<Secure>| assert_eq!(client.ask(&asking).status, 200);
    for _ in 0..2 {
        // The second request is sent over a connection that is there.
        ask(TlsClient::showing(&known).connect(server.address()));
        let seen = upstream.last();
        assert_eq!(seen.values("client-cert"), std::slice::from_ref(&expected));
        assert_eq!(seen.values("x-client-subject"), ["CN=billing,O=Example"]);
        assert!(seen.values("client-cert-chain").is_empty());
        ask(TlsClient::new().connect(server.address()));
        let seen = upstream.last();
        for name in ["client-cert", "client-cert-chain", "x-client-subject"] {
            assert!(seen.values(name).is_empty(), "{name}: {seen:?}");
        }
    }
    let http2 =
        Http2::secure_with(server.address(), &TlsClient::showing(&known), &h2::client::Builder::new());
    let mut request = http2.request("GET", "/up/x");
    for (name, value) in [("client-cert", ":bGll:"), ("x-client-subject", "CN=root")] {
        request.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    assert_eq!(http2.begin_request(request, true).whole().status, 200);
    let seen = upstream.last();
    assert_eq!(seen.values("client-cert"), [expected]);
    assert_eq!(seen.values("x-client-subject"), ["CN=billing,O=Example"]);
}

#[test]
fn without_tls_nobody_is_believed_either() {
    let upstream = echoing();
    let server = Running::new(builder(&upstream).bind("127.0.0.1:0"));
    let lies = "Client-Cert: :bGll:\nX-Client-Subject: CN=root\n";
    let mut client = server.connect();
    assert_eq!(client.ask(crlf(&format!("GET /up/x HTTP/1.1\nHost: test\n{lies}\n"))).status, 200);
    let seen = upstream.last();
    assert!(seen.values("client-cert").is_empty() && seen.values("x-client-subject").is_empty(), "{seen:?}");
    assert_eq!(client.ask(get("/who")).text(), "nobody");
}

#[test]
fn who_goes_on_with_a_session_is_who_it_was() {
    let upstream = echoing();
    let server = server(&upstream, ClientCertificates::required_pem(authority().pem()));
    let known = client_pair(authority(), "billing");
    for version in VERSIONS {
        let client = TlsClient::of(&[version], Some(&known)).resuming();
        for is_resumed in [false, true] {
            let mut client = client.connect(server.address());
            assert!(client.ask(get("/who")).text().starts_with("CN=billing"));
            assert_eq!(client.stream().is_resumed(), is_resumed);
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    base64::encode(bytes)
}
