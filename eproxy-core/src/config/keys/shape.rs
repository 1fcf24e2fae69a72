//! What a table of keys is made of: keys, what their values look like, and what holds without them.

use std::fmt::Write as _;

/// A table of the file: `[limits]`, `[[route]]`, what stands in braces behind `probe`.
#[derive(Debug)]
pub(in crate::config) struct Section {
    /// What it is called in the reference and in the schema.
    pub(in crate::config) name: &'static str,
    /// What it is for, in sentences.
    pub(in crate::config) doc: &'static str,
    pub(in crate::config) keys: &'static [Key],
    /// Of each of these lists exactly one key has to be there.
    pub(in crate::config) one_of: &'static [&'static [&'static str]],
}

/// A key of a table.
#[derive(Debug)]
pub(in crate::config) struct Key {
    pub(in crate::config) name: &'static str,
    pub(in crate::config) shape: Shape,
    pub(in crate::config) default: Default,
    /// What it means, in sentences.
    pub(in crate::config) doc: &'static str,
    /// What others call it: for hints.
    pub(in crate::config) also: &'static [&'static str],
}

/// What holds where a key is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Default {
    /// It has to be there.
    Required,
    /// This value, as TOML.
    Value(&'static str),
    /// What these words say.
    Words(&'static str),
}

/// What values look like.
#[derive(Debug)]
pub(in crate::config) enum Shape {
    Text,
    /// Text that is shown to nobody.
    Secret,
    /// A file or a folder; relative to the file that names it.
    Path,
    /// A file that is read with the configuration, and only then.
    File,
    Flag,
    /// A whole number, from the first to the second.
    Integer(i64, i64),
    /// A number, from the first to the second.
    Number(f64, f64),
    /// A time, in milliseconds from the first to the second.
    Duration(u64, u64),
    /// A number of bytes.
    Size,
    /// A number of bytes, or `unlimited`.
    Limit,
    /// One of these words.
    Word(&'static [&'static str]),
    List(&'static Self),
    /// One, or a list of them.
    Some(&'static Self),
    /// A table whose keys are the user's own.
    Map(&'static Self),
    Table(&'static Section),
    /// What is told apart by its type in TOML.
    Either(&'static [Self]),
}

pub(super) const SECOND: u64 = 1000;
pub(super) const HOUR: u64 = 60 * 60 * SECOND;
pub(super) const DAY: u64 = 24 * HOUR;

/// Times that end something: none at all would end it before it began.
pub(super) const TIMEOUT: Shape = Shape::Duration(1, u64::MAX);

/// A part of something.
pub(super) const PART: Shape = Shape::Number(0.0, 1.0);

/// Any number of things.
pub(super) const COUNT: Shape = Shape::Integer(0, u32::MAX as i64);

impl Section {
    pub(super) const fn new(name: &'static str, doc: &'static str, keys: &'static [Key]) -> Self {
        Self { name, doc, keys, one_of: &[] }
    }

    pub(super) const fn one_of(mut self, one_of: &'static [&'static [&'static str]]) -> Self {
        self.one_of = one_of;
        self
    }

    pub(in crate::config) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// A key that has to be there.
pub(super) const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, default: Default::Required, doc, also: &[] }
}

/// A key without which this value holds, in TOML.
pub(super) const fn optional(
    name: &'static str,
    shape: Shape,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, shape, default: Default::Value(default), doc, also: &[] }
}

/// A key without which there is what the words say.
pub(super) const fn without(name: &'static str, shape: Shape, words: &'static str, doc: &'static str) -> Key {
    Key { name, shape, default: Default::Words(words), doc, also: &[] }
}

impl Key {
    /// Adds what others call it.
    pub(super) const fn also(mut self, also: &'static [&'static str]) -> Self {
        self.also = also;
        self
    }

    /// What it means, as a hint.
    pub(in crate::config) fn first_sentence(&self) -> &'static str {
        self.doc.split_once(". ").map_or(self.doc.trim_end_matches('.'), |(first, _)| first)
    }

    pub(in crate::config) fn is_required(&self) -> bool {
        self.default == Default::Required
    }
}

impl Shape {
    /// What is expected, for a message: `a duration such as "30s"`.
    pub(in crate::config) fn expected(&self) -> String {
        match self {
            Self::Text | Self::Secret => "a string".into(),
            Self::Path | Self::File => "a path, in a string".into(),
            Self::Flag => "true or false".into(),
            Self::Integer(least, most) => {
                format!("a whole number{}", bounds(least, most, i64::MAX, u32::MAX.into()))
            }
            Self::Number(least, most) => format!("a number from {least} to {most}"),
            Self::Duration(..) => r#"a duration such as "30s" or "1m30s""#.into(),
            Self::Size => r#"a size such as "64KiB" or "10MB""#.into(),
            Self::Limit => r#"a size such as "64KiB" or "10MB", or "unlimited""#.into(),
            Self::Word(words) => any_of(words),
            Self::List(shape) => format!("a list, each {}", shape.expected()),
            Self::Some(shape) => format!("{}, or a list of such", shape.expected()),
            Self::Map(_) | Self::Table(_) => "a table".into(),
            Self::Either(shapes) => {
                let all: Vec<_> = shapes.iter().map(Self::expected).collect();
                all.join(", or ")
            }
        }
    }

    /// What it is called in the reference, in Markdown.
    #[cfg(test)]
    pub(in crate::config) fn words(&self) -> String {
        match self {
            Self::Text | Self::Secret => "string".into(),
            Self::Path | Self::File => "path".into(),
            Self::Flag => "`true` or `false`".into(),
            Self::Integer(least, most) => {
                format!("integer{}", bounds(least, most, i64::MAX, u32::MAX.into()))
            }
            Self::Number(least, most) => format!("number from {least} to {most}"),
            Self::Duration(..) => "duration".into(),
            Self::Size => "size".into(),
            Self::Limit => "size, or `\"unlimited\"`".into(),
            Self::Word(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
                words.join(", ")
            }
            Self::List(shape) => format!("list of: {}", shape.words()),
            Self::Some(shape) => format!("{}; or a list of such", shape.words()),
            Self::Map(shape) => format!("table of: {}", shape.words()),
            Self::Table(section) => format!("table: [{0}](#{1})", section.name, anchor(section.name)),
            Self::Either(shapes) => {
                let all: Vec<_> = shapes.iter().map(Self::words).collect();
                all.join("; or ")
            }
        }
    }

    /// The tables that values of this shape have.
    pub(in crate::config) fn sections(&self, found: &mut Vec<&'static Section>) {
        match self {
            Self::List(shape) | Self::Some(shape) | Self::Map(shape) => shape.sections(found),
            Self::Either(shapes) => shapes.iter().for_each(|shape| shape.sections(found)),
            Self::Table(section) if found.iter().all(|known| known.name != section.name) => {
                found.push(section);
                section.keys.iter().for_each(|key| key.shape.sections(found));
            }
            _ => {}
        }
    }
}

/// Where a heading of the reference is found.
#[cfg(test)]
pub(in crate::config) fn anchor(name: &str) -> String {
    name.to_ascii_lowercase().replace(' ', "-")
}

/// ` from 1 to 1024`, ` from 1`, or nothing.
fn bounds(least: &i64, most: &i64, greatest: i64, large: i64) -> String {
    let mut text = String::new();
    if *least > i64::from(i32::MIN) {
        // Writing to a string never fails.
        let _written = write!(text, " from {least}");
    }
    if *most != greatest && *most != large && *most < i64::from(i32::MAX) {
        let _written = write!(text, " to {most}");
    }
    text
}

/// `"a", "b" or "c"`.
fn any_of(words: &[&str]) -> String {
    list(words.iter().map(|word| format!("{word:?}")).collect(), "or")
}

/// `` `a`, `b` or `c` ``.
pub(in crate::config) fn one_of(names: &[&str], conjunction: &str) -> String {
    list(names.iter().map(|name| format!("`{name}`")).collect(), conjunction)
}

fn list(mut items: Vec<String>, conjunction: &str) -> String {
    let last = items.pop().unwrap_or_default();
    if items.is_empty() { last } else { format!("{} {conjunction} {last}", items.join(", ")) }
}
