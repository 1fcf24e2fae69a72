//! Caddy: Go's server.

use std::fs;

use crate::checks::{Peer, checks, file};
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
    a_client_that_waits_for_leave_gets_it,
    a_part_of_a_file_is_that_part,
    a_client_that_goes_away_leaves_nothing_behind,
);

fn start() -> Option<Peer> {
    let caddy = find(&["caddy"])?;
    Some(Peer::Program(Program::start(move |port, folder| {
        fs::write(folder.join("file"), file()).expect("the folder is there");
        let config = include_str!("scripts/Caddyfile").replace("PORT", &port.to_string());
        fs::write(folder.join("Caddyfile"), config).expect("the folder is there");
        let mut command = command(&caddy);
        command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]).current_dir(folder);
        for home in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(home, folder);
        }
        command
    })))
}
