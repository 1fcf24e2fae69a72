//! Numbers, times and JSON, appended to a buffer: what is written for every request allocates nothing.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

/// Appends a number in decimal digits.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends nanoseconds as milliseconds with three decimals.
pub(super) fn push_milliseconds(out: &mut Vec<u8>, nanoseconds: u64) {
    let micros = nanoseconds / 1000;
    push_number(out, micros / 1000);
    let rest = micros % 1000;
    out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
}

fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

/// Appends an address, `192.0.2.7:1234` or `[2001:db8::7]:1234`; one of IPv4 in the form of IPv6 as what it is.
pub(super) fn push_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => {
            for (number, octet) in v4.octets().into_iter().enumerate() {
                if number > 0 {
                    out.push(b'.');
                }
                push_number(out, u64::from(octet));
            }
        }
        // Writing to a vector can't fail.
        IpAddr::V6(v6) => drop(write!(out, "[{v6}]")),
    }
    out.push(b':');
    push_number(out, u64::from(address.port()));
}

/// Appends bytes as lower-case hexadecimal digits.
pub(super) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xF)]]);
    }
}

/// Appends text as a string of JSON (RFC 8259 §7), with its quotes; what is no UTF-8 becomes `\ufffd`.
pub(super) fn push_json(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    push_json_inside(out, text);
    out.push(b'"');
}

/// As [`push_json`], without the quotes.
pub(super) fn push_json_inside(out: &mut Vec<u8>, text: &[u8]) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if text.iter().all(is_plain) {
        return out.extend_from_slice(text);
    }
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..b' ' | 0x7F => {
                    out.extend_from_slice(b"\\u00");
                    push_hex(out, &[byte]);
                }
                byte => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

/// Appends text for people: what could move the cursor, begin another line or turn the direction of what follows is escaped.
pub(super) fn push_readable(out: &mut Vec<u8>, text: &[u8]) {
    if text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return out.extend_from_slice(text);
    }
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character.is_control() || is_layout(character) {
                // Writing to a vector can't fail.
                true => drop(write!(out, "{}", character.escape_default())),
                false => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Whether a character separates lines or paragraphs, or controls directions (Bidi_Control of UAX #9).
fn is_layout(character: char) -> bool {
    matches!(character, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The time on the wall as RFC 3339 has it, in UTC and with milliseconds; what stays the same for a second is kept.
#[derive(Debug, Default)]
pub(super) struct WallTime {
    second: Option<u64>,
    /// `2000-01-01T00:00:00.`
    text: Vec<u8>,
}

impl WallTime {
    /// Appends the time that is so many nanoseconds after the beginning of 1970.
    pub(super) fn push(&mut self, out: &mut Vec<u8>, unix_nanoseconds: u64) {
        let second = unix_nanoseconds / 1_000_000_000;
        if self.second != Some(second) {
            self.second = Some(second);
            self.text.clear();
            let (year, month, day) = date(second / 86_400);
            let time = second % 86_400;
            let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
            // Writing to a vector can't fail.
            let _written =
                write!(self.text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.");
        }
        out.extend_from_slice(&self.text);
        let milliseconds = unix_nanoseconds / 1_000_000 % 1000;
        out.extend_from_slice(&[
            digit(milliseconds / 100),
            digit(milliseconds / 10),
            digit(milliseconds),
            b'Z',
        ]);
    }
}

/// The year, month and day so many days after the beginning of 1970.
fn date(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let (mut year, mut left) = (1970, days);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(make: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        make(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_and_addresses_are_as_the_library_writes_them() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            assert_eq!(made(|out| push_number(out, number)), number.to_string());
        }
        for address in ["192.0.2.7:1234", "[2001:db8::7]:80"] {
            assert_eq!(made(|out| push_address(out, address.parse().unwrap())), address);
        }
        assert_eq!(made(|out| push_address(out, "[::ffff:1.2.3.4]:5".parse().unwrap())), "1.2.3.4:5");
        assert_eq!(made(|out| push_milliseconds(out, 1_234_567)), "1.234");
        assert_eq!(made(|out| push_milliseconds(out, 10_050_999)), "10.050");
    }

    #[test]
    fn any_bytes_become_json_that_says_them() {
        let all: Vec<u8> = (0..=255).collect();
        let json = made(|out| push_json(out, &all));
        let said: String = serde_json::from_str(&json).unwrap();
        assert!(said.starts_with(&String::from_utf8_lossy(&all[..128]).into_owned()));
        assert!(json.is_ascii() && said[128..].chars().all(|character| character == '\u{fffd}'), "{json}");
        for text in ["", "plain", "Gr\u{fc}\u{df}e \u{1F600}", "\"\\\n\u{7f}\u{2028}"] {
            let json = made(|out| push_json(out, text.as_bytes()));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text, "{json}");
        }
    }

    #[test]
    fn what_people_read_stays_on_its_line() {
        let text = made(|out| push_readable(out, b"a\n\x1b[31m\xffb \xc3\xa9"));
        assert_eq!(text, "a\\n\\u{1b}[31m\u{fffd}b \u{e9}");
        for character in "\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}".chars() {
            let text = made(|out| push_readable(out, format!("a{character}").as_bytes()));
            assert_eq!(text, format!("a{}", character.escape_default()));
        }
    }

    #[test]
    fn times_are_those_of_rfc_3339() {
        let mut wall = WallTime::default();
        for (nanoseconds, time) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (999_999_999, "1970-01-01T00:00:00.999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_120_000_000, "2000-02-29T23:59:59.120Z"),
            (1_709_210_096_007_000_000, "2024-02-29T12:34:56.007Z"),
            (4_107_542_399_000_000_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(made(|out| wall.push(out, nanoseconds)), time);
        }
    }
}
