//! From TOML to a [tree](super::tree), by the tables of keys. Whatever is wrong is noted, and the rest is read all the same.

use std::cell::RefCell;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::files::Files;
use super::keys::{ROOT, Section, Shape, one_of};
use super::problem::Notes;
use super::source::Span;
use super::suggest::nearest;
use super::tree::{Entry, Node, Table, Value};
use super::values;

/// What reads a file.
pub(super) struct Reader<'r> {
    pub(super) source: usize,
    /// The folder that paths begin at.
    pub(super) folder: &'r Path,
    /// The environment.
    pub(super) variable: &'r dyn Fn(&str) -> Option<String>,
    pub(super) notes: &'r mut Notes,
    /// Files whose content is a part of the configuration.
    pub(super) files: &'r mut Files,
    /// The keys that lead to where it is.
    way: Way,
}

/// The keys that lead to a table; how headings are written.
#[derive(Clone, Debug, Default)]
struct Way {
    keys: Vec<String>,
    /// The table is one of a list.
    is_item: bool,
}

/// What a value is called in messages.
#[derive(Clone, Copy)]
enum What<'w> {
    Key(&'w str),
    Item(&'w str),
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "`{key}`"),
            Self::Item(key) => write!(f, "an item of `{key}`"),
        }
    }
}

/// ` in [limits]`, ` in [[route]]`; nothing outside of tables.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.keys.as_slice(), self.is_item) {
            ([], _) => Ok(()),
            (keys, true) => write!(f, " in [[{}]]", keys.join(".")),
            (keys, false) => write!(f, " in [{}]", keys.join(".")),
        }
    }
}

impl<'r> Reader<'r> {
    pub(super) fn new(
        source: usize,
        folder: &'r Path,
        variable: &'r dyn Fn(&str) -> Option<String>,
        notes: &'r mut Notes,
        files: &'r mut Files,
    ) -> Self {
        Self { source, folder, variable, notes, files, way: Way::default() }
    }

    /// Reads a table.
    pub(super) fn table(&mut self, table: &Spanned<DeTable<'_>>, section: &'static Section) -> Table {
        self.entries(self.span(table.span()), table.get_ref(), section)
    }

    fn entries(&mut self, at: Span, table: &DeTable<'_>, section: &'static Section) -> Table {
        let mut entries = Vec::with_capacity(table.len());
        let mut wrong = Vec::new();
        for (name, value) in in_order(table) {
            let at = self.span(name.span());
            match section.key(name.get_ref()) {
                None => self.unknown(at, name.get_ref(), section),
                Some(key) => match self.value(What::Key(key.name), value, &key.shape) {
                    Some(node) => entries.push(Entry::new(key.name, at, node)),
                    None => wrong.push(key.name),
                },
            }
        }
        self.missing(at, table, section);
        Table { at, entries, wrong }
    }

    fn unknown(&mut self, at: Span, name: &str, section: &Section) {
        let names = section.keys.iter().flat_map(|key| key.also.iter().copied().chain([key.name]));
        let near = nearest(name, names);
        // What others call it is not what it is called here.
        let ours = near
            .and_then(|near| section.keys.iter().find(|key| key.name == near || key.also.contains(&near)));
        let note = self.notes.wrong(at, format!("unknown key `{name}`{}", self.way));
        match ours {
            Some(key) => note.hint(format!("did you mean `{}`?", key.name)),
            // What stands behind a heading belongs to that.
            None if ROOT.key(name).is_some() => {
                note.hint(format!("`{name}` belongs to the top of the file, before its first heading"));
            }
            None => {
                let known: Vec<_> = section.keys.iter().map(|key| format!("`{}`", key.name)).collect();
                note.hint(format!("there are {}", known.join(", ")));
            }
        }
    }

    /// Notes keys that have to be there and are not, and those that exclude each other.
    fn missing(&mut self, at: Span, table: &DeTable<'_>, section: &Section) {
        for key in section.keys.iter().filter(|key| key.is_required() && !table.contains_key(key.name)) {
            let note = self.notes.wrong(at, format!("`{}` is missing{}", key.name, self.way));
            note.hint(key.first_sentence());
        }
        for keys in section.one_of {
            let there: Vec<_> =
                in_order(table).into_iter().filter(|(key, _)| keys.contains(&&**key.get_ref())).collect();
            match there.as_slice() {
                [_] => {}
                [] => {
                    let what = format!("{} is missing{}", one_of(keys, "or"), self.way);
                    self.notes.wrong(at, what);
                }
                [(first, _), (second, _), ..] => {
                    let at = self.span(second.span());
                    let what = format!(
                        "`{}` and `{}`{}, of which there can be only one",
                        first.get_ref(),
                        second.get_ref(),
                        self.way
                    );
                    self.notes.wrong(at, what);
                }
            }
        }
    }

