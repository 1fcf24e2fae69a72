//! nginx as a server, as a proxy, and as the upstream behind everybody.

use crate::contender::{Launch, Site};
use crate::pages::{HELLO, UPSTREAM};
use crate::probe::Expected;

pub(crate) fn hello(site: &Site<'_>) -> Launch {
    launch(site, "", &answer(&HELLO))
}

pub(crate) fn upstream(site: &Site<'_>) -> Launch {
    launch(site, "", &answer(&UPSTREAM))
}

pub(crate) fn fetch(site: &Site<'_>) -> Launch {
    let group = format!(
        "upstream behind {{
            server 127.0.0.1:{};
            keepalive 128;
            keepalive_requests {ENDLESS_REQUESTS};
        }}",
        site.upstream_port(),
    );
    let location = format!(
        "location = /proxy {{
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_pass http://behind{};
        }}",
        UPSTREAM.path,
    );
    launch(site, &group, &location)
}

fn answer(expected: &Expected) -> String {
    let Expected { path, content_type, body } = expected;
    format!("location = {path} {{ default_type {content_type}; return 200 '{body}'; }}")
}

/// Every path that a distribution compiles in is set, so that nginx touches nothing outside its directory and
/// needs no root.
fn launch(site: &Site<'_>, http: &str, location: &str) -> Launch {
    let dir = site.dir.display();
    let config = format!(
        "worker_processes 1;
        daemon off;
        pid {dir}/pid;
        error_log {dir}/error.log error;
        events {{ worker_connections {}; }}
        http {{
            access_log off;
            keepalive_requests {ENDLESS_REQUESTS};
            keepalive_timeout 75s;
            client_body_temp_path {dir}/client_body;
            proxy_temp_path {dir}/proxy;
            fastcgi_temp_path {dir}/fastcgi;
            uwsgi_temp_path {dir}/uwsgi;
            scgi_temp_path {dir}/scgi;
            {http}
            server {{
                listen 127.0.0.1:{};
                {location}
            }}
        }}\n",
        site.room_for_connections(),
        site.port,
    );
    let arguments =
        ["-p", &site.path(""), "-e", &site.path("error.log"), "-c", &site.config()].map(str::to_owned).into();
    Launch { arguments, config: Some(config) }
}

/// A request limit per connection that no run reaches: reconnecting is not what is measured here.
const ENDLESS_REQUESTS: u32 = 100_000_000;
