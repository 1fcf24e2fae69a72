//! What has changed from one configuration to the next, in words.

use std::collections::{HashMap, HashSet};

use super::keys::{ROOT, Shape};
use super::tree::{Node, Table};

/// What is new, gone and changed, a line each.
pub(super) fn differences(old: &Table, new: &Table) -> Vec<String> {
    let mut lines = Vec::new();
    for key in ROOT.keys {
        let (before, after) = (old.get(key.name), new.get(key.name));
        match &key.shape {
            Shape::List(_) => {
                let items = |node: Option<&'_ Node>| named(node.map_or(&[], Node::list));
                compare(key.name, &items(before), &items(after), &mut lines);
            }
            Shape::Map(_) => {
                let items = |node: Option<&Node>| {
                    let entries = node.and_then(Node::table).map_or(&[][..], |table| &table.entries);
                    entries.iter().map(|entry| (entry.key.clone(), entry.node.exact())).collect::<Vec<_>>()
                };
                compare(key.name, &items(before), &items(after), &mut lines);
            }
            Shape::Table(_) => {
                let empty = Table::default();
                let before = before.and_then(Node::table).unwrap_or(&empty);
                let after = after.and_then(Node::table).unwrap_or(&empty);
                tables(key.name, before, after, &mut lines);
            }
            _ => values(key.name, before, after, &mut lines),
        }
    }
    lines
}

/// Items of a list by what they are called.
fn named(items: &[Node]) -> Vec<(String, String)> {
    let name = |node: &Node| {
        let table = node.table()?;
        let word = table.text("name").or_else(|| table.text("address"));
        word.map(str::to_owned).or_else(|| {
            let hosts: Vec<_> = table.texts("host").collect();
            let path = table.text("path").unwrap_or_default();
            let methods: Vec<_> = table.texts("methods").collect();
            Some(format!("{} {}{path}", methods.join(","), hosts.join(",")).trim().to_owned())
        })
    };
    items.iter().map(|item| (name(item).unwrap_or_default(), item.exact())).collect()
}

/// Compares what is known by its name.
fn compare(what: &str, old: &[(String, String)], new: &[(String, String)], lines: &mut Vec<String>) {
    let (before, after) = (by_name(old), by_name(new));
    let mut told = HashSet::new();
    for (name, _) in new.iter().filter(|(name, _)| told.insert(name.clone())) {
        match before.get(name.as_str()) {
            None => lines.push(format!("{what} {name}: new")),
            Some(exact) if after.get(name.as_str()) != Some(exact) => {
                lines.push(format!("{what} {name}: changed"))
            }
            Some(_) => {}
        }
    }
    let gone = old.iter().filter(|(name, _)| !after.contains_key(name.as_str()) && told.insert(name.clone()));
    lines.extend(gone.map(|(name, _)| format!("{what} {name}: gone")));
}

/// What goes by each name: several do by one if they have none of their own.
fn by_name(items: &[(String, String)]) -> HashMap<&str, Vec<&str>> {
    let mut found: HashMap<&str, Vec<&str>> = HashMap::new();
    for (name, exact) in items {
        found.entry(name).or_default().push(exact);
    }
    found
}

/// Compares the keys of two tables.
fn tables(what: &str, old: &Table, new: &Table, lines: &mut Vec<String>) {
    let mut keys: Vec<&str> =
        old.entries.iter().chain(&new.entries).map(|entry| entry.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        values(&format!("{what}.{key}"), old.get(key), new.get(key), lines);
    }
}

fn values(what: &str, old: Option<&Node>, new: Option<&Node>, lines: &mut Vec<String>) {
    if old.map(Node::exact) == new.map(Node::exact) {
        return;
    }
    let show = |node: Option<&Node>| node.map_or("unset".into(), |node| node.shown().to_string());
    let (old, new) = (show(old), show(new));
    lines.push(match old == new {
        // A secret, or a variable of the environment.
        true => format!("{what}: changed"),
        // These are made at the start.
        false if matches!(what, "workers" | "log.format") || what.starts_with("admin.") => {
            format!("{what}: {old} is {new} from the next start on")
        }
        false => format!("{what}: {old} is now {new}"),
    });
}