    /// Reads a value; none where it is wrong, which was noted then.
    fn value(&mut self, what: What<'_>, value: &Spanned<DeValue<'_>>, shape: &'static Shape) -> Option<Node> {
        let at = self.span(value.span());
        let read = match (shape, value.get_ref()) {
            (Shape::Either(shapes), found) => {
                let fits = shapes.iter().find(|shape| fits(shape, found));
                return match fits {
                    Some(shape) => self.value(what, value, shape),
                    None => self.mismatch(what, at, found, shape),
                };
            }
            (Shape::Some(shape) | Shape::List(shape), DeValue::Array(_)) => {
                self.list(what, value.get_ref(), shape)
            }
            (Shape::Some(shape), _) => Value::List(vec![self.value(what, value, shape)?]),
            (Shape::Map(shape), DeValue::Table(table)) => Value::Table(self.map(what, at, table, shape)),
            (Shape::Table(section), DeValue::Table(table)) => {
                let way = self.enter(what);
                let table = self.entries(at, table, section);
                self.way = way;
                Value::Table(table)
            }
            (Shape::Flag | Shape::Integer(..) | Shape::Number(..), DeValue::String(text))
                if text.contains("${") =>
            {
                return self.expanded(what, at, text, shape);
            }
            (Shape::Flag, DeValue::Boolean(flag)) => Value::Flag(*flag),
            (Shape::Integer(..), DeValue::Integer(number)) => self.integer(what, at, number, shape)?,
            (Shape::Number(..), DeValue::Integer(number)) => {
                let text =
                    values::whole(number).map_or_else(|| number.to_string(), |number| number.to_string());
                self.number(what, at, &text, shape)?
            }
            (Shape::Number(..), DeValue::Float(number)) => self.number(what, at, number.as_str(), shape)?,
            (Shape::Size | Shape::Limit, DeValue::Integer(number)) => {
                match values::whole(number).and_then(|number| number.try_into().ok()) {
                    Some(bytes) => Value::Size(bytes),
                    None => {
                        return self.bad(
                            what,
                            at,
                            &format!("{number} is no size, expected {}", shape.expected()),
                        );
                    }
                }
            }
            (_, DeValue::String(text)) => return self.text(what, at, text, shape),
            (_, found) => return self.mismatch(what, at, found, shape),
        };
        Some(Node { at, value: read })
    }

    fn list(&mut self, what: What<'_>, value: &DeValue<'_>, shape: &'static Shape) -> Value {
        let (What::Key(key) | What::Item(key)) = what;
        let DeValue::Array(items) = value else { return Value::List(Vec::new()) };
        Value::List(items.iter().filter_map(|item| self.value(What::Item(key), item, shape)).collect())
    }

    fn map(&mut self, what: What<'_>, at: Span, table: &DeTable<'_>, shape: &'static Shape) -> Table {
        let way = self.enter(what);
        let mut entries = Vec::with_capacity(table.len());
        for (name, value) in in_order(table) {
            if let Some(node) = self.value(What::Key(name.get_ref()), value, shape) {
                let is_secret = values::is_secret(name.get_ref()) && !matches!(shape, Shape::Table(_));
                let node = if is_secret { node.hidden() } else { node };
                entries.push(Entry::new(name.get_ref().as_ref(), self.span(name.span()), node));
            }
        }
        self.way = way;
        Table { at, entries, wrong: Vec::new() }
    }

    /// Goes into a table, and says where it was.
    fn enter(&mut self, what: What<'_>) -> Way {
        let before = self.way.clone();
        let (What::Key(key) | What::Item(key)) = what;
        self.way.keys.push(key.to_owned());
        self.way.is_item = matches!(what, What::Item(_));
        before
    }

    /// A value that is not text, out of a variable of the environment.
    fn expanded(&mut self, what: What<'_>, at: Span, text: &str, shape: &'static Shape) -> Option<Node> {
        let text = self.substituted(at, text)?;
        match DeValue::parse(&text) {
            Ok(value) if fits(shape, value.get_ref()) => {
                let value = Spanned::new(at.start..at.end, value.into_inner());
                self.value(what, &value, shape)
            }
            _ => self.bad(what, at, &format!("{text:?} is not {}", shape.expected())),
        }
    }

    fn text(&mut self, what: What<'_>, at: Span, shown: &str, shape: &'static Shape) -> Option<Node> {
        let text = self.substituted(at, shown)?;
        let value = match shape {
            Shape::Text => Value::Text { text, shown: shown.to_owned() },
            Shape::Secret => Value::Secret(text),
            Shape::Path | Shape::File => {
                let path = self.folder.join(&text);
                let content = matches!(shape, Shape::File).then(|| self.content(&path));
                Value::Path { path, shown: shown.to_owned(), content }
            }
            Shape::Word(words) => match words.iter().find(|word| **word == text) {
                Some(_) => Value::Text { text, shown: shown.to_owned() },
                None => {
                    let near = nearest(&text, words.iter().copied());
                    let what = format!("{what} is {text:?}, expected {}", shape.expected());
                    let note = self.notes.wrong(at, what);
                    near.into_iter().for_each(|near| note.hint(format!("did you mean {near:?}?")));
                    return None;
                }
            },
            Shape::Limit if text == "unlimited" => Value::Size(u64::MAX),
            Shape::Size | Shape::Limit => match values::size(&text) {
                Ok(bytes) => Value::Size(bytes),
                Err(wrong) => return self.bad(what, at, &wrong),
            },
            Shape::Duration(least, most) => match values::duration(&text) {
                Ok(time) if (u128::from(*least)..=u128::from(*most)).contains(&time.as_millis()) => {
                    Value::Duration(time)
                }
                Ok(_) => {
                    return self.bad(
                        what,
                        at,
                        &format!("{text:?}, expected {}", values::show_range(*least, *most)),
                    );
                }
                Err(wrong) => return self.bad(what, at, &wrong),
            },
            _ => return self.mismatch(what, at, &DeValue::String(text.into()), shape),
        };
        Some(Node { at, value })
    }

