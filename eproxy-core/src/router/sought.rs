//! A request, as far as routes are chosen by it.

use crate::http1::Lines;
use crate::message::Known;

/// What a route may look at. It borrows everything, and nothing of it is worked out before a route asks for it.
#[derive(Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) method: &'a [u8],
    /// The canonical path.
    pub(crate) path: &'a str,
    /// What stands behind the question mark, as it came.
    pub(crate) query: Option<&'a [u8]>,
    /// The host and port of an absolute target, or of CONNECT.
    pub(crate) authority: Option<&'a [u8]>,
    pub(crate) lines: Lines<'a>,
}

impl<'a> Sought<'a> {
    /// The host and port that it is for: an absolute target overrides the Host field (RFC 9112 §3.2.2).
    pub(crate) fn host(&self) -> Option<&'a [u8]> {
        if self.authority.is_some() {
            return self.authority;
        }
        let field = self.lines.fields.iter().find(|field| field.known == Known::Host)?;
        Some(field.value.of(self.lines.bytes))
    }
}
