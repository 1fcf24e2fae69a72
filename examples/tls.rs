//! TLS: a server whose certificate is in files, and is renewed while it runs. The program is its own client, and its own
//! authority: one that is made for it, and that nobody else trusts.
//!
//! ```text
//! $ cargo run --example tls
//! you asked for localhost by https, in Tls13, with keys by X25519MLKEM768
//! again: you asked for localhost by https, in Tls13, with keys by X25519MLKEM768
//! the certificate was replaced by one of another authority
//! a client that trusts the new one: you asked for localhost by https, in Tls13, with keys by X25519MLKEM768
//! a client that trusts the old one: tls_handshake
//! a file that is broken: invalid option, and everything stays as it was
//! ```
#![expect(clippy::print_stdout, reason = "tells what it does")]

use std::fs;
use std::path::Path;

use eproxy_core::{Client, ClientOptions, Handle, Request, Response, Server, Tls, UpstreamTls, surf};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

#[async_std::main]
async fn main() -> surf::Result<()> {
    let folder = std::env::temp_dir().join(format!("eproxy-example-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let told = tell(&folder).await;
    fs::remove_dir_all(&folder)?;
    told
}

async fn tell(folder: &Path) -> surf::Result<()> {
    let old = certify(folder)?;
    let server = Server::builder()
        .get("/", |req: Request, res: Response| match req.tls() {
            Some(tls) => res.send(format!(
                "you asked for {} by {}, in {:?}, with keys by {}",
                tls.server_name().unwrap_or("nobody"),
                req.scheme(),
                tls.version(),
                tls.key_exchange().unwrap_or("somebody"),
            )),
            None => res.send("you speak no TLS"),
        })
        // Several certificates may be named: clients get the one for the name that they ask for.
        .bind_tls("127.0.0.1:0", Tls::files(folder.join("cert.pem"), folder.join("key.pem")))
        .workers(1)
        .start()?;

    let client = trusting(&old);
    println!("{}", client.get(url(&server)).recv_string().await?);
    // The connection that it has is used again; a new one would go on with the session.
    println!("again: {}", client.get(url(&server)).recv_string().await?);

    // Files are looked at every two seconds by themselves. Connections that are there stay.
    let new = certify(folder)?;
    server.reload_certificates().await?;
    println!("the certificate was replaced by one of another authority");
    let said = trusting(&new).get(url(&server)).recv_string().await?;
    println!("a client that trusts the new one: {said}");
    let refused = trusting(&old).send(url(&server)).await.err();
    println!("a client that trusts the old one: {}", refused.map_or("no error", |error| error.name()));

    fs::write(folder.join("key.pem"), "no key at all")?;
    let wrong = server.reload_certificates().await.err().map(|error| error.to_string());
    let wrong = wrong.as_deref().and_then(|wrong| wrong.split(':').next()).unwrap_or("nothing is wrong");
    trusting(&new).get(url(&server)).recv_string().await?;
    println!("a file that is broken: {wrong}, and everything stays as it was");
    Ok(())
}

/// Leaves a certificate for `localhost` and its key in a folder; gives the root that vouches for it, in PEM.
fn certify(folder: &Path) -> surf::Result<String> {
    let mut params = CertificateParams::new([])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &authority)?;
    fs::write(folder.join("cert.pem"), certificate.pem())?;
    fs::write(folder.join("key.pem"), key.serialize_pem())?;
    Ok(authority.pem())
}

/// A client that trusts nobody else.
fn trusting(root: &str) -> Client {
    Client::with_options(ClientOptions {
        tls: UpstreamTls::new().roots_pem(root),
        ..ClientOptions::default()
    })
}

fn url(server: &Handle) -> String {
    format!("https://localhost:{}/", server.addresses()[0].port())
}
