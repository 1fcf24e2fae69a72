//! The same answer to everybody.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::Result;
use crate::handler::{Handler, Request, Response};
use crate::message::{Body, Content, Headers};

use super::fields::{Fields, add_all};
use super::place::{Local, Place};

/// An answer that is always the same: for health checks, `robots.txt`, maintenance.
///
/// ```
/// use eproxy_core::{Fixed, Server};
///
/// let server = Server::builder()
///     .get("/healthz", Fixed::new(200).body("ok\n"))
///     .get("/robots.txt", Fixed::new(200).body("User-agent: *\nDisallow: /\n"))
///     .get("/version", Fixed::new(200).body(r#"{"version":"1.2"}"#).content_type("application/json"))
///     .at("/*path", Fixed::new(503).header("Retry-After", "120").body("back soon\n"));
/// ```
///
/// Its methods never fail. The first thing that is wrong with a description is what
/// [`Builder::start`](crate::Builder::start) returns: an error named `bad_option`.
#[derive(Clone, Debug)]
#[must_use = "a fixed answer is mounted with Builder::at or Route::get"]
pub struct Fixed {
    status: u16,
    fields: Fields,
    content_type: Option<Cow<'static, str>>,
    body: Cow<'static, [u8]>,
}

impl Fixed {
    /// An answer without a body. A status is a number from 200 to 999 (RFC 9110 §15); any other is a `bad_option`.
    pub fn new(status: u16) -> Self {
        let mut fields = Fields::default();
        if !(200..=999).contains(&status) {
            fields.refuse(format!("status {status}"));
        }
        Self { status, fields, content_type: None, body: Cow::Borrowed(b"") }
    }

    /// Sets the body: text, bytes, or a [`Body`] that is in hand. It brings its Content-Type, `text/plain; charset=utf-8`
    /// for text and `application/octet-stream` for bytes, unless [one is set](Self::content_type). A stream is a
    /// `bad_option`: it can be read once only. So is a body where the status allows none: 204, 205, 304.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        let body = body.into();
        if self.content_type.is_none() {
            self.content_type = body.mime().map(|mime| mime.to_owned().into());
        }
        self.body = match body.into_content() {
            Content::Empty => Cow::Borrowed(b""),
            Content::Static(bytes) => Cow::Borrowed(bytes),
            Content::Owned { mut bytes, from } => Cow::Owned(bytes.split_off(from)),
            Content::Pipe(..) | Content::Reader(..) => {
                self.fields.refuse("the body of a fixed answer is a stream");
                Cow::Borrowed(b"")
            }
        };
        if !self.body.is_empty() && matches!(self.status, 204 | 205 | 304) {
            self.fields.refuse(format!("a body for status {}, which has none", self.status));
        }
        self
    }

    /// Sets the Content-Type, in place of the one that comes with the body (RFC 9110 §8.3). A value with a control
    /// character is a `bad_option`.
    pub fn content_type(mut self, media_type: impl Into<Cow<'static, str>>) -> Self {
        self.content_type = Some(media_type.into());
        self
    }

    /// Sets a header in place of all of that name. A name that is no token, a value with a control character (RFC 9110
    /// §5.1, §5.5), and fields that frame the message or concern its connection, are a `bad_option`.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.set(name, value.as_ref());
        self
    }

    /// Adds a header behind those of the same name: for Set-Cookie. Values are checked as by [`header`](Self::header).
    pub fn append_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.add(name, value.as_ref());
        self
    }
}

impl Local for Fixed {
    fn build(&self, _: &Place<'_>) -> Result<Arc<dyn Handler>> {
        let Self { status, mut fields, body, content_type } = self.clone();
        if let Some(media_type) = content_type
            && !fields.has("content-type")
        {
            fields.set("Content-Type", media_type.as_bytes());
        }
        Ok(Arc::new(Answering { status, headers: fields.finish()?, body }))
    }
}

/// A fixed answer at its place.
#[derive(Debug)]
struct Answering {
    status: u16,
    headers: Headers,
    body: Cow<'static, [u8]>,
}

impl Handler for Answering {
    fn handle(&self, _: Request, res: Response) {
        let res = add_all(res.status(self.status), &self.headers);
        match &self.body {
            Cow::Borrowed(b"") => res.send(()),
            Cow::Borrowed(bytes) => res.send(*bytes),
            Cow::Owned(bytes) => res.send(bytes.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(fixed: Fixed) -> String {
        let built = fixed.build(&Place { names: &[], has_rest: false });
        built.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_first_thing_that_is_wrong_is_told() {
        let stream = Body::from_reader(futures_lite::io::empty(), None);
        for (fixed, what) in [
            (Fixed::new(199).header("a b", "c"), "status 199"),
            (Fixed::new(1000), "status 1000"),
            (Fixed::new(204).body("text"), "status 204"),
            (Fixed::new(200).header("X-A", "1\r\nX-B: 2"), "X-A"),
            (Fixed::new(200).append_header("X A", "1"), "X A"),
            (Fixed::new(200).header("content-length", "1"), "content-length"),
            (Fixed::new(200).header("Connection", "close"), "Connection"),
            (Fixed::new(200).content_type("text/plain\n"), "Content-Type"),
            (Fixed::new(200).body(stream), "stream"),
        ] {
            let told = wrong(fixed);
            assert!(told.starts_with("invalid option") && told.contains(what), "{what}: {told}");
        }
        assert_eq!(wrong(Fixed::new(299).header("X-A", b"\xFF").body(vec![0, 1])), "");
        assert_eq!(wrong(Fixed::new(204).body("")), "");
    }
}
