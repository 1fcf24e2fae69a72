//! The keys of the file as a whole: workers, listeners, limits, timeouts.

use super::group::GROUP;
use super::observe::{ACCESS_LOG, REQUEST_IDS, TRACES};
use super::proxy::FORWARD;
use super::route::ROUTE;
use super::shape::{Key, Section, Shape, TIMEOUT, optional, required, without};
use super::tls::{CERTIFICATE, TLS};

/// The file as a whole.
pub(in crate::config) static ROOT: Section = Section::new(
    "top level",
    "What stands before the first heading, and the headings themselves.",
    &[
        without(
            "include",
            Shape::Some(&Shape::Text),
            "no other files",
            "Files that are read as if they stood here: paths relative to this file, with `*`, `?` and `[a-z]` in any part. \
             A path without these has to be there; a pattern may fit nothing. Files may include others, but not in a circle.",
        ),
        without(
            "workers",
            Shape::Integer(1, 1024),
            "one for each processor",
            "Worker threads. Each keeps connections of its own to every upstream. It can't be changed while the server runs.",
        )
        .also(&["worker_processes", "nbthread", "threads"]),
        without(
            "trusted_proxies",
            Shape::Some(&Shape::Text),
            "nobody",
            "The peers that are believed when they say where a request comes from, in `X-Forwarded-For`, `Forwarded` or the \
             PROXY protocol: addresses, networks (`10.0.0.0/8`), and `unix` for unix-domain sockets.",
        )
        .also(&["set_real_ip_from"]),
        without("reload", Shape::Table(&RELOAD), "on SIGHUP only", "When the file is read again while the server runs."),
        without("log", Shape::Table(&LOG), "the defaults", "The program's own log."),
        without(
            "listener",
            Shape::List(&Shape::Table(&LISTENER)),
            "none, which no server can do without",
            "What is listened on.",
        )
        .also(&["listen", "listeners", "bind", "entrypoints"]),
        without("limits", Shape::Table(&LIMITS), "the defaults", "What clients may send."),
        without("timeouts", Shape::Table(&TIMEOUTS), "the defaults", "How long clients may take.").also(&["timeout"]),
        without(
            "group",
            Shape::Map(&Shape::Table(&GROUP)),
            "none",
            "Groups of endpoints by their names, for proxies to send requests to: `[group.api]`.",
        )
        .also(&["groups", "upstream", "backend", "cluster", "services"]),
        without(
            "route",
            Shape::List(&Shape::Table(&ROUTE)),
            "none: every request gets 404",
            "Which requests are answered, and how.",
        )
        .also(&["routes", "location", "router", "routers", "frontend", "server"]),
        without(
            "forward",
            Shape::Table(&FORWARD),
            "no forward proxy",
            "Passes requests on that name where they are to go themselves, and tunnels.",
        ),
        without(
            "access_log",
            Shape::Either(&[Shape::Path, Shape::Table(&ACCESS_LOG)]),
            "none",
            "Logs every exchange when it is over: a file, or a table.",
        ),
        without(
            "request_ids",
            Shape::Either(&[Shape::Flag, Shape::Table(&REQUEST_IDS)]),
            "`false`: what a client says passes as any other field",
            "Gives every request an identifier.",
        )
        .also(&["request_id"]),
        without("traces", Shape::Table(&TRACES), "`traceparent` passes as any other field", "Traces exchanges.")
            .also(&["tracing", "otlp"]),
        optional(
            "metrics",
            Shape::Flag,
            "true",
            "Whether exchanges are counted by route; the server as a whole and endpoints are in any case.",
        ),
        without(
            "explain_header",
            Shape::Text,
            "off",
            "The header field by which `trusted_proxies` ask what would become of a request, and why.",
        ),
        without(
            "admin",
            Shape::Table(&ADMIN),
            "no admin listener",
            "A listener for whoever runs this: an API and a live page. `[admin]` alone has the defaults.",
        ),
    ],
);

static RELOAD: Section = Section::new(
    "reload",
    "SIGHUP always has the file read again. What is wrong with it then is logged, and everything stays as it was.",
    &[optional(
        "on_change",
        Shape::Flag,
        "false",
        "Looks at the file, and at those that it includes, every second, and reads them again when they have changed and a \
         second has passed without another change.",
    )],
);

static LOG: Section = Section::new(
    "log",
    "The program's own log, on standard output. The flags `--log-level` and `--log-format` win over it.",
    &[
        optional(
            "level",
            Shape::Word(&["debug", "info", "warn", "error"]),
            "\"info\"",
            "What is said at least: `debug` says the most.",
        ),
        without(
            "format",
            Shape::Word(&["pretty", "json"]),
            "`\"pretty\"` in a terminal, `\"json\"` elsewhere",
            "How lines look: for people, or a JSON object each.",
        ),
    ],
);

