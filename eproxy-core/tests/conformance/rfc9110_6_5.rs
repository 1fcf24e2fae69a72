//! RFC 9110 §6.5, Trailer Fields: they stay apart from the headers, and some are never taken.

use crate::table::{Mirror, post_with, seen};

#[test]
fn trailers_are_passed_on_apart_from_the_headers() {
    let coded = "5\r\nhello\r\n0\r\nX-See: 1\r\nX-Sum: 2\r\nHost: evil\r\nContent-Length: 99\r\nAuthorization: x\r\n\
                 Transfer-Encoding: gzip\r\nCookie: evil=1\r\n\r\n";
    let request = post_with("Trailer: X-See, X-Sum\r\nTransfer-Encoding: chunked\r\n", coded);
    Mirror::start().check(&[("allowed and not", request, seen("POST / [] hello {X-See: 1} {X-Sum: 2}"))]);
}
