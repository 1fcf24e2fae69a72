//! Every key has an effect, and every key is tried.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use crate::config::Config;
use crate::config::keys::{ROOT, Section, Shape};
use crate::config::tree::{Node, Table, Value};

/// A file of the tests.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/configs/good").join(name)
}

/// Keys that are set, `section.key`, and those among them that nobody has asked for.
#[derive(Default)]
struct Found {
    set: BTreeSet<String>,
    idle: Vec<String>,
}

impl Found {
    fn table(&mut self, table: &Table, section: &Section) {
        for entry in &table.entries {
            let name = format!("{}.{}", section.name, entry.key);
            if !entry.is_used.load(Ordering::Relaxed) {
                self.idle.push(name.clone());
            }
            self.set.insert(name);
            if let Some(key) = section.key(&entry.key) {
                self.node(&entry.node, &key.shape);
            }
        }
    }

    fn node(&mut self, node: &Node, shape: &Shape) {
        match (shape, &node.value) {
            (Shape::Table(section), Value::Table(table)) => self.table(table, section),
            (Shape::Map(shape), Value::Table(table)) => {
                table.entries.iter().for_each(|entry| self.node(&entry.node, shape));
            }
            (Shape::List(shape) | Shape::Some(shape), Value::List(items)) => {
                items.iter().for_each(|item| self.node(item, shape));
            }
            (Shape::Either(shapes), _) => {
                let is_table =
                    |shape: &Shape| matches!(shape, Shape::Table(_) | Shape::Map(_) | Shape::List(_));
                let fits = |shape: &&Shape| {
                    is_table(shape) == matches!(node.value, Value::Table(_) | Value::List(_))
                };
                for shape in shapes.iter().filter(fits) {
                    self.node(node, shape);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn every_key_has_an_effect() {
    let config = Config::load(file("everything.toml")).unwrap_or_else(|wrong| panic!("{wrong}"));
    let _built = (config.builder(), config.admin());
    let _asked = (config.log_level(), config.log_format(), config.reloads_on_change());
    let mut found = Found::default();
    found.table(config.tree(), &ROOT);
    // What excludes something that is in there.
    let other = Config::load(file("others.toml")).unwrap_or_else(|wrong| panic!("{wrong}"));
    let _built = (other.builder(), other.admin());
    found.table(other.tree(), &ROOT);
    assert!(found.idle.is_empty(), "nothing reads {:?}", found.idle);

    let mut sections = Vec::new();
    Shape::Table(&ROOT).sections(&mut sections);
    let all = sections
        .iter()
        .flat_map(|section| section.keys.iter().map(|key| format!("{}.{}", section.name, key.name)));
    let missing: Vec<_> =
        all.filter(|name| name != "top level.include" && !found.set.contains(name)).collect();
    assert!(missing.is_empty(), "nothing sets {missing:?}");
}
