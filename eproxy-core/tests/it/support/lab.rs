//! Labs, written shorter.

use std::time::Duration;

use eproxy_core::testing::{Lab, Script, Upstream};
use eproxy_core::{Group, Proxy, Server};

/// A lab with a proxy for everything in front of this upstream.
pub(crate) fn lab(script: Script) -> (Lab, Upstream) {
    let lab = Lab::new();
    let app = lab.upstream("http://app.test", script);
    lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test")));
    (lab, app)
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Whether so many seconds have passed in the lab.
pub(crate) fn between(lab: &Lab, least: u64, most: u64) -> bool {
    (seconds(least)..=seconds(most)).contains(&lab.now())
}

/// The URL of an endpoint that is known by a letter.
pub(crate) fn url(letter: char) -> String {
    format!("http://{letter}.test")
}

/// A lab with an upstream for each letter, which answers with it. What passes requests on to them is still missing.
pub(crate) fn lettered<const N: usize>(letters: [char; N]) -> (Lab, [Upstream; N]) {
    let lab = Lab::new();
    let upstreams = letters.map(|letter| lab.upstream(&url(letter), saying(letter)));
    (lab, upstreams)
}

/// An endpoint that answers with its letter.
pub(crate) fn saying(letter: char) -> Script {
    Script::new().answer(200, letter.to_string())
}

/// As many endpoints of equal weight as there are letters.
pub(crate) fn group(letters: &str) -> Group {
    letters.chars().map(url).collect()
}

/// Has a proxy serve everything.
pub(crate) fn serve(lab: &Lab, proxy: Proxy) {
    lab.serve(Server::builder().at("/*path", proxy));
}

/// How many requests each of them has had.
pub(crate) fn counts<const N: usize>(upstreams: &[Upstream; N]) -> [usize; N] {
    upstreams.each_ref().map(Upstream::requests)
}

/// Asks so often on one connection; gives who has answered, a letter for each.
pub(crate) fn ask_often(lab: &Lab, times: usize) -> String {
    let client = lab.connect();
    (0..times).map(|_| client.ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n").text().to_owned()).collect()
}
