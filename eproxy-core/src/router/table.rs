//! All routes of a server, and the choice among them.

use std::borrow::Cow;
use std::fmt;

use crate::error::Result;
use crate::proxy::Reverse;
use crate::upstream::Registry;

use super::explain::{Behind, Explained};
use super::finding::Finding;
use super::map::{Map, Pick};
use super::mount::{Mounted, Target};
use super::route::Route;
use super::sought::Sought;
use super::tree::Values;

/// The routes of a server, fixed when it starts.
#[derive(Default)]
pub(crate) struct Table {
    map: Map,
    /// What answers, by the numbers of the map; none in the place of what another has replaced.
    targets: Vec<Option<Target>>,
    reverses: Vec<Reverse>,
    /// The number of the forward proxy among them, if there is one.
    forward: Option<usize>,
}

/// The number of a route in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteNumber(u32);

impl RouteNumber {
    /// No route.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// The one at this place in the order of its table.
    pub(crate) fn at(index: u32) -> Self {
        Self(index)
    }

    /// Which it is in the order of the table; none of no route.
    pub(crate) fn index(self) -> Option<u32> {
        (self != Self::NONE).then_some(self.0)
    }
}

/// The path parameters of a request: names of the pattern, values of the path.
#[derive(Debug)]
pub(crate) struct Params<'t, 'p> {
    names: &'t [String],
    values: Values<'p>,
}

impl Params<'_, '_> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().map(String::as_str).zip(self.values.iter().copied())
    }
}

/// What a request leads to.
pub(crate) enum Choice<'t, 'p> {
    Found {
        target: &'t Target,
        params: Params<'t, 'p>,
        route: RouteNumber,
        body_limit: Option<u64>,
    },
    /// OPTIONS without a handler: 204 with this Allow header (RFC 9110 §9.3.7).
    Options {
        allow: Cow<'t, str>,
    },
    /// 405 with this Allow header (RFC 9110 §15.5.6).
    NotAllowed {
        allow: Cow<'t, str>,
    },
    NotFound,
}

impl Table {
    /// Builds the table.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong. `BadPattern`: a pattern, host, condition or name that is malformed, a pattern that
    /// overlaps with another, a method that is not a token; `BadOption`: something is wrong with what is mounted.
    pub(crate) fn new(routes: Vec<Route>, registry: &mut Registry) -> Result<Self> {
        let (map, findings) = Map::new(&routes);
        for finding in findings {
            if let Finding::Invalid(error) = finding {
                return Err(error);
            }
        }
        let mut table = Self { map, ..Self::default() };
        let mut given: Vec<Given> = routes.into_iter().map(Given::of).collect();
        let wanted = table.map.entries.iter().flat_map(|entry| {
            let methods = entry.methods.iter().map(|(_, answer)| *answer);
            methods.chain(entry.any).map(move |answer| (answer, entry))
        });
        table.targets.resize_with(table.map.answers.len(), || None);
        for (answer, entry) in wanted {
            let place = table.map.answers[answer];
            let mounted =
                given[place.route].take(place.method).expect("a route has what it was seen to have");
            let target = mounted.build(&entry.place(), registry, &mut table.reverses);
            table.targets[answer] = Some(target.map_err(|error| error.on_route(&entry.key.pattern))?);
        }
        Ok(table)
    }

    /// Adds the forward proxy, which takes every request that names where it is to go.
    pub(crate) fn set_forward(&mut self, forward: Reverse) {
        self.reverses.push(forward);
        self.forward = Some(self.reverses.len() - 1);
    }

    /// The number of the forward proxy.
    pub(crate) fn forward(&self) -> Option<usize> {
        self.forward
    }

    /// Whether there is a forward proxy and nothing else.
    pub(crate) fn only_forwards(&self) -> bool {
        self.forward.is_some() && self.map.entries.is_empty()
    }

    /// What a route is called, for the log: its name, or its pattern; empty for none.
    pub(crate) fn label(&self, route: RouteNumber) -> &str {
        self.map.entries.get(route.0 as usize).map_or("", |entry| entry.label())
    }

