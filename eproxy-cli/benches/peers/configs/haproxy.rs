//! HAProxy as a server and as a proxy.

use crate::contender::{Launch, Site};
use crate::pages::{HELLO, UPSTREAM};
use crate::probe::Expected;

pub(crate) fn hello(site: &Site<'_>) -> Launch {
    let Expected { path, content_type, body } = HELLO;
    let rule = format!(
        "http-request return status 200 content-type {content_type} string \"{body}\" if {{ path {path} }}"
    );
    launch(site, &rule, "")
}

pub(crate) fn fetch(site: &Site<'_>) -> Launch {
    let backend = format!(
        "backend behind
            http-request set-path {}
            server behind 127.0.0.1:{}\n",
        UPSTREAM.path,
        site.upstream_port(),
    );
    launch(site, "use_backend behind if { path /proxy }", &backend)
}

/// `-db` keeps HAProxy in the foreground without a master process; no `log` line means no logging.
fn launch(site: &Site<'_>, rule: &str, backend: &str) -> Launch {
    let config = format!(
        "global
            nbthread 1
            maxconn {}
        defaults
            mode http
            http-reuse always
            timeout connect 5s
            timeout client 75s
            timeout server 75s
            timeout http-keep-alive 75s
        frontend front
            bind 127.0.0.1:{}
            {rule}
        {backend}\n",
        site.connections + 256,
        site.port,
    );
    Launch { arguments: ["-db", "-f", &site.config()].map(str::to_owned).into(), config: Some(config) }
}