static LISTENER: Section = Section::new(
    "listener",
    "An address that is listened on.",
    &[
        required(
            "address",
            Shape::Text,
            "An address and a port, `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, or `unix:/run/eproxy.sock`. Port 0 lets \
             the system choose. `[::]` listens on IPv6 alone.",
        )
        .also(&["bind", "listen"]),
        without(
            "tls",
            Shape::Either(&[Shape::Table(&TLS), Shape::List(&Shape::Table(&CERTIFICATE))]),
            "plain HTTP",
            "Speaks TLS, with HTTP/2 or HTTP/1.1 as clients choose: a table, or a list of certificates where there is nothing \
             else to say.",
        )
        .also(&["ssl"]),
        optional(
            "proxy_protocol",
            Shape::Flag,
            "false",
            "Every connection begins with a PROXY protocol header, version 1 or 2. Only `trusted_proxies` may connect.",
        )
        .also(&["accept_proxy"]),
    ],
);

static ADMIN: Section = Section::new(
    "admin",
    "A listener beside the others with an API and a live page. It is started with the server: what changes here holds from the \
     next start on.",
    &[
        optional(
            "address",
            Shape::Text,
            "\"127.0.0.1:9901\"",
            "Where it listens, as for a listener. Anywhere but on the loopback or a unix-domain socket it needs a token.",
        )
        .also(&["bind", "listen"]),
        without(
            "token",
            Shape::Secret,
            "nobody is asked",
            "What has to be shown, `Authorization: Bearer …`, for everything but the questions whether the server lives and is \
             ready.",
        ),
        without("token_file", Shape::File, "see `token`", "A file with the token, without the line end at its end."),
        without("tls", Shape::Table(&TLS), "plain HTTP", "Speaks TLS."),
        without(
            "hosts",
            Shape::Some(&Shape::Text),
            "`localhost`, addresses, and the name in `address`",
            "Names that it answers to as well; requests for others get 421.",
        )
        .also(&["host"]),
    ],
);

static LIMITS: Section = Section::new(
    "limits",
    "What clients may send. What exceeds a limit is refused and counted under its name.",
    &[
        optional("head", Shape::Size, "\"32KiB\"", "A request head; a longer one gets 431. At least 512 bytes.")
            .also(&["large_client_header_buffers"]),
        optional("target", Shape::Size, "\"8KiB\"", "A request target; a longer one gets 414."),
        optional("headers", COUNT_OF_LINES, "100", "Header lines of a request; more get 431."),
        optional(
            "body",
            Shape::Limit,
            "\"16MiB\"",
            "A request body for what is not passed on, unless its route says otherwise; a longer one gets 413.",
        )
        .also(&["client_max_body_size"]),
        optional(
            "drain",
            Shape::Size,
            "\"256KiB\"",
            "The rest of a body that nobody wants which is read and thrown away to save the connection; a longer rest closes \
             it.",
        ),
        optional(
            "connections",
            Shape::Integer(1, u32::MAX as i64),
            "100000",
            "Open connections over all workers; further ones wait to be accepted.",
        )
        .also(&["worker_connections", "maxconn"]),
        optional(
            "handshakes",
            Shape::Integer(1, u32::MAX as i64),
            "10000",
            "TLS handshakes at once over all workers; further connections are closed.",
        ),
    ],
);

const COUNT_OF_LINES: Shape = Shape::Integer(1, u32::MAX as i64);

static TIMEOUTS: Section = Section::new(
    "timeouts",
    "How long clients may take. Deadlines come up to 8 ms late, never early.",
    TIMES,
);

static TIMES: &[Key] = &[
    optional(
        "head",
        TIMEOUT,
        "\"30s\"",
        "From the first byte of a request head to its last, and from accepting a connection to its first byte: 408, or nothing \
         where nothing came.",
    )
    .also(&["client_header_timeout", "read_header_timeout", "http_request"]),
    optional("handshake", TIMEOUT, "\"10s\"", "From accepting a connection to the end of its TLS handshake."),
    optional("keep_alive", TIMEOUT, "\"75s\"", "How long a connection is kept open between requests.")
        .also(&["idle_timeout", "keepalive_timeout", "idle"]),
    optional(
        "body_idle",
        TIMEOUT,
        "\"60s\"",
        "How long a request body may bring no byte while somebody waits for one: 408.",
    )
    .also(&["client_body_timeout", "read_timeout"]),
    optional(
        "body_rate",
        Shape::Size,
        "100",
        "Bytes a second that a request body must bring on average, after a first `body_idle` or 10 s, whichever is shorter. 0 \
         switches it off.",
    ),
    optional(
        "write_idle",
        TIMEOUT,
        "\"60s\"",
        "How long a client may take no byte of its answer: the connection is closed.",
    )
    .also(&["send_timeout", "write_timeout"]),
    optional(
        "tunnel_idle",
        TIMEOUT,
        "\"10m\"",
        "How long an upgraded connection or a tunnel may carry no byte in either direction before it is closed.",
    )
    .also(&["tunnel"]),
    optional(
        "drain_idle",
        Shape::Duration(0, u64::MAX),
        "\"1s\"",
        "How long a connection on which nothing is under way stays open once the server ends, so that a request that is on its \
         way is answered. `\"0s\"` closes them at once.",
    ),
];
