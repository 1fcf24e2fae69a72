//! RFC 9112 §4, Status Line: the status and the reason of an answer are passed on as they came.

use super::table::{BAD_ANSWER, got, stays, tell};

#[test]
fn the_reason_is_passed_on_be_it_empty_or_missing() {
    let answer = |line: &str| stays(&format!("HTTP/1.1 {line}\r\nContent-Length: 2\r\n\r\nok"));
    tell(&[
        ("as usual", answer("200 OK"), got("200 OK [Content-Length: 2] ok")),
        (
            "of one's own",
            answer("200 All  is well, \"ok\""),
            got("200 All  is well, \"ok\" [Content-Length: 2] ok"),
        ),
        ("empty", answer("200 "), got("200  [Content-Length: 2] ok")),
        ("missing with its space", answer("200"), got("200  [Content-Length: 2] ok")),
        ("with a tab", answer("200 O\tK"), got("200 O\tK [Content-Length: 2] ok")),
    ]);
}

#[test]
fn what_is_no_status_line_is_not_passed_on() {
    let answer = |line: &str| stays(&format!("{line}\r\nContent-Length: 2\r\n\r\nok"));
    tell(&[
        ("below 100", answer("HTTP/1.1 099 OK"), BAD_ANSWER),
        ("nothing", answer("HTTP/1.1 000 OK"), BAD_ANSWER),
        ("two digits", answer("HTTP/1.1 20 OK"), BAD_ANSWER),
        ("four digits", answer("HTTP/1.1 2000 OK"), BAD_ANSWER),
        ("letters", answer("HTTP/1.1 2OO OK"), BAD_ANSWER),
        ("a sign", answer("HTTP/1.1 +20 OK"), BAD_ANSWER),
        ("two spaces", answer("HTTP/1.1  200 OK"), BAD_ANSWER),
        ("a tab", answer("HTTP/1.1\t200 OK"), BAD_ANSWER),
        ("no space", answer("HTTP/1.1200 OK"), BAD_ANSWER),
        ("no status", answer("HTTP/1.1"), BAD_ANSWER),
        ("NUL in the reason", answer("HTTP/1.1 200 O\0K"), BAD_ANSWER),
        ("white space first", answer(" HTTP/1.1 200 OK"), BAD_ANSWER),
    ]);
}
