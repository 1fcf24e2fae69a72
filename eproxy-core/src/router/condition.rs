//! What a route may ask of a request's header fields and query, beside its host, path and method.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, Kind, Result};
use crate::message::{Known, is_token, is_value, target};

use super::sought::Sought;

/// What the value of a header field or of a query parameter has to be; see [`Route::when_header`](crate::Route::when_header)
/// and [`Route::when_query`](crate::Route::when_query).
///
/// Values are compared byte by byte, with regard to case. Where there are several of one name, it is enough that one of them
/// fits; lists in one field (`a, b`) are not taken apart.
///
/// ```
/// use eproxy_core::{Match, Proxy, Route};
///
/// let canary = Route::new("/*path").when_header("X-Version", Match::exact("2")).any(Proxy::to("http://10.0.0.8:80"));
/// let preview = Route::new("/*path").when_query("preview", Match::present()).any(Proxy::to("http://10.0.0.9:80"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Match(Rule);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Rule {
    Exact(String),
    Prefix(String),
    Present,
    Absent,
}

impl Match {
    /// It is this.
    pub fn exact(value: impl Into<String>) -> Self {
        Self(Rule::Exact(value.into()))
    }

    /// It begins with this.
    pub fn prefix(value: impl Into<String>) -> Self {
        Self(Rule::Prefix(value.into()))
    }

    /// It is there, whatever it is; be it empty.
    #[must_use]
    pub fn present() -> Self {
        Self(Rule::Present)
    }

    /// There is none of that name.
    #[must_use]
    pub fn absent() -> Self {
        Self(Rule::Absent)
    }

    /// Whether one of the values fits.
    fn holds<'a>(&self, mut values: impl Iterator<Item = Cow<'a, [u8]>>) -> bool {
        match &self.0 {
            Rule::Exact(wanted) => values.any(|value| *value == *wanted.as_bytes()),
            Rule::Prefix(wanted) => values.any(|value| value.starts_with(wanted.as_bytes())),
            Rule::Present => values.next().is_some(),
            Rule::Absent => values.next().is_none(),
        }
    }

    /// Whether whatever fits `other` fits this, too.
    fn includes(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Rule::Present, other) => *other != Rule::Absent,
            (Rule::Prefix(start), Rule::Exact(value) | Rule::Prefix(value)) => value.starts_with(start),
            (this, other) => this == other,
        }
    }
}

/// Says what it asks for, behind the name of what it is asked of: `is "2"`.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Exact(value) => write!(f, "is {value:?}"),
            Rule::Prefix(value) => write!(f, "begins with {value:?}"),
            Rule::Present => f.write_str("is there"),
            Rule::Absent => f.write_str("is not there"),
        }
    }
}

/// One thing that a route asks of requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Condition {
    pub(super) part: Part,
    /// Of header fields in lower case.
    name: String,
    rule: Match,
}

/// What of a request is looked at. Header fields come first: more of them win over more of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    Header,
    Query,
}

impl Condition {
    pub(super) fn header(name: &str, rule: Match) -> Self {
        Self { part: Part::Header, name: name.to_ascii_lowercase(), rule }
    }

    pub(super) fn query(name: String, rule: Match) -> Self {
        Self { part: Part::Query, name, rule }
    }

