//! Which routes there are, and which of them a request takes: everything but what answers it.

use std::borrow::Cow;
use std::collections::HashMap;

use smallvec::SmallVec;

use crate::error::{Error, Kind};

use super::entry::{AnswerNumber, Entry, Key, allow};
use super::finding::{Finding, Hidden, Unreachable};
use super::host::{HostName, HostPattern, Hosts, TreeNumber};
use super::pattern::{Pattern, Segment};
use super::route::Route;
use super::sought::Sought;
use super::tree::{Tree, Values};

/// All routes of a server.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// The tree of patterns for any host, and those of the hosts that routes name.
    any: Tree,
    trees: Vec<Tree>,
    hosts: Hosts,
    pub(super) places: Vec<Place>,
    pub(super) entries: Vec<Entry>,
    pub(super) answers: Vec<Answer>,
    /// The answer to `OPTIONS *`: every method that some route answers.
    pub(super) allow: String,
}

/// The routes of one host and one pattern, in the order in which they are looked at.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) host: HostPattern,
    pub(super) entries: SmallVec<[u32; 2]>,
}

/// Where what answers was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// The number of the route as it was added.
    pub(super) route: usize,
    /// The number of the method in it; none is what answers any other.
    pub(super) method: Option<usize>,
    /// Requests are passed on.
    pub(super) is_proxy: bool,
}

/// What a search has come to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pick {
    Answer {
        place: usize,
        entry: usize,
        answer: AnswerNumber,
    },
    /// There are routes that the request fits, and none of them has its method.
    NoMethod {
        place: usize,
    },
}

impl Map {
    /// Reads what routes say, and everything that is not right with it. Routes with the same hosts, pattern, conditions and
    /// priority become one; those that are wrong are left out.
    pub(super) fn new(routes: &[Route]) -> (Self, Vec<Finding>) {
        let (mut map, mut findings) = (Self::default(), Vec::new());
        let mut known: HashMap<Key, Vec<usize>> = HashMap::new();
        for (number, route) in routes.iter().enumerate() {
            let mut wrong = Vec::new();
            let read = Key::read(route, &mut wrong);
            findings.extend(wrong.into_iter().map(Finding::Invalid));
            let Some((key, segments, names)) = read else { continue };
            let same = known.entry(key.clone()).or_default();
            let may_join = |entry: &usize| match (&map.entries[*entry].name, &route.name) {
                (Some(one), Some(other)) => one == other,
                _ => true,
            };
            let joined = same.iter().copied().find(may_join);
            let entry = match joined {
                Some(entry) => entry,
                None => match map.insert(key, &segments, names) {
                    Ok(entry) => {
                        same.push(entry);
                        entry
                    }
                    Err(error) => {
                        findings.push(error.into());
                        continue;
                    }
                },
            };
            map.add(entry, number, route, &mut findings);
        }
        map.finish();
        map.find_unreachable(&mut findings);
        (map, findings)
    }

    /// Adds an entry without answers.
    ///
    /// # Errors
    ///
    /// `BadPattern`: another pattern matches the same paths, and nothing tells the two apart.
    fn insert(&mut self, key: Key, segments: &[Segment], names: Vec<String>) -> Result<usize, Error> {
        let number = self.entries.len();
        let mut at = Vec::new();
        for host in &key.hosts {
            let place = self.place(host, segments);
            let others = self.places[place].entries.iter().map(|other| &self.entries[*other as usize].key);
            let mut same = others.filter(|other| other.conditions == key.conditions);
            if let Some(other) = same.find(|other| other.pattern != key.pattern) {
                let on_host = match host {
                    HostPattern::Any => String::new(),
                    host => format!(" on host {host}"),
                };
                let what =
                    format!("{:?} matches the same paths as {:?}{on_host}", key.pattern, other.pattern);
                return Err(Error::new(Kind::BadPattern).detail(what));
            }
            at.push(place);
        }
        at.into_iter().for_each(|place| self.places[place].entries.push(number as u32));
        let (methods, allow) = (Vec::new(), String::new());
        self.entries.push(Entry { name: None, key, names, methods, any: None, body_limit: None, allow });
        Ok(number)
    }

    /// The place of a pattern among those of a host.
    fn place(&mut self, host: &HostPattern, segments: &[Segment]) -> usize {
        let tree = match self.hosts.tree(host, self.trees.len()) {
            None => &mut self.any,
            Some(tree) => {
                if tree == self.trees.len() {
                    self.trees.push(Tree::default());
                }
                &mut self.trees[tree]
            }
        };
        let place = tree.place(segments, self.places.len());
        if place == self.places.len() {
            self.places.push(Place { host: host.clone(), entries: SmallVec::new() });
        }
        place
    }

