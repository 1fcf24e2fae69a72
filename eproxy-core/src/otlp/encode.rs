//! A batch of spans as OTLP has it, in JSON: `ExportTraceServiceRequest` of opentelemetry-proto, trace/v1.

use serde::Serialize;

use crate::telemetry::{Span, SpanSide, Value};

/// Encodes a batch.
pub(super) fn encode(service: &str, spans: &[Span]) -> Vec<u8> {
    let attribute =
        |key: &'static str, text: &str| Attribute { key, value: AnyValue::String(text.to_owned()) };
    let request = Request {
        resource_spans: [ResourceSpans {
            resource: Resource {
                attributes: vec![
                    attribute("service.name", service),
                    attribute("telemetry.sdk.name", "eproxy"),
                    attribute("telemetry.sdk.language", "rust"),
                    attribute("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
                ],
            },
            scope_spans: [ScopeSpans {
                scope: Scope { name: "eproxy", version: env!("CARGO_PKG_VERSION") },
                spans: spans.iter().map(SpanJson::of).collect(),
            }],
        }],
    };
    // There is nothing in it that JSON can't say.
    serde_json::to_vec(&request).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    resource_spans: [ResourceSpans; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    resource: Resource,
    scope_spans: [ScopeSpans; 1],
}

#[derive(Serialize)]
struct Resource {
    attributes: Vec<Attribute>,
}

#[derive(Serialize)]
struct ScopeSpans {
    scope: Scope,
    spans: Vec<SpanJson>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanJson {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: String,
    /// 2 is that of a server, 3 of a client.
    kind: u8,
    // Numbers of 64 bits are text in the JSON of protobuf.
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute>,
    status: Status,
}

#[derive(Serialize)]
struct Status {
    /// 2 is an error; nothing is said of what is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

#[derive(Serialize)]
struct Attribute {
    key: &'static str,
    value: AnyValue,
}

#[derive(Serialize)]
enum AnyValue {
    #[serde(rename = "stringValue")]
    String(String),
    #[serde(rename = "intValue")]
    Int(String),
    #[serde(rename = "boolValue")]
    Bool(bool),
}

impl SpanJson {
    fn of(span: &Span) -> Self {
        let attribute = |(key, value): &(&'static str, Value)| Attribute {
            key,
            value: match value {
                Value::Text(text) => AnyValue::String(text.clone().into_owned()),
                Value::Number(number) => AnyValue::Int(number.to_string()),
                Value::Flag(flag) => AnyValue::Bool(*flag),
            },
        };
        Self {
            trace_id: hex(&span.trace),
            span_id: hex(&span.id),
            parent_span_id: span.parent.as_ref().map(|parent| hex(parent)),
            name: span.name.clone(),
            kind: if span.side == SpanSide::Server { 2 } else { 3 },
            start_time_unix_nano: span.began.to_string(),
            end_time_unix_nano: span.ended.to_string(),
            attributes: span.attributes.iter().map(attribute).collect(),
            status: Status { code: span.has_failed.then_some(2) },
        }
    }
}

/// In hexadecimal digits, and not in the base64 that protobuf has for bytes elsewhere.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_the_names_and_types_of_the_protocol() {
        let span = Span {
            trace: [0xab; 16],
            id: [1; 8],
            parent: Some([2; 8]),
            side: SpanSide::Client,
            name: "GET".into(),
            began: 1_700_000_000_000_000_001,
            ended: 1_700_000_000_000_000_002,
            attributes: vec![("a", "x\"y".into()), ("b", Value::Number(-7)), ("c", Value::Flag(true))],
            has_failed: true,
        };
        let json: serde_json::Value = serde_json::from_slice(&encode("edge", &[span])).unwrap();
        let resource = &json["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "edge");
        assert_eq!(
            resource["scopeSpans"][0]["spans"][0],
            serde_json::json!({
                "traceId": "ab".repeat(16),
                "spanId": "01".repeat(8),
                "parentSpanId": "02".repeat(8),
                "name": "GET",
                "kind": 3,
                "startTimeUnixNano": "1700000000000000001",
                "endTimeUnixNano": "1700000000000000002",
                "attributes": [
                    {"key": "a", "value": {"stringValue": "x\"y"}},
                    {"key": "b", "value": {"intValue": "-7"}},
                    {"key": "c", "value": {"boolValue": true}},
                ],
                "status": {"code": 2},
            })
        );
    }
}
