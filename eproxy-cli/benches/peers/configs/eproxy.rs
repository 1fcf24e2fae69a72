//! eproxy's flags for each mode.

use crate::contender::{Launch, Site};
use crate::pages::UPSTREAM;

pub(crate) fn hello(site: &Site<'_>) -> Launch {
    launch(site, &[])
}

pub(crate) fn fetch(site: &Site<'_>) -> Launch {
    let url = format!("http://127.0.0.1:{}{}", site.upstream_port(), UPSTREAM.path);
    launch(site, &["--upstream", &url])
}

fn launch(site: &Site<'_>, more: &[&str]) -> Launch {
    let port = site.port.to_string();
    let common = ["--host", "127.0.0.1", "--port", &port, "--workers", "1", "--log-level", "error"];
    Launch { arguments: common.iter().chain(more).map(ToString::to_string).collect(), config: None }
}
