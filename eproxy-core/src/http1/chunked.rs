//! The chunked coding (RFC 9112 §7.1), decoded from slices of any size.
//!
//! ```text
//!                 ┌────────────────────── size > 0 ───────────────────────┐
//!   Size ──▶ Extension* ──▶ SizeLf ──┤                                    ▼
//!     ▲                              └─ size = 0 ─▶ Trailers ─▶ Done     Data
//!     └───────────────── DataLf ◀── DataCr ◀──────────────────────────────┘
//! ```
//!
//! Extensions are checked against their grammar and dropped; sizes are hexadecimal digits alone; every line ends with
//! CR LF. Anything else is an error, because two parties that repair it differently can be made to disagree.

use crate::error::Kind;
use crate::message::{Field, Headers, is_token_byte};

use super::parse::{self, Finder, Found};

/// Bytes of chunk extensions that are read in one body: nobody uses more, and each costs work without carrying data.
const MAX_EXTENSIONS: usize = 16 * 1024;

/// Bytes of a trailer section.
const MAX_TRAILERS: usize = 16 * 1024;

/// Fields of a trailer section.
const MAX_TRAILER_FIELDS: usize = 64;

/// A decoder for one body.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    /// Extension bytes seen so far.
    extensions: usize,
    /// The trailer section as it comes in; allocated when there is one.
    trailers: Vec<u8>,
    finder: Finder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the digits of a size, `digits` of them read.
    Size { size: u64, digits: u8 },
    /// In what may follow the digits.
    Extension { size: u64, at: Extension },
    /// Before the LF that ends a size line.
    SizeLf { size: u64 },
    /// So many bytes of the chunk are still to come.
    Data { left: u64 },
    /// Before the CR that ends a chunk.
    DataCr,
    /// Before its LF.
    DataLf,
    /// In the trailer section.
    Trailers,
    /// The body has ended.
    Done,
}

/// Where in `*( BWS ";" BWS name [ BWS "=" BWS value ] )` (RFC 9112 §7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    /// White space before a semicolon.
    BeforeSemicolon,
    /// Behind a semicolon.
    BeforeName,
    Name,
    /// Behind white space that follows a name.
    AfterName,
    BeforeValue,
    Token,
    Quoted,
    /// Behind a backslash in a quoted string.
    Escape,
    /// Behind a value: the line may end.
    AfterValue,
}

/// What a call to [`Chunked::decode`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes of framing to skip.
    pub(crate) skip: usize,
    /// Bytes of the body behind them.
    pub(crate) data: usize,
    /// The body has ended behind these.
    pub(crate) done: bool,
}

