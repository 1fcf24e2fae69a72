//! Other people's clients that speak TLS and HTTP/2, in front of the server of async-h1.

use std::fs;
use std::path::Path;
use std::process::Command;

use eproxy_core::{Proxy, Server};

use crate::async_h1;
use crate::checks::{Peer, file};
use crate::program::{Folder, Program, command, find, find_with, run};
use crate::secure::{self, NAME, start_secure};
use crate::support::{Connection, Running, eventually, get, post};

/// A server, a proxy in front of it that speaks TLS, and a folder with what its clients must know.
struct Site {
    _peer: Peer,
    server: Running,
    folder: Folder,
    base: String,
}

impl Site {
    fn secure() -> Self {
        let peer = async_h1::start().expect("a library is always there");
        let server = start_secure(Server::builder().workers(1).at("/*path", Proxy::to(peer.group())));
        let base = format!("https://{NAME}:{}", server.address().port());
        Self::new(peer, server, base)
    }

    fn plain() -> Self {
        let peer = async_h1::start().expect("a library is always there");
        let server = peer.proxied();
        let base = format!("http://{}", server.address());
        Self::new(peer, server, base)
    }

    fn new(peer: Peer, server: Running, base: String) -> Self {
        let folder = Folder::new();
        secure::leave_in(folder.as_path());
        fs::write(folder.path("file"), file()).expect("the folder is there");
        Self { _peer: peer, server, folder, base }
    }

    fn port(&self) -> String {
        self.server.address().port().to_string()
    }

    fn url(&self, target: &str) -> String {
        format!("{}{target}", self.base)
    }

    /// A command that runs in the folder.
    fn command(&self, program: &Path) -> Command {
        let mut command = command(program);
        command.current_dir(self.folder.as_path());
        command
    }

    fn curl(&self) -> Option<Command> {
        let curl = find_with(&["curl"], "curl with HTTP/2", &["--http2", "--version"])?;
        let mut command = self.command(&curl);
        command.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--ipv4"]);
        command.args(["--cacert", "root.pem"]);
        Some(command)
    }

    /// How many connections the clients have made, and how many streams there were on them.
    fn connections_and_streams(&self) -> (u64, u64) {
        let stats = self.server.stats();
        (stats.accepted, stats.http2_streams)
    }
}

#[test]
fn curl_asks_again_and_again_on_one_connection() {
    let site = Site::secure();
    let Some(mut curl) = site.curl() else { return };
    curl.args(["--http2", "--write-out", " %{http_code} %{http_version} %{num_connects}\\n"]);
    let said = run(curl.args(["/hello", "/none", "/hello"].map(|target| site.url(target))));
    assert_eq!(said, "hello 200 2 1\n 204 2 0\nhello 200 2 0\n");
    assert_eq!(site.connections_and_streams(), (1, 3));
}

#[test]
fn curl_speaks_either_version_of_tls_with_either_version_of_http() {
    for (version, most) in [("--tlsv1.2", "1.2"), ("--tlsv1.3", "1.3")] {
        for (http, spoken) in [("--http2", "2"), ("--http1.1", "1.1")] {
            let site = Site::secure();
            let Some(mut curl) = site.curl() else { return };
            curl.args([version, "--tls-max", most, http, "--write-out", " %{http_version}"]);
            assert_eq!(run(curl.arg(site.url("/hello"))), format!("hello {spoken}"), "{version} {http}");
        }
    }
}

#[test]
fn curl_knows_beforehand_that_http2_is_spoken() {
    let site = Site::plain();
    let Some(mut curl) = site.curl() else { return };
    // Once: curl 7.88 can't use such a connection again, whoever the server is.
    curl.args(["--http2-prior-knowledge", "--write-out", " %{http_version}"]);
    assert_eq!(run(curl.arg(site.url("/hello"))), "hello 2");
    assert_eq!(site.connections_and_streams(), (1, 1));
}

/// Asking for HTTP/2 by Upgrade is no more (RFC 9113 §3.1): the question is not understood, and nothing else happens.
#[test]
fn curl_that_asks_for_http2_by_upgrade_gets_http_1() {
    let site = Site::plain();
    let Some(mut curl) = site.curl() else { return };
    curl.args(["--http2", "--write-out", " %{http_version}"]);
    assert_eq!(run(curl.arg(site.url("/hello"))), "hello 1.1");
}

#[test]
fn curl_sends_and_gets_a_megabyte() {
    let site = Site::secure();
    for field in ["Content-Type: text/plain", "Content-Length:"] {
        let Some(mut curl) = site.curl() else { return };
        // The second tells no length.
        curl.args(["--http2", "--header", field, "--data-binary", "@file"]);
        let said = run(curl.arg(site.url("/echo")));
        assert!(said.as_bytes() == file(), "{field}: {} bytes", said.len());
    }
    let Some(mut curl) = site.curl() else { return };
    let said = run(curl.arg("--http2").arg(site.url("/chunked")));
    assert!(said.as_bytes() == file(), "{} bytes", said.len());
}

#[test]
fn curl_takes_a_head_without_waiting_for_a_body() {
    let site = Site::secure();
    let Some(mut curl) = site.curl() else { return };
    let said = run(curl.args(["--http2", "--head"]).args([site.url("/hello"), site.url("/hello")]));
    assert_eq!(said.matches("HTTP/2 200 \r\n").count(), 2, "{said}");
    assert_eq!(said.matches("content-length: 5\r\n").count(), 2, "{said}");
}

