//! Node's HTTP servers: that for HTTP/1.1, and that for HTTP/2, with TLS and without.

use crate::checks::{Peer, checks_each};
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
        a_connection_that_the_server_closes_behind_an_answer_costs_no_request,
        a_client_that_waits_for_leave_gets_it,
        a_client_that_goes_away_leaves_nothing_behind,
    ]
);

fn start() -> Option<Peer> {
    launch(include_str!("scripts/server.js"), "plain").map(Peer::Program)
}

fn start_secure() -> Option<Peer> {
    launch(include_str!("scripts/server_http2.js"), "secure").map(Peer::Secure)
}

fn start_h2c() -> Option<Peer> {
    launch(include_str!("scripts/server_http2.js"), "plain").map(Peer::H2c)
}

fn launch(script: &'static str, kind: &'static str) -> Option<Program> {
    let node = find(&["node", "nodejs"])?;
    Some(Program::start(move |port, folder| {
        secure::leave_in(folder);
        let mut command = command(&node);
        command.args(["-e", script, &port.to_string(), kind]).current_dir(folder);
        command
    }))
}
