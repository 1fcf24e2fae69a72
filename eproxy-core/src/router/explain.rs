//! Why a request takes the route that it takes: every route that was looked at, and those that were nearly.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::proxy::{Proxy, Reverse};

use super::entry::{AnswerNumber, Entry};
use super::finding::Finding;
use super::host::{HostName, HostPattern};
use super::map::{Map, Pick};
use super::pattern::Pattern;
use super::route::Route;
use super::sought::Sought;
use super::tree::{Tree, Values};

/// Routes that are listed though the request has another path, or another host; of each.
const NEAR: usize = 5;

/// A route that was looked at for a request, or that was nearly; a part of an [`Explanation`](crate::Explanation).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// Its name, or its pattern.
    pub route: String,
    /// Its pattern.
    pub pattern: String,
    /// Of its hosts, the one that the request has met; all of them where it has met none. `*` is any.
    pub host: String,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What became of a route that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// It was chosen.
    Chosen,
    /// The request is not as it asks for.
    NotMet {
        /// The first thing that it asks for and that is not so.
        asked: String,
    },
    /// It does not have the request's method.
    NotAllowed {
        /// The method.
        method: String,
        /// Those that it has.
        allow: String,
    },
    /// Another route of the same host and pattern comes before it.
    Outranked {
        /// Which one.
        by: String,
    },
    /// A route with a more specific host or pattern was taken, or had the say.
    LessSpecific {
        /// Which one.
        than: String,
    },
    /// It is for another path, which begins in the same way.
    OtherPath,
    /// It is for another host.
    OtherHost,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("chosen"),
            Self::NotMet { asked } => write!(f, "not so: {asked}"),
            Self::NotAllowed { method, allow } => write!(f, "method {method} is not among {allow}"),
            Self::Outranked { by } => write!(f, "comes after {by}"),
            Self::LessSpecific { than } => write!(f, "less specific than {than}"),
            Self::OtherPath => f.write_str("path is another"),
            Self::OtherHost => f.write_str("host is another"),
        }
    }
}

/// The route that a request takes; a part of an [`Explanation`](crate::Explanation).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChosenRoute {
    /// Its name, or its pattern.
    pub name: String,
    /// Its pattern.
    pub pattern: String,
    /// Of its hosts, the one that the request has met; `*` is any.
    pub host: String,
    /// What else it asks for.
    pub conditions: Vec<String>,
    /// See [`Route::priority`].
    pub priority: i32,
    /// The parameters of its pattern, decoded.
    pub params: Vec<(String, String)>,
    /// See [`Route::body_limit`].
    pub body_limit: Option<u64>,
}

/// Why a request takes the route that it takes.
pub(crate) struct Explained<'t> {
    /// In the order in which they are looked at; behind them those that are near.
    pub(crate) candidates: Vec<Candidate>,
    /// Routes that are none of these.
    pub(crate) left_out: usize,
    pub(crate) found: Found<'t>,
}

/// What it takes.
pub(crate) enum Found<'t> {
    Route(Box<ChosenRoute>, Behind<'t>),
    /// 204 to OPTIONS, or 405, with this Allow header.
    NoMethod {
        status: u16,
        allow: String,
    },
    Nothing,
}

