//! Clients that speak TLS, through rustls over blocking sockets of the standard library.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};

use super::certificates::{Authority, Pair, VERSIONS, authority, provider};
use super::wire::{Connection, PATIENCE};

/// How a client speaks TLS: unless it is told otherwise it trusts the tests' authority, asks for `test`, offers no protocol
/// and keeps no sessions.
#[derive(Clone)]
pub(crate) struct TlsClient {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TlsClient {
    pub(crate) fn new() -> Self {
        Self::of(&VERSIONS, None)
    }

    /// One that speaks this version only.
    pub(crate) fn version(version: &'static SupportedProtocolVersion) -> Self {
        Self::of(&[version], None)
    }

    /// One that shows a certificate to whom asks for it.
    pub(crate) fn showing(pair: &Pair) -> Self {
        Self::of(&VERSIONS, Some(pair))
    }

    pub(crate) fn of(versions: &[&'static SupportedProtocolVersion], shown: Option<&Pair>) -> Self {
        Self::trusting(authority(), versions, shown)
    }

    pub(crate) fn trusting(
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
        shown: Option<&Pair>,
    ) -> Self {
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions);
        let builder =
            builder.expect("versions that the provider has").with_root_certificates(authority.roots());
        let mut config = match shown {
            Some(pair) => builder
                .with_client_auth_cert(pair.chain(), pair.private_key())
                .expect("a certificate and its key"),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Self { config: Arc::new(config), name: name("test") }
    }

    /// One that wants to see whatever it is shown.
    pub(crate) fn trusting_anybody() -> Self {
        Self::new().change(|config| config.dangerous().set_certificate_verifier(Arc::new(Anybody)))
    }

    fn change(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }

    /// Offers these protocols.
    pub(crate) fn alpn(self, offered: &[&str]) -> Self {
        let offered = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        self.change(|config| config.alpn_protocols = offered)
    }

    /// Asks for this name.
    pub(crate) fn ask_for(mut self, host: &str) -> Self {
        self.name = name(host);
        self
    }

    /// Asks for no name, though it wants the certificate to be for one.
    pub(crate) fn without_sni(self) -> Self {
        self.change(|config| config.enable_sni = false)
    }

    /// Keeps sessions, to go on with them in later connections.
    pub(crate) fn resuming(self) -> Self {
        self.change(|config| config.resumption = Resumption::in_memory_sessions(16))
    }

    /// The client's side of a connection that begins.
    pub(crate) fn begin(&self) -> ClientConnection {
        ClientConnection::new(self.config.clone(), self.name.clone()).expect("what is offered can be offered")
    }

    /// Connects, and shakes hands.
    pub(crate) fn connect(&self, address: SocketAddr) -> Connection<Secure> {
        Connection::over(self.try_connect(address).expect("the handshake comes to its end"))
    }

    /// Connects, and tries to shake hands.
    pub(crate) fn try_connect(&self, address: SocketAddr) -> io::Result<Secure> {
        self.over(socket(address))
    }

    /// Shakes hands over a connection.
    pub(crate) fn over(&self, socket: TcpStream) -> io::Result<Secure> {
        let mut secure = Secure { inner: StreamOwned::new(self.begin(), socket), said_goodbye: false };
        while secure.inner.conn.is_handshaking() {
            secure.inner.conn.complete_io(&mut secure.inner.sock)?;
        }
        Ok(secure)
    }
}

/// Takes every certificate, though not from those who do not have its key.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A plain connection that is bounded in time.
pub(crate) fn socket(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, PATIENCE).expect("the server takes connections");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    socket.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
    socket.set_nodelay(true).expect("an option can be set");
    socket
}

fn name(host: &str) -> ServerName<'static> {
    ServerName::try_from(host.to_owned()).expect("the name of a host")
}

/// A stream that wears TLS.
pub(crate) struct Secure {
    inner: StreamOwned<ClientConnection, TcpStream>,
    said_goodbye: bool,
}

impl Secure {
    pub(crate) fn session(&self) -> &ClientConnection {
        &self.inner.conn
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.inner.sock
    }

    /// Whether the session is one that was begun earlier.
    pub(crate) fn is_resumed(&self) -> bool {
        self.inner.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

impl Read for Secure {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let StreamOwned { conn, sock } = &mut self.inner;
        loop {
            match conn.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Rustls says so only where the peer has: otherwise it is an error.
                Ok(0) if !into.is_empty() => {
                    self.said_goodbye = true;
                    return Ok(0);
                }
                read => return read,
            }
            // What can't be sent any more must not keep it from reading what came before.
            while conn.wants_write() && conn.write_tls(sock).is_ok_and(|n| n > 0) {}
            conn.read_tls(sock)?;
            conn.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }
}

impl Write for Secure {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.inner.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Connection<Secure> {
    /// Says that nothing more will be sent, inside TLS; the socket stays as it is.
    pub(crate) fn say_goodbye(&mut self) {
        let inner = &mut self.stream().inner;
        inner.conn.send_close_notify();
        while inner.conn.wants_write() {
            inner.conn.write_tls(&mut inner.sock).expect("the server reads");
        }
    }

    /// Says that nothing more will be sent, and ends that direction of the socket.
    pub(crate) fn finish_secure(&mut self) {
        self.say_goodbye();
        self.stream().socket().shutdown(Shutdown::Write).expect("the connection is there");
    }

    /// Asserts that the connection ends without another byte, and that this is how the server wants it.
    pub(crate) fn is_closed_with_goodbye(&mut self) {
        self.is_closed();
        assert!(self.has_heard_goodbye(), "the connection was cut off");
    }

    /// Whether the server has said that it will send nothing more.
    pub(crate) fn has_heard_goodbye(&mut self) -> bool {
        self.stream().said_goodbye
    }
}
