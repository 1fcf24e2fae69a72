//! Both sides of TLS, with nothing but memory in between.

use std::collections::HashSet;
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};

use crate::driver::{Cipher, Opened, Sink, Then};

use super::cipher::TlsCipher;
use super::provider::provider;
use super::roots::roots;
use super::trusting::Trusting;
use super::{
    Acceptor, Alpn, Certificate, CertificateResolver, ClientCertificates, Connector, Hello, Session, Tls,
    TlsVersion, UpstreamTls,
};

/// Who certifies.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn certify(&self, names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(CertificateParams::new(names).unwrap())
    }

    pub(super) fn sign(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Pair {
    pub(super) fn tls(&self) -> Tls {
        Tls::pem(&self.certificate, &self.key)
    }
}

/// One side, and the bytes that are on their way to it.
pub(super) struct End {
    pub(super) cipher: Box<dyn Cipher>,
    pub(super) session: Rc<Session>,
    /// What was sent to it and is not taken yet.
    pub(super) came: Vec<u8>,
    /// What it was told.
    pub(super) heard: Vec<u8>,
    pub(super) then: Result<Then, String>,
}

impl End {
    fn new((cipher, session): (Box<dyn Cipher>, Rc<Session>)) -> Self {
        Self { cipher, session, came: Vec::new(), heard: Vec::new(), then: Ok(Then::More) }
    }

    /// Takes what has come, in pieces of that size, and gives what is to be sent.
    pub(super) fn open(&mut self, pieces: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let came = std::mem::take(&mut self.came);
        let mut kept = Vec::new();
        let mut chunks = came.chunks(pieces.max(1));
        loop {
            let chunk = chunks.next();
            kept.extend_from_slice(chunk.unwrap_or_default());
            let mut beyond = Vec::new();
            let mut into = [0; 100];
            let mut sink = Sink::new(&mut into, &mut beyond);
            let Opened { taken, then } = self.cipher.open(&mut kept, &mut sink, &mut out);
            let filled = sink.filled();
            self.heard.extend_from_slice(&into[..filled]);
            self.heard.append(&mut beyond);
            kept.drain(..taken);
            self.then = then.map_err(|error| {
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
                error.to_string()
            });
            if chunks.len() == 0 {
                self.came = kept;
                return out;
            }
        }
    }

    pub(super) fn say(&mut self, what: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(self.cipher.seal(&[IoSlice::new(what)], usize::MAX, &mut out).unwrap(), what.len());
        out
    }
}

/// Two sides of a connection.
pub(super) struct Both {
    pub(super) client: End,
    pub(super) server: End,
}

impl Both {
    pub(super) fn new(client: &Connector, host: &str, server: &Acceptor) -> Self {
        Self { client: End::new(client.connect(host).unwrap()), server: End::new(server.accept().unwrap()) }
    }

    /// Goes on until nobody says anything any more.
    pub(super) fn shake(mut self, pieces: usize) -> Self {
        let hello = self.client.open(pieces);
        self.server.came.extend(hello);
        for _ in 0..20 {
            let to_client = self.server.open(pieces);
            self.client.came.extend(&to_client);
            let to_server = self.client.open(pieces);
            self.server.came.extend(&to_server);
            if to_client.is_empty() && to_server.is_empty() {
                return self;
            }
        }
        panic!("they never stop");
    }

    /// Both have come to the end of the handshake, and neither has anything to complain of.
    pub(super) fn expect_over(self) -> Self {
        assert!(
            self.client.then.is_ok() && self.server.then.is_ok(),
            "{:?}, {:?}",
            self.client.then,
            self.server.then
        );
        assert!(!self.client.cipher.is_shaking() && !self.server.cipher.is_shaking());
        self
    }

    /// The client says something, and the server answers.
    fn talk(&mut self) {
        let said = self.client.say(b"ping");
        self.server.came.extend(said);
        self.server.open(100_000);
        assert_eq!(self.server.heard, b"ping");
        let said = self.server.say(b"pong");
        self.client.came.extend(said);
        self.client.open(100_000);
        assert_eq!(self.client.heard, b"pong");
    }
}

/// A client that trusts this authority.
pub(super) fn trusts(authority: &Authority) -> UpstreamTls {
    UpstreamTls::new().roots_pem(authority.pem())
}

/// A client that speaks these versions only, and may be changed.
fn speaking(
    versions: &[&'static SupportedProtocolVersion],
    authority: &Authority,
    change: impl FnOnce(&mut ClientConfig),
) -> Connector {
    let roots = roots(authority.pem().as_bytes()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    change(&mut config);
    Connector::new(config, None, [0; 32])
}

const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The names in the certificate that the server shows to a client that asks for `host`, by which of `pairs` it is.
fn shown(acceptor: &Acceptor, authority: &Authority, host: &str, pairs: &[&Pair]) -> Option<usize> {
    let seen = Arc::new(Seen {
        inner: Trusting::new(provider()),
        certificate: Mutex::default(),
        ocsp: Mutex::default(),
    });
    let client = seeing(&seen, authority);
    Both::new(&client, host, acceptor).shake(100_000);
    let der = seen.certificate.lock().unwrap().take()?;
    pairs
        .iter()
        .position(|pair| super::pem::certificates(pair.certificate.as_bytes()).unwrap()[0][..] == der[..])
}

/// A client that remembers what it was shown.
#[derive(Debug)]
struct Seen {
    inner: Trusting,
    certificate: Mutex<Option<Vec<u8>>>,
    ocsp: Mutex<Vec<u8>>,
}

fn seeing(seen: &Arc<Seen>, authority: &Authority) -> Connector {
    speaking(TLS13, authority, |config| config.dangerous().set_certificate_verifier(seen.clone()))
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.certificate.lock().unwrap() = Some(certificate.to_vec());
        *self.ocsp.lock().unwrap() = ocsp.to_vec();
        self.inner.verify_server_cert(certificate, chain, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

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

/// Two sides that have come to the end of their handshake.
fn ready(versions: &[&'static SupportedProtocolVersion]) -> Both {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    Both::new(&speaking(versions, &authority, |_| {}), "shop.test", &server).shake(100_000).expect_over()
}

#[test]
fn much_is_sealed_in_full_records_and_opened_however_it_comes() {
    for versions in [TLS12, TLS13] {
        let mut both = ready(versions);
        let body: Vec<u8> = (0..100_000_u32).map(|n| (n * 7 + n / 251) as u8).collect();
        let slices =
            [&body[..200], &[], &body[200..300], &body[300..60_000], &body[60_000..]].map(IoSlice::new);
        let mut out = b"before".to_vec();
        assert_eq!(both.server.cipher.seal(&slices, 70_000, &mut out).unwrap(), 70_000);
        let sealed = out.split_off(6);
        assert_eq!(out, b"before");
        let mut lengths = Vec::new();
        let mut rest = &sealed[..];
        while let [23, 3, 3, high, low, behind @ ..] = rest {
            lengths.push(usize::from(u16::from_be_bytes([*high, *low])));
            rest = &behind[*lengths.last().unwrap()..];
        }
        assert_eq!(lengths.len(), 70_000_usize.div_ceil(16 * 1024), "{lengths:?}");
        for pieces in [1, 1000, 16_411, 100_000] {
            both.client.came.extend(&sealed[..if pieces == 1 { sealed.len() } else { 0 }]);
            assert!(both.client.open(pieces).is_empty());
        }
        assert_eq!(both.client.heard, body[..70_000]);

        both.client.heard.clear();
        let mut sealed = Vec::new();
        assert_eq!(
            both.server.cipher.seal(&[IoSlice::new(&body)], usize::MAX, &mut sealed).unwrap(),
            body.len()
        );
        both.client.came = sealed;
        both.client.open(1000);
        assert_eq!(both.client.heard, body);
        assert_eq!(both.server.cipher.seal(&[IoSlice::new(&[])], 10, &mut Vec::new()).unwrap(), 0);
        assert_eq!(both.server.cipher.seal(&[IoSlice::new(b"x")], 0, &mut Vec::new()).unwrap(), 0);
    }
}

#[test]
fn nothing_is_sealed_before_the_handshake_is_over_nor_after_the_end() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    let client = trusts(&authority).connector().unwrap();
    let mut fresh = Both::new(&client, "shop.test", &server);
    let mut out = Vec::new();
    for end in [&mut fresh.client, &mut fresh.server] {
        let error = end.cipher.seal(&[IoSlice::new(b"x")], 1, &mut out).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        end.cipher.close(&mut out);
        assert!(out.is_empty());
    }
    let mut both = fresh.shake(100_000).expect_over();
    both.talk();
    both.server.cipher.close(&mut out);
    both.client.came = std::mem::take(&mut out);
    both.server.cipher.close(&mut out);
    assert!(out.is_empty(), "it is said once");
    assert_eq!(
        both.server.cipher.seal(&[IoSlice::new(b"x")], 1, &mut out).unwrap_err().kind(),
        std::io::ErrorKind::InvalidInput
    );
    both.client.open(100_000);
    assert_eq!(both.client.then, Ok(Then::End));
    both.client.came = b"whatever".to_vec();
    both.client.open(3);
    assert_eq!((&both.client.then, both.client.came.len()), (&Ok(Then::End), 0), "the end stays the end");
    // The other side may have more to say.
    let more = both.client.say(b"more");
    both.server.came.extend(more);
    both.server.open(100_000);
    assert_eq!(both.server.heard, b"pingmore");
    both.client.cipher.close(&mut out);
    both.server.came = out;
    both.server.open(1);
    assert_eq!(both.server.then, Ok(Then::End));
}

#[test]
fn garbage_gets_an_alert_and_stays_an_error() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    let client = trusts(&authority).connector().unwrap();
    let hello = Both::new(&client, "shop.test", &server).client.open(1);
    let mut short = hello.clone();
    short[3..5].copy_from_slice(&[0, 0]);
    let mut long = hello.clone();
    long[3..5].copy_from_slice(&[0xff, 0xff]);
    for garbage in [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[0; 40][..], &[0xff; 40], &short, &long] {
        for pieces in [1, 100_000] {
            let mut end = Both::new(&client, "shop.test", &server).server;
            end.came = garbage.to_vec();
            let out = end.open(pieces);
            assert!(end.then.as_ref().is_err_and(|told| told.starts_with("tls: ")), "{garbage:?}");
            assert!(matches!(out[..], [21, 3, _, 0, 2, 2, _]), "{out:?}");
            assert!(end.came.is_empty());
            end.came = hello.clone();
            assert!(end.open(pieces).is_empty());
            assert!(end.then.is_err());
            assert!(end.cipher.seal(&[IoSlice::new(b"x")], 1, &mut Vec::new()).is_err());
        }
    }
    let mut end = Both::new(&client, "shop.test", &server).server;
    end.came = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    end.open(100_000);
    assert_eq!(end.then.unwrap_err(), "tls: what came is not TLS");
}

#[test]
fn a_record_that_is_not_whole_is_waited_for() {
    let mut both = ready(TLS13);
    let said = both.client.say(b"hello");
    both.server.came = said[..said.len() - 1].to_vec();
    for _ in 0..2 {
        assert!(both.server.open(100_000).is_empty());
        assert_eq!((&both.server.then, both.server.came.len()), (&Ok(Then::More), said.len() - 1));
    }
    both.server.came = said;
    both.server.open(100_000);
    assert_eq!(both.server.heard, b"hello");
}

#[test]
fn no_change_on_the_way_goes_unnoticed_and_none_is_fatal_to_us() {
    for versions in [TLS12, TLS13] {
        let length = ready(versions).client.say(b"hello").len();
        for at in 0..length {
            let mut both = ready(versions);
            both.server.came = both.client.say(b"hello");
            both.server.came[at] ^= 1 << (at % 8);
            both.server.open(100_000);
            // The first three bytes say what every record says, and nobody need look at them (RFC 8446 §5.2).
            assert!(both.server.heard.is_empty() || at < 3, "{at}");
        }
    }
}

#[test]
fn a_hello_with_changes_never_panics() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().refuse_unknown_names().acceptor().unwrap();
    let client = trusts(&authority).connector().unwrap();
    let hello = Both::new(&client, "shop.test", &server).client.open(1);
    for seed in 0..300 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut changed = hello.clone();
        for _ in 0..dice.usize(1..4) {
            let at = dice.usize(..changed.len());
            match dice.u8(..4) {
                0 => changed[at] = dice.u8(..),
                1 => changed[at] ^= 1 << dice.u8(..8),
                2 => drop(changed.remove(at)),
                _ => changed.insert(at, dice.u8(..)),
            }
        }
        let mut end = Both::new(&client, "shop.test", &server).server;
        end.came = changed;
        end.open(dice.usize(1..2000));
        end.open(100_000);
        assert!(end.session.agreed().is_none() && end.heard.is_empty());
    }
}

/// The message of a handshake in records of so many bytes each.
fn cut(record: &[u8], into: usize) -> Vec<u8> {
    let header = &record[..3];
    record[5..]
        .chunks(into)
        .flat_map(|part| [header, &(part.len() as u16).to_be_bytes(), part].concat())
        .collect()
}

#[test]
fn a_message_of_the_handshake_may_come_in_many_records() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    let client = trusts(&authority).connector().unwrap();
    for into in [1, 3, 100, 700] {
        for pieces in [1, 4, 100_000] {
            let mut both = Both::new(&client, "shop.test", &server);
            let hello = both.client.open(1);
            both.server.came = cut(&hello, into);
            let answer = both.server.open(pieces);
            both.client.came = answer;
            let finished = both.client.open(pieces);
            both.server.came = finished;
            both.shake(pieces).expect_over().talk();
        }
    }
}

#[test]
fn nobody_is_kept_crumbs_for_without_end() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    let client = trusts(&authority).connector().unwrap();
    let mut long = vec![22, 3, 1, 0, 0, 1, 0, 0xff, 0xf0];
    long.resize(60_000, 7);
    let mut end = Both::new(&client, "shop.test", &server).server;
    end.came = cut(&long, 1);
    end.open(1000);
    assert_eq!(end.then.unwrap_err(), "tls: a message of the handshake is too long");
}

