//! What two sides agree on, and what they don't: names, certificates, versions, sessions.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::RootCertStore;

use crate::driver::Then;
use crate::tls::provider::provider;
use crate::tls::trusting::Trusting;
use crate::tls::{
    Acceptor, Alpn, Certificate, CertificateResolver, ClientCertificates, Connector, Hello, Tls, TlsVersion,
    UpstreamTls,
};

use super::sides::*;

#[test]
fn two_sides_agree_and_talk_however_the_bytes_come() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    for (versions, version) in [(TLS12, TlsVersion::Tls12), (TLS13, TlsVersion::Tls13)] {
        for pieces in [1, 7, 100_000] {
            let client = speaking(versions, &authority, |config| config.alpn_protocols = Alpn::offer(true));
            let mut both = Both::new(&client, "Shop.Test.", &server).shake(pieces).expect_over();
            for session in [&both.client.session, &both.server.session] {
                assert_eq!(session.alpn(), Some(Alpn::Http2));
                let session = session.agreed().unwrap();
                assert_eq!(session.server_name(), Some("shop.test"));
                assert_eq!(session.version(), version);
                assert!(!session.is_resumed() && session.client_certificate().is_none());
                assert!(session.cipher_suite().starts_with("TLS_"), "{session:?}");
            }
            both.talk();
        }
    }
}

#[test]
fn keys_are_exchanged_as_the_provider_likes_best() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    let both =
        Both::new(&trusts(&authority).connector().unwrap(), "shop.test", &server).shake(9).expect_over();
    let expected = if cfg!(feature = "tls-aws-lc") { "X25519MLKEM768" } else { "X25519" };
    assert_eq!(both.server.session.agreed().unwrap().key_exchange(), Some(expected));
}

#[test]
fn the_protocol_inside_is_one_that_both_know() {
    let authority = Authority::new("root");
    let pair = authority.certify(&["shop.test"]);
    let with_h2 = pair.tls().acceptor().unwrap();
    let without = pair.tls().http2(false).acceptor().unwrap();
    let offering = |names: &[&str]| {
        let names = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        speaking(TLS13, &authority, |config| config.alpn_protocols = names)
    };
    let chosen = |client: &Connector, server| {
        let both = Both::new(client, "shop.test", server).shake(100_000).expect_over();
        assert_eq!(both.client.session.alpn(), both.server.session.alpn());
        both.server.session.alpn()
    };
    assert_eq!(chosen(&offering(&["http/1.1", "h2"]), &with_h2), Some(Alpn::Http2));
    assert_eq!(chosen(&offering(&["http/1.1"]), &with_h2), Some(Alpn::Http1));
    assert_eq!(chosen(&offering(&["h2", "http/1.1"]), &without), Some(Alpn::Http1));
    assert_eq!(chosen(&offering(&[]), &with_h2), None);
    let both = Both::new(&offering(&["h2"]), "shop.test", &without).shake(100_000);
    let told = both.server.then.unwrap_err();
    assert_eq!(told, "tls: the client knows no protocol that this side speaks");
    assert_eq!(both.client.then.unwrap_err(), "tls: the server gave up: it speaks no protocol that we offer");
}

#[test]
fn a_client_is_shown_the_certificate_for_the_name_that_it_asks_for() {
    let authority = Authority::new("root");
    let names: [&[&str]; 4] = [&["first.test"], &["*.a.test", "b.test"], &["x.a.test"], &["X.A.test"]];
    let pairs = names.map(|names| authority.certify(names));
    let pairs: Vec<_> = pairs.iter().collect();
    let tls = pairs[1..].iter().fold(pairs[0].tls(), |tls, pair| tls.and_pem(&pair.certificate, &pair.key));
    let default = tls.clone().acceptor().unwrap();
    let strict = tls.refuse_unknown_names().acceptor().unwrap();
    let of = |acceptor, host| shown(acceptor, &authority, host, &pairs);
    for (host, with_default, without) in [
        ("first.test", Some(0), Some(0)),
        ("b.test", Some(1), Some(1)),
        ("y.a.test", Some(1), Some(1)),
        ("x.a.test", Some(2), Some(2)),
        ("X.a.TEST", Some(2), Some(2)),
        ("z.y.a.test", Some(0), None),
        ("a.test", Some(0), None),
        ("127.0.0.1", Some(0), None),
    ] {
        assert_eq!((of(&default, host), of(&strict, host)), (with_default, without), "{host}");
    }
}