    /// The numbers of all routes, in their order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = RouteNumber> {
        (0..self.map.entries.len() as u32).map(RouteNumber::at)
    }

    /// The reverse proxy of this number.
    pub(crate) fn reverse(&self, number: usize) -> &Reverse {
        &self.reverses[number]
    }

    /// Chooses for a request.
    pub(crate) fn choose<'t, 'p>(&'t self, sought: &Sought<'p>) -> Choice<'t, 'p> {
        let mut values = Values::new();
        let found = match sought.path {
            "*" => match self.map.find_for_server(sought) {
                None => return Choice::Options { allow: Cow::Borrowed(&self.map.allow) },
                found => found,
            },
            _ => self.map.find(sought, &mut values),
        };
        match found {
            Some(Pick::Answer { entry: number, answer, .. }) => {
                let entry = &self.map.entries[number];
                Choice::Found {
                    target: self.targets[answer].as_ref().expect("what a route has was built"),
                    params: Params { names: &entry.names, values },
                    route: RouteNumber(number as u32),
                    body_limit: entry.body_limit,
                }
            }
            Some(Pick::NoMethod { place }) => {
                let allow = self.map.allow(place, sought);
                match sought.method {
                    b"OPTIONS" => Choice::Options { allow },
                    _ => Choice::NotAllowed { allow },
                }
            }
            None => Choice::NotFound,
        }
    }
}

impl Table {
    /// Why a request takes the route that it takes.
    pub(crate) fn explain(&self, sought: &Sought<'_>) -> Explained<'_> {
        self.map.explain(sought, |answer| match &self.targets[answer] {
            Some(Target::Reverse(number)) => Behind::Reverse(self.reverse(*number)),
            _ => Behind::Handler,
        })
    }
}

/// What was mounted at a route, until it is taken.
struct Given {
    methods: Vec<Option<Mounted>>,
    any: Option<Mounted>,
}

impl Given {
    fn of(route: Route) -> Self {
        let methods = route.methods.into_iter().map(|(_, mounted)| Some(mounted));
        Self { methods: methods.collect(), any: route.any }
    }

