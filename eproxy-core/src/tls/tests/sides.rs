//! Who certifies, both sides of a connection, and the bytes that are on their way between them.

use std::io::IoSlice;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};

use crate::driver::{Cipher, Opened, Sink, Then};
use crate::tls::provider::provider;
use crate::tls::roots::roots;
use crate::tls::trusting::Trusting;
use crate::tls::{Acceptor, Connector, Session, Tls, UpstreamTls};

/// Who certifies.
pub(in crate::tls) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(in crate::tls) struct Pair {
    pub(in crate::tls) certificate: String,
    pub(in crate::tls) key: String,
}

impl Authority {
    pub(in crate::tls) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(in crate::tls) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(in crate::tls) fn certify(&self, names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(CertificateParams::new(names).unwrap())
    }

    pub(in crate::tls) fn sign(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Pair {
    pub(in crate::tls) fn tls(&self) -> Tls {
        Tls::pem(&self.certificate, &self.key)
    }
}

/// One side, and the bytes that are on their way to it.
pub(in crate::tls) struct End {
    pub(in crate::tls) cipher: Box<dyn Cipher>,
    pub(in crate::tls) session: Rc<Session>,
    /// What was sent to it and is not taken yet.
    pub(in crate::tls) came: Vec<u8>,
    /// What it was told.
    pub(in crate::tls) heard: Vec<u8>,
    pub(in crate::tls) then: Result<Then, String>,
}

impl End {
    pub(in crate::tls) fn new((cipher, session): (Box<dyn Cipher>, Rc<Session>)) -> Self {
        Self { cipher, session, came: Vec::new(), heard: Vec::new(), then: Ok(Then::More) }
    }

    /// Takes what has come, in pieces of that size, and gives what is to be sent.
    pub(in crate::tls) fn open(&mut self, pieces: usize) -> Vec<u8> {
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

    pub(in crate::tls) fn say(&mut self, what: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(self.cipher.seal(&[IoSlice::new(what)], usize::MAX, &mut out).unwrap(), what.len());
        out
    }
}

/// Two sides of a connection.
pub(in crate::tls) struct Both {
    pub(in crate::tls) client: End,
    pub(in crate::tls) server: End,
}

impl Both {
    pub(in crate::tls) fn new(client: &Connector, host: &str, server: &Acceptor) -> Self {
        Self { client: End::new(client.connect(host).unwrap()), server: End::new(server.accept().unwrap()) }
    }

    /// Goes on until nobody says anything any more.
    pub(in crate::tls) fn shake(mut self, pieces: usize) -> Self {
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
    pub(in crate::tls) fn expect_over(self) -> Self {
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
    pub(in crate::tls) fn talk(&mut self) {
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
pub(in crate::tls) fn trusts(authority: &Authority) -> UpstreamTls {
    UpstreamTls::new().roots_pem(authority.pem())
}

/// A client that speaks these versions only, and may be changed.
pub(in crate::tls) fn speaking(
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

pub(in crate::tls) const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
pub(in crate::tls) const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The names in the certificate that the server shows to a client that asks for `host`, by which of `pairs` it is.
pub(in crate::tls) fn shown(
    acceptor: &Acceptor,
    authority: &Authority,
    host: &str,
    pairs: &[&Pair],
) -> Option<usize> {
    let seen = Arc::new(Seen {
        inner: Trusting::new(provider()),
        certificate: Mutex::default(),
        ocsp: Mutex::default(),
    });
    let client = seeing(&seen, authority);
    Both::new(&client, host, acceptor).shake(100_000);
    let der = seen.certificate.lock().unwrap().take()?;
    pairs.iter().position(|pair| {
        crate::tls::pem::certificates(pair.certificate.as_bytes()).unwrap()[0][..] == der[..]
    })
}

/// A client that remembers what it was shown.
#[derive(Debug)]
pub(in crate::tls) struct Seen {
    pub(in crate::tls) inner: Trusting,
    pub(in crate::tls) certificate: Mutex<Option<Vec<u8>>>,
    pub(in crate::tls) ocsp: Mutex<Vec<u8>>,
}

pub(in crate::tls) fn seeing(seen: &Arc<Seen>, authority: &Authority) -> Connector {
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
