//! A route as it is looked at: what it asks of requests, and which of its answers a method has.

use crate::error::{Error, Kind, Result};
use crate::local::Place;
use crate::message::is_token;

use super::condition::{Condition, Part};
use super::host::HostPattern;
use super::pattern::{Pattern, Segment, has_rest};
use super::route::Route;
use super::sought::Sought;

/// The number of what answers, among all routes.
pub(super) type AnswerNumber = usize;

/// Routes with the same hosts, pattern, conditions and priority, as one.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Option<String>,
    pub(super) key: Key,
    /// The names of the pattern's parameters.
    pub(super) names: Vec<String>,
    pub(super) methods: Vec<(String, AnswerNumber)>,
    pub(super) any: Option<AnswerNumber>,
    pub(super) body_limit: Option<u64>,
    /// The Allow header of this route (RFC 9110 §10.2.1).
    pub(super) allow: String,
}

/// What tells routes apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// At least one.
    pub(super) hosts: Vec<HostPattern>,
    pub(super) pattern: String,
    pub(super) conditions: Vec<Condition>,
    pub(super) priority: i32,
}

impl Entry {
    /// What whoever answers at it is told of its pattern.
    pub(super) fn place(&self) -> Place<'_> {
        Place { names: &self.names, has_rest: has_rest(&self.key.pattern) }
    }
}

impl Key {
    /// Reads what a route says; everything that is wrong is added to `wrong`.
    pub(super) fn read(route: &Route, wrong: &mut Vec<Error>) -> Option<(Self, Vec<Segment>, Vec<String>)> {
        let before = wrong.len();
        let mut note = |error: Error| wrong.push(error);
        check_methods(route).unwrap_or_else(&mut note);
        let on_route = |error: Error| error.on_route(&route.pattern);
        let mut hosts: Vec<HostPattern> = Vec::new();
        for host in &route.hosts {
            HostPattern::parse(host).map_err(on_route).map_or_else(&mut note, |host| hosts.push(host));
        }
        for condition in &route.conditions {
            condition.check().map_err(on_route).unwrap_or_else(&mut note);
        }
        if route.name.as_ref().is_some_and(|name| !is_name(name)) {
            let what =
                format!("the name {:?}, expected visible ASCII", route.name.as_deref().unwrap_or_default());
            note(on_route(Error::new(Kind::BadPattern).detail(what)));
        }
        let pattern = Pattern::parse(&route.pattern).map_err(&mut note).ok();
        let Pattern { segments, names } = pattern?;
        if route.hosts.is_empty() {
            hosts.push(HostPattern::Any);
        }
        hosts.sort_unstable();
        hosts.dedup();
        let mut conditions = route.conditions.clone();
        conditions.sort_unstable();
        conditions.dedup();
        let key = Self { hosts, pattern: route.pattern.clone(), conditions, priority: route.priority };
        (wrong.len() == before).then_some((key, segments, names))
    }

    /// The order of routes of the same host and pattern, but for that in which they were added.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        let count = |part: Part| self.conditions.iter().filter(|condition| condition.part == part).count();
        std::cmp::Reverse((self.priority, count(Part::Header), count(Part::Query)))
    }

    /// Whether requests as `other` wants them are as this wants them, host and path aside.
    pub(super) fn includes(&self, other: &Self) -> bool {
        let is_met = |asked: &Condition| other.conditions.iter().any(|given| asked.includes(given));
        self.conditions.iter().all(is_met)
    }

    /// Two conditions that no request meets both.
    pub(super) fn contradiction(&self) -> Option<(&Condition, &Condition)> {
        let all = &self.conditions;
        let contradicts = |(at, one): (usize, &'_ Condition)| {
            all[at + 1..].iter().position(|other| one.contradicts(other)).map(|other| (at, at + 1 + other))
        };
        let (one, other) = all.iter().enumerate().find_map(contradicts)?;
        Some((&all[one], &all[other]))
    }
}

impl Entry {
    /// What it is called.
    pub(super) fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.key.pattern)
    }

    /// Whether a request is as it wants it, host and path aside.
    pub(super) fn holds(&self, sought: &Sought<'_>) -> bool {
        self.key.conditions.iter().all(|condition| condition.holds(sought))
    }

    /// What answers a method.
    pub(super) fn answer(&self, method: &[u8]) -> Option<AnswerNumber> {
        let named = |name: &[u8]| {
            let found = self.methods.iter().find(|(known, _)| known.as_bytes() == name);
            found.map(|(_, answer)| *answer)
        };
        // Without a body, which the wire leaves out (RFC 9110 §9.3.2).
        let get_for_head = || if method == b"HEAD" { named(b"GET") } else { None };
        // A tunnel is not any request: its target is no path, and 2xx begins it (RFC 9110 §9.3.6).
        let any = || self.any.filter(|_| method != b"CONNECT");
        named(method).or_else(get_for_head).or_else(any)
    }
}

/// The Allow header of some routes (RFC 9110 §10.2.1).
pub(super) fn allow<'e>(entries: impl Iterator<Item = &'e Entry>) -> String {
    let mut methods: Vec<&str> =
        entries.flat_map(|entry| entry.methods.iter().map(|(method, _)| method.as_str())).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

fn check_methods(route: &Route) -> Result<()> {
    match route.methods.iter().find(|(method, _)| !is_token(method.as_bytes())) {
        Some((method, _)) => {
            let what = format!("{:?} has the method {method:?}, which is not a token", route.pattern);
            Err(Error::new(Kind::BadPattern).detail(what))
        }
        None => Ok(()),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
