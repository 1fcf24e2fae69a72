//! TLS in which clients say who they are, too: a proxy that asks for certificates, and tells its upstream of them. All of it
//! is in this program: authority, upstream, proxy and clients.
//!
//! ```text
//! $ cargo run --example mtls
//! billing: hello, CN=billing
//! billing, by the proxy itself: URI:spiffe://shop.test/billing
//! nobody: 401
//! nobody who says that it is billing: 401
//! a certificate of somebody else's: no answer
//! ```
#![expect(clippy::print_stdout, reason = "tells what it does")]

use eproxy_core::{
    Answer, Client, ClientCertificates, ClientOptions, Handle, Proxy, ProxyRequest, Request, Response,
    Result, Server, Tls, UpstreamTls, surf,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

type Authority = CertifiedIssuer<'static, KeyPair>;

#[async_std::main]
async fn main() -> surf::Result<()> {
    let authority = authority()?;
    let (certificate, key) = certify(&authority, |params| {
        params.subject_alt_names = vec![SanType::DnsName("localhost".try_into()?)];
        Ok(())
    })?;
    // `required_pem` would refuse whoever has no certificate in the handshake; here, a hook does it in words of HTTP.
    let tls =
        Tls::pem(certificate, key).client_certificates(ClientCertificates::optional_pem(authority.pem()));
    let upstream = upstream()?;
    let server = Server::builder()
        .get("/me", |req: Request, res: Response| match req.client_certificate() {
            Some(certificate) => res.send(certificate.sans().join(", ")),
            None => res.status(401).send(""),
        })
        .at("/*path", Proxy::to(format!("http://{}", upstream.addresses()[0])).on_request(known_only))
        .bind_tls("127.0.0.1:0", tls)
        .workers(1)
        .start()?;

    let billing = |params: &mut CertificateParams| {
        params.distinguished_name.push(DnType::CommonName, "billing");
        params.subject_alt_names = vec![SanType::URI("spiffe://shop.test/billing".try_into()?)];
        Ok(())
    };
    let trusting = UpstreamTls::new().roots_pem(authority.pem());
    let (certificate, key) = certify(&authority, billing)?;
    let client = client(trusting.clone().client_certificate_pem(certificate, key));
    println!("billing: {}", client.get(url(&server, "/")).recv_string().await?);
    println!("billing, by the proxy itself: {}", client.get(url(&server, "/me")).recv_string().await?);

    let nobody = self::client(trusting.clone());
    println!("nobody: {}", nobody.send(url(&server, "/")).await?.status());
    // Such fields are taken from whoever sends them.
    let pretending = nobody.get(url(&server, "/")).header("X-Client-Subject", "CN=billing");
    println!("nobody who says that it is billing: {}", pretending.await?.status() as u16);

    let (certificate, key) = certify(&self::authority()?, billing)?;
    let stranger = self::client(trusting.client_certificate_pem(certificate, key));
    let answer = stranger.send(url(&server, "/")).await;
    let said = answer.map_or("no answer".into(), |answer| answer.status().to_string());
    println!("a certificate of somebody else's: {said}");
    Ok(())
}

/// Lets those through who have shown a certificate.
fn known_only(req: &mut ProxyRequest) -> Option<Answer> {
    req.client_certificate().is_none().then(|| Answer::new(401))
}

/// A server that says who the client is, as the proxy has told it.
fn upstream() -> Result<Handle> {
    Server::builder()
        .at("/*path", |req: Request, res: Response| {
            let subject = req.headers().get_str("X-Client-Subject").unwrap_or("nobody").to_owned();
            res.send(format!("hello, {subject}"));
        })
        .bind("127.0.0.1:0")
        .workers(1)
        .start()
}

fn authority() -> surf::Result<Authority> {
    let mut params = CertificateParams::new([])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// A certificate and its key, in PEM.
fn certify(
    authority: &Authority,
    describe: impl FnOnce(&mut CertificateParams) -> surf::Result<()>,
) -> surf::Result<(String, String)> {
    let mut params = CertificateParams::new([])?;
    params.distinguished_name = Default::default();
    describe(&mut params)?;
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, authority)?.pem(), key.serialize_pem()))
}

fn client(tls: UpstreamTls) -> Client {
    Client::with_options(ClientOptions { tls, ..ClientOptions::default() })
}

fn url(server: &Handle, path: &str) -> String {
    format!("https://localhost:{}{path}", server.addresses()[0].port())
}
