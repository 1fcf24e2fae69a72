//! RFC 9110 §6.6.1, Date: a recipient without one is given ours, and an origin's own is left alone.

use crate::support::get;

use super::table::{each, stays};

#[test]
fn an_answer_without_a_date_is_given_one_and_a_date_is_left_alone() {
    let own = "Mon, 01 Jan 2024 00:00:00 GMT";
    each(|relay| {
        for status in ["200 OK", "404 Not Found", "500 Oops"] {
            relay.says(&stays(&format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok")));
            let reply = relay.server.ask(get("/told"));
            let date = reply.header("date").unwrap_or_else(|| panic!("no Date: {reply:?}"));
            assert!(date.len() == own.len() && date.ends_with(" GMT"), "{date:?}");
            relay.says(&stays(&format!("HTTP/1.1 {status}\r\ndate: {own}\r\nContent-Length: 2\r\n\r\nok")));
            assert_eq!(relay.server.ask(get("/told")).header("date"), Some(own));
        }
    });
}
