//! The keys of what a proxy does to what it passes on, and of the forward proxy.

use super::shape::{COUNT, Key, Section, Shape, TIMEOUT, optional, required, without};

/// A reverse proxy.
pub(super) static PROXY: Section = Section::new(
    "proxy",
    "Passes requests on: to a `group`, or `to` an URL or several that share them. The same URLs in two places are one group.",
    KEYS,
)
.one_of(&[&["group", "to"]]);

static KEYS: &[Key] = &[
    without("group", Shape::Text, "—", "The name of a group.").also(&["upstream", "backend", "cluster", "service"]),
    without(
        "to",
        Shape::Some(&Shape::Text),
        "—",
        "An URL, `http://host:port`, `https://`, `h2c://` or `unix:/path`, or several.",
    )
    .also(&["url", "proxy_pass", "reverse_proxy"]),
    without(
        "timeout",
        TIMEOUT,
        "60 s each",
        "How long an upstream may take to begin its answer, and how long it may pause within it: `upstream_options.head` and \
         `upstream_options.body_idle`, over which it wins.",
    )
    .also(&["proxy_read_timeout"]),
    without(
        "upstream_options",
        Shape::Table(&UPSTREAM_OPTIONS),
        "the defaults",
        "Timeouts and pool sizes of the connections to upstreams.",
    )
    .also(&["upstream"]),
    optional(
        "upstream_host",
        Shape::Flag,
        "false",
        "Sends the upstream's own host and port in the Host field, instead of what the client sent.",
    ),
    without("host", Shape::Text, "what the client sent", "What is sent in the Host field: a host, and a port if need be.")
        .also(&["proxy_set_header_host"]),
    without("strip_prefix", Shape::Text, "nothing", "Taken off the paths of requests, as whole segments."),
    without("add_prefix", Shape::Text, "nothing", "Put in front of the paths of requests."),
    without("request_headers", Shape::Table(&HEADERS), "as they came", "What becomes of the header fields of requests.")
        .also(&["headers", "proxy_set_header"]),
    without("response_headers", Shape::Table(&HEADERS), "as they came", "What becomes of the header fields of answers.")
        .also(&["add_header"]),
    optional(
        "rewrite_locations",
        Shape::Flag,
        "false",
        "Rewrites `Location` and `Content-Location` of answers where they name the upstream.",
    )
    .also(&["proxy_redirect"]),
    without(
        "cookie_domain",
        Shape::Map(&Shape::Text),
        "as it came",
        "Replaces the `Domain` of cookies: `{ \"app.internal\" = \"example.com\" }`; `\"*\"` stands for any, and `\"\"` takes \
         it out. The first that fits counts.",
    ),
    without("cookie_path", Shape::Map(&Shape::Text), "as it came", "Replaces the `Path` of cookies in the same way."),
    optional(
        "forwarding_headers",
        Shape::Flag,
        "true",
        "Whether upstreams are told where requests come from: `X-Forwarded-For`, `-Host`, `-Proto` and `Forwarded`.",
    ),
    without(
        "body_limit",
        Shape::Limit,
        "no limit",
        "The largest request body; a longer one gets 413. `body_limit` of the route comes before it.",
    )
    .also(&["client_max_body_size"]),
    without("mirror", Shape::Text, "nobody", "Sends a copy of each request to this URL, too, and forgets its answers."),
    without(
        "proxy_protocol",
        Shape::Word(&["v1", "v2"]),
        "off",
        "Begins each connection to an upstream with a PROXY protocol header of this version.",
    )
    .also(&["send_proxy"]),
    optional(
        "buffer_requests",
        Shape::Size,
        "0",
        "Reads request bodies of up to so many bytes before they are passed on, so that they can be sent again.",
    )
    .also(&["proxy_request_buffering"]),
    optional(
        "buffer_responses",
        Shape::Size,
        "0",
        "Reads up to so many bytes of an answer ahead of a client that is slower than the upstream.",
    )
    .also(&["proxy_buffering", "proxy_buffers"]),
    optional("grpc_web", Shape::Flag, "false", "Translates calls of gRPC-Web for upstreams that speak gRPC."),
    optional(
        "retries",
        COUNT,
        "1",
        "How often a request is sent again that an upstream may have seen, if that does no more the second time. What nobody \
         has seen goes to another endpoint whatever this says.",
    )
    .also(&["retry", "proxy_next_upstream_tries"]),
    without(
        "retry_statuses",
        Shape::Some(&Shape::Integer(400, 599)),
        "none",
        "Statuses of answers that count as failures, while there is another endpoint.",
    )
    .also(&["retry_on", "proxy_next_upstream"]),
    without("attempt_timeout", TIMEOUT, "none", "How long one try may take, to the head of its answer.")
        .also(&["per_try_timeout"]),
    optional(
        "retry_idempotency_keys",
        Shape::Flag,
        "false",
        "Sends requests again whatever their method is if they carry an `Idempotency-Key`.",
    ),
    without("hedge_after", TIMEOUT, "off", "Asks a second endpoint as well when the first has not begun to answer after so long."),
];

