//! A configuration as it takes effect, to be shown: with defaults, without secrets.

use serde_json::{Map, Value as Json};
use toml::de::DeValue;

use super::keys::{Default, ROOT, Section, Shape, literal};
use super::tree::{Node, Table, Value, View};

/// All of it, as JSON.
pub(super) fn describe(tree: &Table) -> String {
    let mut shown = table(tree, &ROOT);
    for key in ROOT.keys {
        // What is not there holds all the same.
        if let (Shape::Table(section), true) = (&key.shape, ALWAYS.contains(&key.name) && !tree.has(key.name))
        {
            shown.insert(key.name.to_owned(), Json::Object(table(&Table::default(), section)));
        }
    }
    format!("{:#}\n", Json::Object(shown))
}

/// Tables whose defaults hold where they are not there.
const ALWAYS: [&str; 2] = ["limits", "timeouts"];

fn table(table: &Table, section: &Section) -> Map<String, Json> {
    let mut shown = match table.to_json(View::Shown) {
        Json::Object(shown) => shown,
        _ => Map::new(),
    };
    for key in section.keys {
        let entry = table.entries.iter().find(|entry| entry.key == key.name);
        if let Some(value) = entry.and_then(|entry| inside(&entry.node, &key.shape)) {
            shown.insert(key.name.to_owned(), value);
        }
        if let (None, Default::Value(text)) = (entry, key.default)
            && let Ok(value) = DeValue::parse(text)
            && let Some(value) = literal(value.get_ref())
        {
            shown.insert(key.name.to_owned(), value);
        }
    }
    shown
}

/// A value with tables in it, whose defaults are shown as well.
fn inside(node: &Node, shape: &Shape) -> Option<Json> {
    match (shape, &node.value) {
        (Shape::Table(section), Value::Table(inner)) => Some(Json::Object(table(inner, section))),
        (Shape::Map(shape), Value::Table(inner)) => {
            let tables =
                inner.entries.iter().filter_map(|entry| Some((&entry.key, inside(&entry.node, shape)?)));
            let mut shown = inner.to_json(View::Shown);
            let mut has_tables = false;
            for (key, table) in tables {
                has_tables = true;
                shown[key] = table;
            }
            has_tables.then_some(shown)
        }
        (Shape::List(shape) | Shape::Some(shape), Value::List(items)) => {
            let has_tables = items.iter().any(|item| inside(item, shape).is_some());
            let all = items.iter().map(|item| inside(item, shape).unwrap_or_else(|| item.shown()));
            has_tables.then(|| all.collect())
        }
        (Shape::Either(shapes), _) => shapes.iter().find_map(|shape| inside(node, shape)),
        _ => None,
    }
}
