//! The table of modes: what is asked, how it is measured, who contends.

use crate::configs::{envoy, eproxy, haproxy, nginx};
use crate::contender::{Contender, Program, Wire};
use crate::pages::{BULK, FETCHED, HELLO, KIB, Page, READY, SMALL};
use crate::story::{Calls, Load, Quiet, Story, Upstream};

/// One thing to measure.
pub(crate) struct Mode {
    /// How the command line calls it.
    pub(crate) name: &'static str,
    /// One line for the usage text.
    pub(crate) about: &'static str,
    /// How it is measured.
    pub(crate) story: Story,
    /// How many connections are open at the same time unless the command line says so: usually, and in a
    /// quick run.
    pub(crate) connections: (usize, usize),
    /// What every contender is asked, and the only right answer.
    pub(crate) page: Page,
    /// Who stands behind the contenders.
    pub(crate) upstream: Upstream,
    /// Who takes part. The first is eproxy: the report compares it with each of the others.
    pub(crate) contenders: &'static [Contender],
}

/// Modes that are one question, and run one after the other.
pub(crate) struct Family {
    /// How the command line calls it.
    pub(crate) name: &'static str,
    /// One line for the usage text.
    pub(crate) about: &'static str,
    /// The names of the modes.
    pub(crate) members: &'static [&'static str],
}

