//! The tables of keys as JSON Schema, draft 2020-12: editors complete and check files with it.

use serde_json::{Map, Value as Json, json};
use toml::de::DeValue;

use super::server::ROOT;
use super::shape::{Default, Key, Section, Shape};

/// The schema of the file.
pub(in crate::config) fn schema() -> Json {
    let mut sections = Vec::new();
    Shape::Table(&ROOT).sections(&mut sections);
    let defs = sections.iter().skip(1).map(|section| (id(section.name), table(section)));
    let mut schema = table(&ROOT);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "eproxy".into();
    schema["$defs"] = Json::Object(defs.collect());
    schema
}

fn id(name: &str) -> String {
    name.replace(' ', "_")
}

fn table(section: &Section) -> Json {
    let properties: Map<_, _> = section.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let mut out = json!({
        "type": "object",
        "description": section.doc,
        "additionalProperties": false,
        "properties": properties,
    });
    let required: Vec<_> = section.keys.iter().filter(|key| key.is_required()).map(|key| key.name).collect();
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    let one_of = section.one_of.iter().map(|keys| {
        let ways: Vec<_> = keys.iter().map(|key| json!({ "required": [key] })).collect();
        json!({ "oneOf": ways })
    });
    let one_of: Vec<_> = one_of.collect();
    if !one_of.is_empty() {
        out["allOf"] = json!(one_of);
    }
    out
}

fn property(key: &Key) -> Json {
    let mut out = shape(&key.shape);
    out["description"] = key.doc.into();
    if let Default::Value(text) = key.default
        && let Ok(value) = DeValue::parse(text)
        && let Some(value) = literal(value.get_ref())
    {
        out["default"] = value;
    }
    out
}

fn shape(of: &Shape) -> Json {
    match of {
        Shape::Text | Shape::Secret | Shape::Path | Shape::File => json!({ "type": "string" }),
        Shape::Flag => or_variable(json!({ "type": "boolean" })),
        Shape::Integer(least, most) => {
            or_variable(json!({ "type": "integer", "minimum": least, "maximum": most }))
        }
        Shape::Number(least, most) => {
            or_variable(json!({ "type": "number", "minimum": least, "maximum": most }))
        }
        Shape::Duration(..) => json!({ "type": "string", "examples": ["30s", "1m30s"] }),
        Shape::Size => json!({ "type": ["string", "integer"], "minimum": 0, "examples": ["64KiB"] }),
        Shape::Limit => {
            json!({ "type": ["string", "integer"], "minimum": 0, "examples": ["64KiB", "unlimited"] })
        }
        Shape::Word(words) => json!({ "anyOf": [{ "enum": words }, variable()] }),
        Shape::List(item) => json!({ "type": "array", "items": shape(item) }),
        Shape::Some(item) => json!({ "anyOf": [shape(item), { "type": "array", "items": shape(item) }] }),
        Shape::Map(value) => json!({ "type": "object", "additionalProperties": shape(value) }),
        Shape::Table(section) => json!({ "$ref": format!("#/$defs/{}", id(section.name)) }),
        Shape::Either(shapes) => json!({ "anyOf": shapes.iter().map(shape).collect::<Vec<_>>() }),
    }
}

/// A value that is no text may come out of a variable of the environment.
fn or_variable(shape: Json) -> Json {
    json!({ "anyOf": [shape, variable()] })
}

fn variable() -> Json {
    json!({ "type": "string", "pattern": "\\$\\{" })
}

/// A default, as JSON has it.
pub(in crate::config) fn literal(value: &DeValue<'_>) -> Option<Json> {
    Some(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Integer(number) => number.as_str().parse::<i64>().ok()?.into(),
        DeValue::Float(number) => number.as_str().parse::<f64>().ok()?.into(),
        DeValue::Array(items) => {
            items.iter().map(|item| literal(item.get_ref())).collect::<Option<Vec<_>>>()?.into()
        }
        DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}
