//! An answer as it comes on a stream, read strictly.

use super::hpack::Fields;

/// What was said on a stream so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// Interim answers: their statuses and fields.
    pub(crate) interim: Vec<(u16, Fields)>,
    /// 0 until the head has come.
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
    /// It came to its end.
    pub(crate) is_whole: bool,
    /// The error code that the stream was reset with.
    pub(crate) reset: Option<u32>,
}

impl Answer {
    /// Whether nothing more may come.
    pub(crate) fn is_over(&self) -> bool {
        self.is_whole || self.reset.is_some()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    /// The value of a field that comes once at the most.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} comes twice: {self:?}");
        value
    }

    /// Takes in a section of fields: a head, an interim one, or trailers.
    pub(super) fn on_fields(&mut self, fields: Fields, is_last: bool) {
        assert!(!self.is_over(), "RFC 9113 §5.1: HEADERS behind the end of {self:?}");
        for (name, value) in &fields {
            let is_name = |c: char| c.is_ascii_graphic() && !c.is_ascii_uppercase() && c != ':';
            let is_pseudo = name.strip_prefix(':').is_some_and(|name| name.chars().all(is_name));
            assert!(is_pseudo || !name.is_empty() && name.chars().all(is_name), "RFC 9113 §8.2: {fields:?}");
            assert!(!value.contains(['\0', '\r', '\n']), "RFC 9113 §8.2.1: {fields:?}");
            assert!(value.trim_matches([' ', '\t']) == value, "RFC 9113 §8.2.1: {fields:?}");
            assert!(!OF_CONNECTIONS.contains(&name.as_str()), "RFC 9113 §8.2.2: {fields:?}");
        }
        if self.status > 0 {
            assert!(is_last, "RFC 9113 §8.1: trailers without END_STREAM: {fields:?}");
            assert!(fields.iter().all(|(name, _)| !name.starts_with(':')), "RFC 9113 §8.1: {fields:?}");
            self.trailers = fields;
            return self.on_end();
        }
        let [(name, status), rest @ ..] = &fields[..] else { panic!("a head without fields") };
        assert_eq!(name, ":status", "RFC 9113 §8.3.2: {fields:?}");
        assert!(rest.iter().all(|(name, _)| !name.starts_with(':')), "RFC 9113 §8.3.2: {fields:?}");
        let (status, rest) = (status.parse().expect("a status"), rest.to_vec());
        assert_ne!(status, 101, "RFC 9113 §8.6");
        if status < 200 {
            assert!(!is_last, "RFC 9113 §8.1: an interim answer that is the last: {fields:?}");
            return self.interim.push((status, rest));
        }
        (self.status, self.fields) = (status, rest);
        if is_last {
            self.on_end();
        }
    }

    pub(super) fn on_data(&mut self, bytes: &[u8], is_last: bool) {
        assert!(!self.is_over(), "RFC 9113 §5.1: DATA behind the end of {self:?}");
        assert!(self.status >= 200, "RFC 9113 §8.1: DATA before the head: {self:?}");
        self.body.extend_from_slice(bytes);
        if is_last {
            self.on_end();
        }
    }

    pub(super) fn on_reset(&mut self, code: u32) {
        assert!(self.reset.is_none(), "RFC 9113 §6.4: reset twice: {self:?}");
        self.reset = Some(code);
    }

    fn on_end(&mut self) {
        self.is_whole = true;
        // RFC 9113 §8.1.1; an answer to HEAD and a 304 have a length of what they leave out.
        if let Some(length) = self.field("content-length")
            && !self.body.is_empty()
        {
            assert_eq!(length, self.body.len().to_string(), "RFC 9113 §8.1.1");
        }
    }
}

/// Fields of one connection of HTTP/1, which HTTP/2 never has (RFC 9113 §8.2.2).
pub(crate) const OF_CONNECTIONS: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
