//! What the access log is told to be.

use std::path::PathBuf;

use crate::error::{Error, Kind, Result};
use crate::message::is_token;

use super::redact::{SECRET_KEYS, is_secret_field};

/// A log with a line for every exchange that is over.
///
/// Cores write their lines into buffers of their own, which a thread writes to where they are to go, some hundred lines at a
/// time: at the latest 200 ms after a line was made. Nobody waits for it. What can't be written, and what comes faster than it
/// can be, is dropped and counted ([`MetricsSnapshot::access_log_dropped`](crate::MetricsSnapshot::access_log_dropped)).
///
/// Values of `Authorization`, `Cookie`, `Set-Cookie`, `Proxy-Authorization` and `X-Api-Key` are not told, nor those of keys in
/// queries that are [known to be secret](Self::redact_query), in targets and in `Referer`. `docs/observability.md` has
/// every field.
///
/// ```
/// use eproxy_core::{AccessLog, Proxy, Server};
///
/// let server = Server::builder()
///     .access_log(AccessLog::to_file("/var/log/eproxy/access.log").sample(0.1).header("X-Tenant"))
///     .at("/*path", Proxy::to("http://10.0.0.7:3000"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "an access log is given to a Builder"]
pub struct AccessLog {
    pub(crate) sink: Sink,
    format: Format,
    sample: f64,
    keys: Vec<String>,
    headers: Vec<Shown>,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    File(PathBuf),
    /// The `log` facade.
    Log,
}

/// What lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Pretty,
}

/// A field of requests that is shown.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// In lower case.
    pub(super) name: String,
    pub(super) telling: Telling,
}

/// How much of a field's value is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    All,
    /// It is a URL: what is secret in it is not told.
    WithoutSecrets,
    Nothing,
}

impl AccessLog {
    /// A log in a file, which is made where there is none and added to where there is one: an object of JSON a line. After
    /// [`Handle::reopen_logs`](crate::Handle::reopen_logs) what is there under that name then is written to.
    /// A FIFO must have a reader by then.
    pub fn to_file(path: impl Into<PathBuf>) -> Self {
        Self::to(Sink::File(path.into()), Format::Json)
    }

    /// A log that goes where the program's own log goes: every line is a record of the `log` facade at the level `info`, whose
    /// target is `eproxy::access`. Lines are for people, unless [`json`](Self::json) says something else.
    pub fn to_log() -> Self {
        Self::to(Sink::Log, Format::Pretty)
    }

    fn to(sink: Sink, format: Format) -> Self {
        let keys = SECRET_KEYS.iter().map(|key| (*key).to_owned()).collect();
        Self { sink, format, sample: 1.0, keys, headers: Vec::new() }
    }

    /// Makes each line an object of JSON.
    pub fn json(mut self) -> Self {
        self.format = Format::Json;
        self
    }

    /// Makes lines for people.
    pub fn pretty(mut self) -> Self {
        self.format = Format::Pretty;
        self
    }

    /// Logs that part of the exchanges, by chance, from 0 to 1; those with a status from 500 on are always logged. All unless
    /// set.
    pub fn sample(mut self, part: f64) -> Self {
        self.sample = part;
        self
    }

    /// Sets the keys of queries whose values are not told, instead of those that are usual: `access_token`, `api_key`,
    /// `apikey`, `auth`, `client_secret`, `code`, `credential`, `id_token`, `key`, `pass`, `passwd`, `password`,
    /// `refresh_token`, `secret`, `signature`, `token`. Case does not matter.
    pub fn redact_query(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Tells a field of requests as well, by its name; what is a credential is told as `***`. Values of one that comes several
    /// times are told in their order with commas between them (RFC 9110 §5.3). What is no name of a field is told when the
    /// server starts.
    pub fn header(self, name: impl Into<String>) -> Self {
        let name = name.into().to_ascii_lowercase();
        let telling = match &*name {
            "referer" => Telling::WithoutSecrets,
            name if is_secret_field(name) => Telling::Nothing,
            _ => Telling::All,
        };
        self.show(Shown { name, telling })
    }

    /// As [`header`](Self::header), and tells credentials, too.
    pub fn header_in_clear(self, name: impl Into<String>) -> Self {
        self.show(Shown { name: name.into().to_ascii_lowercase(), telling: Telling::All })
    }

    fn show(mut self, shown: Shown) -> Self {
        self.headers.retain(|known| known.name != shown.name);
        self.headers.push(shown);
        self
    }

    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(crate) fn build(&self) -> Result<LogRules> {
        let wrong = |what: String| Err(Error::new(Kind::BadOption).detail(what));
        if !(0.0..=1.0).contains(&self.sample) {
            return wrong(format!("a sample of {} of the access log", self.sample));
        }
        if let Some(shown) = self.headers.iter().find(|shown| !is_token(shown.name.as_bytes())) {
            return wrong(format!("the field {:?} in the access log", shown.name));
        }
        Ok(LogRules {
            format: self.format,
            is_for_log: matches!(self.sink, Sink::Log),
            sample: self.sample,
            keys: self.keys.iter().map(|key| key.as_str().into()).collect(),
            headers: self.headers.clone(),
        })
    }
}

/// What lines are made by.
#[derive(Clone, Debug)]
pub(crate) struct LogRules {
    pub(super) format: Format,
    /// They are only wanted as long as the program's log wants them.
    pub(super) is_for_log: bool,
    pub(super) sample: f64,
    pub(super) keys: Vec<Box<str>>,
    pub(super) headers: Vec<Shown>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_logged_is_told() {
        for log in [
            AccessLog::to_log().sample(1.1),
            AccessLog::to_log().sample(f64::NAN),
            AccessLog::to_log().header("a b"),
        ] {
            assert!(log.build().is_err(), "{log:?}");
        }
        let rules = AccessLog::to_log().header("COOKIE").header_in_clear("authorization").build().unwrap();
        let shown: Vec<_> = rules.headers.iter().map(|it| (it.name.as_str(), it.telling)).collect();
        assert_eq!(shown, [("cookie", Telling::Nothing), ("authorization", Telling::All)]);
    }
}
