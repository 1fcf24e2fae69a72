//! HPACK (RFC 7541) for tests: what encodes can say anything, and what decodes tolerates nothing.
//!
//! Names and values are texts in which each character up to U+00FF stands for its byte.

use std::collections::VecDeque;

use crate::table::bytes;

/// Names and values, in their order.
pub(crate) type Fields = Vec<(String, String)>;

/// A block of fields that mean nothing to the table: literals without indexing, with new names (§6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(0x00, 4, name, value)).collect()
}

/// A literal that enters the table (§6.2.1).
pub(crate) fn literal_indexed(name: &str, value: &str) -> Vec<u8> {
    literal(0x40, 6, name, value)
}

/// A literal that must never enter any (§6.2.3).
pub(crate) fn literal_never_indexed(name: &str, value: &str) -> Vec<u8> {
    literal(0x10, 4, name, value)
}

fn literal(pattern: u8, prefix: u32, name: &str, value: &str) -> Vec<u8> {
    [integer(pattern, prefix, 0), string(&bytes(name)), string(&bytes(value))].concat()
}

/// A field of the tables (§6.1).
pub(crate) fn indexed(index: u64) -> Vec<u8> {
    integer(0x80, 7, index)
}

/// A change of the size of the dynamic table (§6.3).
pub(crate) fn size_update(size: u64) -> Vec<u8> {
    integer(0x20, 5, size)
}

/// A string as it is (§5.2).
pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    [&integer(0x00, 7, bytes.len() as u64), bytes].concat()
}

/// A string in the Huffman code, or what is said to be one.
pub(crate) fn coded_string(coded: &[u8]) -> Vec<u8> {
    [&integer(0x80, 7, coded.len() as u64), coded].concat()
}

/// An integer behind a pattern of bits (§5.1).
pub(crate) fn integer(pattern: u8, prefix: u32, value: u64) -> Vec<u8> {
    let most = (1_u64 << prefix) - 1;
    if value < most {
        return vec![pattern | low(value)];
    }
    let mut bytes = vec![pattern | low(most)];
    let mut rest = value - most;
    while rest >= 0x80 {
        bytes.push(low(rest) & 0x7f | 0x80);
        rest >>= 7;
    }
    bytes.push(low(rest));
    bytes
}

fn low(value: u64) -> u8 {
    (value & 0xff) as u8
}

/// A text in the Huffman code, padded with the first bits of its end (§5.2).
pub(crate) fn huffman(bytes: &[u8]) -> Vec<u8> {
    let codes = codes();
    let mut bits = Vec::new();
    for byte in bytes {
        let (code, length) = codes[usize::from(*byte)];
        bits.extend((0..length).rev().map(|at| code >> at & 1));
    }
    bits.resize(bits.len().next_multiple_of(8), 1);
    bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | low((*bit).into()))).collect()
}

fn unhuffman(coded: &[u8]) -> Vec<u8> {
    let codes = codes();
    let (mut code, mut length) = (0, 0);
    let mut decoded = Vec::new();
    for byte in coded {
        for at in (0..8).rev() {
            (code, length) = (code << 1 | u32::from(*byte) >> at & 1, length + 1);
            if let Some(symbol) = codes.iter().position(|known| *known == (code, length)) {
                decoded.push(u8::try_from(symbol).expect("the end of a string is never coded"));
                (code, length) = (0, 0);
            }
        }
    }
    assert!(length < 8 && code == (1 << length) - 1, "padding of {coded:?}");
    decoded
}

/// The code of each byte, and of the end, as a number and its length in bits (RFC 7541, Appendix B). The code is
/// canonical: it follows from the lengths.
fn codes() -> Vec<(u32, u32)> {
    let mut codes = vec![(0, 0); 256];
    let (mut code, mut before) = (0, 0);
    for (length, symbols) in SYMBOLS {
        code <<= length - before;
        before = length;
        for symbol in symbols {
            codes[usize::from(*symbol)] = (code, length);
            code += 1;
        }
    }
    codes.push((code, before));
    assert_eq!(code, (1 << before) - 1, "the end is all ones");
    codes
}

