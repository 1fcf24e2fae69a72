//! Caddy: Go's server; over HTTP/1.1, over TLS and HTTP/2, and over HTTP/2 without TLS.

use std::fs;

use crate::checks::{Peer, checks_each, file};
use crate::program::{Program, command, find};
use crate::secure;

checks_each!(
    [over_http1: start, over_http2: start_secure, without_tls: start_h2c]
    [
        a_head_is_told_what_a_get_would_be,
        a_body_arrives_with_a_length_as_well_as_in_chunks,
        answers_without_a_body_leave_the_connection_usable,
        an_answer_in_chunks_comes_whole,
        a_megabyte_comes_down,
        a_megabyte_goes_up_and_comes_down_again,
        one_connection_serves_many_requests,
        requests_in_a_row_are_answered_in_their_order,
        a_connection_that_the_server_has_closed_costs_no_request,
        a_client_that_waits_for_leave_gets_it,
        a_part_of_a_file_is_that_part,
        a_client_that_goes_away_leaves_nothing_behind,
    ]
);

fn start() -> Option<Peer> {
    launch("h1", "http://:PORT", "").map(Peer::Program)
}

fn start_secure() -> Option<Peer> {
    launch("h1 h2", "https://:PORT", "tls cert.pem key.pem").map(Peer::Secure)
}

fn start_h2c() -> Option<Peer> {
    launch("h1 h2c", "http://:PORT", "").map(Peer::H2c)
}

fn launch(protocols: &'static str, site: &'static str, tls: &'static str) -> Option<Program> {
    let caddy = find(&["caddy"])?;
    Some(Program::start(move |port, folder| {
        fs::write(folder.join("file"), file()).expect("the folder is there");
        secure::leave_in(folder);
        let config = include_str!("scripts/Caddyfile").replace("PROTOCOLS", protocols);
        let config = config.replace("SITE", site).replace("TLS", tls).replace("PORT", &port.to_string());
        fs::write(folder.join("Caddyfile"), config).expect("the folder is there");
        let mut command = command(&caddy);
        command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]).current_dir(folder);
        for home in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(home, folder);
        }
        command
    }))
}