    /// Adds what a route says to its entry.
    fn add(&mut self, entry: usize, number: usize, route: &Route, findings: &mut Vec<Finding>) {
        let entry = &mut self.entries[entry];
        entry.name = route.name.clone().or(entry.name.take());
        entry.body_limit = route.body_limit.or(entry.body_limit);
        let answers = &mut self.answers;
        let mut answer = |method: Option<usize>, is_proxy: bool| {
            answers.push(Answer { route: number, method, is_proxy });
            answers.len() - 1
        };
        let mut replaced = Vec::new();
        for (at, (method, mounted)) in route.methods.iter().enumerate() {
            let new = answer(Some(at), mounted.proxy().is_some());
            match entry.methods.iter_mut().find(|(known, _)| known == method) {
                Some((_, known)) => {
                    *known = new;
                    replaced.push(Some(method.clone()));
                }
                None => entry.methods.push((method.clone(), new)),
            }
        }
        if let Some(mounted) = &route.any
            && entry.any.replace(answer(None, mounted.proxy().is_some())).is_some()
        {
            replaced.push(None);
        }
        findings.extend(replaced.into_iter().map(|method| hidden(entry, method, Hidden::Replaced)));
    }

    /// Works out what does not change any more.
    fn finish(&mut self) {
        self.allow = allow(self.entries.iter());
        for entry in &mut self.entries {
            entry.allow = allow(std::iter::once(&*entry));
        }
        for place in &mut self.places {
            // Those of one rank stay in the order in which they were added.
            place.entries.sort_by_key(|entry| self.entries[*entry as usize].key.rank());
        }
    }

    /// Adds the answers that no request can ever come to.
    fn find_unreachable(&self, findings: &mut Vec<Finding>) {
        let mut places = vec![Vec::new(); self.entries.len()];
        for (number, place) in self.places.iter().enumerate() {
            place.entries.iter().for_each(|entry| places[*entry as usize].push(number));
        }
        for (number, entry) in self.entries.iter().enumerate() {
            let named = entry.methods.iter().map(|(method, _)| Some(method.as_str()));
            let answers: Vec<Option<&str>> = named.chain(entry.any.map(|_| None)).collect();
            if let Some((one, other)) = entry.key.contradiction() {
                let why = Hidden::Contradiction(one.to_string(), other.to_string());
                findings.push(hidden(entry, None, why));
                continue;
            }
            for method in answers {
                // It has to be hidden wherever it is.
                let behind: Option<Vec<&Entry>> =
                    places[number].iter().map(|place| self.in_front(*place, number, method)).collect();
                if let Some(first) = behind.as_ref().and_then(|behind| behind.first()) {
                    let why = Hidden::Behind(first.label().to_owned());
                    findings.push(hidden(entry, method.map(str::to_owned), why));
                }
            }
        }
    }

    /// The entry that takes all requests of a place that come to another's answer for a method, or for any other method.
    fn in_front(&self, place: usize, number: usize, method: Option<&str>) -> Option<&Entry> {
        let key = &self.entries[number].key;
        let before = self.places[place].entries.iter().map(|other| *other as usize);
        let mut before = before.take_while(|other| *other != number).map(|other| &self.entries[other]);
        before.find(|other| {
            let answers = match method {
                Some(method) => other.answer(method.as_bytes()).is_some(),
                None => other.any.is_some(),
            };
            answers && other.key.includes(key)
        })
    }

    /// Finds what a request comes to; the parameters of its path are in `values` then.
    pub(super) fn find<'p>(&self, sought: &Sought<'p>, values: &mut Values<'p>) -> Option<Pick> {
        let path = sought.path.strip_prefix('/');
        let mut accept = |place| self.pick(place, sought);
        self.search(sought, |tree| tree.find(path, values, &mut accept))
    }

    /// Finds the proxy that takes a question about the server, which is another's where everything is passed on to it.
    pub(super) fn find_for_server(&self, sought: &Sought<'_>) -> Option<Pick> {
        self.search(sought, |tree| {
            let pick = self.pick(tree.catch_all()?, sought)?;
            let is_proxy = |answer: AnswerNumber| self.answers[answer].is_proxy;
            matches!(pick, Pick::Answer { answer, .. } if is_proxy(answer)).then_some(pick)
        })
    }

    /// Goes through the trees of a request's host.
    pub(super) fn search<T>(
        &self,
        sought: &Sought<'_>,
        mut look: impl FnMut(&Tree) -> Option<T>,
    ) -> Option<T> {
        if !self.hosts.is_empty()
            && let Some(host) = sought.host().and_then(HostName::of)
        {
            let found = self.hosts.trees(&host).find_map(|tree: TreeNumber| look(&self.trees[tree]));
            if found.is_some() {
                return found;
            }
        }
        look(&self.any)
    }

    /// Chooses among the routes of a host and a pattern.
    fn pick(&self, place: usize, sought: &Sought<'_>) -> Option<Pick> {
        let mut fits = false;
        for number in &self.places[place].entries {
            let entry = &self.entries[*number as usize];
            if entry.holds(sought) {
                if let Some(answer) = entry.answer(sought.method) {
                    return Some(Pick::Answer { place, entry: *number as usize, answer });
                }
                fits = true;
            }
        }
        fits.then_some(Pick::NoMethod { place })
    }

    /// The Allow header of the routes of a place that a request fits.
    pub(super) fn allow(&self, place: usize, sought: &Sought<'_>) -> Cow<'_, str> {
        let entries = self.places[place].entries.iter().map(|entry| &self.entries[*entry as usize]);
        let fitting: SmallVec<[&Entry; 2]> = entries.filter(|entry| entry.holds(sought)).collect();
        match *fitting {
            [entry] => Cow::Borrowed(&entry.allow),
            _ => Cow::Owned(allow(fitting.iter().copied())),
        }
    }
}

