//! RFC 9110 §5, Fields: what they say is passed on as it was said, in its order (§5.3) and with all its bytes (§5.5);
//! their sizes are bounded (§5.4).

use crate::table::{bytes, get_with};

use super::table::{BAD_ANSWER, Got, Want, check, got, passed, stays, tell};

/// Values that somebody has been known to change on their way.
const VALUES: [&str; 9] = [
    "X-Quote: \"a, b\"; c=\"d\\\"e\"",
    "X-Inner: a  b\tc",
    "X-Punctuation: !#$%&'*+-.^_`|~()<>@,;:\\/[]?={}",
    "Cookie: a=1; b=\"2\"; c=%20",
    "Referer: http://r.example/?q=1#f",
    "X-Percent: a%0d%0aSet-Cookie: evil=1",
    "Accept-Encoding: gzip;q=0.5, br",
    "Authorization: Basic dTpw",
    "X-Obs: caf\u{e9} \u{80}\u{ff}",
];

#[test]
fn values_keep_their_bytes() {
    let long = format!("X-Long: {}", "z".repeat(3000));
    let values: Vec<_> = VALUES.into_iter().chain([&*long]).collect();
    let all = values.join("\r\n");
    let expected = values.join("|");
    check(&[(
        "all of them",
        get_with(&format!("{all}\r\n")),
        passed(format!("GET / [Host: test|{expected}] ")),
    )]);
    let answer = format!("HTTP/1.1 200 OK\r\n{all}\r\nContent-Length: 2\r\n\r\nok");
    tell(&[("an answer", stays(&answer), got(format!("200 OK [{expected}|Content-Length: 2] ok")))]);
}

#[test]
fn fields_of_an_answer_that_mean_something_to_a_proxy_are_passed_on_all_the_same() {
    let fields = [
        "ETag: W/\"a,b\"",
        "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT",
        "WWW-Authenticate: Basic realm=\"a, b\", Digest realm=\"c\"",
        "Cache-Control: no-store, max-age=0",
        "Location: http://127.0.0.1:9/x?a=b%20c#f",
        "Content-Type: text/html; charset=utf-8",
        "Content-Encoding: gzip",
        "Vary: X-Foo",
        "Age: 7",
        "Allow: GET, HEAD",
        "Retry-After: 120",
        "Server: origin/1",
    ];
    // RFC 9110 §7.7: the content least of all is changed.
    let answer =
        format!("HTTP/1.1 200 OK\r\n{}\r\nContent-Length: 2\r\n\r\n\u{1f}\u{8b}", fields.join("\r\n"));
    let expected = fields.join("|");
    tell(&[("all", stays(&answer), got(format!("200 OK [{expected}|Content-Length: 2] \u{1f}\u{8b}")))]);
}

#[test]
fn fields_keep_their_order_their_case_and_their_neighbours() {
    check(&[
        (
            "several lines of one name",
            get_with("X-M: 1\r\nX-Other: o\r\nx-m: 2\r\nX-M: 3, 4\r\n"),
            passed("GET / [Host: test|X-M: 1|X-Other: o|x-m: 2|X-M: 3, 4] "),
        ),
        (
            "different cases",
            get_with("X-CaMeL: 1\r\nb-two: 2\r\nA-THREE: 3\r\n"),
            passed("GET / [Host: test|X-CaMeL: 1|b-two: 2|A-THREE: 3] "),
        ),
        (
            "Host last",
            bytes("GET / HTTP/1.1\r\nX-A: 1\r\nHOST: test\r\n\r\n"),
            passed("GET / [X-A: 1|HOST: test] "),
        ),
        (
            "empty values",
            get_with("X-E:\r\nX-F: \r\nX-G: g\r\n"),
            passed("GET / [Host: test|X-E: |X-F: |X-G: g] "),
        ),
    ]);
    let lines = "X-M: 1\r\nX-N: n\r\nX-M: 2\r\nx-m: 3";
    let cookies = "Set-Cookie: a=1; Path=/; Expires=Wed, 09 Jun 2027 10:18:14 GMT\r\nX-Between: 1\r\n\
                   Set-Cookie: b=2; HttpOnly\r\nset-cookie: a=3; Secure\r\nSet-Cookie: c=\"x, y\"";
    let answer = |fields: &str| stays(&format!("HTTP/1.1 200 OK\r\n{fields}\r\nContent-Length: 2\r\n\r\nok"));
    let expected =
        |fields: &str| got(format!("200 OK [{}|Content-Length: 2] ok", fields.replace("\r\n", "|")));
    tell(&[
        ("several lines of one name", answer(lines), expected(lines)),
        // RFC 6265 §3: cookies are never joined.
        ("cookies", answer(cookies), expected(cookies)),
    ]);
}

#[test]
fn control_characters_in_values_are_refused() {
    let bad = || Want::Refused(400, "bad_header_value");
    check(&[
        ("NUL", get_with("X-A: a\0b\r\n"), bad()),
        ("SOH", get_with("X-A: a\u{1}b\r\n"), bad()),
        ("BEL", get_with("X-A: a\u{7}b\r\n"), bad()),
        ("escape", get_with("X-A: \u{1b}[0m\r\n"), bad()),
        ("DEL", get_with("X-A: a\u{7f}b\r\n"), bad()),
    ]);
}

#[test]
fn heads_of_16_kib_are_passed_on_and_endless_ones_refused() {
    let cookie =
        (0..105).map(|number| format!("c{number}={}", "v".repeat(50))).collect::<Vec<_>>().join("; ");
    let many: Vec<_> = (0..20).map(|number| format!("X-K{number}: {}", "v".repeat(780))).collect();
    let too_large = || Want::Refused(431, "head_too_large");
    check(&[
        (
            "a cookie of 6 KiB",
            get_with(&format!("Cookie: {cookie}\r\n")),
            passed(format!("GET / [Host: test|Cookie: {cookie}] ")),
        ),
        (
            "16 KiB in all",
            get_with(&(many.join("\r\n") + "\r\n")),
            passed(format!("GET / [Host: test|{}] ", many.join("|"))),
        ),
        // RFC 6585 §5.
        ("a value of 200 KB", get_with(&format!("X-A: {}\r\n", "v".repeat(200_000))), too_large()),
        ("200 KB of lines", get_with(&format!("X-A: {}\r\n", "v".repeat(1000)).repeat(200)), too_large()),
        (
            "a hundred and one lines",
            get_with(&"A: b\r\n".repeat(100)),
            Want::Refused(431, "too_many_headers"),
        ),
    ]);
}

#[test]
fn heads_of_answers_are_bounded_too() {
    let answer = |fields: &str| stays(&format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"));
    let much = format!("X-A: {}\r\n", "v".repeat(40_000));
    let expected = got(format!("200 OK [X-A: {}|Content-Length: 2] ok", "v".repeat(40_000)));
    let too_large = || Got::Instead(502, "upstream_head_too_large");
    tell(&[
        ("40 KB", answer(&much), expected),
        ("200 KB in one value", answer(&format!("X-A: {}\r\n", "v".repeat(200_000))), too_large()),
        ("200 KB of lines", answer(&format!("X-A: {}\r\n", "v".repeat(1000)).repeat(200)), too_large()),
        ("three hundred lines", answer(&"A: b\r\n".repeat(300)), too_large()),
        ("an endless status line", stays(&format!("HTTP/1.1 200 {}", "v".repeat(200_000))), too_large()),
        ("nothing but digits", stays(&"9".repeat(200_000)), BAD_ANSWER),
    ]);
}