#[test]
fn a_name_without_a_certificate_is_refused_by_its_own_alert() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().refuse_unknown_names().acceptor().unwrap();
    for (host, told, client) in [
        ("blog.test", "no certificate for name \"blog.test\"", "it has no certificate for the name"),
        ("127.0.0.1", "no certificate for a client that names no server", "MissingExtension"),
    ] {
        let both = Both::new(&trusts(&authority).connector().unwrap(), host, &server).shake(100_000);
        assert_eq!(both.server.then.unwrap_err(), format!("tls: {told}"));
        assert_eq!(both.client.then.unwrap_err(), format!("tls: the server gave up: {client}"));
        assert!(both.server.session.agreed().is_none());
    }
}

/// Has one certificate, for one name, and panics at another.
struct Own(Arc<Certificate>);

impl CertificateResolver for Own {
    fn resolve(&self, hello: &Hello<'_>) -> Option<Arc<Certificate>> {
        assert_ne!(hello.server_name(), Some("panic.test"));
        assert_eq!(hello.alpn().collect::<HashSet<_>>(), [&b"h2"[..], b"http/1.1"].into());
        (hello.server_name() == Some("own.test")).then(|| self.0.clone())
    }
}

#[test]
fn a_program_may_choose_certificates_itself_and_a_panic_of_it_is_a_no() {
    let authority = Authority::new("root");
    let [own, other] = [authority.certify(&["own.test"]), authority.certify(&["other.test"])];
    let certificate = Certificate::from_pem(own.certificate.as_bytes(), own.key.as_bytes()).unwrap();
    assert_eq!(certificate.names().collect::<Vec<_>>(), ["own.test"]);
    let alone = Tls::resolver(Own(Arc::new(certificate.clone()))).acceptor().unwrap();
    let beside = Tls::resolver(Own(Arc::new(certificate))).and_pem(&other.certificate, &other.key);
    let beside = beside.acceptor().unwrap();
    let client = trusts(&authority).connector().unwrap();
    let works = |host, server| Both::new(&client, host, server).shake(100_000).server.then.is_ok();
    for (host, with_own, with_both) in
        [("own.test", true, true), ("other.test", false, true), ("panic.test", false, false)]
    {
        assert_eq!((works(host, &alone), works(host, &beside)), (with_own, with_both), "{host}");
    }
}