    /// # Errors
    ///
    /// `BadPattern`: no request can have such a field.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: &str| {
            Err(Error::new(Kind::BadPattern).detail(format!("the condition that {self} {what}")))
        };
        if self.part == Part::Query {
            return Ok(());
        }
        let value = match &self.rule.0 {
            Rule::Exact(value) | Rule::Prefix(value) => value,
            Rule::Present | Rule::Absent => "",
        };
        match Known::of(self.name.as_bytes()) {
            _ if !is_token(self.name.as_bytes()) => wrong("names a header that is not a token"),
            _ if !is_value(value.as_bytes()) => wrong("has a value with a control character"),
            Known::Host => wrong("is for Route::host to say"),
            _ => Ok(()),
        }
    }

    /// Whether a request is as this wants it.
    pub(super) fn holds(&self, sought: &Sought<'_>) -> bool {
        match self.part {
            Part::Header => self.rule.holds(sought.lines.values(&self.name).map(Cow::Borrowed)),
            Part::Query => self.rule.holds(parameters(sought.query, self.name.as_bytes())),
        }
    }

    /// Whether this holds wherever `other` does.
    pub(super) fn includes(&self, other: &Self) -> bool {
        self.part == other.part && self.name == other.name && self.rule.includes(&other.rule)
    }

    /// Whether no request can be as both want it.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        let is_absent = |condition: &Self| condition.rule.0 == Rule::Absent;
        self.part == other.part && self.name == other.name && is_absent(self) != is_absent(other)
    }
}

/// Says what it asks for: `header x-version is "2"`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Header => "header",
            Part::Query => "query parameter",
        };
        write!(f, "{part} {} {}", self.name, self.rule)
    }
}

/// The values that a query has for a name, decoded; nothing is allocated where there is nothing to decode. A parameter
/// without `=` has an empty value, and `+` is a plus (RFC 3986 §3.4 knows no other meaning).
fn parameters<'a>(query: Option<&'a [u8]>, name: &[u8]) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let pairs = query.into_iter().flat_map(|query| query.split(|byte| *byte == b'&'));
    pairs.filter(|pair| !pair.is_empty()).filter_map(move |pair| {
        let (key, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        };
        (*decoded(key) == *name).then(|| decoded(value))
    })
}

fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr(b'%', text) {
        Some(_) => Cow::Owned(target::decode(text)),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(rule: &Match, query: &str) -> bool {
        rule.holds(parameters(Some(query.as_bytes()), b"a b"))
    }

    #[test]
    fn queries_are_decoded_and_any_value_of_a_name_will_do() {
        let is_c = Match::exact("c+ é");
        for query in ["a%20b=c+%20%c3%a9", "x&a%20b=1&&%61%20b=c+%20%C3%A9&y"] {
            assert!(holds(&is_c, query), "{query}");
        }
        for query in ["", "a+b=c", "a%20b", "a%20b=c++%c3%a9", "b=c", "a%20b=c+%20%c3%a9x"] {
            assert!(!holds(&is_c, query), "{query}");
        }
        assert!(holds(&Match::present(), "a%20b") && !holds(&Match::present(), "a%20b%20"));
        assert!(holds(&Match::absent(), "a+b=1") && !holds(&Match::absent(), "c&a%20b="));
        assert!(holds(&Match::prefix("x"), "a%20b=y&a%20b=%78y") && !holds(&Match::prefix("x"), "a%20b=y"));
        assert!(!Match::present().holds(parameters(None, b"a")));
    }

    #[test]
    fn what_includes_and_contradicts_another_is_known() {
        let of = |rule: Match| Condition::header("X-A", rule);
        let all =
            [Match::exact("ab"), Match::exact("a"), Match::prefix("a"), Match::present(), Match::absent()];
        let [ab, a, begins, present, absent] = all.map(of);
        assert!(present.includes(&ab) && begins.includes(&ab) && begins.includes(&a) && ab.includes(&ab));
        assert!(!ab.includes(&a) && !ab.includes(&begins) && !present.includes(&absent));
        assert!(absent.contradicts(&a) && present.contradicts(&absent) && !a.contradicts(&ab));
        assert!(!present.includes(&Condition::query("x-a".into(), Match::exact("a"))));
    }

    #[test]
    fn conditions_that_no_request_can_meet_are_refused() {
        for (condition, what) in [
            (Condition::header("a b", Match::present()), "token"),
            (Condition::header("A", Match::exact("b\n")), "control"),
            (Condition::header("HOST", Match::exact("b")), "Route::host"),
        ] {
            assert!(condition.check().unwrap_err().to_string().contains(what));
        }
        assert!(Condition::query("a b".into(), Match::exact("\n")).check().is_ok());
    }
}
