//! The server of async-h1, on async-std.

use async_std::io::{BufReader, Cursor};
use async_std::net::TcpStream;
use eproxy_core::http_types::{Body, Request, Response, Result, StatusCode};

use crate::checks::{Peer, checks, file};
use crate::library::Library;

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
    a_client_that_goes_away_leaves_nothing_behind,
);

pub(crate) fn start() -> Option<Peer> {
    Some(Peer::Library(Library::start(serve)))
}

async fn serve(stream: TcpStream) {
    let port = stream.peer_addr().map_or(0, |address| address.port());
    // How a connection ends is the proxy's business.
    let _end = async_h1::accept(stream, move |request| answer(request, port)).await;
}

async fn answer(mut request: Request, port: u16) -> Result<Response> {
    const TAG: &str = "\"the file\"";
    let mut response = Response::new(StatusCode::Ok);
    match request.url().path() {
        "/hello" => response.set_body("hello"),
        "/echo" => response.set_body(request.body_bytes().await?),
        "/none" => response.set_status(StatusCode::NoContent),
        "/file" => {
            response.insert_header("ETag", TAG);
            if request.header("If-None-Match").is_some_and(|tags| tags.as_str() == TAG) {
                response.set_status(StatusCode::NotModified);
            } else {
                response.set_body(file());
            }
        }
        "/chunked" => response.set_body(Body::from_reader(BufReader::new(Cursor::new(file())), None)),
        "/port" => response.set_body(port.to_string()),
        _ => response.set_status(StatusCode::NotFound),
    }
    Ok(response)
}
