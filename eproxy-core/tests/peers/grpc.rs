//! The client and the server of gRPC's own library for Python, on both sides of a proxy.

use std::path::PathBuf;
use std::time::Duration;

use eproxy_core::{Health, Probe, Proxy, Server};

use crate::checks::Peer;
use crate::program::{Folder, Program, command, find_with, run};
use crate::secure::{self, NAME, start_secure};
use crate::support::server::nobody;
use crate::support::{Running, eventually, start};

fn find_python() -> Option<PathBuf> {
    find_with(&["python3"], "gRPC for Python", &["-c", "import grpc"])
}

fn launch(kind: &'static str) -> Option<Program> {
    let python = find_python()?;
    Some(Program::start(move |port, folder| {
        secure::leave_in(folder);
        let mut command = command(&python);
        command.args(["-c", include_str!("scripts/grpc_server.py"), &port.to_string(), kind]);
        command.current_dir(folder);
        command
    }))
}

fn plain() -> Option<Peer> {
    launch("plain").map(Peer::H2c)
}

fn over_tls() -> Option<Peer> {
    launch("secure").map(Peer::Secure)
}

/// Has the client make each kind of call.
fn call(server: &Running, kind: &str) {
    let Some(python) = find_python() else { return };
    let folder = Folder::new();
    secure::leave_in(folder.as_path());
    let mut command = command(&python);
    let target = format!("{NAME}:{}", server.address().port());
    command.args(["-c", include_str!("scripts/grpc_client.py"), &target, kind]);
    let said = run(command.current_dir(folder.as_path()));
    assert_eq!(said, "all is well\n");
    eventually("no connection is left", || server.stats().open == 0);
    let stats = server.stats();
    // The client has cancelled two calls. One was over by its deadline, of which client or server may have told first.
    let gone = stats.failure("downstream_gone");
    let failures = stats.failures().map(|(_, number)| number).sum::<u64>();
    assert!(stats.accepted == 1 && failures == gone && gone <= 3, "{stats:?}");
}

#[test]
fn every_kind_of_call_passes_without_tls() {
    let Some(peer) = plain() else { return };
    let server = start(Server::builder().workers(1).at("/*path", Proxy::to(peer.group())));
    call(&server, "plain");
}

#[test]
fn every_kind_of_call_passes_over_tls_on_both_sides() {
    let Some(peer) = over_tls() else { return };
    let server = start_secure(Server::builder().workers(1).at("/*path", Proxy::to(peer.group())));
    call(&server, "secure");
}

#[test]
fn an_endpoint_says_whether_it_is_serving() {
    for peer in [plain, over_tls] {
        for (service, health, trouble) in
            [("", Health::Fit, None), ("nowhere", Health::Down, Some("answered with gRPC status NOT_FOUND"))]
        {
            let Some(peer) = peer() else { return };
            let probe = Probe::grpc_service(service).interval(Duration::from_millis(20));
            let group = peer.group().probe(probe);
            let _server = start(Server::builder().workers(1).at("/*path", Proxy::to(group.clone())));
            // Of an endpoint that is well, it only shows that it stays so.
            eventually("it was asked", || {
                let endpoint = &group.snapshot().endpoints[0];
                (endpoint.health, endpoint.trouble.as_deref()) == (health, trouble)
            });
        }
    }
}

#[test]
fn the_client_understands_what_the_proxy_says_of_failures() {
    let Some(python) = find_python() else { return };
    let server = start(Server::builder().workers(1).at("/*path", Proxy::to(nobody())));
    let mut command = command(&python);
    let target = format!("{NAME}:{}", server.address().port());
    let said = run(command.args(["-c", include_str!("scripts/grpc_failure.py"), &target]));
    assert_eq!(said, "UNAVAILABLE: upstream refused the connection\n");
}

#[test]
fn a_client_of_grpc_web_makes_calls_in_both_formats() {
    const WHAT: &str = "grpc-web for Node";
    let with = ["-e", "require('grpc-web'); require('xhr2')"];
    let Some(node) = find_with(&["node", "nodejs"], WHAT, &with) else { return };
    let Some(peer) = plain() else { return };
    let server = start(Server::builder().workers(1).at("/*path", Proxy::to(peer.group()).grpc_web()));
    let mut command = command(&node);
    let base = format!("http://{}", server.address());
    let said = run(command.args(["-e", include_str!("scripts/grpc_web_client.js"), &base]));
    assert_eq!(said, "all is well\n");
}
