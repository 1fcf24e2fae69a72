//! RFC 9110 §7.6.2, Max-Forwards: counted down on its way.

use crate::table::bytes;

use super::table::{check, passed};

#[test]
fn it_is_one_less_at_the_next_one() {
    for method in ["TRACE", "OPTIONS"] {
        for (left, then) in [("1", "0"), ("10", "9"), ("007", "6")] {
            let request =
                bytes(&format!("{method} /a HTTP/1.1\r\nHost: test\r\nMax-Forwards: {left}\r\n\r\n"));
            check(&[(method, request, passed(format!("{method} /a [Host: test|Max-Forwards: {then}] ")))]);
        }
    }
}

#[test]
fn other_methods_have_no_last_one() {
    let request = bytes("GET /a HTTP/1.1\r\nHost: test\r\nMax-Forwards: 5\r\n\r\n");
    check(&[("GET", request, passed("GET /a [Host: test|Max-Forwards: 4] "))]);
}
