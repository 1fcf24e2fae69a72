//! The keys of routes.

use super::local::{ANSWER, FILES, REDIRECT};
use super::proxy::PROXY;
use super::shape::{Section, Shape, required, without};

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
            "methods",
            Shape::Some(&Shape::Text),
            "all but CONNECT",
            "The methods that it answers; GET answers HEAD, too. Others get 405.",
        )
        .also(&["method"]),
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
