//! Explanations and answers: of any routes and any request, what is told beforehand is what comes of it.

use eproxy_core::{Asked, Builder, Explanation, Match, Outcome, Proxy, Request, Response, Route, Server};
use fastrand::Rng;
use serde_json::Value;

use crate::support::server::nobody;
use crate::support::wire::Reply;
use crate::support::{Running, start};

/// Sets of routes, and requests to each.
const ROUNDS: u64 = 60;
const REQUESTS: usize = 40;

const METHODS: [&str; 5] = ["GET", "POST", "HEAD", "OPTIONS", "CONNECT"];

/// One of these.
fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

/// A pattern whose parameters are called by where they stand, so that no two routes differ in that alone.
fn pattern(rng: &mut Rng) -> String {
    let names = ["a", "b", "c"];
    let mut out = String::new();
    for name in &names[..rng.usize(1..=names.len())] {
        match rng.u8(..6) {
            0 => out.push_str(&format!("/:{name}")),
            1 => return out + "/*rest",
            2 => return out + "/",
            _ => out.push_str(one(rng, &["/x", "/y", "/X", "/x y"])),
        }
    }
    out
}

fn condition(rng: &mut Rng) -> Match {
    match rng.u8(..4) {
        0 => Match::present(),
        1 => Match::absent(),
        2 => Match::prefix("1"),
        _ => Match::exact("1 2"),
    }
}

/// What answers, and says at which route.
fn answer(name: &str) -> impl Fn(Request, Response) + Send + Sync + 'static {
    let name = name.to_owned();
    move |req, res| {
        let params = ["a", "b", "c", "rest"].map(|name| Some((name, req.param(name)?)));
        res.header("X-Route", told_of(&name, params.into_iter().flatten())).send("");
    }
}

fn told_of<'a>(name: &str, params: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    params.fold(name.to_owned(), |told, (name, value)| format!("{told} {name}={value:?}"))
}

fn route(rng: &mut Rng, number: usize, nobody: &str) -> Route {
    let name = format!("route {number}");
    let mut route = Route::new(pattern(rng)).name(&name).priority(rng.i32(-1..=1));
    for _ in 0..rng.usize(..3) {
        route = route.host(one(rng, &["h.test", "*.test", "*.h.test", "[::1]", "*", "a.h.test"]));
    }
    for _ in 0..rng.usize(..2) {
        route = route.when_header("X-A", condition(rng));
    }
    for _ in 0..rng.usize(..2) {
        route = route.when_query(one(rng, &["q", "r s"]), condition(rng));
    }
    for _ in 0..rng.usize(..3) {
        route = route.method(one(rng, &METHODS), answer(&name));
    }
    match rng.u8(..4) {
        0 => route.any(answer(&name)),
        1 => route.any(Proxy::to(nobody).retries(0)),
        _ => route,
    }
}

fn target(rng: &mut Rng) -> String {
    const SEGMENTS: [&str; 14] =
        ["x", "y", "X", "%78", "x%20y", "..", "%2e%2E", ".", "", "x%2fy", "x\\y", "x;y", "%252e%252e", "z"];
    let path: String = (0..rng.usize(1..4)).map(|_| format!("/{}", one(rng, &SEGMENTS))).collect();
    path + one(rng, &["", "?", "?q", "?q=1+2", "?%71=1%202", "?r%20s=12&q=3", "?a&q=2&q=10"])
}

/// A request, as it is asked about and as it is sent.
fn request(rng: &mut Rng) -> (Asked, String) {
    const HOSTS: [&str; 10] = [
        "h.test",
        "H.Test:80",
        "a.h.test.",
        "b.a.h.test",
        "test",
        ".test",
        "[0:0::1]:1",
        "[::2]",
        "",
        "%68.test",
    ];
    let method = one(rng, &METHODS);
    let host = Some(one(rng, &HOSTS)).filter(|_| rng.u8(..8) > 0);
    let (target, is_absolute) = match (method, rng.u8(..4)) {
        ("CONNECT", _) => (one(rng, &["h.test:443", "x%2fy:443", "[::1]:443"]).to_owned(), false),
        ("OPTIONS", 0) => ("*".to_owned(), false),
        (_, 1) => (format!("http://{}{}", one(rng, &["a.h.test:1", "[::1]", "other"]), target(rng)), true),
        _ => (target(rng), false),
    };
    // Whoever names the host in the target leaves it out of the fields in HTTP/1.0 only.
    let host = host.or(Some("h.test").filter(|_| is_absolute || method == "CONNECT"));
    let version = if host.is_some() { "1.1" } else { "1.0" };
    let mut asked = Asked::new(method, &target);
    if is_absolute {
        asked = asked.absolute();
    }
    let mut sent = format!("{method} {target} HTTP/{version}\r\n");
    let lines = host.map(|host| ("Host", host)).into_iter();
    for (name, value) in
        lines.chain(["", "1", "1 2"].map(|value| ("X-A", value)).into_iter().filter(|_| rng.u8(..4) == 0))
    {
        asked = asked.header(name, value);
        sent.push_str(&format!("{name}: {value}\r\n"));
    }
    (asked, sent)
}

