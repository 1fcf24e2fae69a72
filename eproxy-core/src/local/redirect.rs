//! The client is sent elsewhere.

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::handler::{Handler, Request, Response};
use crate::message::{Answer, Headers};

use super::fields::{Fields, add_all};
use super::place::{Local, Place};
use super::template::{Asked, Template};

/// A redirect (RFC 9110 §15.4): the client is told where else to ask.
///
/// Where to is a text with placeholders:
///
/// | placeholder | what it stands for |
/// |---|---|
/// | `{scheme}` | `https` where the client speaks TLS with us, else `http` |
/// | `{host}` | the host that was asked for, without its port |
/// | `{port}` | its port; 80 or 443 unless the client has named one |
/// | `{path}` | the path as it came, with the slash at its beginning |
/// | `{query}` | what stood behind the question mark; where there was none, the `?` or `&` in front of it goes, too |
/// | `{uri}` | path and query |
/// | `{name}` | a parameter of the route's pattern; it comes before a placeholder of the same name |
///
/// It begins with `http://`, `https://` or a slash, which leaves host and scheme as they are.
///
/// ```
/// use eproxy_core::{Redirect, Server};
///
/// let server = Server::builder()
///     .at("/blog/*rest", Redirect::to("https://blog.example/{rest}?{query}"))
///     .at("/users/:id", Redirect::to("/accounts/{id}").permanent())
///     .at("/login", Redirect::to("https://login.example/?next=https://{host}/").status(303));
/// // A server of its own, for clients that do not speak TLS yet.
/// let plain = Server::builder().at("/*path", Redirect::https()).bind("0.0.0.0:80");
/// ```
///
/// What a request brings can't change where it leads: it is percent-encoded where it has to be, never begins a host, and
/// a path of `//elsewhere` is one of `/elsewhere`. A parameter in the host is a `bad_option` unless a domain follows it, as in
/// `https://{name}.example.com/`.
///
/// Its methods never fail. The first thing that is wrong with a description is what
/// [`Builder::start`](crate::Builder::start) returns: an error named `bad_option`.
#[derive(Clone, Debug)]
#[must_use = "a redirect is mounted with Builder::at or Route::get"]
pub struct Redirect {
    to: String,
    status: u16,
    fields: Fields,
    /// What has come over TLS is where it should be.
    to_https: bool,
}

impl Redirect {
    /// Redirects to this place, with 307 unless [another status](Self::status) is set: clients ask again next time, so that
    /// a redirect can be taken back, and keep their method, so that no POST becomes a GET (RFC 9110 §15.4.8).
    pub fn to(template: impl Into<String>) -> Self {
        Self { to: template.into(), status: 307, fields: Fields::default(), to_https: false }
    }

    /// Redirects to the same host, path and query by `https`, on its usual port, with 308. What has come over TLS already
    /// gets 404: it would be sent to where it is.
    pub fn https() -> Self {
        Self::https_port(443)
    }

    /// As [`https`](Self::https), to another port. Port 0 is a `bad_option`.
    pub fn https_port(port: u16) -> Self {
        let mut redirect = match port {
            443 => Self::to("https://{host}{uri}"),
            port => Self::to(format!("https://{{host}}:{port}{{uri}}")),
        };
        if port == 0 {
            redirect.fields.refuse("port 0");
        }
        redirect.to_https = true;
        redirect.permanent()
    }

    /// Sets the status: 301, 302, 303, 307 or 308; any other is a `bad_option`. 301 and 308 are remembered by clients, 307
    /// and 308 keep the method, 303 makes it GET.
    pub fn status(mut self, status: u16) -> Self {
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            self.fields.refuse(format!("status {status} for a redirect"));
        }
        self.status = status;
        self
    }

    /// Sets the status to 308: clients may remember it for ever, and keep their method (RFC 9110 §15.4.9).
    pub fn permanent(self) -> Self {
        self.status(308)
    }

    /// Sets a header of the answer, in place of all of that name; `Location` is none of them. What it may be is said at
    /// [`Fixed::header`](crate::Fixed::header).
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        match name.eq_ignore_ascii_case("location") {
            true => self.fields.refuse("header \"Location\" is what a redirect sets by itself"),
            false => self.fields.set(name, value.as_ref()),
        }
        self
    }
}

impl Local for Redirect {
    fn build(&self, place: &Place<'_>) -> Result<Arc<dyn Handler>> {
        let wrong = |what| Error::new(Kind::BadOption).detail(format!("redirect to {:?} {what}", self.to));
        let template = Template::parse(&self.to, place).map_err(wrong)?;
        let Self { status, fields, to_https, .. } = self.clone();
        Ok(Arc::new(Redirecting { template, status, headers: fields.finish()?, to_https }))
    }
}

/// A redirect at its place.
#[derive(Debug)]
struct Redirecting {
    template: Template,
    status: u16,
    headers: Headers,
    to_https: bool,
}

impl Handler for Redirecting {
    fn handle(&self, req: Request, res: Response) {
        if self.to_https && req.scheme() == "https" {
            return res.forward(Answer::plain(404));
        }
        let asked = Asked {
            scheme: req.scheme(),
            authority: req.host(),
            path: req.path(),
            query: req.query(),
            param: &|name| req.param(name),
        };
        match self.template.fill(&asked) {
            Some(location) => {
                add_all(res, &self.headers).header("Location", location).forward(Answer::plain(self.status));
            }
            // HTTP/1.0 knows requests without a host.
            None => res.forward(Answer::plain(400)),
        }
    }
}
