//! eproxy's flags for each mode.

use crate::chaos::{FAILURES, SEEN, USUAL_MS};
use crate::contender::{Launch, Site};
use crate::hooked::NAME;
use crate::identity::Identity;
use crate::pages::{HELLO, SMALL};
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

/// A reverse proxy by a configuration file, which counts and logs nothing.
pub(crate) fn untold(site: &Site<'_>) -> Launch {
    configured(site, "metrics = false", &relaying(site))
}

/// The same with what a file has unless it says otherwise, and with request ids.
pub(crate) fn told(site: &Site<'_>) -> Launch {
    configured(site, "request_ids = true", &relaying(site))
}

/// The same with a log of every request.
pub(crate) fn logged(site: &Site<'_>) -> Launch {
    let log = format!("request_ids = true\n\n[access_log]\nfile = {:?}", site.path("access.log"));
    configured(site, &log, &relaying(site))
}

/// A fixed text, behind the one route that there is.
pub(crate) fn one_route(site: &Site<'_>) -> Launch {
    configured(site, "", &answering(HELLO.path, "Hello, World!"))
}

/// The same among a thousand routes, on a hundred hosts and on none.
pub(crate) fn thousand_routes(site: &Site<'_>) -> Launch {
    let other = |number: usize| match number % 2 {
        0 => format!(
            "[[route]]\nhost = \"host{}.test\"\n{}",
            number / 10,
            route(&format!("/path{number}/:id"))
        ),
        _ => format!("[[route]]\n{}", route(&format!("/api/v1/things{number}/*rest"))),
    };
    let others: Vec<String> = (1..1000).map(other).collect();
    configured(site, "", &(answering(HELLO.path, "Hello, World!") + &others.join("\n")))
}

/// A reverse proxy whose file is read again.
pub(crate) fn reloading(site: &Site<'_>) -> Launch {
    let mut launch = configured(site, "", "");
    launch.files = vec![(CONFIG, reloaded(site.port, site.upstream(), 0).into_bytes())];
    launch
}

/// The file of that proxy as it is after so many reloads: one route changes, and one is another every time.
pub(crate) fn reloaded(port: u16, upstream: u16, generation: usize) -> String {
    let generation_route = answering(GENERATION, &generation.to_string());
    let passing = route_to(upstream);
    format!(
        "{}\n{generation_route}\n[[route]]\n{}\n{passing}",
        head(port, ""),
        route(&format!("/new{generation}"))
    )
}

/// Where the number of reloads is told.
pub(crate) const GENERATION: &str = "/generation";

/// The configuration file.
pub(crate) const CONFIG: &str = "eproxy.toml";

fn configured(site: &Site<'_>, telling: &str, routes: &str) -> Launch {
    let text = format!("{}\n{routes}\n", head(site.port, telling));
    let arguments = ["--config", &site.path(CONFIG)].map(str::to_owned).into();
    Launch { arguments, files: vec![(CONFIG, text.into_bytes())] }
}

fn head(port: u16, telling: &str) -> String {
    format!(
        "workers = 1\n{telling}\n\n[log]\nlevel = \"error\"\n\n[[listener]]\naddress = \"127.0.0.1:{port}\"\n"
    )
}

fn relaying(site: &Site<'_>) -> String {
    route_to(site.upstream())
}

fn route_to(upstream: u16) -> String {
    format!(
        "[[route]]\nname = \"all\"\npath = \"/*path\"\nproxy = {{ group = \"behind\" }}\n\n\
         [group.behind]\nendpoints = [\"http://127.0.0.1:{upstream}\"]\n"
    )
}

fn answering(path: &str, text: &str) -> String {
    format!("[[route]]\npath = {path:?}\nanswer = {{ body = {text:?} }}\n")
}

fn route(path: &str) -> String {
    format!("path = {path:?}\nanswer = {{ body = \"another\" }}\n")
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
