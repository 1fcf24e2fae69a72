//! RFC 9110 §14, Range Requests: a matter of the two ends.

use crate::table::get_with;

use super::table::{each, stays, text};

#[test]
fn a_range_is_asked_for_and_given_end_to_end() {
    let answer =
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/10\r\nContent-Length: 3\r\n\r\n234";
    each(|relay| {
        relay.says(&stays(answer));
        let request = get_with("Range: bytes=2-4\r\nIf-Range: \"e\"\r\n");
        let request = String::from_utf8(request).unwrap().replace("GET /", "GET /told");
        let reply = relay.server.ask(request);
        let expected = "206 Partial Content [Content-Range: bytes 2-4/10|Content-Length: 3] 234";
        assert_eq!(text(&reply), expected);
        let seen = relay.upstream.last().text();
        assert_eq!(seen, "GET /told [Host: test|Range: bytes=2-4|If-Range: \"e\"] ");
    });
}