#[test]
fn nghttp_asks_for_many_at_once() {
    let site = Site::secure();
    let Some(nghttp) = find(&["nghttp"]) else { return };
    let mut command = site.command(&nghttp);
    let said = run(command.args(["--no-verify-peer", "--multiply", "30"]).arg(site.url("/hello")));
    assert_eq!(said, "hello".repeat(30));
    assert_eq!(site.connections_and_streams(), (1, 30));
}

#[test]
fn nghttp_sends_a_body_with_and_without_trailers() {
    let site = Site::secure();
    let Some(nghttp) = find(&["nghttp"]) else { return };
    for more in [&[][..], &["--trailer", "x-trailer: 1"], &["--no-content-length"]] {
        let mut command = site.command(&nghttp);
        command.args(["--no-verify-peer", "--data", "file"]).args(more);
        let said = run(command.arg(site.url("/echo")));
        assert!(said.as_bytes() == file(), "{more:?}: {} bytes", said.len());
    }
}

#[test]
fn nghttp_takes_little_at_a_time() {
    let site = Site::plain();
    let Some(nghttp) = find(&["nghttp"]) else { return };
    let mut command = site.command(&nghttp);
    // Windows of 1023 bytes for a stream, and of 2047 for all of them.
    command.args(["--window-bits", "10", "--connection-window-bits", "11"]);
    let said = run(command.arg(site.url("/file")));
    assert!(said.as_bytes() == file(), "{} bytes", said.len());
}

#[test]
fn h2load_gets_an_answer_to_every_request() {
    for site in [Site::secure(), Site::plain()] {
        let Some(h2load) = find(&["h2load"]) else { return };
        let mut command = site.command(&h2load);
        command.args(["--requests", "600", "--clients", "3", "--max-concurrent-streams", "20"]);
        let said = run(command.arg(site.url("/hello")));
        assert!(
            said.contains("600 succeeded, 0 failed, 0 errored, 0 timeout"),
            "{said}{:?}",
            site.server.stats()
        );
    }
}

#[test]
fn a_client_of_nodes_has_many_streams_and_cancels_some() {
    for site in [Site::secure(), Site::plain()] {
        let Some(node) = find(&["node", "nodejs"]) else { return };
        let mut command = site.command(&node);
        command.args(["-e", include_str!("scripts/client_http2.js"), &site.base]);
        assert_eq!(run(&mut command), "all is well\n");
        assert_eq!(site.server.stats().accepted, 1, "{}", site.base);
        eventually("nothing is left", || site.server.stats().open == 0);
    }
}

#[test]
fn a_client_of_pythons_keeps_its_connection() {
    for site in [Site::secure(), Site::plain()] {
        let what = "httpx for Python with HTTP/2";
        let Some(python) = find_with(&["python3"], what, &["-c", "import httpx, h2"]) else { return };
        let mut command = site.command(&python);
        command.args(["-c", include_str!("scripts/client_http2.py"), &site.base]);
        assert_eq!(run(&mut command), "all is well\n");
        assert_eq!(site.server.stats().accepted, 1, "{}", site.base);
    }
}

#[test]
fn openssl_agrees_on_what_is_spoken_and_trusts_the_certificate() {
    let site = Site::secure();
    let Some(openssl) = find(&["openssl"]) else { return };
    let address = format!("127.0.0.1:{}", site.port());
    for (version, spoken) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        for protocol in ["h2", "http/1.1"] {
            let mut command = site.command(&openssl);
            command.args(["s_client", "-connect", &address, "-servername", NAME, "-verify_return_error"]);
            command.args(["-CAfile", "root.pem", "-verify_hostname", NAME, "-alpn", protocol, version]);
            let said = run(&mut command);
            for words in [
                &format!("ALPN protocol: {protocol}\n"),
                &format!("New, {spoken}, Cipher is "),
                "Verify return code: 0 (ok)",
            ] {
                assert!(said.contains(words), "{words}: {said}");
            }
        }
    }
}

/// HAProxy in front of the proxy, as it often is.
#[test]
fn haproxy_passes_requests_on_in_http2() {
    for (site, server) in [
        (
            Site::secure(),
            format!("ssl verify required ca-file root.pem sni str({NAME}) verifyhost {NAME} alpn h2"),
        ),
        (Site::plain(), "proto h2".to_owned()),
    ] {
        let Some(haproxy) = find(&["haproxy"]) else { return };
        let upstream = site.port();
        let front = Program::start(move |port, folder| {
            secure::leave_in(folder);
            let config = include_str!("scripts/haproxy_client.cfg").replace("UPSTREAM", &upstream);
            let config = config.replace("PORT", &port.to_string()).replace("SERVER", &server);
            fs::write(folder.join("haproxy.cfg"), config).expect("the folder is there");
            let mut command = command(&haproxy);
            command.args(["-db", "-f", "haproxy.cfg"]).current_dir(folder);
            command
        });
        let mut client = Connection::to(front.address());
        for _ in 0..3 {
            assert_eq!(client.ask(get("/hello")).text(), "hello");
            let reply = client.ask(get("/file"));
            assert!(reply.body == file(), "{} bytes", reply.body.len());
            let reply = client.ask(post("/echo", "some text"));
            assert_eq!(reply.text(), "some text");
        }
        assert!(site.server.stats().http2_streams >= 9);
    }
}
