//! RFC 9110 §5, Fields: values keep their bytes and their order; sizes are bounded (§5.4).

use crate::table::{BAD, Mirror, Want, bytes, get_with, seen};

#[test]
fn values_keep_their_bytes() {
    let long = "z".repeat(3000);
    let values = [
        "\"a, b\"; c=\"d\\\"e\"",
        "a  b\tc",
        "!#$%&'*+-.^_`|~()<>@,;:\\/[]?={}",
        "a=1; b=\"2\"; c=%20",
        "caf\u{e9} \u{80}\u{ff}",
        &long,
    ];
    Mirror::start().check(&values.map(|value| {
        let expected = bytes(value).escape_ascii().to_string();
        (value, get_with(&format!("X-See: {value}\r\n")), seen(format!("GET / [{expected}] ")))
    }));
}

#[test]
fn fields_of_one_name_keep_their_order() {
    Mirror::start().check(&[
        (
            "several lines",
            get_with("X-See: 1\r\nX-Other: o\r\nx-see: 2\r\nX-SEE: 3, 4\r\n"),
            seen("GET / [1|2|3, 4] "),
        ),
        ("empty values", get_with("X-See:\r\nX-See: \r\nX-See: g\r\n"), seen("GET / [||g] ")),
    ]);
}

#[test]
fn control_characters_are_refused() {
    Mirror::start().check(&[
        ("NUL", get_with("X-A: a\0b\r\n"), BAD),
        ("SOH", get_with("X-A: a\u{1}b\r\n"), BAD),
        ("BEL", get_with("X-A: a\u{7}b\r\n"), BAD),
        ("escape", get_with("X-A: \u{1b}[0m\r\n"), BAD),
        ("DEL", get_with("X-A: a\u{7f}b\r\n"), BAD),
    ]);
}

#[test]
fn heads_of_16_kib_are_taken_and_endless_ones_refused() {
    let cookie =
        (0..105).map(|number| format!("c{number}={}", "v".repeat(50))).collect::<Vec<_>>().join("; ");
    let many: String = (0..20).map(|number| format!("X-K{number}: {}\r\n", "v".repeat(780))).collect();
    Mirror::start().check(&[
        ("a cookie of 6 KiB", get_with(&format!("X-See: {cookie}\r\n")), seen(format!("GET / [{cookie}] "))),
        ("16 KiB in all", get_with(&many), seen("GET / [] ")),
        ("a value of 1 MiB", get_with(&format!("X-A: {}\r\n", "v".repeat(1 << 20))), Want::Refused(&[431])),
        (
            "8 MiB of lines",
            get_with(&format!("X-A: {}\r\n", "v".repeat(1000)).repeat(8192)),
            Want::Refused(&[431]),
        ),
    ]);
}