pub(crate) const MODES: &[Mode] = &[
    Mode {
        name: "hello",
        about: "GET /hello, a fixed short text: the cost of a request and nothing else",
        story: Story::Load(Load::Requests),
        connections: (64, 64),
        page: HELLO,
        upstream: Upstream::None,
        contenders: &HELLO_CONTENDERS,
    },
    Mode {
        name: "fetch",
        about: "GET /proxy: eproxy's handler fetches from an upstream through the Client; the peers proxy it",
        story: Story::Load(Load::Requests),
        connections: (64, 64),
        page: FETCHED,
        upstream: SMALL_UPSTREAM,
        contenders: &[
            Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::fetch },
            Contender { label: "nginx", program: Program::Nginx, launch: nginx::fetch },
            Contender { label: "haproxy", program: Program::Haproxy, launch: haproxy::fetch },
        ],
    },
    Mode {
        name: "proxy",
        about: "GET /get, a small answer, through a reverse proxy; the bare peers set no forwarding headers",
        story: Story::Load(Load::Requests),
        connections: (64, 64),
        page: SMALL,
        upstream: SMALL_UPSTREAM,
        contenders: &[
            Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::relay },
            Contender { label: "nginx", program: Program::Nginx, launch: nginx::relay },
            Contender { label: "haproxy", program: Program::Haproxy, launch: haproxy::relay },
            Contender { label: "nginx bare", program: Program::Nginx, launch: nginx::relay_bare },
            Contender { label: "haproxy bare", program: Program::Haproxy, launch: haproxy::relay_bare },
        ],
    },
    Mode {
        name: "group",
        about: "the same through a group of 8 endpoints, and with one upstream: what a choice costs",
        story: Story::Load(Load::Requests),
        connections: (64, 64),
        page: SMALL,
        // One server with 8 ports, so that it does the same for whoever knows but one of them.
        upstream: Upstream::Nginx { count: 1, doors: 8, page: SMALL, launch: nginx::upstream },
        contenders: &[
            Contender { label: "eproxy 8", program: Program::Eproxy, launch: eproxy::relay },
            Contender { label: "eproxy 1", program: Program::Eproxy, launch: eproxy::relay_to_one },
            Contender { label: "nginx 8", program: Program::Nginx, launch: nginx::relay },
            Contender { label: "haproxy 8", program: Program::Haproxy, launch: haproxy::relay },
        ],
    },
    Mode {
        name: "hooks",
        about: "the same with two hooks, each of which sets a header; nginx without, and with these headers",
        story: Story::Load(Load::Requests),
        connections: (64, 64),
        page: SMALL,
        upstream: SMALL_UPSTREAM,
        contenders: &[
            Contender { label: "eproxy hooks", program: Program::This, launch: eproxy::hooked },
            Contender { label: "nginx", program: Program::Nginx, launch: nginx::relay },
            Contender { label: "nginx headers", program: Program::Nginx, launch: nginx::relay_with_headers },
            Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::relay },
        ],
    },
    Mode {
        name: "telemetry",
        about: "the same with nothing told, with metrics and request ids, and with a log of every request to a file",
        story: Story::Load(Load::Requests),
        connections: (64, 64),
        page: SMALL,
        upstream: SMALL_UPSTREAM,
        contenders: &[
            Contender { label: "eproxy log", program: Program::Eproxy, launch: eproxy::logged },
            Contender { label: "eproxy metrics", program: Program::Eproxy, launch: eproxy::told },
            Contender { label: "eproxy off", program: Program::Eproxy, launch: eproxy::untold },
            Contender { label: "nginx log", program: Program::Nginx, launch: nginx::relay_logged },
            Contender {
                label: "nginx log, buffered",
                program: Program::Nginx,
                launch: nginx::relay_logged_late,
            },
            Contender { label: "nginx", program: Program::Nginx, launch: nginx::relay },
        ],
    },
    Mode {
        name: "routes",
        about: "GET /hello, a fixed text of a configuration file with a thousand routes, and of one with one route",
        story: Story::Load(Load::Requests),
        connections: (64, 64),
        page: HELLO,
        upstream: Upstream::None,
        contenders: &[
            Contender {
                label: "eproxy 1000 routes",
                program: Program::Eproxy,
                launch: eproxy::thousand_routes,
            },
            Contender { label: "eproxy 1 route", program: Program::Eproxy, launch: eproxy::one_route },
        ],
    },
    Mode {
        name: "reload",
        about: "GETs and WebSockets while the configuration file is read again and again: how many fail",
        story: Story::Reload,
        connections: (64, 64),
        page: READY,
        upstream: Upstream::Echo,
        contenders: &[Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::reloading }],
    },
    Mode {
        name: "bulk",
        about: "GET /bulk, a file of 1 MiB, through a reverse proxy: the cost of bytes",
        story: Story::Load(Load::Bytes),
        connections: (8, 8),
        page: BULK,
        upstream: Upstream::Nginx { count: 1, doors: 1, page: BULK, launch: nginx::bulk_upstream },
        contenders: &[
            Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::relay },
            Contender { label: "nginx", program: Program::Nginx, launch: nginx::bulk },
            Contender { label: "nginx tuned", program: Program::Nginx, launch: nginx::bulk_tuned },
            Contender { label: "haproxy", program: Program::Haproxy, launch: haproxy::relay },
            Contender { label: "haproxy splice", program: Program::Haproxy, launch: haproxy::bulk_spliced },
        ],
    },
    Mode {
        name: "echo",
        about: "messages of 64 bytes through WebSockets to an upstream that echoes them, one at a time each",
        story: Story::Load(Load::Messages),
        connections: (64, 64),
        page: READY,
        upstream: Upstream::Echo,
        contenders: &WEBSOCKET_CONTENDERS,
    },
    Mode {
        name: "tunnels",
        about: "resident memory for each WebSocket that has echoed one message and gone quiet",
        story: Story::Idle(Quiet::Tunnels),
        connections: (2_000, 500),
        page: READY,
        upstream: Upstream::Echo,
        contenders: &WEBSOCKET_CONTENDERS,
    },
    Mode {
        name: "restart",
        about: "GETs while one of two upstreams is killed and started again, by turns: how many fail",
        story: Story::Restart,
        connections: (64, 64),
        page: SMALL,
        upstream: Upstream::Nginx { count: 2, doors: 1, page: SMALL, launch: nginx::upstream },
        contenders: &[
            Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::relay },
            Contender { label: "nginx", program: Program::Nginx, launch: nginx::relay },
            Contender { label: "haproxy", program: Program::Haproxy, launch: haproxy::restart },
        ],
    },
    Mode {
        name: "balance",
        about: "three upstreams, of which one takes 40 ms and the others 2 ms: what the slowest answers take",
        story: Story::Balance,
        connections: (16, 16),
        page: SMALL,
        upstream: Upstream::Origins(3),
        contenders: &[
            Contender { label: "eproxy peak-EWMA", program: Program::This, launch: eproxy::peak_ewma },
            Contender { label: "eproxy round robin", program: Program::This, launch: eproxy::round_robin },
            Contender { label: "haproxy leastconn", program: Program::Haproxy, launch: haproxy::leastconn },
            Contender { label: "haproxy roundrobin", program: Program::Haproxy, launch: haproxy::roundrobin },
        ],
    },
    Mode {
        name: "chaos",
        about: "GETs and POSTs while upstreams are killed, hang or become slow: how many fail, and how slow they are",
        story: Story::Chaos,
        connections: (32, 32),
        page: SMALL,
        upstream: Upstream::Origins(3),
        contenders: &CAREFUL_CONTENDER,
    },
    Mode {
        name: "rolling",
        about: "the same while three upstreams are restarted by turns, politely and then not: how many GETs fail",
        story: Story::Rolling,
        connections: (32, 32),
        page: SMALL,
        upstream: Upstream::Origins(3),
        contenders: &CAREFUL_CONTENDER,
    },
    Mode {
        name: "idle",
        about: "resident memory for each kept-alive connection that has made one GET /hello and gone quiet",
        story: Story::Idle(Quiet::Connections(Wire::Http1)),
        connections: (4_000, 1_000),
        page: HELLO,
        upstream: Upstream::None,
        contenders: &HELLO_CONTENDERS,
    },
    Mode {
        name: "idle-tls",
        about: "the same over TLS",
        story: Story::Idle(Quiet::Connections(Wire::Tls)),
        connections: (4_000, 1_000),
        page: HELLO,
        upstream: Upstream::None,
        contenders: &HELLO_TLS_CONTENDERS,
    },
    Mode {
        name: "idle-h2",
        about: "the same over HTTP/2, without TLS",
        story: Story::Idle(Quiet::Connections(Wire::Http2)),
        connections: (4_000, 1_000),
        page: HELLO,
        upstream: Upstream::None,
        contenders: &HELLO_HTTP2_CONTENDERS,
    },
    Mode {
        name: "tls-full",
        about: "connections with a full TLS 1.3 handshake and one GET /hello",
        story: Story::Load(Load::Calls(Calls::Full)),
        connections: (64, 64),
        page: HELLO,
        upstream: Upstream::None,
        contenders: &HELLO_TLS_CONTENDERS,
    },
    Mode {
        name: "tls-resumed",
        about: "the same with handshakes that resume a session, by a ticket",
        story: Story::Load(Load::Calls(Calls::Resumed)),
        connections: (64, 64),
        page: HELLO,
        upstream: Upstream::None,
        contenders: &HELLO_TLS_CONTENDERS,
    },
    Mode {
        name: "tls-requests",
        about: "GET /kib, 1 KiB, through a reverse proxy that has TLS in front, on kept-alive connections",
        story: Story::Load(Load::Calls(Calls::Requests)),
        connections: (64, 64),
        page: KIB,
        upstream: Upstream::Nginx { count: 1, doors: 1, page: KIB, launch: nginx::kib_upstream },
        contenders: &[
            Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::relay_tls },
            Contender { label: "nginx", program: Program::Nginx, launch: nginx::relay_tls },
            Contender { label: "haproxy", program: Program::Haproxy, launch: haproxy::relay_tls },
        ],
    },
    Mode {
        name: "tls-bulk",
        about: "GET /bulk, a file of 1 MiB, through such a proxy: the cost of encrypted bytes",
        story: Story::Load(Load::Calls(Calls::Bytes)),
        connections: (8, 8),
        page: BULK,
        upstream: Upstream::Nginx { count: 1, doors: 1, page: BULK, launch: nginx::bulk_upstream },
        contenders: &[
            Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::relay_tls },
            Contender { label: "nginx", program: Program::Nginx, launch: nginx::bulk_tls },
            Contender { label: "nginx tuned", program: Program::Nginx, launch: nginx::bulk_tls_tuned },
            Contender { label: "haproxy", program: Program::Haproxy, launch: haproxy::relay_tls },
            Contender { label: "haproxy tuned", program: Program::Haproxy, launch: haproxy::bulk_tls_tuned },
        ],
    },
    Mode {
        name: "h2",
        about: "GET /hello over HTTP/2 without TLS, many streams at once",
        story: Story::Load(Load::Streams),
        connections: (10, 10),
        page: HELLO,
        upstream: Upstream::None,
        contenders: &HELLO_HTTP2_CONTENDERS,
    },
    Mode {
        name: "h2-proxy",
        about: "GET /get over HTTP/2 through a reverse proxy, whose upstream speaks HTTP/1.1",
        story: Story::Load(Load::Streams),
        connections: (10, 10),
        page: SMALL,
        upstream: SMALL_UPSTREAM,
        contenders: &[
            Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::relay },
            Contender { label: "nginx", program: Program::Nginx, launch: nginx::relay_http2 },
            Contender { label: "haproxy", program: Program::Haproxy, launch: haproxy::relay_http2 },
            Contender { label: "envoy", program: Program::Envoy, launch: envoy::relay_http2 },
        ],
    },
    Mode {
        name: "swap",
        about: "GETs over TLS, on kept-alive and new connections, while certificates are replaced: how many fail",
        story: Story::Swap,
        connections: (16, 16),
        page: HELLO,
        upstream: Upstream::None,
        contenders: &[
            Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::hello_tls },
            Contender { label: "eproxy, 20 ms", program: Program::This, launch: eproxy::swapped },
        ],
    },
    Mode {
        name: "upgrade",
        about: "GETs, on kept-alive and new connections, while the program is replaced, then stopped: how many fail",
        story: Story::Upgrade,
        connections: (64, 64),
        page: HELLO,
        upstream: Upstream::None,
        contenders: &UPGRADED_CONTENDER,
    },
];

