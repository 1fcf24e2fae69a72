//! RFC 9110 §10.1.4, TE: a field of one connection, of which an upstream learns only what is true of ours.

use crate::table::get_with;

use super::table::{check, passed};

#[test]
fn an_upstream_learns_that_trailers_will_do_and_nothing_else() {
    // Trailers are passed on, codings are not understood.
    let will_do = || passed("GET / [Host: test|Connection: TE|TE: trailers] ");
    let nothing = || passed("GET / [Host: test] ");
    check(&[
        ("trailers", get_with("Connection: TE\r\nTE: trailers\r\n"), will_do()),
        ("in a list", get_with("Connection: TE, close-not\r\nTE: deflate;q=0.5, Trailers\r\n"), will_do()),
        ("on a second line", get_with("Connection: TE\r\nTE: gzip\r\nTE: trailers\r\n"), will_do()),
        ("not named by Connection", get_with("TE: trailers\r\n"), will_do()),
        ("codings", get_with("Connection: TE\r\nTE: gzip, deflate;q=0.5\r\n"), nothing()),
        ("chunked", get_with("Connection: TE\r\nTE: chunked\r\n"), nothing()),
        ("nothing", get_with("Connection: TE\r\nTE:\r\n"), nothing()),
        ("only like it", get_with("Connection: TE\r\nTE: xtrailers\r\n"), nothing()),
    ]);
}
