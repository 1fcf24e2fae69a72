//! A file as it was read: values of the types that their keys have, each with its place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::source::Span;
use super::values::{show_duration, show_size};

/// A value, and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Span,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    /// What is shown of it is what stands in the file: variables of the environment may be secrets.
    Text {
        text: String,
        shown: String,
    },
    Secret(String),
    /// With a number that tells its content, if that is read with the configuration.
    Path {
        path: PathBuf,
        shown: String,
        content: Option<u64>,
    },
    Flag(bool),
    Integer(i64),
    Number(f64),
    Duration(Duration),
    /// A number of bytes; `u64::MAX` is no limit.
    Size(u64),
    List(Vec<Node>),
    Table(Table),
}

/// A table: what is right of it, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Its heading, or all of it where it stands in braces.
    pub(super) at: Span,
    pub(super) entries: Vec<Entry>,
    /// Keys that are there and wrong.
    pub(super) wrong: Vec<&'static str>,
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Span,
    pub(super) node: Node,
    /// It was asked for: a key that nobody asks for is without effect.
    #[cfg(test)]
    pub(super) is_used: std::sync::atomic::AtomicBool,
}

/// What is written of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Everything, to tell two configurations apart.
    Exact,
    /// What may be shown: no secrets.
    Shown,
}

impl Entry {
    pub(super) fn new(key: impl Into<String>, at: Span, node: Node) -> Self {
        Self {
            key: key.into(),
            at,
            node,
            #[cfg(test)]
            is_used: false.into(),
        }
    }
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text { text, .. } | Value::Secret(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match &self.value {
            Value::Path { path, .. } => Some(path),
            _ => None,
        }
    }

    pub(super) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> &[Self] {
        match &self.value {
            Value::List(nodes) => nodes,
            _ => &[],
        }
    }

    pub(super) fn integer<N: TryFrom<i64>>(&self) -> Option<N> {
        match self.value {
            Value::Integer(number) => number.try_into().ok(),
            _ => None,
        }
    }

    /// The same, with all texts in it as secrets.
    pub(super) fn hidden(self) -> Self {
        let value = match self.value {
            Value::Text { text, .. } => Value::Secret(text),
            Value::List(nodes) => Value::List(nodes.into_iter().map(Self::hidden).collect()),
            Value::Table(mut table) => {
                table.entries = table
                    .entries
                    .into_iter()
                    .map(|entry| Entry { node: entry.node.hidden(), ..entry })
                    .collect();
                Value::Table(table)
            }
            other => other,
        };
        Self { at: self.at, value }
    }

    fn to_json(&self, view: View) -> Json {
        match (&self.value, view) {
            (Value::Text { text, .. }, View::Exact) => text.as_str().into(),
            (Value::Text { shown, .. } | Value::Path { shown, .. }, View::Shown) => shown.as_str().into(),
            (Value::Secret(text), View::Exact) => text.as_str().into(),
            (Value::Secret(_), View::Shown) => HIDDEN.into(),
            (Value::Path { path, content, .. }, View::Exact) => match content {
                Some(content) => format!("{} {content:x}", path.display()).into(),
                None => path.display().to_string().into(),
            },
            (Value::Flag(flag), _) => (*flag).into(),
            (Value::Integer(number), _) => (*number).into(),
            (Value::Number(number), _) => (*number).into(),
            (Value::Duration(time), _) => show_duration(*time).into(),
            (Value::Size(u64::MAX), _) => "unlimited".into(),
            (Value::Size(bytes), _) => show_size(*bytes).into(),
            (Value::List(nodes), _) => nodes.iter().map(|node| node.to_json(view)).collect(),
            (Value::Table(table), _) => table.to_json(view),
        }
    }

    /// What tells it from another value.
    pub(super) fn exact(&self) -> String {
        self.to_json(View::Exact).to_string()
    }

    /// What may be shown of it.
    pub(super) fn shown(&self) -> Json {
        self.to_json(View::Shown)
    }
}

/// What stands for a secret.
const HIDDEN: &str = "(hidden)";

impl Table {
    /// The value of a key, if it is there and right.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        #[cfg(test)]
        entry.is_used.store(true, std::sync::atomic::Ordering::Relaxed);
        Some(&entry.node)
    }

    /// Whether a key is there, be it wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key) || self.wrong.contains(&key)
    }

    /// Where the value of a key stands, or the table where it has none.
    pub(super) fn place(&self, key: &str) -> Span {
        self.entries.iter().find(|entry| entry.key == key).map_or(self.at, |entry| entry.node.at)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    pub(super) fn path(&self, key: &str) -> Option<&Path> {
        self.get(key)?.path()
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// Whether it says true.
    pub(super) fn is(&self, key: &str) -> bool {
        self.flag(key) == Some(true)
    }

    pub(super) fn integer<N: TryFrom<i64>>(&self, key: &str) -> Option<N> {
        self.get(key)?.integer()
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        match self.get(key)?.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn duration(&self, key: &str) -> Option<Duration> {
        match self.get(key)?.value {
            Value::Duration(time) => Some(time),
            _ => None,
        }
    }

    pub(super) fn size(&self, key: &str) -> Option<u64> {
        match self.get(key)?.value {
            Value::Size(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The same where memory is meant.
    pub(super) fn bytes(&self, key: &str) -> Option<usize> {
        self.size(key).map(|bytes| bytes.try_into().unwrap_or(usize::MAX))
    }

    /// The items of a list; none where there is no list.
    pub(super) fn list(&self, key: &str) -> &[Node] {
        self.get(key).map_or(&[], Node::list)
    }

    /// The texts in a list.
    pub(super) fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        self.list(key).iter().filter_map(Node::text)
    }

    pub(super) fn table(&self, key: &str) -> Option<&Self> {
        self.get(key)?.table()
    }

    /// The entries of a table whose keys are the user's own.
    pub(super) fn map(&self, key: &str) -> &[Entry] {
        self.table(key).map_or(&[], |table| &table.entries)
    }

    pub(super) fn to_json(&self, view: View) -> Json {
        let entries = self.entries.iter();
        let pairs = entries.map(|entry| (entry.key.clone(), entry.node.to_json(view)));
        Json::Object(pairs.collect::<Map<_, _>>())
    }
}
