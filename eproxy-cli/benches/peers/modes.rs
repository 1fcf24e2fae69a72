//! The table of modes: what is asked, who contends, and each contender's configuration.
//!
//! A mode is a row in [`MODES`]. A contender is a program and a function from the [`Site`] it is given to the
//! [`Launch`] that puts it there, so a new way to configure one of them is a new function and nothing else.

use std::path::Path;

use crate::probe::Expected;

/// One thing to measure.
pub(crate) struct Mode {
    /// How the command line calls it.
    pub(crate) name: &'static str,
    /// One line for the usage text.
    pub(crate) about: &'static str,
    /// How it is measured.
    pub(crate) story: Story,
    /// What every contender is asked, and the only right answer.
    pub(crate) expected: Expected,
    /// The server behind the contenders, always nginx and never counted.
    pub(crate) upstream: Option<Upstream>,
    /// Who takes part. The first is eproxy: the report compares it with each of the others.
    pub(crate) contenders: &'static [Contender],
}

/// The ways of measuring; each is a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Story {
    /// wrk as hard as it can, in rounds.
    Load,
    /// Many connections that stay open and say nothing.
    Idle,
}

/// The server that the contenders of a mode fetch from.
pub(crate) struct Upstream {
    pub(crate) expected: Expected,
    pub(crate) launch: fn(&Site<'_>) -> Launch,
}

/// A program with its configuration for one mode.
pub(crate) struct Contender {
    pub(crate) program: Program,
    pub(crate) launch: fn(&Site<'_>) -> Launch,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Eproxy,
    Nginx,
    Haproxy,
}

impl Program {
    /// The name in the report, which is also the executable's.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Eproxy => "eproxy",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }
}

/// Where a server is to stand.
pub(crate) struct Site<'a> {
    /// The loopback port to listen on.
    pub(crate) port: u16,
    /// The loopback port of the mode's upstream.
    pub(crate) upstream: Option<u16>,
    /// How many connections will be open at the same time.
    pub(crate) connections: usize,
    /// The server's own scratch directory; `Launch::config` is written to `config` in it.
    pub(crate) dir: &'a Path,
}

impl Site<'_> {
    fn upstream_port(&self) -> u16 {
        self.upstream.expect("only modes that have an upstream use a configuration that names it")
    }

    /// The path that the configuration is written to before the start.
    pub(crate) fn config(&self) -> String {
        self.path("config")
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Connections on both sides of a proxy, and some to spare for listeners and for the checks before the
    /// load.
    fn room_for_connections(&self) -> usize {
        self.connections * 2 + 256
    }
}

/// How a server is started.
pub(crate) struct Launch {
    pub(crate) arguments: Vec<String>,
    pub(crate) config: Option<String>,
}

pub(crate) const MODES: &[Mode] = &[
    Mode {
        name: "hello",
        about: "GET /hello, a fixed short text: the cost of a request and nothing else",
        story: Story::Load,
        expected: HELLO,
        upstream: None,
        contenders: &HELLO_CONTENDERS,
    },
    Mode {
        name: "fetch",
        about: "GET /proxy: eproxy's handler fetches from an upstream through the Client; the peers proxy it",
        story: Story::Load,
        expected: Expected { path: "/proxy", ..UPSTREAM },
        upstream: Some(Upstream { expected: UPSTREAM, launch: upstream }),
        contenders: &[
            Contender { program: Program::Eproxy, launch: eproxy_fetch },
            Contender { program: Program::Nginx, launch: nginx_fetch },
            Contender { program: Program::Haproxy, launch: haproxy_fetch },
        ],
    },
    Mode {
        name: "idle",
        about: "resident memory for each kept-alive connection that has made one GET /hello and gone quiet",
        story: Story::Idle,
        expected: HELLO,
        upstream: None,
        contenders: &HELLO_CONTENDERS,
    },
];

const HELLO: Expected = Expected { path: "/hello", content_type: "text/plain", body: "Hello, World!" };

const HELLO_CONTENDERS: [Contender; 3] = [
    Contender { program: Program::Eproxy, launch: eproxy_hello },
    Contender { program: Program::Nginx, launch: nginx_hello },
    Contender { program: Program::Haproxy, launch: haproxy_hello },
];

/// About what a small JSON interface answers. No `'`, `$` or `\`: the text stands in nginx's single quotes.
const UPSTREAM: Expected = Expected {
    path: "/get",
    content_type: "application/json",
    body: concat!(
        r#"{"args":{},"headers":{"Accept":"*/*","Host":"127.0.0.1","User-Agent":"eproxy"},"#,
        r#""origin":"127.0.0.1","url":"http://127.0.0.1/get","items":[{"id":1,"name":"first"},"#,
        r#"{"id":2,"name":"second"},{"id":3,"name":"third"},{"id":4,"name":"fourth"}],"#,
        r#""note":"A fixed answer of about three hundred bytes.","ok":true}"#,
    ),
};

/// A request limit per connection that no run reaches: reconnecting is not what is measured here.
const ENDLESS_REQUESTS: u32 = 100_000_000;

fn eproxy_hello(site: &Site<'_>) -> Launch {
    eproxy(site, &[])
}

fn eproxy_fetch(site: &Site<'_>) -> Launch {
    let url = format!("http://127.0.0.1:{}{}", site.upstream_port(), UPSTREAM.path);
    eproxy(site, &["--upstream", &url])
}

fn eproxy(site: &Site<'_>, more: &[&str]) -> Launch {
    let port = site.port.to_string();
    let common = ["--host", "127.0.0.1", "--port", &port, "--workers", "1", "--log-level", "error"];
    Launch { arguments: common.iter().chain(more).map(ToString::to_string).collect(), config: None }
}

fn nginx_hello(site: &Site<'_>) -> Launch {
    nginx(site, "", &nginx_answer(&HELLO))
}

fn upstream(site: &Site<'_>) -> Launch {
    nginx(site, "", &nginx_answer(&UPSTREAM))
}

fn nginx_fetch(site: &Site<'_>) -> Launch {
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
    nginx(site, &group, &location)
}

fn nginx_answer(expected: &Expected) -> String {
    let Expected { path, content_type, body } = expected;
    format!("location = {path} {{ default_type {content_type}; return 200 '{body}'; }}")
}

/// Every path that a distribution compiles in is set, so that nginx touches nothing outside its directory and
/// needs no root.
fn nginx(site: &Site<'_>, http: &str, location: &str) -> Launch {
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

fn haproxy_hello(site: &Site<'_>) -> Launch {
    let Expected { path, content_type, body } = HELLO;
    let rule = format!(
        "http-request return status 200 content-type {content_type} string \"{body}\" if {{ path {path} }}"
    );
    haproxy(site, &rule, "")
}

fn haproxy_fetch(site: &Site<'_>) -> Launch {
    let backend = format!(
        "backend behind
            http-request set-path {}
            server behind 127.0.0.1:{}\n",
        UPSTREAM.path,
        site.upstream_port(),
    );
    haproxy(site, "use_backend behind if { path /proxy }", &backend)
}

/// `-db` keeps HAProxy in the foreground without a master process; no `log` line means no logging.
fn haproxy(site: &Site<'_>, rule: &str, backend: &str) -> Launch {
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
