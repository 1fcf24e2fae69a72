//! Which certificate a client is shown.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::asked::{self, Asked, canonical};
use super::certificate::Certificate;

/// What a client says before it is shown a certificate (RFC 8446 §4.1.2).
#[derive(Clone, Copy, Debug)]
pub struct Hello<'a> {
    server_name: Option<&'a str>,
    alpn: &'a [&'a [u8]],
}

impl Hello<'_> {
    /// The host that it asks for (RFC 6066 §3), in lower case and without a dot at its end; none where it names none.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name
    }

    /// The protocols that it offers to speak (RFC 7301), the one that it likes best first: `h2`, `http/1.1`.
    pub fn alpn(&self) -> impl Iterator<Item = &[u8]> {
        self.alpn.iter().copied()
    }
}

/// Chooses certificates: for names that come and go, or that are too many to be kept at hand.
///
/// It is asked on a worker's thread, once or twice for each connection, and must not wait for anything: what it does not
/// have yet it fetches elsewhere.
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::{Arc, RwLock};
/// use eproxy_core::{Certificate, CertificateResolver, Hello, Tls};
///
/// #[derive(Default)]
/// struct Tenants(RwLock<HashMap<String, Arc<Certificate>>>);
///
/// impl CertificateResolver for Tenants {
///     fn resolve(&self, hello: &Hello<'_>) -> Option<Arc<Certificate>> {
///         self.0.read().ok()?.get(hello.server_name()?).cloned()
///     }
/// }
///
/// let tls = Tls::resolver(Tenants::default());
/// ```
pub trait CertificateResolver: Send + Sync + 'static {
    /// The certificate for a client; none refuses it, with the alert `unrecognized_name`.
    fn resolve(&self, hello: &Hello<'_>) -> Option<Arc<Certificate>>;
}

/// Certificates by the names that they are for.
#[derive(Debug)]
pub(super) struct ByName {
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// What stands behind `*.`.
    wildcard: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// For names that are not known, and for clients that name none.
    default: Option<Arc<CertifiedKey>>,
}

impl ByName {
    /// Of several certificates for one name the first is taken; the first of all is the default, if there is to be one.
    pub(super) fn new(certificates: &[Certificate], has_default: bool) -> Self {
        let default = certificates.first().filter(|_| has_default).map(|first| first.key().clone());
        let mut by_name = Self { exact: HashMap::new(), wildcard: HashMap::new(), default };
        for certificate in certificates {
            for name in certificate.names() {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut by_name.wildcard, parent),
                    None => (&mut by_name.exact, name),
                };
                names.entry(name.into()).or_insert_with(|| certificate.key().clone());
            }
        }
        by_name
    }

    /// The certificate for exactly this name, else one whose `*` stands for its first label (RFC 9525 §6.3), else the
    /// default.
    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let parent = || self.wildcard.get(name.split_once('.')?.1);
            self.exact.get(name).or_else(parent)
        });
        named.or(self.default.as_ref()).cloned()
    }
}

/// Who is asked for a certificate.
pub(super) struct Resolver {
    /// The program; first, if it wants to be.
    own: Option<Arc<dyn CertificateResolver>>,
    by_name: ByName,
}

impl Resolver {
    pub(super) fn new(own: Option<Arc<dyn CertificateResolver>>, by_name: ByName) -> Self {
        Self { own, by_name }
    }

    /// What the program says. A panic of it is a no: there is a connection at stake, and not a worker.
    fn ask(&self, hello: &Hello<'_>) -> Option<Arc<CertifiedKey>> {
        let own = self.own.as_ref()?;
        let asked = catch_unwind(AssertUnwindSafe(|| own.resolve(hello)));
        asked.ok().flatten().map(|certificate| certificate.key().clone())
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("by_name", &self.by_name).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(canonical);
        let alpn: Vec<_> = hello.alpn().into_iter().flatten().collect();
        let told = Hello { server_name: name.as_deref(), alpn: &alpn };
        let found = self.ask(&told).or_else(|| self.by_name.find(name.as_deref()));
        asked::put(Asked { name, is_refused: found.is_none() });
        found
    }
}