impl Chunked {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Size { size: 0, digits: 0 },
            extensions: 0,
            trailers: Vec::new(),
            finder: Finder::new(),
        }
    }

    /// Decodes from the front of `input` up to the end of the next run of data, of `max` bytes at most.
    ///
    /// # Errors
    ///
    /// `BadChunk` or `BadTrailer`; the decoder is of no use then.
    pub(crate) fn decode(&mut self, input: &[u8], max: usize) -> Result<Progress, Kind> {
        let mut skip = 0;
        loop {
            match self.state {
                State::Done => return Ok(Progress { skip, data: 0, done: true }),
                State::Trailers => {
                    skip += self.take_trailers(&input[skip..])?;
                    if self.state == State::Trailers {
                        return Ok(Progress { skip, data: 0, done: false });
                    }
                }
                State::Data { left } => {
                    let there = (input.len() - skip).min(max);
                    let data = usize::try_from(left).map_or(there, |left| left.min(there));
                    let left = left - data as u64;
                    self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                    return Ok(Progress { skip, data, done: false });
                }
                _ => {
                    let Some(byte) = input.get(skip) else {
                        return Ok(Progress { skip, data: 0, done: false });
                    };
                    self.state = self.step(*byte)?;
                    skip += 1;
                }
            }
        }
    }

    /// The trailer fields, once the body has ended and if it had any.
    pub(crate) fn take_trailer_fields(&mut self) -> Option<Headers> {
        if self.trailers.len() <= 2 {
            return None;
        }
        let mut fields: Vec<Field> = Vec::new();
        parse::parse_fields(&self.trailers, 0, &mut fields, MAX_TRAILER_FIELDS).ok()??;
        let mut headers = Headers::new();
        headers.assign(&self.trailers, &fields);
        headers.retain(|_, name| may_be_trailer(name));
        Some(headers)
    }

    /// Moves over one byte of framing.
    fn step(&mut self, byte: u8) -> Result<State, Kind> {
        Ok(match (self.state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                // 32 digits leave room for leading zeros, and none for endless ones.
                let fits = size <= (i64::MAX as u64) >> 4 && digits < 32;
                match fits {
                    true => State::Size { size: size << 4 | digit, digits: digits + 1 },
                    false => return Err(Kind::BadChunk),
                }
            }
            (State::Size { digits: 0, .. }, _) => return Err(Kind::BadChunk),
            (State::Size { size, .. }, b'\r') => State::SizeLf { size },
            (State::Size { size, .. }, _) => self.extend(size, Extension::BeforeSemicolon, byte)?,
            (State::Extension { size, at }, _) => self.extend(size, at, byte)?,
            (State::SizeLf { size: 0 }, b'\n') => State::Trailers,
            (State::SizeLf { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { size: 0, digits: 0 },
            _ => return Err(Kind::BadChunk),
        })
    }

    /// Moves over one byte of an extension.
    fn extend(&mut self, size: u64, at: Extension, byte: u8) -> Result<State, Kind> {
        use Extension as E;
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS {
            return Err(Kind::BadChunk);
        }
        let at = match (at, byte) {
            (E::Name | E::AfterName | E::Token | E::AfterValue, b'\r') => return Ok(State::SizeLf { size }),
            (E::BeforeSemicolon | E::Name | E::AfterName | E::Token | E::AfterValue, b';') => E::BeforeName,
            (E::Name | E::AfterName, b'=') => E::BeforeValue,
            (E::Name, b' ' | b'\t') => E::AfterName,
            (E::Token, b' ' | b'\t') => E::AfterValue,
            (
                E::BeforeSemicolon | E::BeforeName | E::AfterName | E::BeforeValue | E::AfterValue,
                b' ' | b'\t',
            ) => at,
            (E::BeforeName | E::Name, _) if is_token_byte(byte) => E::Name,
            (E::BeforeValue | E::Token, _) if is_token_byte(byte) => E::Token,
            (E::BeforeValue, b'"') => E::Quoted,
            (E::Quoted, b'"') => E::AfterValue,
            (E::Quoted, b'\\') => E::Escape,
            (E::Quoted | E::Escape, b'\t' | 0x20..=0x7E | 0x80..) => E::Quoted,
            _ => return Err(Kind::BadChunk),
        };
        Ok(State::Extension { size, at })
    }

    /// Collects the trailer section and returns how much of `input` belongs to it.
    fn take_trailers(&mut self, input: &[u8]) -> Result<usize, Kind> {
        let before = self.trailers.len();
        // No trailers, which is nearly always: nothing to collect.
        if before == 0 && input.starts_with(b"\r\n") {
            self.state = State::Done;
            return Ok(2);
        }
        let room = MAX_TRAILERS - before;
        self.trailers.extend_from_slice(&input[..input.len().min(room)]);
        let end = match self.trailers.as_slice() {
            [b'\r', b'\n', ..] => 2,
            trailers => match self.finder.find(trailers).map_err(|_| Kind::BadTrailer)? {
                Found::Head { end, .. } => end,
                Found::Partial if self.trailers.len() == MAX_TRAILERS => return Err(Kind::BadTrailer),
                Found::Partial => return Ok(input.len()),
            },
        };
        self.trailers.truncate(end);
        let mut fields = Vec::new();
        parse::parse_fields(&self.trailers, 0, &mut fields, MAX_TRAILER_FIELDS)
            .map_err(|_| Kind::BadTrailer)?;
        self.state = State::Done;
        Ok(end - before)
    }
}