/// What answers.
pub(crate) enum Behind<'t> {
    Handler,
    /// A proxy that was built, and one that was not.
    Reverse(&'t Reverse),
    Proxy(&'t Proxy),
}

/// Why a request would take the route that it would take.
///
/// # Errors
///
/// The first thing that is wrong with the routes.
pub(crate) fn explain<'t>(routes: &'t [Route], sought: &Sought<'_>) -> Result<Explained<'t>, Error> {
    let (map, findings) = Map::new(routes);
    for finding in findings {
        if let Finding::Invalid(error) = finding {
            return Err(error);
        }
    }
    Ok(map.explain(sought, |answer| {
        let place = map.answers[answer];
        let route = &routes[place.route];
        let mounted = match place.method {
            Some(method) => Some(&route.methods[method].1),
            None => route.any.as_ref(),
        };
        mounted.and_then(|mounted| mounted.proxy()).map_or(Behind::Handler, Behind::Proxy)
    }))
}

impl Map {
    /// Why a request takes the route that it takes; `behind` knows what answers.
    pub(super) fn explain<'t>(
        &self,
        sought: &Sought<'_>,
        behind: impl FnOnce(AnswerNumber) -> Behind<'t>,
    ) -> Explained<'t> {
        let mut trail = Trail::new(self, sought);
        let is_for_server = sought.path == "*";
        if !is_for_server {
            trail.walk();
            trail.add_near();
        }
        let mut values = Values::new();
        let pick = match is_for_server {
            true => self.find_for_server(sought),
            false => self.find(sought, &mut values),
        };
        let no_method = |allow: Cow<'_, str>| Found::NoMethod {
            status: if sought.method == b"OPTIONS" { 204 } else { 405 },
            allow: allow.into_owned(),
        };
        let found = match pick {
            Some(Pick::Answer { place, entry, answer }) => {
                let host = self.places[place].host.to_string();
                if is_for_server {
                    trail.list(entry, host.clone(), Verdict::Chosen);
                }
                let route = chosen(&self.entries[entry], host, &values);
                Found::Route(Box::new(route), behind(answer))
            }
            Some(Pick::NoMethod { place }) => no_method(self.allow(place, sought)),
            None if is_for_server => no_method(Cow::Borrowed(&self.allow)),
            None => Found::Nothing,
        };
        let left_out = trail.listed.iter().filter(|is_listed| !**is_listed).count();
        Explained { candidates: trail.candidates, left_out, found }
    }
}

/// A route that a request takes by this one of its hosts.
fn chosen(entry: &Entry, host: String, values: &Values<'_>) -> ChosenRoute {
    let params = entry.names.iter().zip(values).map(|(name, value)| (name.clone(), (*value).to_owned()));
    ChosenRoute {
        name: entry.label().to_owned(),
        pattern: entry.key.pattern.clone(),
        host,
        conditions: entry.key.conditions.iter().map(ToString::to_string).collect(),
        priority: entry.key.priority,
        params: params.collect(),
        body_limit: entry.body_limit,
    }
}

/// What a search comes by.
struct Trail<'a> {
    map: &'a Map,
    sought: &'a Sought<'a>,
    listed: Vec<bool>,
    candidates: Vec<Candidate>,
    /// The route that has the say, and its place.
    decided: Option<(String, usize)>,
}

impl<'a> Trail<'a> {
    fn new(map: &'a Map, sought: &'a Sought<'a>) -> Self {
        let listed = vec![false; map.entries.len()];
        Self { map, sought, listed, candidates: Vec::new(), decided: None }
    }

    /// Goes where the search goes, and on where it ends.
    fn walk(&mut self) {
        let (map, sought) = (self.map, self.sought);
        let path = sought.path.strip_prefix('/');
        let _all: Option<()> = map.search(sought, |tree| {
            tree.find(path, &mut Values::new(), &mut |place| {
                self.look(place);
                None
            })
        });
    }

    fn look(&mut self, place: usize) {
        let map = self.map;
        let at = &map.places[place];
        let mut fits = None;
        for number in at.entries.iter().map(|number| *number as usize) {
            let entry = &map.entries[number];
            // It may be for several hosts that the request meets.
            if self.listed[number] {
                continue;
            }
            let verdict = match &self.decided {
                Some((by, there)) if *there == place => Verdict::Outranked { by: by.clone() },
                Some((than, _)) => Verdict::LessSpecific { than: than.clone() },
                None => self.judge(entry),
            };
            match verdict {
                Verdict::Chosen => self.decided = Some((entry.label().to_owned(), place)),
                Verdict::NotAllowed { .. } => fits = fits.or(Some(entry)),
                _ => {}
            }
            self.list(number, at.host.to_string(), verdict);
        }
        if let (None, Some(entry)) = (&self.decided, fits) {
            self.decided = Some((entry.label().to_owned(), place));
        }
    }

