//! How this program speaks TLS as a client: one version, one cipher suite, one group, so that all contenders do the same
//! work.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme, StreamOwned, version};

use crate::identity::{Authority, NAME};
use crate::{Outcome, probe};

/// A connection that waits for its bytes.
pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A client that looks at everything: chain, name, signature. It never resumes a session.
pub(crate) fn careful(authority: &Authority) -> Outcome<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.root()).map_err(cannot)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()));
    let builder = builder.with_protocol_versions(&[&version::TLS13]).map_err(cannot)?;
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(finish(config, Resumption::disabled())))
}

/// A client that only compares the certificate: what makes thousands of handshakes a second shall not be the slower side.
pub(crate) fn quick(
    certificate: &CertificateDer<'static>,
    resumption: Resumption,
) -> Outcome<Arc<ClientConfig>> {
    let provider = Arc::new(provider());
    let verifier = Comparison {
        expected: certificate.clone(),
        schemes: provider.signature_verification_algorithms.supported_schemes(),
    };
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&version::TLS13]).map_err(cannot)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(Arc::new(finish(builder.with_no_client_auth(), resumption)))
}

/// Connects and shakes hands.
pub(crate) fn open(port: u16, config: &Arc<ClientConfig>) -> io::Result<Stream> {
    let connection = connection(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, probe::connect(port)?);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// A connection that has said nothing yet.
pub(crate) fn connection(config: &Arc<ClientConfig>) -> Outcome<ClientConnection> {
    let name = ServerName::try_from(NAME).expect("the name is one");
    ClientConnection::new(Arc::clone(config), name).map_err(cannot)
}

/// TLS 1.3 with AES-128-GCM and X25519, which all of the contenders have; no group for after quantum computers, which only
/// some have.
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    }
}

fn finish(mut config: ClientConfig, resumption: Resumption) -> ClientConfig {
    config.resumption = resumption;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn cannot(err: Error) -> String {
    format!("TLS can't be spoken: {err}")
}

/// Trusts the certificate that it knows, and whoever has it.
#[derive(Debug)]
struct Comparison {
    expected: CertificateDer<'static>,
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for Comparison {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match *end_entity == self.expected {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::General("the certificate is another one".to_owned())),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("nobody asked for TLS 1.2".to_owned()))
    }

    /// Not looked at: [`careful`] has done it, before anything is timed.
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
