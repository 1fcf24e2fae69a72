//! What clients get from a listener that speaks TLS.

use eproxy_core::{Request, Response, Server};
use rustls::ProtocolVersion;

use crate::support::certificates::{VERSIONS, tls};
use crate::support::http2::Http2;
use crate::support::secure::TlsClient;
use crate::support::{Running, get};

fn server() -> Running {
    let builder = Server::builder().workers(1);
    let builder = builder
        .get("/", |_: Request, res: Response| res.send("hello"))
        .get("/scheme", |req: Request, res: Response| res.send(req.scheme().to_owned()));
    Running::new(builder.bind_tls("127.0.0.1:0", tls()))
}

#[test]
fn both_versions_are_spoken() {
    let server = server();
    for version in VERSIONS {
        let mut client = TlsClient::version(version).connect(server.address());
        assert_eq!(client.ask(get("/")).text(), "hello");
        let spoken = client.stream().session().protocol_version();
        assert_eq!(spoken == Some(ProtocolVersion::TLSv1_3), version == VERSIONS[0]);
    }
    assert_eq!(server.stats().tls_handshakes, 2);
}

#[test]
fn the_protocol_inside_is_what_the_client_offers() {
    let server = server();
    for offered in [&["http/1.1"][..], &[]] {
        let mut client = TlsClient::new().alpn(offered).connect(server.address());
        assert_eq!(client.ask(get("/")).text(), "hello");
        assert_eq!(client.stream().session().alpn_protocol(), offered.first().map(|name| name.as_bytes()));
    }
    assert_eq!(Http2::secure(server.address()).get("/").text(), "hello");
    assert_eq!(server.stats().http2_connections, 1);
}