pub(crate) const FAMILIES: &[Family] = &[Family {
    name: "tls",
    about: "what TLS costs, by handshakes, requests and bytes",
    members: &["tls-full", "tls-resumed", "tls-requests", "tls-bulk"],
}];

const HELLO_CONTENDERS: [Contender; 3] = [
    Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::hello },
    Contender { label: "nginx", program: Program::Nginx, launch: nginx::hello },
    Contender { label: "haproxy", program: Program::Haproxy, launch: haproxy::hello },
];

const HELLO_TLS_CONTENDERS: [Contender; 3] = [
    Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::hello_tls },
    Contender { label: "nginx", program: Program::Nginx, launch: nginx::hello_tls },
    Contender { label: "haproxy", program: Program::Haproxy, launch: haproxy::hello_tls },
];

/// eproxy speaks HTTP/2 on every listener.
const HELLO_HTTP2_CONTENDERS: [Contender; 3] = [
    Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::hello },
    Contender { label: "nginx", program: Program::Nginx, launch: nginx::hello_http2 },
    Contender { label: "haproxy", program: Program::Haproxy, launch: haproxy::hello_http2 },
];

const CAREFUL_CONTENDER: [Contender; 1] =
    [Contender { label: "eproxy", program: Program::This, launch: eproxy::careful }];

const UPGRADED_CONTENDER: [Contender; 1] =
    [Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::upgraded }];

const WEBSOCKET_CONTENDERS: [Contender; 3] = [
    Contender { label: "eproxy", program: Program::Eproxy, launch: eproxy::relay },
    Contender { label: "nginx", program: Program::Nginx, launch: nginx::upgrade },
    Contender { label: "haproxy", program: Program::Haproxy, launch: haproxy::upgrade },
];

const SMALL_UPSTREAM: Upstream = Upstream::Nginx { count: 1, doors: 1, page: SMALL, launch: nginx::upstream };