    /// What becomes of a route that nothing has come before.
    fn judge(&self, entry: &Entry) -> Verdict {
        let mut unmet = entry.key.conditions.iter().filter(|condition| !condition.holds(self.sought));
        match (unmet.next(), entry.answer(self.sought.method)) {
            (Some(condition), _) => Verdict::NotMet { asked: condition.to_string() },
            (None, Some(_)) => Verdict::Chosen,
            (None, None) => Verdict::NotAllowed {
                method: String::from_utf8_lossy(self.sought.method).into_owned(),
                allow: entry.allow.clone(),
            },
        }
    }

    /// Adds routes that the request does not meet by little.
    fn add_near(&mut self) {
        let (map, sought) = (self.map, self.sought);
        let host = sought.host().and_then(HostName::of);
        let (mut by_path, mut by_host) = (Vec::new(), Vec::new());
        for (number, entry) in map.entries.iter().enumerate().filter(|(number, _)| !self.listed[*number]) {
            let is_host = entry.key.hosts.iter().any(|known| known.is_for(host.as_ref()));
            if is_host {
                by_path.push((common_segments(&entry.key.pattern, sought.path), number));
            } else if matches_path(&entry.key.pattern, sought.path) {
                let labels = entry.key.hosts.iter().map(|known| known.common_labels(host.as_ref()));
                by_host.push((labels.max().unwrap_or(0), number));
            }
        }
        by_path.retain(|(common, _)| *common > 0);
        if by_host.len() > NEAR {
            by_host.retain(|(common, _)| *common > 0);
        }
        for (mut near, verdict) in [(by_path, Verdict::OtherPath), (by_host, Verdict::OtherHost)] {
            near.sort_by_key(|(common, _)| std::cmp::Reverse(*common));
            for (_, number) in near.into_iter().take(NEAR) {
                self.list(number, map.entries[number].hosts(), verdict.clone());
            }
        }
    }

    fn list(&mut self, number: usize, host: String, verdict: Verdict) {
        let entry = &self.map.entries[number];
        let (route, pattern) = (entry.label().to_owned(), entry.key.pattern.clone());
        self.listed[number] = true;
        self.candidates.push(Candidate { route, pattern, host, verdict });
    }
}

impl Entry {
    /// Its hosts, as one text; of many, the first few.
    fn hosts(&self) -> String {
        const SHOWN: usize = 3;
        let hosts = &self.key.hosts;
        let shown: Vec<_> = hosts.iter().take(SHOWN).map(HostPattern::to_string).collect();
        let more = if hosts.len() > SHOWN { ", …" } else { "" };
        format!("{}{more}", shown.join(", "))
    }
}

fn matches_path(pattern: &str, path: &str) -> bool {
    let Ok(Pattern { segments, .. }) = Pattern::parse(pattern) else { return false };
    let mut tree = Tree::default();
    tree.place(&segments, 0);
    tree.find(path.strip_prefix('/'), &mut Values::new(), &mut |place| Some(place)).is_some()
}

/// The literal segments at the front of a pattern that a path has, too, whatever their case.
fn common_segments(pattern: &str, path: &str) -> usize {
    let pairs = pattern.split('/').zip(path.split('/')).skip(1);
    let same = |(wanted, given): &(&str, &str)| {
        !given.is_empty() && (wanted.starts_with(':') || wanted.eq_ignore_ascii_case(given))
    };
    pairs.take_while(same).filter(|(wanted, _)| !wanted.starts_with(':')).count()
}

#[cfg(test)]
mod tests {
    use crate::http1::Lines;
    use crate::{Match, Request, Response};

    use super::*;

    fn answer(_: Request, res: Response) {
        res.send("");
    }

