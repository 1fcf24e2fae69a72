//! The keys of what is told of exchanges: the access log, identifiers, traces.

use super::shape::{PART, Section, Shape, optional, required, without};

/// A line for every exchange.
pub(super) static ACCESS_LOG: Section = Section::new(
    "access_log",
    "A line for every exchange that is over, in a `file` of its own or in the program's `log`.",
    &[
        without(
            "file",
            Shape::Path,
            "—",
            "The file; it is made where there is none, and opened again as docs/observability.md says.",
        )
        .also(&["path", "output"]),
        without("log", Shape::Flag, "—", "`true`: lines go where the program's own log goes, at the level `info`."),
        without(
            "format",
            Shape::Word(&["json", "pretty"]),
            "`\"json\"` in a file, `\"pretty\"` in the log",
            "How lines look: a JSON object each, or for people.",
        )
        .also(&["log_format"]),
        optional(
            "sample",
            PART,
            "1.0",
            "The part of the exchanges that is logged, by chance; those with a status from 500 on always are.",
        ),
        without(
            "redact_query",
            Shape::Some(&Shape::Text),
            "`token`, `password`, `api_key` and others of their kind",
            "The keys of queries whose values are not told, in place of these.",
        ),
        without(
            "headers",
            Shape::Some(&Shape::Text),
            "none",
            "Header fields of requests that are told as well; credentials as `***`.",
        )
        .also(&["header"]),
        without("headers_in_clear", Shape::Some(&Shape::Text), "none", "The same, credentials included.")
            .also(&["header_in_clear"]),
    ],
)
.one_of(&[&["file", "log"]]);

/// Identifiers of requests.
pub(super) static REQUEST_IDS: Section = Section::new(
    "request_ids",
    "Each request is given an identifier, which its upstream, its client, logs and traces are told. `request_ids = true` has the \
     defaults.",
    &[
        optional("header", Shape::Text, "\"X-Request-Id\"", "The header field that it is in.")
            .also(&["name"]),
        optional(
            "keep_from_anybody",
            Shape::Flag,
            "false",
            "Keeps identifiers whoever has given them, and not those of `trusted_proxies` only.",
        ),
    ],
);

/// Traces.
pub(super) static TRACES: Section = Section::new(
    "traces",
    "Spans of exchanges, which a collector is sent by OTLP over HTTP; traces of clients are gone on with (`traceparent`).",
    &[
        required(
            "to",
            Shape::Text,
            "The collector: `http://host:4318`; the path is `/v1/traces` unless there is one.",
        )
        .also(&["endpoint", "url"]),
        optional("sample", PART, "1.0", "The part of the traces that begin here which is kept, by chance.")
            .also(&["ratio"]),
        optional("service", Shape::Text, "\"eproxy\"", "What this server is called, `service.name`.")
            .also(&["service_name"]),
        optional(
            "trusted_only",
            Shape::Flag,
            "false",
            "Goes on with the traces of `trusted_proxies` only, and begins a new one for what anybody else sends.",
        ),
        without(
            "headers",
            Shape::Map(&Shape::Secret),
            "none",
            "Header fields for the collector, such as one with a key.",
        ),
    ],
);