/// The decoder of a connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// The newest first.
    table: VecDeque<(String, String)>,
    size: usize,
    /// Its size now, and the most that it may be told to be.
    limit: usize,
    most: usize,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { table: VecDeque::new(), size: 0, limit: 4096, most: 4096 }
    }

    /// Reads a block.
    ///
    /// # Panics
    ///
    /// It is malformed.
    pub(crate) fn decode(&mut self, block: &[u8]) -> Fields {
        let mut rest = block;
        let mut fields = Fields::new();
        while let [first, ..] = *rest {
            let field = match first {
                0x80.. => self.at(take_integer(&mut rest, 7)),
                0x40..0x80 => {
                    let field = self.take_literal(&mut rest, 6);
                    self.insert(field.clone());
                    field
                }
                0x20..0x40 => {
                    assert!(fields.is_empty(), "RFC 7541 §4.2: a change of size behind fields: {block:?}");
                    self.limit = take_integer(&mut rest, 5);
                    assert!(self.limit <= self.most, "RFC 7541 §6.3: {} bytes", self.limit);
                    self.evict();
                    continue;
                }
                _ => self.take_literal(&mut rest, 4),
            };
            assert!(self.limit <= self.most, "RFC 7541 §4.2: a table that was taken away: {block:?}");
            fields.push(field);
        }
        fields
    }

    /// Lets the table be told to be no larger than this. Where it is larger, the next block has to say first that it is
    /// not (§4.2).
    pub(crate) fn limit_to(&mut self, size: usize) {
        self.most = size;
    }

    fn at(&self, index: usize) -> (String, String) {
        assert!(index > 0, "RFC 7541 §6.1: index 0");
        match STATIC.get(index - 1) {
            Some((name, value)) => ((*name).to_owned(), (*value).to_owned()),
            None => self.table.get(index - 1 - STATIC.len()).expect("RFC 7541 §2.3.3: a known index").clone(),
        }
    }

    fn take_literal(&self, rest: &mut &[u8], prefix: u32) -> (String, String) {
        let name = match take_integer(rest, prefix) {
            0 => take_string(rest),
            index => self.at(index).0,
        };
        (name, take_string(rest))
    }

    fn insert(&mut self, field: (String, String)) {
        self.size += size(&field);
        self.table.push_front(field);
        self.evict();
    }

    fn evict(&mut self) {
        while self.size > self.limit {
            let last = self.table.pop_back().expect("an empty table has no size");
            self.size -= size(&last);
        }
    }
}

/// What a field counts (§4.1); each character is a byte.
fn size((name, value): &(String, String)) -> usize {
    name.chars().count() + value.chars().count() + 32
}

fn take_integer(rest: &mut &[u8], prefix: u32) -> usize {
    let most = (1 << prefix) - 1;
    let mut value = usize::from(take(rest)) & most;
    if value < most {
        return value;
    }
    for shift in (0..28).step_by(7) {
        let byte = usize::from(take(rest));
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("RFC 7541 §5.1: an integer without end");
}

fn take_string(rest: &mut &[u8]) -> String {
    let is_coded = rest.first().is_some_and(|byte| byte & 0x80 != 0);
    let length = take_integer(rest, 7);
    let (string, behind) = rest.split_at_checked(length).expect("a string ends with its block");
    *rest = behind;
    let string = if is_coded { unhuffman(string) } else { string.to_vec() };
    string.into_iter().map(char::from).collect()
}

fn take(rest: &mut &[u8]) -> u8 {
    let (first, behind) = rest.split_first().expect("a block does not break off");
    *rest = behind;
    *first
}

/// The symbols by the lengths of their codes; the end of strings follows the last.
const SYMBOLS: [(u32, &[u8]); 21] = [
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
    (10, b"!\"()?"),
    (11, b"'+|"),
    (12, b"#>"),
    (13, b"\x00$@[]~"),
    (14, b"^}"),
    (15, b"<`{"),
    (19, b"\\\xc3\xd0"),
    (20, b"\x80\x82\x83\xa2\xb8\xc2\xe0\xe2"),
    (21, b"\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6"),
    (
        22,
        b"\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\
          \xe8\xe9",
    ),
    (
        23,
        b"\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\
          \xbc\xbf\xc5\xe7\xef",
    ),
    (24, b"\x09\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed"),
    (25, b"\xc7\xcf\xea\xeb"),
    (26, b"\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff"),
    (27, b"\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe"),
    (
        28,
        b"\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b\x1c\x1d\
          \x1e\x1f\x7f\xdc\xf9",
    ),
    (30, b"\x0a\x0d\x16"),
];

/// The static table (RFC 7541, Appendix A).
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[test]
fn the_examples_of_the_rfc_are_read_as_it_says() {
    // RFC 7541, C.4.1 to C.4.3: one decoder, three blocks.
    let mut decoder = Decoder::new();
    let mut first = [0x82, 0x86, 0x84, 0x41].to_vec();
    first.extend(coded_string(&huffman(b"www.example.com")));
    assert_eq!(first[5..], *b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff");
    let text = |fields: Fields| {
        let field = |(name, value): (String, String)| format!("{name}: {value}");
        fields.into_iter().map(field).collect::<Vec<_>>().join("|")
    };
    let line = ":method: GET|:scheme: http|:path: /|:authority: www.example.com";
    assert_eq!(text(decoder.decode(&first)), line);
    let second = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
    assert_eq!(text(decoder.decode(second)), format!("{line}|cache-control: no-cache"));
    let third =
        b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";
    assert_eq!(
        text(decoder.decode(third)),
        ":method: GET|:scheme: https|:path: /index.html|:authority: www.example.com|custom-key: custom-value"
    );
    // C.1.2 and C.1.3.
    assert_eq!(integer(0, 5, 1337), [31, 154, 10]);
    assert_eq!(integer(0, 8, 42), [42]);
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(unhuffman(&huffman(&all)), all);
}
