//! Both sides of TLS, with nothing but memory in between.

use std::io::IoSlice;
use std::rc::Rc;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::driver::{Cipher, Opened, Sink, Then};

use super::{Acceptor, Alpn, Connector, Session, Tls, UpstreamTls};

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

    pub(super) fn is_over(&self) -> bool {
        !self.client.cipher.is_shaking() && !self.server.cipher.is_shaking()
    }
}

#[test]
fn two_sides_agree_and_talk() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    let client = UpstreamTls::new().roots_pem(authority.pem()).connector().unwrap();
    for pieces in [1, 7, 100_000] {
        let mut both = Both::new(&client, "shop.test", &server).shake(pieces);
        assert!(both.is_over(), "{:?} {:?}", both.client.then, both.server.then);
        assert_eq!(both.server.session.server_name(), Some("shop.test"));
        assert_eq!(both.server.session.alpn(), Some(Alpn::Http2));
        let said = both.client.say(b"hello");
        both.server.came.extend(said);
        let answer = both.server.open(pieces);
        assert_eq!((answer.len(), &both.server.heard[..]), (0, &b"hello"[..]));
    }
}
