//! A file and everything that it includes, as one tree.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::files::Files;
use super::glob::Pattern;
use super::keys::{ROOT, Shape};
use super::problem::{Notes, reason};
use super::reader::Reader;
use super::source::{Source, Span};
use super::tree::{Entry, Table, Value};

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) sources: Vec<Source>,
    pub(super) tree: Table,
    pub(super) notes: Notes,
    pub(super) files: Files,
    /// A file is missing in it, or a part of one: who is not there may be in that.
    pub(super) has_gaps: bool,
}

/// What gathers.
struct Gatherer<'g> {
    out: Gathered,
    variable: &'g dyn Fn(&str) -> Option<String>,
    /// The files that include each other on the way to this one.
    open: Vec<PathBuf>,
    /// Those that were read.
    done: Vec<PathBuf>,
}

/// Reads a file and what it includes.
pub(super) fn gather(path: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Gathered {
    let mut gatherer = Gatherer { out: Gathered::default(), variable, open: Vec::new(), done: Vec::new() };
    gatherer.out.files.add(path);
    match std::fs::read(path) {
        Ok(content) => gatherer.file(path, content),
        Err(error) => {
            gatherer.add_source(path, String::new());
            gatherer.out.notes.wrong(Span::file(0), reason(&error));
            gatherer.out.has_gaps = true;
        }
    }
    gatherer.out
}

/// Reads a text as if it stood in a file.
pub(super) fn gather_text(text: &str, name: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Gathered {
    let mut gatherer = Gatherer { out: Gathered::default(), variable, open: Vec::new(), done: Vec::new() };
    gatherer.file(name, text.into());
    gatherer.out
}

impl Gatherer<'_> {
    fn add_source(&mut self, path: &Path, text: String) -> usize {
        self.out.sources.push(Source { name: path.display().to_string(), path: path.to_owned(), text });
        self.out.sources.len() - 1
    }

    fn file(&mut self, path: &Path, content: Vec<u8>) {
        let text = match String::from_utf8(content) {
            // Some editors put a mark in front, which belongs to no key.
            Ok(text) => text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text),
            Err(_) => {
                let number = self.add_source(path, String::new());
                self.out.notes.wrong(Span::file(number), "the file is not UTF-8");
                self.out.has_gaps = true;
                return;
            }
        };
        let number = self.add_source(path, text.clone());
        let (table, errors) = DeTable::parse_recoverable(&text);
        if !errors.is_empty() {
            self.syntax(number, errors);
            self.out.has_gaps = true;
            return;
        }
        let folder = self.out.sources[number].folder().to_owned();
        let Gathered { notes, files, .. } = &mut self.out;
        let mut tree = Reader::new(number, &folder, self.variable, notes, files).table(&table, &ROOT);
        let included = tree.entries.iter().position(|entry| entry.key == "include");
        let included = included.map(|at| tree.entries.remove(at));
        let is_wrong = |entry: &Entry| self.out.notes.are_within(entry.node.at);
        self.out.has_gaps |= tree.wrong.contains(&"include") || included.as_ref().is_some_and(is_wrong);
        self.merge(tree);
        let identity = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        self.open.push(identity.clone());
        self.done.push(identity);
        for item in included.as_ref().map_or(&[][..], |entry| entry.node.list()) {
            if let Some(text) = item.text() {
                self.include(item.at, &folder, text);
            }
        }
        self.open.pop();
    }

    /// Notes what is no TOML.
    fn syntax(&mut self, number: usize, mut errors: Vec<toml::de::Error>) {
        errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        // What follows the first error in a line often follows from it.
        let mut last = 0;
        for error in errors {
            let span = Span::new(number, error.span().unwrap_or(0..0));
            let source = &self.out.sources[number];
            let (line, ..) = source.line(span.start);
            let is_told = std::mem::replace(&mut last, line) == line;
            if is_told {
                continue;
            }
            let meant = source.text.get(span.start..span.end).unwrap_or_default();
            let (what, goes_on) = match error.message() {
                "duplicate key" => (format!("`{meant}` is there already"), true),
                text if text.starts_with("string values must be quoted") => match meant {
                    "" => ("the value is missing".into(), true),
                    _ => (format!("`{meant}` is no value; strings stand in quotes"), true),
                },
                // It is not known where it should have ended.
                text => (
                    text.to_owned(),
                    !["missing comma", "unclosed"].iter().any(|word| text.starts_with(word)),
                ),
            };
            self.out.notes.wrong(span, what);
            if !goes_on {
                return;
            }
        }
    }

    fn include(&mut self, at: Span, folder: &Path, text: &str) {
        match Pattern::new(folder, text) {
            Some(pattern) => {
                let found = pattern.expand();
                self.out.files.add_pattern(pattern, &found);
                found.iter().for_each(|path| self.one(at, path));
            }
            None => self.one(at, &folder.join(text)),
        }
    }

    fn one(&mut self, at: Span, path: &Path) {
        self.out.files.add(path);
        let identity = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.open.contains(&identity) {
            let what = format!("{} includes itself, directly or through others", path.display());
            self.out.notes.wrong(at, what);
            return;
        }
        // Two patterns may fit one file.
        if self.done.contains(&identity) {
            return;
        }
        match std::fs::read(path) {
            Ok(content) => self.file(path, content),
            Err(error) => {
                self.out.notes.wrong(at, format!("{}: {}", path.display(), reason(&error)));
                self.out.has_gaps = true;
            }
        }
    }

    /// Adds what stands in a file to what stood in those before.
    fn merge(&mut self, tree: Table) {
        self.out.tree.wrong.extend(tree.wrong);
        for entry in tree.entries {
            let shape = ROOT.key(&entry.key).map(|key| &key.shape);
            let known = self.out.tree.entries.iter_mut().find(|known| known.key == entry.key);
            let Some(known) = known else {
                self.out.tree.entries.push(entry);
                continue;
            };
            let before = self.out.sources[known.at.source].name.clone();
            let line = self.out.sources[known.at.source].line(known.at.start).0;
            match (shape, &mut known.node.value, entry.node.value) {
                (Some(Shape::List(_) | Shape::Some(_)), Value::List(items), Value::List(more)) => {
                    items.extend(more)
                }
                (_, Value::Table(table), Value::Table(more)) => {
                    merge_tables(table, more, &entry.key, &self.out.sources, &mut self.out.notes);
                }
                _ => {
                    let what = format!("`{}` is said already in {before}:{line}", entry.key);
                    self.out.notes.wrong(entry.at, what);
                }
            }
        }
    }
}

/// Adds the keys of a table in one file to those of the same table in another.
fn merge_tables(table: &mut Table, more: Table, name: &str, sources: &[Source], notes: &mut Notes) {
    for entry in more.entries {
        match table.entries.iter().find(|known| known.key == entry.key) {
            None => table.entries.push(entry),
            Some(Entry { at, .. }) => {
                let source = &sources[at.source];
                let line = source.line(at.start).0;
                let what = format!("`{name}.{}` is said already in {}:{line}", entry.key, source.name);
                notes.wrong(entry.at, what);
            }
        }
    }
}
