//! eproxy's flags for each mode.

use crate::chaos::{FAILURES, SEEN, USUAL_MS};
use crate::contender::{Launch, Site};
use crate::hooked::NAME;
use crate::identity::Identity;
use crate::pages::SMALL;
use crate::{grouped, origin, swapped};

/// The demo.
pub(crate) fn hello(site: &Site<'_>) -> Launch {
    launch(site, &[])
}

/// The demo, whose handler asks an upstream.
pub(crate) fn fetch(site: &Site<'_>) -> Launch {
    let url = format!("http://127.0.0.1:{}{}", site.upstream(), SMALL.path);
    launch(site, &["--upstream", &url])
}

/// A reverse proxy of everything, of all upstreams, where there are several.
pub(crate) fn relay(site: &Site<'_>) -> Launch {
    let urls: Vec<String> = site.upstreams.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    let flags: Vec<&str> = urls.iter().flat_map(|url| ["--to", url]).collect();
    launch(site, &flags)
}

/// The demo, over TLS.
pub(crate) fn hello_tls(site: &Site<'_>) -> Launch {
    with_tls(site, hello(site))
}

/// A reverse proxy of everything, over TLS.
pub(crate) fn relay_tls(site: &Site<'_>) -> Launch {
    with_tls(site, relay(site))
}

/// A reverse proxy of the first upstream alone.
pub(crate) fn relay_to_one(site: &Site<'_>) -> Launch {
    launch(site, &["--to", &format!("http://127.0.0.1:{}", site.upstream())])
}

/// This program as a reverse proxy with hooks.
pub(crate) fn hooked(site: &Site<'_>) -> Launch {
    let url = format!("http://127.0.0.1:{}", site.upstream());
    Launch { arguments: vec![NAME.to_owned(), site.port.to_string(), url], files: Vec::new() }
}

/// This program as a proxy with a group, by the better of two.
pub(crate) fn peak_ewma(site: &Site<'_>) -> Launch {
    grouped(site, grouped::PEAK_EWMA)
}

/// The same by turns.
pub(crate) fn round_robin(site: &Site<'_>) -> Launch {
    grouped(site, grouped::ROUND_ROBIN)
}

/// The same by the better of two, with probes, limits and repetitions.
pub(crate) fn careful(site: &Site<'_>) -> Launch {
    grouped(site, grouped::CAREFUL)
}

/// This program as an upstream that takes its time.
pub(crate) fn origin(site: &Site<'_>) -> Launch {
    let (port, delay) = (site.port.to_string(), USUAL_MS.to_string());
    Launch { arguments: vec![origin::NAME.to_owned(), port, delay, site.path(SEEN)], files: Vec::new() }
}

/// This program as a server that often looks at its certificate.
pub(crate) fn swapped(site: &Site<'_>) -> Launch {
    let [certificate, key] = [CERTIFICATE, KEY].map(|name| site.path(name));
    let arguments = vec![swapped::NAME.to_owned(), site.port.to_string(), certificate, key];
    Launch { arguments, files: identity(site).into() }
}

fn grouped(site: &Site<'_>, kind: &str) -> Launch {
    let mut arguments =
        vec![grouped::NAME.to_owned(), site.port.to_string(), kind.to_owned(), site.path(FAILURES)];
    arguments.extend(site.upstreams.iter().map(u16::to_string));
    Launch { arguments, files: Vec::new() }
}

fn with_tls(site: &Site<'_>, mut launch: Launch) -> Launch {
    for (flag, name) in [("--tls-cert", CERTIFICATE), ("--tls-key", KEY)] {
        launch.arguments.extend([flag.to_owned(), site.path(name)]);
    }
    launch.files.extend(identity(site));
    launch
}

fn identity(site: &Site<'_>) -> [(&'static str, Vec<u8>); 2] {
    let Identity { certificate, key, .. } = site.identity;
    [(CERTIFICATE, certificate.clone().into_bytes()), (KEY, key.clone().into_bytes())]
}

/// The files that TLS is told of.
pub(crate) const CERTIFICATE: &str = "certificate.pem";
pub(crate) const KEY: &str = "key.pem";

/// The demo, which says in its log what becomes of it.
pub(crate) fn upgraded(site: &Site<'_>) -> Launch {
    let mut launch = hello(site);
    launch
        .arguments
        .iter_mut()
        .filter(|argument| *argument == "error")
        .for_each(|level| *level = "info".to_owned());
    launch
}

fn launch(site: &Site<'_>, more: &[&str]) -> Launch {
    let port = site.port.to_string();
    let common = ["--host", "127.0.0.1", "--port", &port, "--workers", "1", "--log-level", "error"];
    Launch { arguments: common.iter().chain(more).map(ToString::to_string).collect(), files: Vec::new() }
}
