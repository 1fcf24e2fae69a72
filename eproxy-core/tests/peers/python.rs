//! The HTTP server in Python's standard library.

use crate::checks::{Peer, checks};
use crate::program::{Program, command, find};

checks!(
    start:
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
);

fn start() -> Option<Peer> {
    let python = find(&["python3"])?;
    Some(Peer::Program(Program::start(move |port, _| {
        let mut command = command(&python);
        command.args(["-c", include_str!("scripts/server.py"), &port.to_string()]);
        command
    })))
}