/// Whether a field means the same in a trailer section: those that frame, route or authenticate a message do not
/// (RFC 9110 §6.5.1).
fn may_be_trailer(name: &[u8]) -> bool {
    const NEVER: [&str; 20] = [
        "transfer-encoding",
        "content-length",
        "host",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "range",
        "cache-control",
        "max-forwards",
        "authorization",
        "proxy-authorization",
        "proxy-authenticate",
        "www-authenticate",
        "set-cookie",
        "cookie",
        "content-encoding",
        "content-type",
    ];
    !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` given in pieces of `step` bytes; returns the body, what was left over, and the trailers.
    fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, usize, Option<Headers>), Kind> {
        let mut chunked = Chunked::new();
        let (mut body, mut at, mut end) = (Vec::new(), 0, 0);
        loop {
            end = (end + step).min(input.len());
            loop {
                let progress = chunked.decode(&input[at..end], 7)?;
                at += progress.skip;
                body.extend_from_slice(&input[at..at + progress.data]);
                at += progress.data;
                if progress.done {
                    return Ok((body, input.len() - at, chunked.take_trailer_fields()));
                }
                if at == end || (progress.skip == 0 && progress.data == 0) {
                    break;
                }
            }
            assert!(end < input.len(), "the body does not end: {}", input.escape_ascii());
        }
    }

    #[test]
    fn bodies_come_out_whole_whatever_the_pieces() {
        let input =
            b"5\r\nhello\r\n006;a=b; c = \"d\\\"e\" ;f\r\n world\r\nA ;x\r\n0123456789\r\n0\r\n\r\nnext";
        for step in 1..input.len() {
            let (body, left, trailers) = decode(input, step).unwrap();
            assert_eq!(body, b"hello world0123456789", "pieces of {step}");
            assert!(left <= 4 && trailers.is_none());
        }
    }

    #[test]
    fn trailers_are_kept_apart_and_filtered() {
        let input = b"1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\nGET";
        for step in 1..input.len() {
            let (body, _, trailers) = decode(input, step).unwrap();
            assert_eq!(body, b"a");
            let trailers = trailers.unwrap();
            assert_eq!(trailers.iter().collect::<Vec<_>>(), [("X-Sum", &b"1"[..])]);
        }
    }

    #[test]
    fn what_is_not_a_chunk_is_refused() {
        for bad in [
            "\r\n",
            ";a\r\n",
            "g\r\n",
            "+5\r\nhello\r\n",
            "-0\r\n",
            "0x5\r\nhello\r\n",
            " 5\r\nhello\r\n",
            "5 5\r\n",
            "5 \r\nhello\r\n",
            "5\nhello\r\n",
            "5\rhello",
            "5\r\nhelloX\r\n",
            "5\r\nhello\n",
            "5\r\nhello\rX",
            "5;\r\n",
            "5;[=x\r\n",
            "5;a=\r\n",
            "5;a=\"b\r\n",
            "5;a\0\r\n",
            "5;a\n",
            "8000000000000000\r\n",
            "00000000000000000000000000000000001\r\na",
            "0\r\nX-A : b\r\n\r\n",
            "0\r\nX-A: b\n\r\n",
            "0\r\nno colon\r\n\r\n",
        ] {
            for step in [1, 3, 100] {
                assert!(decode(bad.as_bytes(), step).is_err(), "{bad:?} in pieces of {step}");
            }
        }
    }

    #[test]
    fn extensions_and_trailers_have_a_limit() {
        let long = format!("5;a={}\r\nhello\r\n0\r\n\r\n", "b".repeat(MAX_EXTENSIONS));
        assert_eq!(decode(long.as_bytes(), 4096).err(), Some(Kind::BadChunk));
        let many = format!("0\r\n{}\r\n", "X: y\r\n".repeat(MAX_TRAILERS / 6 + 1));
        assert_eq!(decode(many.as_bytes(), 4096).err(), Some(Kind::BadTrailer));
    }
}