    fn take(&mut self, method: Option<usize>) -> Option<Mounted> {
        match method {
            Some(method) => self.methods[method].take(),
            None => self.any.take(),
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.map.entries.iter().map(|entry| &entry.key.pattern)).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::http1::{Lines, parse_request};
    use crate::message::target::{Form, canonical};
    use crate::{Match, Request, Response};

    use super::*;

    fn answer(_: Request, res: Response) {
        res.send("");
    }

    fn built(routes: Vec<Route>) -> Result<Table> {
        Table::new(routes, &mut Registry::default())
    }

    fn table(patterns: &[&str]) -> Table {
        built(patterns.iter().map(|pattern| Route::new(*pattern).get(answer)).collect()).unwrap()
    }

    /// What a request leads to, with these lines of its head behind the first.
    fn choice_with(table: &Table, method: &str, target: &str, lines: &str) -> String {
        let head = format!("{method} {target} HTTP/1.1\r\n{}\r\n", lines.replace('\n', "\r\n"));
        let (bytes, mut fields) = (head.as_bytes(), Vec::new());
        parse_request(bytes, &mut fields, 1000, 100).unwrap().unwrap();
        let target = target.as_bytes();
        let (path, query, authority) = match Form::parse(method.as_bytes(), target).unwrap() {
            Form::Origin { path, query } => (&target[path], query, None),
            Form::Absolute { authority, path, query } => (&target[path], query, Some(&target[authority])),
            Form::Authority => (target, None, Some(target)),
            Form::Asterisk => (target, None, None),
        };
        let sought = Sought {
            method: method.as_bytes(),
            path: &canonical(path),
            query: query.map(|query| &target[query]),
            authority,
            lines: Lines::of_head(bytes, &fields),
        };
        match table.choose(&sought) {
            Choice::Found { params, route, .. } => {
                let label = table.label(route);
                let params: Vec<_> = params.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("{label} {}", params.join(" ")).trim_end().to_owned()
            }
            Choice::Options { allow } => format!("options {allow}"),
            Choice::NotAllowed { allow } => format!("405 {allow}"),
            Choice::NotFound => "404".into(),
        }
    }

    fn choice(table: &Table, method: &str, target: &str) -> String {
        choice_with(table, method, target, "Host: test\n")
    }

    #[test]
    fn literals_win_over_parameters_and_parameters_over_wildcards() {
        let table = table(&["/", "/a/b", "/a/:x", "/a/*rest"]);
        assert_eq!(choice(&table, "GET", "/"), "/");
        assert_eq!(choice(&table, "GET", "/a/b"), "/a/b");
        assert_eq!(choice(&table, "GET", "/a/c"), "/a/:x x=c");
        assert_eq!(choice(&table, "GET", "/a/c/d"), "/a/*rest rest=c/d");
        assert_eq!(choice(&table, "GET", "/a/"), "/a/*rest rest=");
        assert_eq!(choice(&table, "GET", "/a"), "/a/*rest rest=");
        assert_eq!(choice(&table, "GET", "/b"), "404");
    }

    #[test]
    fn a_root_wildcard_takes_everything() {
        let table = table(&["/*all"]);
        assert_eq!(choice(&table, "GET", "/"), "/*all all=");
        assert_eq!(choice(&table, "GET", "/x/y"), "/*all all=x/y");
    }

    #[test]
    fn methods_that_are_not_there_are_told_what_is() {
        let table = built(vec![
            Route::new("/a").get(answer),
            Route::new("/a").post(answer),
            Route::new("/b").any(answer),
        ])
        .unwrap();
        assert_eq!(choice(&table, "HEAD", "/a"), "/a");
        assert_eq!(choice(&table, "PUT", "/a"), "405 GET, HEAD, OPTIONS, POST");
        assert_eq!(choice(&table, "OPTIONS", "/a"), "options GET, HEAD, OPTIONS, POST");
        assert_eq!(choice(&table, "OPTIONS", "*"), "options GET, HEAD, OPTIONS, POST");
        assert_eq!(choice(&table, "get", "/a"), "405 GET, HEAD, OPTIONS, POST");
        assert_eq!(choice(&table, "BREW", "/b"), "/b");
    }

    #[test]
    fn a_tunnel_is_not_any_request() {
        let table = built(vec![
            Route::new("/*rest").any(answer),
            Route::new("/*rest").host("t").method("CONNECT", answer),
        ]);
        let table = table.unwrap();
        assert_eq!(choice_with(&table, "CONNECT", "t:443", ""), "/*rest rest=");
        assert_eq!(choice_with(&table, "CONNECT", "u:443", ""), "405 OPTIONS");
    }

    #[test]
    fn routes_that_can_not_be_told_apart_are_refused() {
        let routes = vec![Route::new("/:a").get(answer), Route::new("/:b").get(answer)];
        assert!(built(routes).unwrap_err().to_string().contains("/:b"));
        let bad = built(vec![Route::new("/").method("GE T", answer)]);
        assert!(bad.unwrap_err().to_string().contains("GE T"));
        let of = |pattern: &str| Route::new(pattern).host("a").host("b").get(answer);
        let error = built(vec![of("/:a"), Route::new("/:b").host("B").get(answer)]).unwrap_err().to_string();
        assert!(error.contains("\"/:b\" matches the same paths as \"/:a\" on host b"), "{error}");
        // These can.
        let by_header = Route::new("/:b").host("b").when_header("x", Match::present()).get(answer);
        assert!(built(vec![of("/:a"), by_header, Route::new("/:c").get(answer)]).is_ok());
    }

    #[test]
    fn hosts_come_before_patterns() {
        let of = |host: &str, pattern: &str| Route::new(pattern).host(host).name(host).get(answer);
        let table = built(vec![
            of("*.example.com", "/a/b/:c"),
            of("example.com", "/*rest"),
            of("*.EU.example.com", "/*rest"),
            Route::new("/a/b/c").name("any").get(answer),
            of("[::1]", "/*rest"),
        ])
        .unwrap();
        for (host, path, expected) in [
            ("example.com", "/a/b/c", "example.com rest=a/b/c"),
            ("EXAMPLE.com:8080", "/a/b/c", "example.com rest=a/b/c"),
            ("example.com.", "/", "example.com rest="),
            ("x.example.com", "/a/b/c", "*.example.com c=c"),
            ("y.x.example.com", "/a/b/c", "*.example.com c=c"),
            ("x.eu.example.com", "/a/b/c", "*.EU.example.com rest=a/b/c"),
            ("eu.example.com", "/a/b/c", "*.example.com c=c"),
            ("x.example.com", "/a/b", "404"),
            ("xexample.com", "/a/b/c", "any"),
            ("com", "/a/b/c", "any"),
            ("[0:0::1]:80", "/a", "[::1] rest=a"),
            ("[::2]", "/a/b/c", "any"),
            ("", "/a/b/c", "any"),
        ] {
            assert_eq!(choice_with(&table, "GET", path, &format!("Host: {host}\n")), expected, "{host}");
        }
        // RFC 9112 §3.2.2: the target's authority is what counts.
        assert_eq!(choice_with(&table, "GET", "http://example.com:1/", "Host: [::1]\n"), "example.com rest=");
        assert_eq!(choice_with(&table, "GET", "/a/b/c", ""), "any");
    }

    #[test]
    fn a_route_that_asks_for_something_else_is_passed_over() {
        let when =
            |pattern: &str, name: &str| Route::new(pattern).name(name).when_header("X-A", Match::exact(name));
        let table = built(vec![
            when("/a/b", "one").host("h").get(answer),
            when("/a/:p", "two").host("h").get(answer),
            when("/*rest", "three").host("h").get(answer),
            when("/a/:p", "four").host("*.h").host("h").get(answer),
            when("/a/b", "five").get(answer),
            Route::new("/a/:q").name("else").get(answer),
        ])
        .unwrap();
        for (value, expected) in [
            ("one", "one"),
            ("two", "two p=b"),
            ("three", "three rest=a/b"),
            ("four", "four p=b"),
            ("five", "five"),
            ("six", "else q=b"),
        ] {
            assert_eq!(choice_with(&table, "GET", "/a/b", &format!("Host: h\nX-A: {value}\n")), expected);
        }
        // What a route asks for that is passed over leaves nothing behind.
        assert_eq!(choice_with(&table, "GET", "/c/d", "Host: h\n"), "404");
    }

    #[test]
    fn among_routes_of_a_place_the_priority_counts_then_conditions_then_the_order() {
        let route = |name: &str| Route::new("/").name(name).get(answer);
        let (a, b, c) = (Match::present, Match::present, Match::present);
        let table = built(vec![
            route("plain"),
            route("two queries").when_query("b", b()).when_query("c", c()),
            route("a header").when_header("a", a()),
            route("another header").when_header("c", c()),
            route("important").when_query("p", Match::prefix("1")).priority(1),
            route("for nothing else").when_header("a", Match::absent()).when_header("d", a()).priority(-1),
        ])
        .unwrap();
        for (target, lines, expected) in [
            ("/", "", "plain"),
            ("/?b", "", "plain"),
            ("/?b&c", "", "two queries"),
            ("/?b&c", "A: 1\n", "a header"),
            ("/?b&c", "C: 1\nA: 1\n", "a header"),
            ("/?b&c", "C: 1\n", "another header"),
            ("/?p=10&b&c", "C: 1\n", "important"),
            ("/", "D: 1\n", "plain"),
        ] {
            assert_eq!(choice_with(&table, "GET", target, lines), expected, "{target} {lines}");
        }
    }

    #[test]
    fn a_method_is_looked_for_among_the_routes_of_a_place_that_fit() {
        let route = |method: &str| Route::new("/a").name(method).method(method, answer);
        let table = built(vec![
            route("GET").when_header("x", Match::exact("1")),
            route("POST").when_header("x", Match::prefix("1")),
            route("PUT").when_header("x", Match::exact("2")),
            Route::new("/*rest").name("rest").any(answer),
        ])
        .unwrap();
        let choice = |method: &str, x: &str| choice_with(&table, method, "/a", &format!("X: {x}\n"));
        assert_eq!((choice("GET", "1").as_str(), choice("POST", "1").as_str()), ("GET", "POST"));
        assert_eq!(choice("PUT", "1"), "405 GET, HEAD, OPTIONS, POST");
        assert_eq!(choice("OPTIONS", "1"), "options GET, HEAD, OPTIONS, POST");
        assert_eq!(choice("GET", "2"), "405 OPTIONS, PUT");
        assert_eq!(choice("GET", "3"), "rest rest=a");
    }

    #[test]
    fn routes_that_ask_for_the_same_become_one() {
        let route = |method: &str| Route::new("/a").method(method, answer);
        let table = built(vec![
            route("GET").host("a").host("B").when_header("X", Match::present()).name("one"),
            route("PUT").host("b.").host("a").when_header("x", Match::present()).body_limit(7),
            route("POST").host("a").when_header("x", Match::present()).name("other"),
        ])
        .unwrap();
        let choice =
            |method: &str, host: &str| choice_with(&table, method, "/a", &format!("Host: {host}\nX: 1\n"));
        assert_eq!((choice("PUT", "a").as_str(), choice("POST", "a").as_str()), ("one", "other"));
        assert_eq!(choice("POST", "b"), "405 GET, HEAD, OPTIONS, PUT");
        assert_eq!(choice("DELETE", "a"), "405 GET, HEAD, OPTIONS, POST, PUT");
    }
}
