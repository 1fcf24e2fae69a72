//! What must not be read in a log: credentials in fields and in queries.

/// What stands for a value that is not told.
pub(super) const HIDDEN: &[u8] = b"***";

/// Fields whose values are credentials.
const SECRET_FIELDS: [&str; 5] =
    ["Authorization", "Cookie", "Set-Cookie", "Proxy-Authorization", "X-Api-Key"];

/// Keys of queries whose values are credentials, unless others are said.
pub(super) const SECRET_KEYS: [&str; 16] = [
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "client_secret",
    "code",
    "credential",
    "id_token",
    "key",
    "pass",
    "passwd",
    "password",
    "refresh_token",
    "secret",
    "signature",
    "token",
];

/// Whether the values of a field are credentials.
pub(super) fn is_secret_field(name: &str) -> bool {
    SECRET_FIELDS.iter().any(|secret| secret.eq_ignore_ascii_case(name))
}

/// Gives the parts of a target, or of a URL, to `put`, with `***` for the values of those keys of its query, and for a name
/// and a password in front of its host. Keys are compared without regard to case, and as they are when they are decoded.
pub(super) fn redact(target: &[u8], keys: &[Box<str>], mut put: impl FnMut(&[u8])) {
    let (path, query) = match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    };
    put_path(path, &mut put);
    let Some(query) = query else { return };
    let mut separator: &[u8] = b"?";
    for pair in query.split_inclusive(|byte| matches!(byte, b'&' | b';')) {
        put(separator);
        let (pair, next) = match pair.split_last() {
            Some((last @ (b'&' | b';'), pair)) => (pair, std::slice::from_ref(last)),
            _ => (pair, &b""[..]),
        };
        let key_length = pair.iter().position(|byte| *byte == b'=');
        match key_length.filter(|length| is_among(&pair[..*length], keys)) {
            Some(length) => {
                put(&pair[..=length]);
                put(HIDDEN);
            }
            None => put(pair),
        }
        separator = next;
    }
    put(separator_at_end(query, separator));
}

/// A query that ends with a separator, or that is empty, keeps that.
fn separator_at_end<'a>(query: &[u8], separator: &'a [u8]) -> &'a [u8] {
    let ends_so = query.last().is_none_or(|last| matches!(last, b'&' | b';'));
    if ends_so { separator } else { b"" }
}

/// Hides who somebody says to be in front of a host (RFC 9110 §4.2.4).
fn put_path(path: &[u8], put: &mut impl FnMut(&[u8])) {
    // A path has no host; what has no scheme is a host and a port, as in a CONNECT.
    if path.first() == Some(&b'/') {
        return put(path);
    }
    let start = path.windows(3).position(|window| window == b"://").map_or(0, |at| at + 3);
    let end = path[start..].iter().position(|byte| *byte == b'/').map_or(path.len(), |at| start + at);
    match path[start..end].iter().rposition(|byte| *byte == b'@') {
        Some(at) => {
            put(&path[..start]);
            put(HIDDEN);
            put(&path[start + at..]);
        }
        None => put(path),
    }
}

fn is_among(key: &[u8], keys: &[Box<str>]) -> bool {
    keys.iter().any(|known| {
        let decoded = Decoded(key).map(|byte| byte.to_ascii_lowercase());
        decoded.eq(known.bytes().map(|byte| byte.to_ascii_lowercase()))
    })
}

/// The bytes of a part of a query, decoded.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let hex = |byte: u8| char::from(byte).to_digit(16);
        let (byte, length) = match self.0 {
            [] => return None,
            [b'%', high, low, ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => ((high * 16 + low) as u8, 3),
                _ => (b'%', 1),
            },
            [b'+', ..] => (b' ', 1),
            [byte, ..] => (*byte, 1),
        };
        self.0 = &self.0[length..];
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(target: &str) -> String {
        let keys: Vec<Box<str>> = SECRET_KEYS.iter().map(|key| (*key).into()).collect();
        let mut out = Vec::new();
        redact(target.as_bytes(), &keys, |part| out.extend_from_slice(part));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_of_secret_keys_are_hidden_however_they_are_spelled() {
        for (target, said) in [
            ("/a?token=abc", "/a?token=***"),
            ("/a?x=1&token=abc&y=2", "/a?x=1&token=***&y=2"),
            ("/a?TOKEN=abc&%74oken=def&Api%5Fkey=", "/a?TOKEN=***&%74oken=***&Api%5Fkey=***"),
            ("/a?token=a?token=b;password=c=d", "/a?token=***;password=***"),
            ("http://ada:secret@host/p?auth=1", "http://***@host/p?auth=***"),
            ("ada:secret@host:443", "***@host:443"),
        ] {
            assert_eq!(redacted(target), said);
        }
    }

    #[test]
    fn everything_else_stays_byte_for_byte() {
        for target in [
            "/",
            "*",
            "",
            "/?",
            "/?&",
            "/?a&&b=;",
            "/a?tokens=1&x=token",
            "/a@b://c@d?x=%&y=%z",
            "/?token",
            "http://host/@x",
            "host:443",
            "/a?x=%74oken&",
        ] {
            assert_eq!(redacted(target), target);
        }
    }
}
