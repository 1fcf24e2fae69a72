//! What somebody sends who speaks HTTP/1, as httparse has it.

use super::chunked::{Chunks, split_chunks};

/// What a client has sent, as httparse has it.
pub(super) struct Sent {
    pub(super) requests: Vec<Asked>,
    /// There may be more, which httparse does not understand.
    pub(super) is_cut_short: bool,
}

/// A request that a handler or an upstream may get.
pub(super) struct Asked {
    /// Method and target.
    pub(super) line: String,
    /// As far as it goes.
    pub(super) body: Vec<u8>,
    pub(super) end: End,
}

/// How a request's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Partial,
    /// It is malformed, or httparse does not know better.
    Unknown,
}

impl Asked {
    /// Whether it may be passed on under this method and target: a target is not changed, but one in absolute form is
    /// brought into origin form (RFC 9112 §3.2).
    pub(super) fn is(&self, [method, target]: [&str; 2]) -> bool {
        let Some((own_method, own)) = self.line.split_once(' ') else { return false };
        let path = own
            .split_once("://")
            .map(|(_, behind)| &behind[behind.find(['/', '?']).unwrap_or(behind.len())..]);
        let is_target = match path {
            _ if own == target => true,
            Some("") => target == "/" || (method == "OPTIONS" && target == "*"),
            Some(path) if path.starts_with('?') => target.strip_prefix('/') == Some(path),
            Some(path) => path == target,
            None => false,
        };
        own_method == method && is_target
    }
}

impl Sent {
    pub(super) fn read(mut input: &[u8]) -> Self {
        let mut sent = Self { requests: Vec::new(), is_cut_short: false };
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut request = httparse::Request::new(&mut headers);
            let head = match request.parse(input) {
                Ok(httparse::Status::Complete(head)) => head,
                // Those above 1.1 are taken for it.
                Err(httparse::Error::Version) => {
                    sent.is_cut_short = true;
                    return sent;
                }
                Ok(httparse::Status::Partial) | Err(_) => return sent,
            };
            let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
            let Some((body, end, rest)) = read_body(request.headers, &input[head..]) else { return sent };
            sent.requests.push(Asked { line: format!("{method} {target}"), body, end });
            if end != End::Whole {
                return sent;
            }
            input = rest;
        }
    }
}

/// The body behind a head, how it ends, and what follows; none where its end is in doubt.
pub(super) fn read_body<'a>(
    headers: &[httparse::Header<'_>],
    rest: &'a [u8],
) -> Option<(Vec<u8>, End, &'a [u8])> {
    let values = |name: &'static str| {
        headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    };
    let codings: Vec<_> = values("transfer-encoding").collect();
    let lengths: Vec<_> = values("content-length").collect();
    match (&codings[..], &lengths[..]) {
        ([], []) => Some((Vec::new(), End::Whole, rest)),
        ([], [first, ..]) => {
            let parse = |length: &[u8]| -> Option<usize> {
                let is_number = length.iter().all(u8::is_ascii_digit);
                std::str::from_utf8(length).ok().filter(|_| is_number)?.parse().ok()
            };
            let length = parse(first)?;
            if lengths.iter().any(|other| parse(other) != Some(length)) {
                return None;
            }
            Some(match rest.split_at_checked(length) {
                Some((body, rest)) => (body.to_vec(), End::Whole, rest),
                None => (rest.to_vec(), End::Partial, &[]),
            })
        }
        ([coding], []) if coding.eq_ignore_ascii_case(b"chunked") => Some(match split_chunks(rest) {
            Chunks::Whole { body, rest, .. } => (body, End::Whole, rest),
            Chunks::Partial(body) => (body, End::Partial, &[]),
            Chunks::Malformed(body) => (body, End::Unknown, &[]),
        }),
        _ => None,
    }
}
