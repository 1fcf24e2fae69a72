//! Where spans go, and which.

use std::fmt;

use http_types::Url;

use crate::error::{Error, Kind, Result};
use crate::telemetry::TraceRules;

/// Traces of exchanges, in the terms of W3C Trace Context and OpenTelemetry.
///
/// Every request belongs to a trace: that of its `traceparent`, or a new one where there is none or where it is malformed.
/// What it is passed on to gets a `traceparent` of its own, whose parent is the attempt that sends it; `tracestate` passes
/// as it came. Of a trace that is sampled, a span for the exchange and one for each attempt are sent to a collector, by
/// OTLP over HTTP in JSON. Whether a trace is sampled is said by its `traceparent`; of those that begin here it is a part.
///
/// Spans wait for their batch for a second at the most. A collector that says 429, 502, 503 or 504, or can't be reached, is
/// tried again for half a minute or so; spans that wait meanwhile are kept as far as there is room, and dropped and counted
/// beyond that ([`MetricsSnapshot::spans_dropped`](crate::MetricsSnapshot::spans_dropped)). No request ever waits for any of it.
///
/// ```
/// use eproxy_core::{Proxy, Server, Traces};
///
/// let server = Server::builder()
///     .traces(Traces::to("http://127.0.0.1:4318").sample(0.01).service("edge"))
///     .at("/*path", Proxy::to("http://10.0.0.7:3000"));
/// ```
#[derive(Clone, PartialEq)]
#[must_use = "traces are given to a Builder"]
pub struct Traces {
    url: String,
    sample: f64,
    service: String,
    trusted_only: bool,
    headers: Vec<(String, String)>,
}

impl Traces {
    /// Traces that a collector is sent, `http://host:4318` or `https://host`. Where the URL has no path, that of OTLP,
    /// `/v1/traces`, is meant. What is wrong with it is told when the server starts: a user name or a password in it is, which
    /// would not be sent; a key belongs in a [header](Self::header).
    pub fn to(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            sample: 1.0,
            service: "eproxy".into(),
            trusted_only: false,
            headers: Vec::new(),
        }
    }

    /// Keeps that part of the traces that begin here, by chance, from 0 to 1; all unless set.
    pub fn sample(mut self, part: f64) -> Self {
        self.sample = part;
        self
    }

    /// Sets what this server is called, `service.name`; `eproxy` unless set.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = name.into();
        self
    }

    /// Goes on with the traces of [trusted](crate::Builder::trusted_proxies) clients only, and begins a new one for what anybody
    /// else sends. Unless set, whoever sends a request decides which trace it is part of and whether that is sampled.
    pub fn trusted_only(mut self) -> Self {
        self.trusted_only = true;
        self
    }

    /// Adds a field to what the collector is sent, such as one with a key. May be called several times.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How traces are begun and gone on with.
    ///
    /// # Errors
    ///
    /// `BadOption`: the part to be sampled is none.
    pub(crate) fn rules(&self) -> Result<TraceRules> {
        TraceRules { sample: self.sample, trusted_only: self.trusted_only }.check()
    }

    /// Where spans are sent.
    ///
    /// # Errors
    ///
    /// `BadOption`: that is none.
    pub(crate) fn endpoint(&self) -> Result<Url> {
        let wrong =
            |why: String| Error::new(Kind::BadOption).detail(format!("traces to {:?}: {why}", self.shown()));
        let mut url = Url::parse(&self.url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("expected http:// or https:// and a host".into()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it has a user name or a password, which belong in a header".into()));
        }
        if matches!(url.path(), "" | "/") {
            url.set_path("/v1/traces");
        }
        Ok(url)
    }

    /// The URL without what could be a key: all in front of an `@`, and the query. It need not be a valid one.
    pub(crate) fn shown(&self) -> String {
        let query = self.url.find(['?', '#']).unwrap_or(self.url.len());
        match self.url.rfind('@') {
            // It may be part of the query, or the query may be part of a password.
            Some(at) if at > query => "***".into(),
            Some(at) => format!("***{}", &self.url[at..query]),
            None => self.url[..query].to_owned(),
        }
    }

    pub(super) fn service_name(&self) -> &str {
        &self.service
    }

    pub(super) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }
}

/// Keys are not shown.
impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| (name, "***")).collect();
        f.debug_struct("Traces")
            .field("url", &self.shown())
            .field("sample", &self.sample)
            .field("service", &self.service)
            .field("trusted_only", &self.trusted_only)
            .field("headers", &headers)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_of_a_collector_is_shown() {
        let traces = Traces::to("http://c.test/v1/traces?key=s3cret").header("X-Key", "s3cret");
        let shown = format!("{traces:?}");
        assert!(!shown.contains("s3cret") && shown.contains("X-Key"), "{shown}");
        for (url, shown) in [
            ("http://c.test/v1/traces?key=s3cret", "http://c.test/v1/traces"),
            ("http://name:s3cret@c.test/x?s3cret", "***@c.test/x"),
            ("http://name:s3?cret@c.test/", "***"),
            ("http://c.test/?key=s3@cret", "***"),
            ("", ""),
        ] {
            assert_eq!(Traces::to(url).shown(), shown);
        }
    }

    #[test]
    fn a_user_name_or_a_password_of_a_collector_is_refused_and_not_shown() {
        for url in ["http://s3cret@c.test", "https://name:s3cret@c.test/x", "http://:s3cret@c.test"] {
            let error = Traces::to(url).endpoint().unwrap_err().to_string();
            assert!(error.contains("a user name or a password") && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_collector_without_a_path_is_asked_at_that_of_otlp() {
        let url = |url: &str| Traces::to(url).endpoint().map(|url| url.to_string());
        assert_eq!(url("http://127.0.0.1:4318").unwrap(), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(url("https://c.test/v1/traces/x").unwrap(), "https://c.test/v1/traces/x");
        for wrong in ["", "collector:4318", "ftp://c.test", "http://"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
        assert!(Traces::to("http://c.test").sample(-0.1).rules().is_err());
    }
}