/// Everything that is not right with routes, and with what is mounted there.
pub(crate) fn check(routes: &[Route]) -> Vec<Finding> {
    let (_, mut findings) = Map::new(routes);
    for route in routes {
        let mounted = route.methods.iter().map(|(_, mounted)| mounted).chain(&route.any);
        let pattern = Pattern::parse(&route.pattern).ok();
        let place = pattern.as_ref().map(|pattern| pattern.place());
        let wrong = mounted.filter_map(|mounted| mounted.check(place.as_ref()).err());
        findings.extend(wrong.map(|error| Finding::Invalid(error.on_route(&route.pattern))));
    }
    findings
}

fn hidden(entry: &Entry, method: Option<String>, why: Hidden) -> Finding {
    let (route, pattern) = (entry.label().to_owned(), entry.key.pattern.clone());
    Finding::Unreachable(Unreachable { route, pattern, method, why })
}

#[cfg(test)]
mod tests {
    use crate::{Match, Request, Response};

    use super::*;

    fn answer(_: Request, res: Response) {
        res.send("");
    }

    fn findings(routes: &[Route]) -> Vec<String> {
        Map::new(routes).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_answers_by_itself_is_looked_at_where_it_is_mounted() {
        use crate::{Files, Fixed, Redirect};
        let wrong = [
            Route::new("/a/:b").get(Redirect::to("/{c}")),
            Route::new("/fixed").get(Fixed::new(200).header("Connection", "close")),
            Route::new("/files/*path").get(Files::from("/nowhere/at/all")),
        ];
        let found: Vec<_> = check(&wrong).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 3, "{found:#?}");
        for (found, what) in found.iter().zip(["{c}", "Connection", "/nowhere/at/all"]) {
            assert!(found.contains(what), "{found}");
        }
        // What is wrong with the pattern is enough.
        assert_eq!(check(&[Route::new("a/:b").get(Redirect::to("/{b}"))]).len(), 1);
        assert!(check(&[Route::new("/a/:b").get(Redirect::to("/{b}"))]).is_empty());
    }

    #[test]
    fn everything_that_is_wrong_is_said() {
        let found = findings(&[
            Route::new("a").host("a:80").method("GE T", answer),
            Route::new("/*rest").get(answer),
            Route::new("/:x").name("").when_header("Host", Match::present()).any(answer),
            Route::new("/*other").host("*").post(answer),
            Route::new("/*rest").host("*").post(answer),
        ]);
        let expected =
            ["\"GE T\"", "\"a:80\"", "begin with a slash", "Route::host", "the name \"\"", "\"/*other\""];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn routes_that_nothing_can_reach_are_found() {
        let x = |rule: Match| Route::new("/a").when_header("x", rule);
        let found = findings(&[
            x(Match::exact("12")).name("one").priority(-1).any(answer),
            x(Match::prefix("1")).name("two").any(answer),
            Route::new("/a").name("three").host("a").get(answer),
            Route::new("/a").name("four").host("b").host("a").get(answer),
            Route::new("/a").name("five").host("a").get(answer).any(answer),
            Route::new("/a").get(answer),
            Route::new("/a").get(answer),
            Route::new("/b").when_query("q", Match::absent()).when_query("q", Match::exact("1")).any(answer),
        ]);
        assert_eq!(
            found,
            [
                "GET of route /a can never be chosen: another that was added later takes its place",
                "route one (/a) can never be chosen: two comes before it and takes all of its requests",
                "GET of route five (/a) can never be chosen: three comes before it and takes all of its requests",
                "route /b can never be chosen: no request has both: query parameter q is \"1\", query parameter q is \
                 not there",
            ]
        );
    }
}