/// A pair for a client, by this authority.
fn client_pair(authority: &Authority) -> Pair {
    let mut params = CertificateParams::new(["billing.test".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "billing, inc.");
    params.distinguished_name.push(DnType::OrganizationName, "Shop");
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    authority.sign(params)
}

#[test]
fn clients_may_or_must_show_a_certificate() {
    let [authority, partners, strangers] = ["root", "partners", "strangers"].map(Authority::new);
    let pair = authority.certify(&["shop.test"]);
    let required = pair.tls().client_certificates(ClientCertificates::required_pem(partners.pem()));
    let optional = pair.tls().client_certificates(ClientCertificates::optional_pem(partners.pem()));
    let (required, optional) = (required.acceptor().unwrap(), optional.acceptor().unwrap());
    let [partner, stranger] = [&partners, &strangers].map(client_pair);
    let anybody = trusts(&authority);
    let as_partner =
        anybody.clone().client_certificate_pem(&partner.certificate, &partner.key).connector().unwrap();
    let as_stranger =
        anybody.clone().client_certificate_pem(&stranger.certificate, &stranger.key).connector().unwrap();
    let anybody = anybody.connector().unwrap();
    let shake = |client, server| Both::new(client, "shop.test", server).shake(100_000);

    for server in [&required, &optional] {
        let both = shake(&as_partner, server).expect_over();
        let shown = both.server.session.client_certificate().unwrap();
        assert_eq!(shown.subject(), "O=Shop,CN=billing\\, inc.");
        assert_eq!(shown.sans(), ["DNS:billing.test"]);
        assert!(both.client.session.client_certificate().is_none());
        // It is known of a session that goes on, too.
        let again = shake(&as_partner, server).expect_over();
        assert!(again.server.session.is_resumed());
        assert_eq!(again.server.session.client_certificate(), Some(shown));

        let both = shake(&as_stranger, server);
        assert_eq!(both.server.then.unwrap_err(), "tls: certificate of an issuer that is not trusted here");
        let told = "tls: the server gave up: it does not trust the issuer of our certificate";
        assert_eq!(both.client.then.unwrap_err(), told);
    }
    let both = shake(&anybody, &optional).expect_over();
    assert!(both.server.session.client_certificate().is_none());
    let both = shake(&anybody, &required);
    assert_eq!(both.server.then.unwrap_err(), "tls: the client has shown no certificate, and must");
    assert_eq!(both.client.then.unwrap_err(), "tls: the server gave up: it wants a certificate of us");
}

#[test]
fn a_session_goes_on_in_another_connection_and_its_name_is_known() {
    let authority = Authority::new("root");
    let pair = authority.certify(&["shop.test", "blog.test"]);
    let server = pair.tls().acceptor().unwrap();
    let elsewhere = pair.tls().acceptor().unwrap();
    let without = pair.tls().tickets(false).acceptor().unwrap();
    for versions in [TLS12, TLS13] {
        let client = speaking(versions, &authority, |_| {});
        let is_resumed = |client: &Connector, host, server| {
            let mut both = Both::new(client, host, server).shake(100_000).expect_over();
            assert_eq!(both.server.session.agreed().unwrap().server_name(), Some(host));
            both.talk();
            both.server.session.is_resumed()
        };
        assert!(!is_resumed(&client, "shop.test", &server));
        assert!(is_resumed(&client, "shop.test", &server));
        assert!(is_resumed(&client, "shop.test", &server));
        assert!(!is_resumed(&client, "blog.test", &server), "a session is about one name");
        assert!(!is_resumed(&client, "shop.test", &elsewhere), "another server has other keys");
        let client = speaking(versions, &authority, |_| {});
        assert!(!is_resumed(&client, "shop.test", &without));
        assert!(!is_resumed(&client, "shop.test", &without));
    }
}

#[test]
fn versions_that_one_side_does_not_speak_are_refused_in_words() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().min_version(TlsVersion::Tls13).acceptor().unwrap();
    let both = Both::new(&speaking(TLS12, &authority, |_| {}), "shop.test", &server).shake(100_000);
    assert_eq!(
        both.server.then.unwrap_err(),
        "tls: the client knows no version of TLS that this side speaks"
    );
    assert_eq!(
        both.client.then.unwrap_err(),
        "tls: the server gave up: it speaks no version of TLS that we speak"
    );
}

#[test]
fn servers_must_prove_who_they_are() {
    let authority = Authority::new("root");
    let client = trusts(&authority).connector().unwrap();
    let told = |client: &Connector, host, pair: &Pair| {
        let both = Both::new(client, host, &pair.tls().acceptor().unwrap()).shake(100_000);
        both.client.then.err().unwrap_or_default()
    };
    let shop = authority.certify(&["shop.test", "127.0.0.1"]);
    assert_eq!(told(&client, "shop.test", &shop), "");
    assert_eq!(told(&client, "127.0.0.1", &shop), "");
    assert_eq!(
        told(&client, "blog.test", &shop),
        "tls: certificate not valid for \"blog.test\", but for DnsName(\"shop.test\"), IpAddress(127.0.0.1)"
    );
    let stranger = Authority::new("stranger").certify(&["shop.test"]);
    assert_eq!(
        told(&client, "shop.test", &stranger),
        "tls: certificate of an issuer that is not trusted here"
    );
    let mut params = CertificateParams::new(["shop.test".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2020, 1, 1);
    assert_eq!(told(&client, "shop.test", &authority.sign(params)), "tls: certificate expired");
    let mut params = CertificateParams::new(["shop.test".to_owned()]).unwrap();
    params.not_before = date_time_ymd(4000, 1, 1);
    assert_eq!(told(&client, "shop.test", &authority.sign(params)), "tls: certificate not valid yet");

    let renamed = trusts(&authority).server_name("shop.test").connector().unwrap();
    assert_eq!(told(&renamed, "127.0.0.9", &shop), "");
    let anybody = UpstreamTls::new().dangerous_accept_any_certificate().connector().unwrap();
    assert_eq!(told(&anybody, "blog.test", &stranger), "");
    assert!(client.connect("no name").is_err());
}

#[test]
fn an_ocsp_response_is_shown_with_the_certificate() {
    let authority = Authority::new("root");
    let pair = authority.certify(&["shop.test"]);
    let certificate = Certificate::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes()).unwrap();
    struct Always(Arc<Certificate>);
    impl CertificateResolver for Always {
        fn resolve(&self, _hello: &Hello<'_>) -> Option<Arc<Certificate>> {
            Some(self.0.clone())
        }
    }
    let server = Tls::resolver(Always(Arc::new(certificate.ocsp(b"good".to_vec())))).acceptor().unwrap();
    let seen = Arc::new(Seen {
        inner: Trusting::new(provider()),
        certificate: Mutex::default(),
        ocsp: Mutex::default(),
    });
    Both::new(&seeing(&seen, &authority), "shop.test", &server).shake(100_000).expect_over();
    assert_eq!(&*seen.ocsp.lock().unwrap(), b"good");
}

