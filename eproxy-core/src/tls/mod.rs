//! TLS, by rustls: certificates, whom to trust, and what stands between a stream and its socket.
//!
//! This room never opens a socket: it is given bytes, and gives bytes.
//!
//! | file | what is in it |
//! |---|---|
//! | `options.rs` | [`Tls`]: what a listener can be told |
//! | `acceptor.rs` | the server's side, with certificates that change |
//! | `upstream.rs` | [`UpstreamTls`]: what a connection to a server can be told |
//! | `connector.rs` | the client's side |
//! | `cipher.rs`, `side.rs`, `records.rs` | bytes in, bytes out; which side it is; records and their room |
//! | `session.rs`, `asked.rs` | what is known of a connection; the name that its client asks for |
//! | `certificate.rs`, `pem.rs`, `text.rs` | [`Certificate`]; PEM; files, and whether they have changed |
//! | `resolver.rs` | [`CertificateResolver`]: which certificate a client is shown |
//! | `client_certificates.rs`, `client_certificate.rs` | [`ClientCertificates`] that are asked for; a [`ClientCertificate`] that was shown |
//! | `roots.rs`, `trusting.rs` | whom to trust; everybody |
//! | `provider.rs`, `version.rs`, `words.rs` | who does the cryptography; [`TlsVersion`]; what went wrong, in words |

mod acceptor;
mod asked;
mod certificate;
mod cipher;
mod client_certificate;
mod client_certificates;
mod connector;
mod options;
mod pem;
mod provider;
mod records;
mod resolver;
mod roots;
mod session;
mod side;
#[cfg(test)]
mod tests;
mod text;
mod trusting;
mod upstream;
mod version;
mod words;

pub(crate) use acceptor::{Acceptor, News};
pub use certificate::Certificate;
pub use client_certificate::ClientCertificate;
pub use client_certificates::ClientCertificates;
pub(crate) use connector::{Connector, failed};
pub use options::Tls;
pub use resolver::{CertificateResolver, Hello};
pub use session::TlsSession;
pub(crate) use session::{Alpn, Session};
pub use upstream::UpstreamTls;
pub use version::TlsVersion;
