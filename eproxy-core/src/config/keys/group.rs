//! The keys of groups: their endpoints, how these are found and how they are chosen.

use super::health::{ADAPTIVE_LIMIT, BREAKER, EJECTION, PROBE, QUEUE, RETRY_BUDGET};
use super::shape::{Key, PART, Section, Shape, TIMEOUT, optional, required, without};
use super::tls::UPSTREAM_TLS;

/// A group of endpoints.
pub(super) static GROUP: Section = Section::new(
    "group",
    "Endpoints that share requests, by their name: `[group.api]`. A group whose section has not changed is kept when the file \
     is read again, with all that is known of its endpoints; where only `endpoints` has changed, those that stay are kept.",
    KEYS,
);

static KEYS: &[Key] = &[
    without(
        "endpoints",
        Shape::Some(&Shape::Either(&[Shape::Text, Shape::Table(&ENDPOINT)])),
        "those that `discover` finds",
        "The endpoints: URLs, or tables with an URL.",
    )
    .also(&["servers", "server", "upstreams", "hosts", "targets"]),
    without(
        "discover",
        Shape::Some(&Shape::Table(&DISCOVER)),
        "nothing is looked for",
        "Has endpoints be found while the server runs, beside those that are named.",
    )
    .also(&["discovery", "resolver"]),
    without("tls", Shape::Table(&UPSTREAM_TLS), "the system's roots are trusted", "How `https://` endpoints are spoken to."),
    optional(
        "balance",
        Shape::Either(&[
            Shape::Word(&["peak_ewma", "least_requests", "round_robin", "random"]),
            Shape::Table(&BALANCE),
        ]),
        "\"peak_ewma\"",
        "How endpoints are chosen: of two drawn by weight the one that promises the quicker answer; the one with the fewest \
         requests for its weight; by turns; by chance; or the same one for the same key.",
    )
    .also(&["lb_policy", "load_balancing", "policy", "strategy"]),
    without(
        "sticky",
        Shape::Table(&STICKY),
        "off",
        "Sends a client to the endpoint that has answered it before, which a signed cookie tells.",
    ),
    optional(
        "slow_start",
        Shape::Duration(0, u64::MAX),
        "\"0s\"",
        "A new endpoint, or one that is fit again, gets a tenth of its share at first and all of it after this time.",
    ),
    without("prefer_zone", Shape::Text, "all zones alike", "The zone whose endpoints are preferred."),
    optional(
        "prefer_zone_while",
        PART,
        "0.5",
        "The part of what the preferred zone has by weight that must be fit for it to be preferred.",
    ),
    without(
        "subset_by",
        Shape::Table(&SUBSET),
        "all requests are for all endpoints",
        "Sends requests that have a header to the endpoints whose label has its value.",
    ),
    optional(
        "failover_below",
        PART,
        "0.0",
        "Leaves a tier (`priority`) of which less than this part is fit for one that is better off. 0 uses it as long as it \
         has one fit endpoint.",
    ),
    optional(
        "panic_below",
        PART,
        "0.0",
        "Sends requests to all endpoints of a tier, whatever is known of them, when less than this part of it is fit.",
    ),
    without("probe", Shape::Table(&PROBE), "none is asked", "Asks each endpoint from time to time whether it is well.")
        .also(&["health_check", "healthcheck", "check"]),
    without(
        "ejection",
        Shape::Table(&EJECTION),
        "the defaults",
        "When endpoints rest because of how they treated requests.",
    )
    .also(&["outlier_detection"]),
    without("breaker", Shape::Table(&BREAKER), "none", "Puts a circuit breaker in front of each endpoint.")
        .also(&["circuit_breaker"]),
    without(
        "max_requests",
        Shape::Integer(1, u32::MAX as i64),
        "no limit",
        "The requests that one endpoint has at once. When all have as many, a request waits (`queue`) or gets 503.",
    )
    .also(&["maxconn", "max_conns", "max_connections"]),
    without(
        "adaptive_limit",
        Shape::Table(&ADAPTIVE_LIMIT),
        "none",
        "Limits the requests that one endpoint has at once by how long it takes to answer them.",
    )
    .also(&["adaptive_concurrency"]),
    without(
        "queue",
        Shape::Table(&QUEUE),
        "nobody waits",
        "Has requests wait until an endpoint has room; needs `max_requests` or `adaptive_limit`.",
    ),
    without("retry_budget", Shape::Table(&RETRY_BUDGET), "the defaults", "How many requests may be sent again in all."),
];

