//! Header fields in the order and case in which they came or were set.

use std::fmt;

use crate::error::{Error, Kind, Result};

use super::head::Span;
use super::known::Known;

/// Header fields (RFC 9110 §5), in their order and case.
///
/// Names compare without regard to case. Values are bytes: HTTP allows any byte from 0x80 up in them, and what came in
/// is kept as it is. One allocation holds all the bytes and another their places, so that a parsed head is copied once.
///
/// ```
/// let mut headers = eproxy_core::Headers::new();
/// headers.append("Set-Cookie", "a=1")?;
/// headers.append("set-cookie", "b=2")?;
/// headers.insert("Server", "demo")?;
/// assert_eq!(headers.get("SERVER"), Some(&b"demo"[..]));
/// assert_eq!(headers.get_all("Set-Cookie").collect::<Vec<_>>(), [b"a=1", b"b=2"]);
/// assert!(headers.insert("Server", "two\r\nlines").is_err());
/// # Ok::<_, eproxy_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Headers {
    /// What the fields point into; may hold bytes that no field uses, a request line for one.
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

/// A field's place in a buffer, and what its name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) known: Known,
    pub(crate) name: Span,
    pub(crate) value: Span,
}

impl Field {
    pub(crate) fn new(bytes: &[u8], name: Span, value: Span) -> Self {
        Self { known: Known::of(name.of(bytes)), name, value }
    }
}

impl Headers {
    /// No fields; allocates with the first.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), fields: Vec::new() }
    }

    /// The number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The value of the first field of that name, without the white space around it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The value of the first field of that name, if it is UTF-8.
    #[must_use]
    pub fn get_str(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// The values of all fields of that name, in their order.
    pub fn get_all<'a: 'n, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let bytes = &self.bytes;
        let named = move |field: &&Field| field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(named).map(move |field| field.value.of(bytes))
    }

    /// All fields, in their order and case.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| (name_str(field.name.of(&self.bytes)), field.value.of(&self.bytes)))
    }

    /// Puts a field in place of all fields of that name.
    ///
    /// # Errors
    ///
    /// The name is not a token, or the value holds a control character other than a tab (RFC 9110 §5.1, §5.5); nothing
    /// has changed then.
    pub fn insert(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<()> {
        check(name, value.as_ref())?;
        self.remove(name);
        self.push(name.as_bytes(), value.as_ref());
        Ok(())
    }

    /// Adds a field behind all others.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<()> {
        check(name, value.as_ref())?;
        self.push(name.as_bytes(), value.as_ref());
        Ok(())
    }

    /// Removes all fields of that name; says whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.fields.len();
        let bytes = &self.bytes;
        self.fields.retain(|field| !field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes()));
        self.fields.len() < before
    }

    /// Removes the fields that `keep` says no to, by what they mean and by their names.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Known, &[u8]) -> bool) {
        let bytes = &self.bytes;
        self.fields.retain(|field| keep(field.known, field.name.of(bytes)));
    }

    /// Makes these the fields of a parsed head; keeps the allocations.
    pub(crate) fn assign(&mut self, head: &[u8], fields: &[Field]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(head);
        self.fields.clear();
        self.fields.extend_from_slice(fields);
    }

    /// Forgets all fields and keeps the allocations, unless they have grown past what a common head needs.
    pub(crate) fn clear(&mut self) {
        const COMMON: usize = 8 * 1024;
        self.fields.clear();
        self.bytes.clear();
        self.bytes.shrink_to(COMMON);
    }

    /// The buffer that the fields, and whatever was parsed with them, point into.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The places of the fields in [`bytes`](Self::bytes).
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Adds a field that is known to be valid.
    fn push(&mut self, name: &[u8], value: &[u8]) {
        let value = value.trim_ascii();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        let (name, value) = (Span::new(start, middle), Span::new(middle, self.bytes.len()));
        self.fields.push(Field::new(&self.bytes, name, value));
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, value.escape_ascii().to_string())))
            .finish()
    }
}

/// Names are tokens, hence ASCII.
fn name_str(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}

fn check(name: &str, value: &[u8]) -> Result<()> {
    let wrong = |what| Err(Error::new(Kind::BadResponse).detail(what));
    match (is_token(name.as_bytes()), is_value(value)) {
        (true, true) => Ok(()),
        (false, _) => wrong(format!("header name {name:?}")),
        (true, false) => wrong(format!("value of header {name}: \"{}\"", value.escape_ascii())),
    }
}

/// Whether `bytes` is a token (RFC 9110 §5.6.2): a method, or the name of a field.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// Whether `byte` may stand in a token.
#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether `bytes` may be the value of a field: no control character but the tab (RFC 9110 §5.5).
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7F))
}

static TOKEN: [bool; 256] = letters_digits_and(b"!#$%&'*+-.^_`|~");

/// A class of bytes as a table: letters, digits, and these.
pub(crate) const fn letters_digits_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut other = 0;
    while other < others.len() {
        table[others[other] as usize] = true;
        other += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_case_are_kept() {
        let mut headers = Headers::new();
        headers.append("X-One", "1").unwrap();
        headers.append("x-TWO", " padded\t").unwrap();
        headers.append("X-One", [0xE9]).unwrap();
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("X-One", &b"1"[..]), ("x-TWO", b"padded"), ("X-One", b"\xE9")]);
        assert!(headers.remove("x-one"));
        assert!(!headers.remove("x-one"));
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn nothing_that_would_split_a_message_gets_in() {
        let mut headers = Headers::new();
        for value in ["a\r\nb: c", "a\nb", "a\0", "\x7f", "a\rb"] {
            assert!(headers.append("X", value).is_err(), "{value:?}");
        }
        for name in ["", "a b", "a:", "a\r\nb", "é", "a\0"] {
            assert!(headers.insert(name, "v").is_err(), "{name:?}");
        }
        assert!(headers.is_empty());
    }
}
