//! What is asked of an endpoint to see whether it is well.

use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::message::{Known, is_token, is_value, target};

use super::grpc_probe::Check;

/// A question that is put to each endpoint of a group again and again, whether or not there are requests for it: active
/// health checking.
///
/// Each probe is a connection of its own. The first result decides whether an endpoint gets requests; after that it takes
/// several in a row to change it ([`rise`](Self::rise), [`fall`](Self::fall)). What is wrong with a probe is said when the
/// server starts.
///
/// ```
/// use std::time::Duration;
/// use eproxy_core::Probe;
///
/// let page = Probe::http("/healthz").expect_status([200, 204]).interval(Duration::from_secs(2)).fall(2);
/// let port = Probe::tcp().timeout(Duration::from_millis(500));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a probe is given to a group"]
pub struct Probe {
    pub(super) asks: Asks,
    pub(in crate::upstream) interval: Duration,
    pub(in crate::upstream) timeout: Duration,
    pub(in crate::upstream) rise: u32,
    pub(in crate::upstream) fall: u32,
    pub(super) port: Option<u16>,
    /// The first thing that was wrong.
    wrong: Option<String>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) enum Asks {
    /// Whether it takes a connection.
    Connection,
    /// Whether it answers a request as expected.
    Http(Question),
    /// Whether it says that it is serving.
    Grpc(Check),
}

/// A request, and the answer that is expected.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) method: String,
    pub(super) path: String,
    /// What to call the endpoint; none calls it what its URL does.
    pub(super) host: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) statuses: Statuses,
    /// What the body has to contain.
    pub(super) body: Option<Vec<u8>>,
}

/// Statuses that an answer may have.
#[derive(Clone, Debug)]
pub(super) enum Statuses {
    /// 200 to 399.
    Usual,
    These(Vec<u16>),
}

impl Statuses {
    pub(super) fn has(&self, status: u16) -> bool {
        match self {
            Self::Usual => matches!(status, 200..400),
            Self::These(these) => these.contains(&status),
        }
    }
}

/// Bytes of a body that are looked at for what it has to contain.
pub(super) const BODY: usize = 64 * 1024;

