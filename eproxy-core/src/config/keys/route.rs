//! The keys of routes.

use super::proxy::PROXY;
use super::shape::{Section, Shape, required, without};

/// Which requests are answered, and how.
pub(super) static ROUTE: Section = Section::new(
    "route",
    "Which requests are answered, and how: `proxy`.",
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
            "that of the proxy",
            "The largest request body; a longer one gets 413.",
        )
        .also(&["client_max_body_size"]),
        without("proxy", Shape::Table(&PROXY), "—", "Passes requests on.").also(&["reverse_proxy", "proxy_pass"]),
    ],
)
.one_of(&[&["proxy"]]);