/// What becomes of header fields.
pub(super) static HEADERS: Section = Section::new(
    "headers",
    "What becomes of header fields: first some are removed, then set, then added.",
    &[
        without("remove", Shape::Some(&Shape::Text), "none", "Removes fields of these names.")
            .also(&["delete", "hide"]),
        without("set", Shape::Map(&Shape::Text), "none", "Sets fields, in place of all of their names."),
        without(
            "add",
            Shape::Map(&Shape::Some(&Shape::Text)),
            "none",
            "Adds fields behind those of the same name; a list adds several.",
        )
        .also(&["append"]),
    ],
);

static UPSTREAM_OPTIONS: Section = Section::new(
    "upstream_options",
    "Timeouts and pool sizes of connections to upstreams.",
    &[
        optional("connect", TIMEOUT, "\"5s\"", "From looking the name up to the connection: 504.")
            .also(&["connect_timeout", "proxy_connect_timeout"]),
        optional(
            "head",
            TIMEOUT,
            "\"60s\"",
            "From the last bytes of the request that the upstream took to the end of the answer's head: 504.",
        )
        .also(&["proxy_read_timeout"]),
        optional(
            "body_idle",
            TIMEOUT,
            "\"60s\"",
            "How long the body of an answer may bring no byte while the client takes what comes.",
        ),
        optional(
            "write_idle",
            TIMEOUT,
            "\"60s\"",
            "How long an upstream may take no byte of a request: 504.",
        )
        .also(&["proxy_send_timeout"]),
        optional("keep_alive", TIMEOUT, "\"30s\"", "How long an unused connection is kept.")
            .also(&["idle_timeout"]),
        optional(
            "pool_size",
            COUNT,
            "1024",
            "Unused connections that each worker keeps to one upstream; 0 keeps none.",
        )
        .also(&["keepalive"]),
        optional(
            "streams",
            COUNT,
            "100",
            "Requests that each worker gives to one HTTP/2 connection at once.",
        ),
    ],
);

/// The forward proxy.
pub(super) static FORWARD: Section = Section::new(
    "forward",
    "A forward proxy: it passes requests on to wherever they say, and tunnels with CONNECT. Only addresses of the public \
     internet may be reached unless it is told otherwise.",
    &[
        without(
            "users",
            Shape::Map(&Shape::Secret),
            "nobody is asked",
            "Who may use it: names and passwords. The password crosses the network in the clear.",
        )
        .also(&["user", "basicauth", "auth"]),
        without(
            "allow",
            Shape::Some(&Shape::Text),
            "the public internet",
            "What may be reached beside that: addresses, networks (`10.1.0.0/16`), and hosts by their names.",
        ),
        without(
            "deny",
            Shape::Some(&Shape::Text),
            "none",
            "Addresses and networks that may not, whatever else is allowed.",
        ),
        optional(
            "connect_ports",
            Shape::Some(&Shape::Integer(1, 65535)),
            "[443]",
            "The ports that CONNECT may reach.",
        )
        .also(&["ports"]),
        without(
            "parent",
            Shape::Either(&[Shape::Text, Shape::Table(&PARENT)]),
            "none",
            "Another forward proxy, `http://host:port`, to pass everything on to.",
        ),
        optional(
            "forwarding_headers",
            Shape::Flag,
            "false",
            "Whether destinations are told where requests come from: `X-Forwarded-For`, `-Host`, `-Proto` and `Forwarded`.",
        ),
        without(
            "timeout",
            TIMEOUT,
            "60 s each",
            "How long a destination may take to begin its answer, and how long it may pause within it.",
        ),
        without(
            "upstream_options",
            Shape::Table(&UPSTREAM_OPTIONS),
            "the defaults",
            "Timeouts and pool sizes of the connections to destinations.",
        ),
        without("body_limit", Shape::Limit, "no limit", "The largest request body; a longer one gets 413."),
    ],
);

static PARENT: Section = Section::new(
    "parent",
    "Another forward proxy that asks for credentials.",
    &[
        required("url", Shape::Text, "Where it is: `http://host:port`."),
        required("user", Shape::Text, "The name to show to it.").also(&["name"]),
        required("password", Shape::Secret, "The password."),
    ],
);
