//! All routes of a server, and the choice among them.

use std::fmt;

use crate::error::{Error, Kind, Result};
use crate::local::Place;
use crate::message::is_token;
use crate::proxy::Reverse;
use crate::upstream::Registry;

use super::mount::Target;
use super::pattern::Pattern;
use super::route::Route;
use super::tree::{Tree, Values};

/// The routes of a server, fixed when it starts.
#[derive(Default)]
pub(crate) struct Table {
    tree: Tree,
    routes: Vec<Entry>,
    reverses: Vec<Reverse>,
    /// The number of the forward proxy among them, if there is one.
    forward: Option<usize>,
    /// The answer to `OPTIONS *`: every method that some route answers.
    allow: String,
}

struct Entry {
    pattern: String,
    methods: Vec<(String, Target)>,
    any: Option<Target>,
    body_limit: Option<u64>,
    /// The names of the pattern's parameters.
    names: Vec<String>,
    /// The Allow header of this route (RFC 9110 §10.2.1).
    allow: String,
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

/// What a request's path and method lead to.
pub(crate) enum Choice<'t, 'p> {
    Found {
        target: &'t Target,
        params: Params<'t, 'p>,
        route: RouteNumber,
        body_limit: Option<u64>,
    },
    /// OPTIONS without a handler: 204 with this Allow header (RFC 9110 §9.3.7).
    Options {
        allow: &'t str,
    },
    /// 405 with this Allow header (RFC 9110 §15.5.6).
    NotAllowed {
        allow: &'t str,
    },
    NotFound,
}

impl Table {
    /// Builds the table; routes with the same pattern become one.
    ///
    /// # Errors
    ///
    /// `BadPattern`: a pattern that is malformed or that overlaps with another, a method that is not a token;
    /// `BadOption`: something is wrong with what is mounted.
    pub(crate) fn new(routes: Vec<Route>, registry: &mut Registry) -> Result<Self> {
        let mut merged: Vec<Route> = Vec::new();
        for route in routes {
            match merged.iter_mut().find(|known| known.pattern == route.pattern) {
                Some(known) => known.merge(route),
                None => merged.push(route),
            }
        }
        let mut table = Self { allow: allow(merged.iter()), ..Self::default() };
        for (number, route) in merged.into_iter().enumerate() {
            check_methods(&route)?;
            let pattern = Pattern::parse(&route.pattern)?;
            if let Err(taken) = table.tree.insert(&pattern.segments, number) {
                let other = &table.routes[taken].pattern;
                let what = format!("{:?} matches the same paths as {other:?}", route.pattern);
                return Err(Error::new(Kind::BadPattern).detail(what));
            }
            let entry = Entry::new(route, pattern, registry, &mut table.reverses)?;
            table.routes.push(entry);
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
        self.forward.is_some() && self.routes.is_empty()
    }

    /// The pattern of a route, for the log; empty for none.
    pub(crate) fn pattern(&self, route: RouteNumber) -> &str {
        self.routes.get(route.0 as usize).map_or("", |entry| &entry.pattern)
    }

    /// The numbers of all routes, in their order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = RouteNumber> {
        (0..self.routes.len() as u32).map(RouteNumber::at)
    }

    /// The reverse proxy of this number.
    pub(crate) fn reverse(&self, number: usize) -> &Reverse {
        &self.reverses[number]
    }

    /// Chooses by canonical path and by method.
    pub(crate) fn choose<'t, 'p>(&'t self, method: &[u8], path: &'p str) -> Choice<'t, 'p> {
        let mut values = Values::new();
        let found = match path {
            // A question about the server, which is another's where everything is passed on to it.
            "*" => match self.tree.catch_all().filter(|number| self.routes[*number].is_proxy(method)) {
                None => return Choice::Options { allow: &self.allow },
                found => found,
            },
            path => self.tree.find(path.strip_prefix('/'), &mut values),
        };
        let Some(number) = found else { return Choice::NotFound };
        let entry = &self.routes[number];
        match entry.target(method) {
            Some(target) => Choice::Found {
                target,
                params: Params { names: &entry.names, values },
                route: RouteNumber(number as u32),
                body_limit: entry.body_limit,
            },
            None if method == b"OPTIONS" => Choice::Options { allow: &entry.allow },
            None => Choice::NotAllowed { allow: &entry.allow },
        }
    }
}

impl Entry {
    fn new(
        route: Route,
        parsed: Pattern,
        registry: &mut Registry,
        reverses: &mut Vec<Reverse>,
    ) -> Result<Self> {
        let allow = allow(std::iter::once(&route));
        let Route { pattern, methods, any, body_limit } = route;
        let wrong = |error: Error| error.on_route(&pattern);
        let place = Place { names: &parsed.names, has_rest: parsed.has_rest() };
        let mut built = Vec::new();
        for (method, mounted) in methods {
            built.push((method, mounted.build(&place, registry, reverses).map_err(wrong)?));
        }
        let any = any.map(|mounted| mounted.build(&place, registry, reverses)).transpose().map_err(wrong)?;
        Ok(Self { pattern, methods: built, any, body_limit, names: parsed.names, allow })
    }

    fn target(&self, method: &[u8]) -> Option<&Target> {
        let named = |name: &[u8]| {
            let found = self.methods.iter().find(|(known, _)| known.as_bytes() == name);
            found.map(|(_, target)| target)
        };
        // Without a body, which the wire leaves out (RFC 9110 §9.3.2).
        let get_for_head = || if method == b"HEAD" { named(b"GET") } else { None };
        // A tunnel is not any request: its target is no path, and 2xx begins it (RFC 9110 §9.3.6).
        let any = || self.any.as_ref().filter(|_| method != b"CONNECT");
        named(method).or_else(get_for_head).or_else(any)
    }

    fn is_proxy(&self, method: &[u8]) -> bool {
        matches!(self.target(method), Some(Target::Reverse(_)))
    }
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

fn allow<'r>(routes: impl Iterator<Item = &'r Route>) -> String {
    let mut methods: Vec<&str> =
        routes.flat_map(|route| route.methods.iter().map(|(method, _)| method.as_str())).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|entry| &entry.pattern)).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Request, Response};

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

    fn choice(table: &Table, method: &str, path: &str) -> String {
        match table.choose(method.as_bytes(), path) {
            Choice::Found { params, route, .. } => {
                let pattern = table.pattern(route);
                let params: Vec<_> = params.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("{pattern} {}", params.join(" ")).trim_end().to_owned()
            }
            Choice::Options { allow } => format!("options {allow}"),
            Choice::NotAllowed { allow } => format!("405 {allow}"),
            Choice::NotFound => "404".into(),
        }
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
        assert_eq!(choice(&table, "CONNECT", "/b"), "405 OPTIONS");
    }

    #[test]
    fn routes_that_can_not_be_told_apart_are_refused() {
        let routes = vec![Route::new("/:a").get(answer), Route::new("/:b").get(answer)];
        assert!(built(routes).unwrap_err().to_string().contains("/:b"));
        let bad = built(vec![Route::new("/").method("GE T", answer)]);
        assert!(bad.unwrap_err().to_string().contains("GE T"));
    }
}
