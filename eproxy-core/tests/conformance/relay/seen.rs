//! A request as an upstream was sent it, read strictly.
//!
//! What a proxy sends on must have one reading only, whatever a client sent. So nothing is tolerated here that RFC 9112
//! lets a recipient repair: bare line ends, folded lines, two framings, white space in odd places. A request that has any
//! of it fails the test. Heads are read by hand, and then by `httparse`, which has to see the same; eproxy's own parser has
//! no part in it.

/// A request that an upstream was sent.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The number of the connection that it came on; the first has 0.
    pub(crate) connection: usize,
    /// The bytes of the head, with the empty line.
    pub(crate) head: Vec<u8>,
    pub(crate) method: String,
    pub(crate) target: String,
    /// All fields in their order, names in their case.
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
    /// It came to its end.
    pub(crate) is_whole: bool,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    After(usize),
    LastChunk,
}

/// The fields that this proxy adds to every request.
const ADDED: [&str; 5] = ["Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"];

impl Seen {
    /// Reads a head.
    ///
    /// # Panics
    ///
    /// It is one that could be read in another way.
    pub(crate) fn of_head(connection: usize, head: Vec<u8>) -> Self {
        let shown = head.escape_ascii().to_string();
        let text = head.strip_suffix(b"\r\n\r\n").expect("a head ends with an empty line");
        let mut lines = split(text, b"\r\n").into_iter();
        let line = lines.next().expect("a head has a first line");
        let [method, target, b"HTTP/1.1"] = split(line, b" ")[..] else { panic!("request line of {shown}") };
        assert!(is_token(method), "method of {shown}");
        assert!(!target.is_empty() && target.iter().all(u8::is_ascii_graphic), "target of {shown}");
        let fields: Vec<_> = lines.map(|line| field(line, &shown)).collect();
        let mut room = [httparse::EMPTY_HEADER; 200];
        let mut other = httparse::Request::new(&mut room);
        let end = other.parse(&head).unwrap_or_else(|error| panic!("{error} in {shown}"));
        assert_eq!(end, httparse::Status::Complete(head.len()), "{shown}");
        assert!(
            other
                .headers
                .iter()
                .map(|field| (field.name, field.value))
                .eq(fields.iter().map(|(name, value)| (name.as_str(), value.as_slice()))),
            "two readings of {shown}"
        );
        let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ASCII, as was just checked");
        let (method, target) = (utf8(method), utf8(target));
        let (body, trailers) = (Vec::new(), Vec::new());
        let seen = Self { connection, head, method, target, fields, body, trailers, is_whole: false };
        seen.check();
        seen
    }

    /// What every request has to keep to, beside its syntax.
    fn check(&self) {
        assert_eq!(self.values("host").len(), 1, "RFC 9112 §3.2: {self:?}");
        // RFC 9110 §7.6.1: what concerns a connection concerns this one.
        for option in self.list("connection") {
            assert!(matches!(&*option, "upgrade" | "te"), "Connection names {option}: {self:?}");
        }
        for name in ["keep-alive", "proxy-connection", "http2-settings"] {
            assert!(self.values(name).is_empty(), "{name} was passed on: {self:?}");
        }
        assert_eq!(self.list("connection").contains(&"te".into()), !self.values("te").is_empty(), "{self:?}");
        assert_eq!(
            self.list("connection").contains(&"upgrade".into()),
            !self.values("upgrade").is_empty(),
            "RFC 9110 §7.8: {self:?}"
        );
    }

    /// Where the body ends, of which there is one statement or none.
    pub(crate) fn end(&self) -> End {
        let (lengths, codings) = (self.values("content-length"), self.values("transfer-encoding"));
        match (&lengths[..], &codings[..]) {
            ([], []) => End::After(0),
            ([], [coding]) if coding == "chunked" => End::LastChunk,
            ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                End::After(length.parse().expect("a length"))
            }
            _ => panic!("RFC 9112 §6.3: {self:?}"),
        }
    }

    /// The values of a field.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        let named = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| text(value)).collect()
    }

    /// The members of a list, in lower case.
    fn list(&self, name: &str) -> Vec<String> {
        let values = self.values(name).join(",").to_ascii_lowercase();
        values.split(',').map(|member| member.trim().to_owned()).filter(|member| !member.is_empty()).collect()
    }

    /// In one line: `METHOD TARGET [Name: value|Name: value] BODY {Trailer: value}`, without the fields that this proxy
    /// adds to every request.
    pub(crate) fn text(&self) -> String {
        let fields = self.fields.iter().filter(|(name, _)| !ADDED.contains(&name.as_str()));
        let start = format!("{} {}", self.method, self.target);
        one_line(&start, fields, &self.body, &self.trailers)
    }
}

/// A message in one line: `START [Name: value|Name: value] BODY {Trailer: value}`.
pub(crate) fn one_line<'a>(
    start: &str,
    fields: impl Iterator<Item = &'a (String, Vec<u8>)>,
    body: &[u8],
    trailers: &[(String, Vec<u8>)],
) -> String {
    let shown = |(name, value): &(String, Vec<u8>)| format!("{name}: {}", text(value));
    let fields: Vec<_> = fields.map(shown).collect();
    let trailers: String = trailers.iter().map(|trailer| format!(" {{{}}}", shown(trailer))).collect();
    format!("{start} [{}] {}{trailers}", fields.join("|"), text(body))
}

/// Bytes as a text in which each stands for the character of its number.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Reads a field line, of a head or a trailer section.
pub(crate) fn field(line: &[u8], context: &str) -> (String, Vec<u8>) {
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or_else(|| panic!("no colon: {context}"));
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    assert!(is_token(name), "field name {:?} in {context}", name.escape_ascii().to_string());
    let is_good = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    assert!(value.iter().all(is_good), "field value {:?} in {context}", value.escape_ascii().to_string());
    (String::from_utf8(name.to_vec()).expect("a token is ASCII"), value.trim_ascii().to_vec())
}

/// RFC 9110 §5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// What stands between all occurrences of a mark.
fn split<'b>(bytes: &'b [u8], mark: &[u8]) -> Vec<&'b [u8]> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        parts.push(&rest[..at]);
        rest = &rest[at + mark.len()..];
    }
    parts.push(rest);
    parts
}
