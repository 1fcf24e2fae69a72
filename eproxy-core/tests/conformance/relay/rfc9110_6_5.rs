//! RFC 9110 §6.5, Trailer Fields, in both directions: they are passed on apart from the headers, and those that would mean
//! something else there are left out (§6.5.1).

use crate::table::post_with;

use super::table::{check, got, passed, stays, tell};

/// A trailer section with fields that may stand in one and fields that may not.
const SECTION: &str = "X-Sum: 1\r\nHost: evil\r\nx-two:  2 \r\nContent-Length: 99\r\nAuthorization: x\r\n\
                       Transfer-Encoding: gzip\r\nCookie: evil=1\r\nSet-Cookie: evil=1\r\nContent-Type: text/evil\r\n\
                       Connection: close\r\nX-Sum: 3\r\n";

#[test]
fn trailers_of_a_request_are_passed_on_apart_from_the_headers() {
    let coded = |section: &str| format!("5\r\nhello\r\n0\r\n{section}\r\n");
    let start = "POST / [Host: test|Trailer: X-Sum|Transfer-Encoding: chunked] hello";
    let request =
        |section: &str| post_with("Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n", &coded(section));
    check(&[
        ("one", request("X-Sum: 1\r\n"), passed(format!("{start} {{X-Sum: 1}}"))),
        ("none", request(""), passed(start)),
        (
            "allowed and not",
            request(SECTION),
            passed(format!("{start} {{X-Sum: 1}} {{x-two: 2}} {{X-Sum: 3}}")),
        ),
        (
            "unannounced",
            post_with("Transfer-Encoding: chunked\r\n", &coded("X-Sum: caf\u{e9}\r\n")),
            passed("POST / [Host: test|Transfer-Encoding: chunked] hello {X-Sum: caf\u{e9}}"),
        ),
        // §6.6.2: nothing follows a body of a known length.
        (
            "announced where there can be none",
            post_with("Trailer: X-Sum\r\nContent-Length: 5\r\n", "hello"),
            passed("POST / [Host: test|Content-Length: 5] hello"),
        ),
    ]);
}

#[test]
fn trailers_of_an_answer_are_passed_on_apart_from_the_headers() {
    let answer = |section: &str| {
        stays(&format!(
            "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n{section}\r\n"
        ))
    };
    let start = "200 OK [Trailer: X-Sum|Transfer-Encoding: chunked] hello";
    tell(&[
        ("one", answer("X-Sum: 1\r\n"), got(format!("{start} {{X-Sum: 1}}"))),
        ("none", answer(""), got(start)),
        ("allowed and not", answer(SECTION), got(format!("{start} {{X-Sum: 1}} {{x-two: 2}} {{X-Sum: 3}}"))),
        (
            "announced where there can be none",
            stays("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 5\r\n\r\nhello"),
            got("200 OK [Content-Length: 5] hello"),
        ),
    ]);
}