    fn substituted(&mut self, at: Span, text: &str) -> Option<String> {
        let seen = RefCell::new(Vec::new());
        let variable = |name: &str| {
            let value = (self.variable)(name)?;
            seen.borrow_mut().push((name.to_owned(), value.clone()));
            Some(value)
        };
        let substituted = values::substitute(text, &variable);
        seen.into_inner().into_iter().for_each(|(name, value)| self.notes.hide(at, name, value));
        match substituted {
            Ok(text) => Some(text),
            Err(wrong) => {
                let has_default = text.contains(":-");
                let is_unset = wrong.starts_with("the environment");
                let note = self.notes.wrong(at, wrong);
                if is_unset && !has_default {
                    note.hint("`${NAME:-default}` has a default, and `$$` is a dollar");
                }
                None
            }
        }
    }

    /// A number that tells the content of a file; what is wrong with it is for whoever uses it to say.
    fn content(&mut self, path: &Path) -> u64 {
        self.files.add(path);
        let mut hasher = DefaultHasher::new();
        std::fs::read(path).ok().hash(&mut hasher);
        hasher.finish()
    }

    fn integer(&mut self, what: What<'_>, at: Span, number: &DeInteger<'_>, shape: &Shape) -> Option<Value> {
        let Shape::Integer(least, most) = shape else { return None };
        match values::whole(number).and_then(|number| number.try_into().ok()) {
            Some(value) if (*least..=*most).contains(&value) => Some(Value::Integer(value)),
            _ => {
                self.notes.wrong(at, format!("{what} is {number}, expected {least} to {most}"));
                None
            }
        }
    }

    fn number(&mut self, what: What<'_>, at: Span, text: &str, shape: &Shape) -> Option<Value> {
        let Shape::Number(least, most) = shape else { return None };
        match text.replace('_', "").parse::<f64>() {
            Ok(value) if (*least..=*most).contains(&value) => Some(Value::Number(value)),
            _ => {
                self.notes.wrong(at, format!("{what} is {text}, expected {}", shape.expected()));
                None
            }
        }
    }

    fn bad(&mut self, what: What<'_>, at: Span, wrong: &str) -> Option<Node> {
        self.notes.wrong(at, format!("{what}: {wrong}"));
        None
    }

    fn mismatch(&mut self, what: What<'_>, at: Span, found: &DeValue<'_>, shape: &Shape) -> Option<Node> {
        let message = format!("{what}{} is {}, expected {}", self.way, type_of(found), shape.expected());
        let note = self.notes.wrong(at, message);
        if let (Shape::Duration(..), DeValue::Integer(number)) = (shape, found) {
            note.hint(format!("did you mean \"{number}s\"?"));
        }
        if let (What::Key(key), Shape::List(Shape::Table(_)), DeValue::Table(_)) = (what, shape, found) {
            note.hint(format!("a list of tables has two brackets: [[{key}]]"));
        }
        None
    }

    fn span(&self, range: std::ops::Range<usize>) -> Span {
        Span::new(self.source, range)
    }
}

/// The entries of a table in the order of the file.
fn in_order<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// Whether a value has the type in TOML that a shape has.
fn fits(shape: &Shape, value: &DeValue<'_>) -> bool {
    match (shape, value) {
        (Shape::Either(shapes), _) => shapes.iter().any(|shape| fits(shape, value)),
        (Shape::Some(_) | Shape::List(_), DeValue::Array(_)) => true,
        (Shape::Some(shape), _) => fits(shape, value),
        (Shape::Map(_) | Shape::Table(_), DeValue::Table(_)) => true,
        (Shape::Flag, DeValue::Boolean(_)) => true,
        (Shape::Flag | Shape::Integer(..) | Shape::Number(..), DeValue::String(text)) => text.contains("${"),
        (Shape::Integer(..) | Shape::Number(..) | Shape::Size | Shape::Limit, DeValue::Integer(_)) => true,
        (Shape::Number(..), DeValue::Float(_)) => true,
        (Shape::Map(_) | Shape::Table(_) | Shape::List(_), DeValue::String(_)) => false,
        (_, DeValue::String(_)) => true,
        _ => false,
    }
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
