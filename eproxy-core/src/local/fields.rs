//! Header fields that a description adds to its answers.

use crate::error::{Error, Kind, Result};
use crate::handler::Response;
use crate::message::{Headers, Known};

/// Header fields, and the first thing that is wrong with the description that they belong to.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    headers: Headers,
    wrong: Option<String>,
}

impl Fields {
    /// Puts a field in place of all of that name.
    pub(super) fn set(&mut self, name: &str, value: &[u8]) {
        self.put(name, |headers| headers.insert(name, value));
    }

    /// Adds a field.
    pub(super) fn add(&mut self, name: &str, value: &[u8]) {
        self.put(name, |headers| headers.append(name, value));
    }

    fn put(&mut self, name: &str, put: impl FnOnce(&mut Headers) -> Result<()>) {
        match Known::of(name.as_bytes()) {
            Known::ContentLength | Known::Trailer | Known::Expect => self.refuse_field(name),
            known if known.is_hop_by_hop() => self.refuse_field(name),
            _ => {
                if let Err(error) = put(&mut self.headers) {
                    self.refuse(error.into_detail());
                }
            }
        }
    }

    fn refuse_field(&mut self, name: &str) {
        self.refuse(format!("header {name:?} is the wire's own"));
    }

    /// Notes what is wrong with the description, unless something was before.
    pub(super) fn refuse(&mut self, what: impl Into<String>) {
        self.wrong.get_or_insert_with(|| what.into());
    }

    /// Whether there is a field of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.get(name).is_some()
    }

    /// # Errors
    ///
    /// `BadOption`, with the first thing that is wrong.
    pub(super) fn finish(self) -> Result<Headers> {
        match self.wrong {
            Some(what) => Err(Error::new(Kind::BadOption).detail(what)),
            None => Ok(self.headers),
        }
    }
}

/// Adds fields to a response.
pub(super) fn add_all(res: Response, headers: &Headers) -> Response {
    headers.iter().fold(res, |res, (name, value)| res.append_header(name, value))
}