#[test]
fn connectors_are_equal_if_a_connection_of_one_is_good_for_the_other() {
    let [one, other] = ["one", "other"].map(Authority::new);
    let base = trusts(&one);
    let pair = client_pair(&one);
    let different = [
        base.clone(),
        trusts(&other),
        base.clone().and_system_roots(),
        base.clone().server_name("a.test"),
        base.clone().server_name("b.test"),
        base.clone().http2(false),
        base.clone().min_version(TlsVersion::Tls13),
        base.clone().client_certificate_pem(&pair.certificate, &pair.key),
        base.clone().dangerous_accept_any_certificate(),
        UpstreamTls::new(),
    ];
    let different: HashSet<_> = different.iter().map(|tls| tls.connector().unwrap()).collect();
    assert_eq!(different.len(), 10);
    assert!(different.contains(&base.connector().unwrap()));
}

#[test]
fn there_are_roots_without_any_being_named() {
    assert!(!crate::tls::roots::system_roots().is_empty());
    let _: &RootCertStore = crate::tls::roots::system_roots();
}

/// Serves one connection on a socket: says `pong` to whatever is said first, and that this is all.
fn serve(acceptor: &Acceptor, mut socket: TcpStream) -> Result<Then, String> {
    socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let mut end = End::new(acceptor.accept().unwrap());
    let mut is_answered = false;
    loop {
        let mut chunk = [0; 4096];
        let read = socket.read(&mut chunk).map_err(|error| error.to_string())?;
        if read == 0 {
            return end.then;
        }
        end.came.extend_from_slice(&chunk[..read]);
        let mut out = end.open(100_000);
        if !end.heard.is_empty() && !is_answered {
            is_answered = true;
            out.extend(end.say(b"pong"));
            end.cipher.close(&mut out);
        }
        socket.write_all(&out).map_err(|error| error.to_string())?;
        end.then.clone()?;
    }
}

#[test]
fn openssl_agrees() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: openssl is not installed");
        return;
    }
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().refuse_unknown_names().acceptor().unwrap();
    let name = format!("eproxy-roots-{}-{:08x}", std::process::id(), fastrand::u32(..));
    let roots = std::env::temp_dir().join(name);
    std::fs::write(&roots, authority.pem()).unwrap();
    for (version, name, told) in [
        ("-tls1_2", "shop.test", &["ALPN protocol: h2", "Verify return code: 0 (ok)", "pong"][..]),
        ("-tls1_3", "shop.test", &["ALPN protocol: h2", "Verify return code: 0 (ok)", "pong"]),
        ("-tls1_3", "blog.test", &["unrecognized name"]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Command::new("openssl")
            .args(["s_client", "-connect", &listener.local_addr().unwrap().to_string(), version])
            .args(["-servername", name, "-verify_hostname", name, "-alpn", "h2,http/1.1", "-CAfile"])
            .arg(&roots)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = client.stdin.take().unwrap();
        said.write_all(b"ping\n").unwrap();
        let ended = serve(&server, listener.accept().unwrap().0);
        drop(said);
        let output = client.wait_with_output().unwrap();
        let output = [output.stdout, output.stderr].concat();
        let output = String::from_utf8_lossy(&output);
        assert!(told.iter().all(|told| output.contains(told)), "{version} {name}: {ended:?}\n{output}");
    }
    std::fs::remove_file(&roots).unwrap();
}
