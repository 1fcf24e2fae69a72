//! HAProxy's side for clients: answers of its own, over TLS and HTTP/2, and over HTTP/2 without TLS. It keeps no files.

use std::fs;

use crate::checks::{Peer, checks};
use crate::program::{Program, command, find};
use crate::secure;

mod over_http2 {
    use super::{checks, start_secure};

    checks!(
        start_secure:
        a_head_is_told_what_a_get_would_be,
        one_connection_serves_many_requests,
    );
}

mod without_tls {
    use super::{checks, start_h2c};

    checks!(
        start_h2c:
        a_head_is_told_what_a_get_would_be,
        one_connection_serves_many_requests,
    );
}

fn start_secure() -> Option<Peer> {
    launch("ssl crt both.pem alpn h2").map(Peer::Secure)
}

fn start_h2c() -> Option<Peer> {
    launch("proto h2").map(Peer::H2c)
}

fn launch(bind: &'static str) -> Option<Program> {
    let haproxy = find(&["haproxy"])?;
    Some(Program::start(move |port, folder| {
        secure::leave_in(folder);
        let config = include_str!("scripts/haproxy.cfg").replace("BIND", bind);
        let config = config.replace("PORT", &port.to_string());
        fs::write(folder.join("haproxy.cfg"), config).expect("the folder is there");
        let mut command = command(&haproxy);
        command.args(["-db", "-f", "haproxy.cfg"]).current_dir(folder);
        command
    }))
}