#[test]
fn what_is_put_together_does_not_disturb_what_is_said_meanwhile() {
    let authority = Authority::new("root");
    let pair = authority.certify(&["shop.test"]);
    // Tickets of 64-byte records: the first part of one leaves the client with a message that is not whole.
    let key = Certificate::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes()).unwrap();
    let builder =
        rustls::ServerConfig::builder_with_provider(provider()).with_protocol_versions(TLS13).unwrap();
    let resolver = rustls::sign::SingleCertAndKey::from(key.key().clone());
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(resolver));
    config.max_fragment_size = Some(64);
    config.ticketer = super::provider::ticketer().unwrap();
    let side = UnbufferedServerConnection::new(Arc::new(config)).unwrap();
    let session = Rc::new(Session::default());
    let server = End::new((Box::new(TlsCipher::new(side, None, session.clone())), session));
    let client = speaking(TLS13, &authority, |_| {});
    let mut both = Both { client: End::new(client.connect("shop.test").unwrap()), server };

    let hello = both.client.open(1);
    both.server.came = hello;
    let flight = both.server.open(100_000);
    both.client.came = flight;
    let finished = both.client.open(13);
    both.server.came = finished;
    let tickets = both.server.open(100_000);
    assert!(tickets.len() > 200);
    for byte in tickets {
        both.client.came.push(byte);
        both.client.open(1);
        let said = both.client.say(b"x");
        both.server.came.extend(said);
    }
    both.server.open(100_000);
    assert!(both.server.heard.iter().all(|byte| *byte == b'x') && both.server.heard.len() > 200);
    both.server.heard.clear();
    let mut out = Vec::new();
    both.client.cipher.close(&mut out);
    both.server.came = out;
    both.server.open(100_000);
    assert_eq!(both.server.then, Ok(Then::End));
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
    assert!(!super::roots::system_roots().is_empty());
    let _: &RootCertStore = super::roots::system_roots();
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
