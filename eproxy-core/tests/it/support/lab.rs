//! Labs, written shorter.

use std::time::Duration;

use eproxy_core::testing::{Lab, Script, Upstream};
use eproxy_core::{Proxy, Server};

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
