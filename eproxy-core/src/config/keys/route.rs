//! The keys of routes.

use super::local::{ANSWER, FILES, REDIRECT};
use super::proxy::PROXY;
use super::shape::{Section, Shape, optional, required, without};

/// What a value has to be: a text stands for itself.
static MATCH: Shape = Shape::Either(&[Shape::Text, Shape::Table(&CONDITION)]);

static CONDITION: Section = Section::new(
    "match",
    "What a header field or a query parameter has to be; a string in place of the table stands for `exact`.",
    &[
        without("exact", Shape::Text, "—", "It is this."),
        without("prefix", Shape::Text, "—", "It begins with this."),
        without(
            "present",
            Shape::Flag,
            "—",
            "`true`: it is there, whatever it is. `false`: there is none of that name.",
        )
        .also(&["exists"]),
    ],
)
.one_of(&[&["exact", "prefix", "present"]]);

/// Which requests are answered, and how.
pub(super) static ROUTE: Section = Section::new(
    "route",
    "Which requests are answered, and how: by exactly one of `proxy`, `answer`, `redirect` and `files`.",
    &[
        required(
            "path",
            Shape::Text,
            "A pattern for paths: `/users/:id`, where `:id` is one segment, or `/files/*path`, where `*path` is the rest, be it \
             empty. Segments that are spelled out win over `:id`, and that wins over `*path`.",
        )
        .also(&["pattern", "prefix", "match", "location"]),
        without(
            "host",
            Shape::Some(&Shape::Text),
            "any host",
            "The hosts that it is for: names, addresses, and `*.` in front of a name for what is below that.",
        )
        .also(&["hosts", "server_name", "domain"]),
        without(
            "methods",
            Shape::Some(&Shape::Text),
            "all but CONNECT",
            "The methods that it answers; GET answers HEAD, too. Others get 405.",
        )
        .also(&["method"]),
        without(
            "header",
            Shape::Map(&MATCH),
            "none",
            "Header fields that requests must have: `{ \"X-Version\" = \"2\" }`.",
        )
        .also(&["headers", "when_header"]),
        without("query", Shape::Map(&MATCH), "none", "Query parameters that requests must have.").also(&["params", "when_query"]),
        without("name", Shape::Text, "its path", "What it is called in logs and metrics: visible ASCII; no two have the same.")
            .also(&["id"]),
        optional(
            "priority",
            Shape::Integer(i32::MIN as i64, i32::MAX as i64),
            "0",
            "Of several that a request fits, with the same host and path, the one with the highest is taken.",
        ),
        without(
            "body_limit",
            Shape::Limit,
            "that of the proxy, or of `limits`",
            "The largest request body; a longer one gets 413.",
        )
        .also(&["client_max_body_size"]),
        without("proxy", Shape::Table(&PROXY), "—", "Passes requests on.").also(&["reverse_proxy", "proxy_pass"]),
        without("answer", Shape::Table(&ANSWER), "—", "Always gives the same answer.").also(&["respond", "return"]),
        without(
            "redirect",
            Shape::Either(&[Shape::Text, Shape::Table(&REDIRECT)]),
            "—",
            "Tells the client where else to ask: a place, or a table.",
        )
        .also(&["redir", "rewrite"]),
        without("files", Shape::Either(&[Shape::Path, Shape::Table(&FILES)]), "—", "Serves files: a folder, or a table.")
            .also(&["file_server", "root", "static"]),
    ],
)
.one_of(&[&["proxy", "answer", "redirect", "files"]]);