static ENDPOINT: Section = Section::new(
    "endpoint",
    "One server among those that share requests.",
    &[
        required(
            "url",
            Shape::Text,
            "`http://host:port`, `https://` or `h2c://`, with a path that is put in front of every request's if need be; or \
             `unix:/path`.",
        )
        .also(&["address", "server", "uri", "to"]),
        optional("weight", WEIGHT, "1", "Its share of the requests in proportion to the others'."),
        optional(
            "priority",
            TIER,
            "0",
            "The tier it stands in: 0 is asked first, and a higher one only where too few of the lower ones work.",
        )
        .also(&["backup", "tier"]),
        without("zone", Shape::Text, "none", "Where it is, in your own words."),
        without("labels", Shape::Map(&Shape::Text), "none", "Words to tell it from others by, for `subset_by`.").also(&["label", "tags", "metadata"]),
        without("host", Shape::Text, "the URL's own", "What it is called: `name` or `name:port`."),
    ],
);

const WEIGHT: Shape = Shape::Integer(1, 1000);
const TIER: Shape = Shape::Integer(0, 255);

static DISCOVER: Section = Section::new(
    "discover",
    "Where endpoints are looked for: `dns`, `srv` or `file`.",
    &[
        without("dns", Shape::Text, "—", "Every address of the name in this URL is an endpoint."),
        without(
            "srv",
            Shape::Text,
            "—",
            "The servers of the service in this URL are: `http://_http._tcp.app.internal`.",
        ),
        without(
            "file",
            Shape::Path,
            "—",
            "The endpoints in this file are, one a line, which may change at any time.",
        ),
        optional("every", TIMEOUT, "\"1s\"", "How often a `file` is looked at."),
        optional(
            "min_ttl",
            TIMEOUT,
            "\"5s\"",
            "How long addresses are kept at least, whatever their records say.",
        ),
        optional("max_ttl", TIMEOUT, "\"5m\"", "How long addresses are kept at the most."),
        optional("timeout", TIMEOUT, "\"5s\"", "How long one question is waited for."),
        without(
            "server",
            Shape::Text,
            "those of the system",
            "The DNS server to ask, by its address and port.",
        ),
        optional("weight", WEIGHT, "1", "The weight of each address, with `dns`."),
        optional("priority", TIER, "0", "The tier of all, or with `srv` of the first among them."),
        without("zone", Shape::Text, "none", "Where all of them are."),
        without("labels", Shape::Map(&Shape::Text), "none", "The labels of all of them."),
        without("host", Shape::Text, "the name that was looked up", "What all of them are called."),
    ],
)
.one_of(&[&["dns", "srv", "file"]]);

static BALANCE: Section = Section::new(
    "balance",
    "The same endpoint for the same key, as long as it is fit and not overloaded: consistent hashing with bounded loads.",
    &[required(
        "hash",
        Shape::Either(&[Shape::Word(&["path", "client"]), Shape::Table(&HASH)]),
        "What requests are told apart by: their path, the client's address, or a header, cookie or query parameter.",
    )],
);

static HASH: Section = Section::new(
    "hash",
    "What requests are told apart by.",
    &[
        without("header", Shape::Text, "—", "The value of this header field."),
        without("cookie", Shape::Text, "—", "The value of this cookie."),
        without("query", Shape::Text, "—", "The value of this query parameter."),
    ],
)
.one_of(&[&["header", "cookie", "query"]]);

static STICKY: Section = Section::new(
    "sticky",
    "How clients stay with the endpoint that served them first.",
    &[
        required("cookie", Shape::Text, "The name of the cookie.").also(&["name"]),
        without(
            "secret",
            Shape::Secret,
            "one that is made up at the start",
            "What cookies are signed with: best 32 random bytes, the same for all replicas and over restarts.",
        ),
        without(
            "secret_file",
            Shape::File,
            "see `secret`",
            "A file with the secret, without the line end at its end.",
        ),
        optional("secure", Shape::Flag, "false", "Has browsers send the cookie over TLS only."),
        without(
            "max_age",
            Shape::Duration(1000, u64::MAX),
            "until browsers are closed",
            "How long browsers keep the cookie, in whole seconds.",
        ),
    ],
);

static SUBSET: Section = Section::new(
    "subset_by",
    "How requests say which endpoints they are for.",
    &[
        required("header", Shape::Text, "The header field of requests."),
        required("label", Shape::Text, "The label of endpoints that must have its value."),
        optional(
            "strict",
            Shape::Flag,
            "false",
            "Refuses a request whose value no endpoint has with 503; otherwise it is for all endpoints.",
        ),
    ],
);
