//! The keys of what finds out how endpoints fare, and of what they are spared.

use super::shape::{DAY, HOUR, PART, SECOND, Section, Shape, TIMEOUT, optional, required, without};

/// Active health checks.
pub(super) static PROBE: Section = Section::new(
    "probe",
    "A question that is put to each endpoint again and again: `http`, `tcp` or `grpc`.",
    &[
        without("http", Shape::Text, "—", "Asks for this path."),
        without("tcp", Shape::Flag, "—", "Asks for a connection: `tcp = true`."),
        without(
            "grpc",
            Shape::Either(&[Shape::Flag, Shape::Text]),
            "—",
            "Asks a gRPC server whether it is serving: `true`, or the name of one of its services.",
        ),
        without("host", Shape::Text, "the endpoint's", "The Host field of the question."),
        without("headers", Shape::Map(&Shape::Text), "none", "Further header fields.").also(&["header"]),
        optional("method", Shape::Text, "\"GET\"", "The method, with `http`."),
        without(
            "expect_status",
            Shape::Some(&Shape::Either(&[Shape::Integer(200, 599), Shape::Text])),
            "200 to 399",
            "The statuses that are expected, with `http`: numbers, and ranges as in `\"200-299\"`.",
        )
        .also(&["status", "expected_statuses"]),
        without(
            "expect_body",
            Shape::Text,
            "anything",
            "What the first 64 KiB of the body have to contain, with `http`.",
        ),
        optional(
            "interval",
            Shape::Duration(10, DAY),
            "\"5s\"",
            "How long it is from the end of one probe to the next.",
        ),
        optional("timeout", Shape::Duration(1, DAY), "\"2s\"", "How long a probe may take."),
        optional("rise", RESULTS, "2", "How many good results in a row bring an endpoint back.")
            .also(&["healthy_threshold"]),
        optional("fall", RESULTS, "3", "How many bad results in a row take an endpoint out.")
            .also(&["unhealthy_threshold", "fails"]),
        without("port", Shape::Integer(1, 65535), "that of requests", "Another port to ask at."),
    ],
)
.one_of(&[&["http", "tcp", "grpc"]]);

const RESULTS: Shape = Shape::Integer(1, 1000);
const FAILURES: Shape = Shape::Integer(0, 65535);

/// Passive health checks.
pub(super) static EJECTION: Section = Section::new(
    "ejection",
    "When an endpoint gets no requests for a while because of how it treated those that it got.",
    &[
        optional(
            "connect_errors",
            FAILURES,
            "1",
            "Connections in a row that it did not take; 0 does not count them.",
        ),
        optional(
            "no_answers",
            FAILURES,
            "3",
            "Requests in a row that were sent and brought no answer; 0 does not count them.",
        ),
        optional(
            "server_errors",
            FAILURES,
            "0",
            "Answers in a row with a status from 500 on; 0 takes them for answers like any other.",
        )
        .also(&["consecutive_5xx"]),
        optional(
            "shortest",
            Shape::Duration(1, DAY),
            "\"100ms\"",
            "The first rest; twice as long with each further failure.",
        ),
        optional("longest", Shape::Duration(1, DAY), "\"10s\"", "The longest rest."),
        optional(
            "max_share",
            PART,
            "0.5",
            "The share of a group's endpoints that may be ejected at once for what they have answered; one may be in any case.",
        ),
        optional("outliers", Shape::Flag, "false", "Whether the shares of good answers are compared."),
        optional("interval", Shape::Duration(100, HOUR), "\"10s\"", "How often they are compared."),
        optional(
            "deviations",
            Shape::Number(0.001, 1000.0),
            "1.9",
            "How far below the mean an outlier is, in standard deviations.",
        ),
        optional(
            "least_hosts",
            Shape::Integer(3, u32::MAX as i64),
            "3",
            "Endpoints that must have had enough requests.",
        ),
        optional(
            "least_requests",
            Shape::Integer(1, u32::MAX as i64),
            "50",
            "Requests that an endpoint must have had in an interval to be compared.",
        ),
        optional("outlier_rest", Shape::Duration(1, DAY), "\"30s\"", "The first rest of an outlier."),
        optional("outlier_longest", Shape::Duration(1, DAY), "\"5m\"", "The longest rest of an outlier."),
    ],
);

/// Circuit breakers.
pub(super) static BREAKER: Section = Section::new(
    "breaker",
    "When requests to an endpoint are broken off for a while. `breaker = {}` has the defaults.",
    &[
        optional(
            "failures",
            Shape::Integer(0, u32::MAX as i64),
            "5",
            "Failures in a row that open it; 0 does not count them.",
        ),
        optional(
            "share",
            PART,
            "0.0",
            "The share of failures in a window that opens it; 0 does not look at it.",
        ),
        optional(
            "least_requests",
            Shape::Integer(1, 1_000_000),
            "20",
            "Requests that a window must have had before their share counts.",
        ),
        optional("window", Shape::Duration(SECOND, HOUR), "\"10s\"", "How long a window is."),
        optional("open", Shape::Duration(1, DAY), "\"5s\"", "How long it is open the first time."),
        optional(
            "longest",
            Shape::Duration(1, DAY),
            "\"1m\"",
            "How long it is open at most, however often trials have failed.",
        ),
        optional("trials", TRIALS, "1", "Trials that have to succeed before it closes."),
        optional("trials_at_once", TRIALS, "1", "Trials that are under way at once."),
    ],
);

const TRIALS: Shape = Shape::Integer(1, 31);

/// Limits that follow latency.
pub(super) static ADAPTIVE_LIMIT: Section = Section::new(
    "adaptive_limit",
    "A limit on the requests that an endpoint has at once which follows from how long it takes. `adaptive_limit = {}` has the \
     defaults.",
    &[
        optional("least", LIMIT, "4", "The least limit."),
        optional("most", LIMIT, "1000", "The greatest limit."),
        optional("first", LIMIT, "20", "The limit at first."),
        optional(
            "tolerance",
            Shape::Number(1.0, 10.0),
            "1.5",
            "How much longer answers may take than without a queue before the limit shrinks.",
        ),
        optional(
            "window",
            Shape::Duration(10, 60 * SECOND),
            "\"100ms\"",
            "How long answers are collected before the limit is changed.",
        ),
        optional(
            "measure",
            Shape::Duration(SECOND, DAY),
            "\"1m\"",
            "How often it is measured how long answers take without a queue.",
        ),
    ],
);

const LIMIT: Shape = Shape::Integer(1, 100_000);

/// Who waits.
pub(super) static QUEUE: Section = Section::new(
    "queue",
    "Requests that wait for an endpoint to have room, first come, first served.",
    &[
        required("requests", Shape::Integer(1, u32::MAX as i64), "How many wait; further ones get 503.")
            .also(&["size"]),
        required("patience", TIMEOUT, "How long they wait; then they get 503.").also(&["timeout"]),
    ],
);

/// What may be sent again.
pub(super) static RETRY_BUDGET: Section = Section::new(
    "retry_budget",
    "How many requests may be sent again when an attempt has failed, whatever their proxies say.",
    &[
        optional(
            "share",
            Shape::Number(0.0, 10.0),
            "0.2",
            "Retries for each request: 0.2 are 20 for 100 requests.",
        ),
        optional(
            "least_per_second",
            Shape::Integer(0, 10_000),
            "3",
            "Retries in a second that are allowed however few requests there are.",
        ),
    ],
);