/// Results in a row that can be asked for.
const MOST_RESULTS: u32 = 1000;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Probe {
    /// Asks for a path, which begins with a slash and may have a query, behind the path of the endpoint's URL. An endpoint
    /// is well that answers with a status from 200 to 399, unless [`expect_status`](Self::expect_status) says otherwise.
    pub fn http(path: impl Into<String>) -> Self {
        let path = path.into();
        let is_path =
            path.starts_with('/') && path.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'#');
        let wrong = (!is_path).then(|| format!("the path {path:?}"));
        let question = Question {
            method: "GET".into(),
            path,
            host: None,
            headers: Vec::new(),
            statuses: Statuses::Usual,
            body: None,
        };
        Self { wrong, ..Self::new(Asks::Http(question)) }
    }

    /// Asks for a connection, and closes it again. An endpoint is well that takes one.
    pub fn tcp() -> Self {
        Self::new(Asks::Connection)
    }

    /// Asks a server that speaks gRPC whether it is serving, as a whole: its own protocol for that,
    /// `grpc.health.v1.Health/Check`. An endpoint is well that says `SERVING`.
    ///
    /// gRPC is spoken over HTTP/2: this is for endpoints of `h2c://`, and for those of `https://` that choose HTTP/2.
    ///
    /// ```
    /// use eproxy_core::{Group, Probe};
    ///
    /// let group = Group::from(["h2c://10.0.0.7:50051", "h2c://10.0.0.8:50051"]).probe(Probe::grpc());
    /// ```
    pub fn grpc() -> Self {
        Self::grpc_service("")
    }

    /// The same for one of its services, by its full name: `shop.v1.Orders`, up to 1,000 bytes. An empty name stands for all
    /// of it.
    pub fn grpc_service(name: impl Into<String>) -> Self {
        let service = name.into();
        let wrong = (service.len() > 1000).then(|| "the name of a service that is too long".to_owned());
        Self { wrong, ..Self::new(Asks::Grpc(Check { service, host: None, headers: Vec::new() })) }
    }

    fn new(asks: Asks) -> Self {
        Self {
            asks,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            rise: 2,
            fall: 3,
            port: None,
            wrong: None,
        }
    }

    /// Sets the Host field of requests: a name, with a port if need be. What the endpoint's URL has unless set.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        let host = host.into();
        if host.is_empty() || !target::is_authority(host.as_bytes()) {
            self.refuse(format!("the host {host:?}"));
        }
        match &mut self.asks {
            Asks::Grpc(check) => check.host = Some(host),
            _ => self.question("a host", |question| question.host = Some(host)),
        }
        self
    }

    /// Adds a header to requests. What frames them or concerns their connection can't be set, and `Host` has its
    /// [setter](Self::host).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        let known = Known::of(name.as_bytes());
        let is_ours = known.is_hop_by_hop()
            || matches!(known, Known::Host | Known::ContentLength | Known::Trailer | Known::Expect)
            || matches!((known, &self.asks), (Known::ContentType, Asks::Grpc(_)));
        if !is_token(name.as_bytes()) || is_ours || !is_value(value.as_bytes()) {
            self.refuse(format!("the header {name:?} of {value:?}"));
        }
        match &mut self.asks {
            Asks::Grpc(check) => check.headers.push((name, value)),
            _ => self.question("headers", |question| question.headers.push((name, value))),
        }
        self
    }

    /// Sets the method of requests, which have no body. Default `GET`.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        let method = method.into();
        if !is_token(method.as_bytes()) || method == "CONNECT" {
            self.refuse(format!("the method {method:?}"));
        }
        self.question("a method", |question| question.method = method);
        self
    }

    /// Sets the statuses that are expected, from 200 to 599: a range or a list, `200..=299` or `[200, 401]`.
    pub fn expect_status(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        let mut these = Vec::new();
        for status in statuses {
            // An open range has no end.
            if !matches!(status, 200..600) {
                self.refuse(format!("the status {status}, expected 200 to 599"));
                break;
            }
            these.push(status);
        }
        if these.is_empty() {
            self.refuse("no status that is expected".into());
        }
        self.question("statuses", |question| question.statuses = Statuses::These(these));
        self
    }

    /// Sets what the body of an answer has to contain, beside its status; its first 64 KiB are looked at.
    pub fn expect_body(mut self, substring: impl Into<Vec<u8>>) -> Self {
        let substring = substring.into();
        if !(1..=BODY).contains(&substring.len()) {
            self.refuse(format!("a body with {} bytes, expected 1 to {BODY}", substring.len()));
        }
        self.question("a body", |question| question.body = Some(substring));
        self
    }

    /// Sets how long it is from the end of one probe to the next, give or take a tenth: 10 ms to a day. Default 5 s.
    pub fn interval(mut self, interval: Duration) -> Self {
        if !(Duration::from_millis(10)..=DAY).contains(&interval) {
            self.refuse(format!("an interval of {interval:?}, expected 10 ms to a day"));
        }
        self.interval = interval;
        self
    }

    /// Sets how long a probe may take, from looking the name up to the answer: 1 ms to a day. Default 2 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if !(Duration::from_millis(1)..=DAY).contains(&timeout) {
            self.refuse(format!("a timeout of {timeout:?}, expected 1 ms to a day"));
        }
        self.timeout = timeout;
        self
    }

    /// Sets how many good results in a row bring an endpoint back, from 1 to 1,000. Default 2.
    pub fn rise(mut self, results: u32) -> Self {
        self.check_results("rise", results);
        self.rise = results;
        self
    }

    /// Sets how many bad results in a row take an endpoint out, from 1 to 1,000. Default 3.
    pub fn fall(mut self, results: u32) -> Self {
        self.check_results("fall", results);
        self.fall = results;
        self
    }

    /// Sets another port to probe than the one that requests go to. An endpoint on a unix-domain socket has none, and is
    /// probed where it is.
    pub fn port(mut self, port: u16) -> Self {
        if port == 0 {
            self.refuse("the port 0".into());
        }
        self.port = Some(port);
        self
    }

    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(in crate::upstream) fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::new(Kind::BadOption).detail(format!("a probe with {what}")));
        if let Some(what) = &self.wrong {
            return wrong(what);
        }
        match &self.asks {
            Asks::Http(question) if question.method == "HEAD" && question.body.is_some() => {
                wrong("a body in the answer to HEAD")
            }
            _ => Ok(()),
        }
    }

    fn check_results(&mut self, what: &str, results: u32) {
        if !(1..=MOST_RESULTS).contains(&results) {
            self.refuse(format!("a {what} of {results}, expected 1 to {MOST_RESULTS}"));
        }
    }

    /// Changes what is asked in HTTP; `what` can't be asked for otherwise.
    fn question(&mut self, what: &str, change: impl FnOnce(&mut Question)) {
        match &mut self.asks {
            Asks::Http(question) => change(question),
            Asks::Connection => self.refuse(format!("{what}, of which TCP has none")),
            Asks::Grpc(_) => self.refuse(format!("{what}, which gRPC has its own of")),
        }
    }

    fn refuse(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http() -> Probe {
        Probe::http("/healthz?full=1")
    }

    #[test]
    fn what_can_be_asked_can_be_set() {
        let probe = http()
            .host("app.test:8080")
            .header("Authorization", "Bearer x")
            .method("POST")
            .expect_status([200, 401])
            .expect_body("ok")
            .interval(Duration::from_secs(1))
            .timeout(Duration::from_secs(1))
            .rise(1)
            .fall(1)
            .port(8081);
        assert!(probe.check().is_ok());
        assert!(Probe::tcp().interval(DAY).port(1).check().is_ok());
        assert!(Probe::grpc_service("a.B").host("app.test").header("a", "b").port(1).check().is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_probe_is_said() {
        for (probe, what) in [
            (Probe::http("healthz"), "path \"healthz\""),
            (Probe::http("/a b"), "path"),
            (Probe::http("/a\r\nHost: b"), "path"),
            (Probe::http("/a#b"), "path"),
            (http().host(""), "host"),
            (http().host("a b"), "host"),
            (http().header("a b", "c"), "header \"a b\""),
            (http().header("a", "b\r\nc"), "header \"a\""),
            (http().header("Host", "a"), "header \"Host\""),
            (http().header("Transfer-Encoding", "chunked"), "header"),
            (http().header("Content-Length", "1"), "header"),
            (http().method("G T"), "method"),
            (http().method("CONNECT"), "method"),
            (http().method("HEAD").expect_body("ok"), "answer to HEAD"),
            (http().expect_body(""), "a body with 0 bytes"),
            (http().expect_body(vec![0; BODY + 1]), "a body with 65537 bytes"),
            (http().expect_status([]), "no status"),
            (http().expect_status(100..200), "status 100"),
            (http().expect_status(200..), "status 600"),
            (http().interval(Duration::ZERO), "interval"),
            (http().timeout(DAY * 2), "timeout"),
            (http().rise(0), "a rise of 0"),
            (http().fall(1001), "a fall of 1001"),
            (http().port(0), "port 0"),
            (Probe::tcp().host("a"), "a host, of which TCP has none"),
            (Probe::tcp().expect_status([200]), "statuses, of which"),
            (Probe::tcp().expect_body("a"), "a body, of which"),
            (Probe::grpc().expect_status([200]), "statuses, which gRPC"),
            (Probe::grpc().method("GET"), "a method, which gRPC"),
            (Probe::grpc().header("content-type", "a"), "header \"content-type\""),
            (Probe::grpc_service("a".repeat(1001)), "service that is too long"),
        ] {
            let error = probe.check().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn the_first_thing_that_is_wrong_is_said() {
        let error = http().rise(0).fall(0).host("").check().unwrap_err().to_string();
        assert!(error.contains("a rise of 0"), "{error}");
    }

    #[test]
    fn statuses_are_a_range_or_a_list() {
        let expected = |probe: Probe| match probe.asks {
            Asks::Http(question) => (100..=599).filter(|status| question.statuses.has(*status)).collect(),
            Asks::Connection | Asks::Grpc(_) => Vec::new(),
        };
        assert_eq!(expected(http()), (200..400).collect::<Vec<_>>());
        assert_eq!(expected(http().expect_status(200..=204)), [200, 201, 202, 203, 204]);
        assert_eq!(expected(http().expect_status(vec![401, 200])), [200, 401]);
    }
}