    /// What becomes of routes for a request to a host that has no fields.
    fn verdicts(routes: &[Route], host: &str, path: &str) -> (Vec<String>, usize) {
        let sought = Sought {
            method: b"GET",
            path,
            query: None,
            authority: Some(host.as_bytes()),
            lines: Lines { bytes: b"", fields: &[], end: None },
        };
        let explained = explain(routes, &sought).unwrap();
        let line = |one: &Candidate| format!("{} {}: {}", one.route, one.host, one.verdict);
        (explained.candidates.iter().map(line).collect(), explained.left_out)
    }

    #[test]
    fn routes_are_told_in_the_order_in_which_they_are_looked_at() {
        let routes = [
            Route::new("/*rest").any(answer),
            Route::new("/a/:x").host("*.b").name("wild").get(answer),
            Route::new("/a/1")
                .host("c.b")
                .name("post")
                .host("d")
                .post(answer)
                .when_header("x", Match::absent()),
            Route::new("/a/1")
                .host("c.b")
                .name("high")
                .priority(1)
                .get(answer)
                .when_header("x", Match::present()),
            Route::new("/A/2").name("near").get(answer),
            Route::new("/z").name("far").get(answer),
            Route::new("/:any/:where").host("x.b").name("elsewhere").get(answer),
        ];
        let (told, left_out) = verdicts(&routes, "c.b", "/a/1");
        assert_eq!(
            told,
            [
                "high c.b: not so: header x is there",
                "post c.b: method GET is not among OPTIONS, POST",
                "wild *.b: less specific than post",
                "/*rest *: less specific than post",
                "near *: path is another",
                "elsewhere x.b: host is another",
            ]
        );
        assert_eq!(left_out, 1);
    }

    #[test]
    fn of_a_thousand_routes_only_those_are_told_that_are_near() {
        let route = |number: usize| Route::new("/*rest").host(format!("h{number}.example.com")).any(answer);
        let mut routes: Vec<Route> = (0..1000).map(route).collect();
        routes.extend((0..1000).map(|number| Route::new(format!("/p{number}/x")).any(answer)));
        let (told, left_out) = verdicts(&routes, "h7.example.com", "/p3/y");
        assert_eq!(told.len(), 2 + NEAR);
        assert_eq!(told[..2], ["/*rest h7.example.com: chosen", "/p3/x *: path is another"]);
        assert_eq!(told.len() + left_out, 2000);
        assert_eq!(verdicts(&routes, "other.test", "/none").0, [""; 0]);
    }

    #[test]
    fn among_routes_of_one_place_the_first_that_fits_has_the_say() {
        let route = |name: &str| Route::new("/a").name(name).get(answer);
        let routes = [route("one"), route("two"), route("three").when_query("q", Match::exact("1"))];
        let (told, _) = verdicts(&routes, "h", "/a");
        assert_eq!(
            told,
            ["three *: not so: query parameter q is \"1\"", "one *: chosen", "two *: comes after one"]
        );
    }

    #[test]
    fn of_a_question_about_the_server_the_proxy_that_takes_it_is_told() {
        let routes = [
            Route::new("/*rest").host("a").name("handler").any(answer),
            Route::new("/*rest").host("b").host("*.b").name("proxy").any(Proxy::to("http://10.0.0.7:1")),
            Route::new("/b").get(answer),
        ];
        let told = |host: &'static [u8]| {
            let lines = Lines { bytes: b"", fields: &[], end: None };
            let sought = Sought { method: b"OPTIONS", path: "*", query: None, authority: Some(host), lines };
            let Explained { candidates, left_out, found } = explain(&routes, &sought).unwrap();
            let candidates: Vec<_> =
                candidates.iter().map(|one| format!("{} {}", one.route, one.host)).collect();
            let found = match found {
                Found::Route(route, _) => format!("{} {}", route.name, route.host),
                Found::NoMethod { status, allow } => format!("{status} {allow}"),
                Found::Nothing => "nothing".into(),
            };
            (candidates.join(", "), left_out, found)
        };
        assert_eq!(told(b"x.b"), ("proxy *.b".into(), 2, "proxy *.b".into()));
        assert_eq!(told(b"a"), (String::new(), 3, "204 GET, HEAD, OPTIONS".into()));
    }
}
