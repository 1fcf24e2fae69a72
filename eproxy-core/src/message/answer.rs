//! A whole answer as a value.

use http_types::headers::{HeaderName, HeaderValue};

use crate::error::{Error, Kind, Result};

use super::body::Body;
use super::headers::Headers;

/// An answer as a value: what the [`Client`](crate::Client) gets from an upstream, what
/// [`Response::forward`](crate::Response::forward) relays, and what an async handler may return.
///
/// ```
/// let mut answer = eproxy_core::Answer::new(404).with_body("no such page");
/// answer.headers_mut().insert("Cache-Control", "no-store")?;
/// # Ok::<_, eproxy_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Answer {
    status: u16,
    headers: Headers,
    body: Body,
}

impl Answer {
    /// An answer without headers and body. A status that is not from 200 to 999 is answered as 500 when it is sent.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self { status, headers: Headers::new(), body: Body::empty() }
    }

    /// An answer whose body says no more than its status: `404 Not Found`.
    pub(crate) fn plain(status: u16) -> Self {
        match status {
            204 => Self::new(status),
            _ => Self::new(status).with_body(format!("{status} {}\n", reason_phrase(status))),
        }
    }

    pub(crate) fn from_parts(status: u16, headers: Headers, body: Body) -> Self {
        Self { status, headers, body }
    }

    pub(crate) fn into_parts(self) -> (u16, Headers, Body) {
        (self.status, self.headers, self.body)
    }

    /// Puts a body in place of the one it has.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// The status code (RFC 9110 §15), as it came.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The header fields.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The header fields, to be changed.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The body, as it has not been read so far.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// The body alone.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }

    /// Reads the whole body.
    ///
    /// # Errors
    ///
    /// As [`Body::bytes`].
    pub async fn bytes(self, limit: u64) -> Result<Vec<u8>> {
        self.body.bytes(limit).await
    }
}

/// Fails where a header value cannot be put on the wire; http-types does not check them.
impl TryFrom<http_types::Response> for Answer {
    type Error = Error;

    fn try_from(mut response: http_types::Response) -> Result<Self> {
        let mut headers = Headers::new();
        for (name, values) in response.iter() {
            for value in values {
                headers.append(name.as_str(), value.as_str())?;
            }
        }
        Ok(Self { status: response.status().into(), headers, body: response.take_body().into() })
    }
}

/// Fails where http-types has no word for it: a status that is not registered, a value outside ASCII. Its headers
/// lose their order and case.
impl TryFrom<Answer> for http_types::Response {
    type Error = Error;

    fn try_from(answer: Answer) -> Result<Self> {
        let convert = |what: String| Error::new(Kind::Convert).detail(what);
        let status = http_types::StatusCode::try_from(answer.status)
            .map_err(|_| convert(format!("http-types has no status {}", answer.status)))?;
        let mut response = Self::new(status);
        response.set_body(answer.body);
        response.remove_header("content-type");
        for (name, value) in answer.headers.iter() {
            let (name, value) = http_types_field(name, value)?;
            response.append_header(name, value);
        }
        Ok(response)
    }
}

/// The reason phrase of a status (RFC 9110 §15); empty for one that is not registered.
pub(crate) fn reason_phrase(status: u16) -> &'static str {
    http_types::StatusCode::try_from(status).map_or("", |status| status.canonical_reason())
}

/// A header field as http-types has it.
///
/// # Errors
///
/// The value is not ASCII; handing http-types such a value would panic.
pub(crate) fn http_types_field(name: &str, value: &[u8]) -> Result<(HeaderName, HeaderValue)> {
    let convert = || Error::new(Kind::Convert).detail(format!("http-types cannot hold the value of {name}"));
    let field = HeaderName::from_bytes(name.into()).map_err(|_| convert())?;
    Ok((field, HeaderValue::from_bytes(value.into()).map_err(|_| convert())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_http_types_cannot_say_is_an_error_and_not_a_panic() {
        let mut answer = Answer::new(200);
        answer.headers_mut().append("X-Name", "caf\u{e9}".as_bytes()).unwrap();
        assert!(http_types::Response::try_from(answer).unwrap_err().to_string().contains("X-Name"));
        assert!(http_types::Response::try_from(Answer::new(299)).is_err());
    }

    #[test]
    fn a_value_that_would_split_the_message_does_not_get_in() {
        let mut response = http_types::Response::new(200);
        response.insert_header("x-user", "evil\r\nx-admin: 1");
        assert!(Answer::try_from(response).is_err());
    }
}