fn ask(server: &Running, head: &str) -> Reply {
    let mut client = server.connect();
    client.send(format!("{head}\r\n"));
    if head.starts_with("HEAD ") { client.reply_to_head() } else { client.reply() }
}

/// What an answer came from, in the words of an explanation.
fn came_of(reply: &Reply) -> (Outcome, Option<String>) {
    let allow = reply.header("allow").map(str::to_owned);
    match (reply.header("x-route"), reply.status) {
        (Some(route), 200) => (Outcome::Handler, Some(route.to_owned())),
        (_, 502 | 503) => (Outcome::Proxy, None),
        (_, status) => (Outcome::Server { status, allow }, None),
    }
}

/// What cannot be otherwise within an explanation.
fn check(told: &Explanation, routes: usize) {
    let chosen: Vec<_> = told.candidates.iter().filter(|one| one.verdict.to_string() == "chosen").collect();
    let route = told.route.iter().map(|route| (&route.name, &route.host)).collect::<Vec<_>>();
    assert_eq!(chosen.iter().map(|one| (&one.route, &one.host)).collect::<Vec<_>>(), route, "{told}");
    assert_eq!(told.candidates.len() + told.left_out, routes, "{told}");
}

fn json(told: &Explanation) -> Value {
    serde_json::to_value(told).expect("an explanation is JSON")
}

/// What is the same whether a server runs or not.
fn choice(told: &Explanation) -> [Value; 4] {
    ["outcome", "route", "candidates", "left_out"].map(|key| json(told)[key].clone())
}

#[test]
fn what_is_told_of_a_request_is_what_comes_of_it() {
    let nobody = nobody();
    let mut seen = [0; 5];
    for seed in 0..ROUNDS {
        let mut rng = Rng::with_seed(seed);
        let number = rng.usize(1..10);
        let describe = |rng: &mut Rng| -> Builder {
            let routes = (0..number).map(|at| route(rng, at, &nobody)).collect::<Vec<_>>();
            let builder = Server::builder().workers(1).trusted_proxies(["127.0.0.1"]);
            routes.into_iter().fold(builder.explain_header("X-Explain"), Builder::route)
        };
        let described = describe(&mut rng.clone());
        let server = start(describe(&mut rng));
        for _ in 0..REQUESTS {
            let (asked, head) = request(&mut rng);
            let told = server.handle().explain(&asked).unwrap();
            let context = format!("seed {seed}\n{head}{told}");
            check(&told, number);
            assert_eq!(choice(&described.explain(&asked).unwrap()), choice(&told), "{context}");
            let reply = ask(&server, &head);
            let (outcome, route) = came_of(&reply);
            assert_eq!(told.outcome, outcome, "{context}");
            if told.outcome == Outcome::Handler {
                let chosen = told.route.as_ref().unwrap();
                let params = chosen.params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                assert_eq!(Some(told_of(&chosen.name, params)), route, "{context}");
            }
            seen[match told.outcome {
                Outcome::Handler => 0,
                Outcome::Server { status: 404, .. } => 1,
                Outcome::Server { status: 405, .. } => 2,
                Outcome::Server { .. } => 3,
                _ => 4,
            }] += 1;
            // HEAD has no body to tell it in, and a CONNECT that is answered with 200 begins a tunnel.
            if !head.starts_with("HEAD ") && !head.starts_with("CONNECT ") {
                let reply = ask(&server, &format!("{head}X-Explain: 1\r\n"));
                let mut on_the_way: Value = serde_json::from_str(reply.text()).unwrap();
                on_the_way["onward"] = json(&told)["onward"].clone();
                assert_eq!(on_the_way, json(&told), "{context}");
            }
        }
    }
    assert!(seen.iter().all(|times| *times > 20), "all kinds of outcomes are seen: {seen:?}");
}
