//! RFC 9110 §7.6.3, Via: every message that is passed on says that it came by here, and in which version it was received;
//! a request that came by too often goes round in circles.

use crate::support::get;
use crate::table::get_with;

use super::table::{Want, check, each, passed};

#[test]
fn a_request_says_by_whom_it_came() {
    each(|relay| {
        let via = |request: Vec<u8>| {
            assert_eq!(relay.server.ask(request).status, 200);
            relay.upstream.last().values("via")
        };
        assert_eq!(via(get("/")), ["1.1 eproxy"]);
        assert_eq!(via(b"GET / HTTP/1.0\r\nHost: test\r\n\r\n".to_vec()), ["1.0 eproxy"]);
        // Those before us stay in front of us.
        assert_eq!(via(get_with("Via: 1.0 fred\r\n")), ["1.0 fred", "1.1 eproxy"]);
        let two = via(get_with("Via: 1.0 fred, 1.1 p.example.net (a, b)\r\nX-A: b\r\nvia: 1.1 ginger\r\n"));
        assert_eq!(two, ["1.0 fred, 1.1 p.example.net (a, b)", "1.1 ginger", "1.1 eproxy"]);
    });
}

#[test]
fn a_request_that_goes_round_in_circles_is_stopped() {
    let round = |times: usize| get_with(&"Via: 1.1 eproxy\r\n".repeat(times));
    let stopped = || Want::Answered(508, "loop_detected");
    check(&[
        ("eight times", round(8), stopped()),
        ("in a list", get_with(&format!("Via: {}\r\n", ["1.1 eproxy"; 20].join(", "))), stopped()),
        // A few times is how some are set up.
        ("seven times", round(7), passed("GET / [Host: test] ")),
    ]);
    each(|relay| {
        assert_eq!(relay.server.ask(round(7)).status, 200);
        assert_eq!(relay.upstream.last().values("via").len(), 8);
    });
}
