//! nginx: files, ranges, and bodies that are put; over HTTP/1.1, and over TLS and HTTP/2.

use std::fs;
use std::path::Path;

use crate::checks::{Peer, checks, file};
use crate::program::{Program, command, find};
use crate::secure;

checks!(
    start:
    a_head_is_told_what_a_get_would_be,
    a_body_arrives_with_a_length_as_well_as_in_chunks,
    answers_without_a_body_leave_the_connection_usable,
    an_answer_in_chunks_comes_whole,
    a_megabyte_comes_down,
    a_megabyte_that_was_put_there_is_there,
    one_connection_serves_many_requests,
    requests_in_a_row_are_answered_in_their_order,
    a_connection_that_the_server_has_closed_costs_no_request,
    a_client_that_waits_for_leave_gets_it,
    a_part_of_a_file_is_that_part,
    a_client_that_goes_away_leaves_nothing_behind,
);

mod over_http2 {
    use super::{checks, start_secure};

    checks!(
        start_secure:
        a_head_is_told_what_a_get_would_be,
        a_body_arrives_with_a_length_as_well_as_in_chunks,
        answers_without_a_body_leave_the_connection_usable,
        an_answer_in_chunks_comes_whole,
        a_megabyte_comes_down,
        a_megabyte_that_was_put_there_is_there,
        one_connection_serves_many_requests,
        requests_in_a_row_are_answered_in_their_order,
        a_connection_that_the_server_has_closed_costs_no_request,
        a_part_of_a_file_is_that_part,
        a_client_that_goes_away_leaves_nothing_behind,
    );
}

fn start() -> Option<Peer> {
    let (listen, itself) = ("listen 127.0.0.1:PORT;", "127.0.0.1:PORT");
    launch(listen, itself).map(Peer::Program)
}

fn start_secure() -> Option<Peer> {
    // It asks itself without TLS, over a socket.
    let itself = "unix:FOLDER/itself:";
    let listen = "listen 127.0.0.1:PORT ssl http2; listen unix:FOLDER/itself; \
                  ssl_certificate cert.pem; ssl_certificate_key key.pem;";
    launch(listen, itself).map(Peer::Secure)
}

fn launch(listen: &'static str, itself: &'static str) -> Option<Program> {
    let nginx = find(&["nginx"])?;
    Some(Program::start(move |port, folder: &Path| {
        fs::write(folder.join("file"), file()).expect("the folder is there");
        secure::leave_in(folder);
        // Left by one that was ended.
        let _none = fs::remove_file(folder.join("itself"));
        let config = include_str!("scripts/nginx.conf").replace("LISTEN;", listen).replace("ITSELF", itself);
        let config = config.replace("PORT", &port.to_string()).replace("FOLDER", &folder.to_string_lossy());
        fs::write(folder.join("nginx.conf"), config).expect("the folder is there");
        let mut command = command(&nginx);
        command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "stderr"]);
        command
    }))
}
