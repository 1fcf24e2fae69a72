//! What is wrong with a configuration: where, what, and what may have been meant.

use std::fmt;
use std::io;

use super::files::Files;
use super::source::{Source, Span};

/// Something that is wrong with a configuration, and where it stands.
///
/// `Display` shows it with the line that it stands in, as compilers do; [`summary`](Self::summary) is one line, for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    file: String,
    line: usize,
    column: usize,
    message: String,
    hint: Option<String>,
    /// The line that it stands in.
    excerpt: String,
    /// Characters of it that are meant.
    width: usize,
}

impl Problem {
    /// The file, by its path as it was given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, counted from 1; 0 where all of the file is meant.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, counted from 1; 0 where all of the file is meant.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong, on one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What may help.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Where it stands, what is wrong and what may help, on one line and without the text of the file.
    #[must_use]
    pub fn summary(&self) -> String {
        let place = match self.line {
            0 => self.file.clone(),
            line => format!("{}:{line}:{}", self.file, self.column),
        };
        let hint = self.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
        format!("{place}: {}{hint}", self.message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, hint, excerpt, width } = self;
        if *line == 0 {
            writeln!(f, "{file}: {message}")?;
        } else {
            writeln!(f, "{file}:{line}:{column}: {message}")?;
            writeln!(f, "{line:>5} | {}", excerpt)?;
            // Tabs stay tabs, so that the marks stand below what they mark.
            let indent: String =
                excerpt.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            writeln!(f, "      | {indent}{}", "^".repeat((*width).max(1)))?;
        }
        match hint {
            Some(hint) => writeln!(f, "      = hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the files and their lines.
#[derive(Debug)]
pub struct Problems {
    problems: Vec<Problem>,
    files: Files,
}

impl Problems {
    pub(super) fn new(problems: Vec<Problem>, files: Files) -> Self {
        Self { problems, files }
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.problems.iter()
    }

    /// How many there are: one at least.
    #[must_use]
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// The files that were read, with those that could not be.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }
}

impl<'p> IntoIterator for &'p Problems {
    type Item = &'p Problem;
    type IntoIter = std::slice::Iter<'p, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.iter().try_for_each(|problem| problem.fmt(f))
    }
}

impl std::error::Error for Problems {}

/// What was noted while a configuration was read and built.
#[derive(Debug, Default)]
pub(super) struct Notes {
    wrong: Vec<Note>,
    odd: Vec<Note>,
    hidden: Vec<Hidden>,
}

/// What a variable of the environment says, which may be a secret, and where that was put in.
#[derive(Debug)]
struct Hidden {
    at: Span,
    name: String,
    value: String,
}

/// A problem, before it is known how its place is written.
#[derive(Debug)]
pub(super) struct Note {
    at: Span,
    message: String,
    hint: Option<String>,
}

impl Note {
    pub(super) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }
}

impl Notes {
    /// Notes something that makes a configuration unusable.
    pub(super) fn wrong(&mut self, at: Span, message: impl Into<String>) -> &mut Note {
        self.wrong.push_mut_note(at, message.into())
    }

    /// Notes something that one should know of.
    pub(super) fn odd(&mut self, at: Span, message: impl Into<String>) -> &mut Note {
        self.odd.push_mut_note(at, message.into())
    }

    /// Has messages about a place call a variable of the environment by its name.
    pub(super) fn hide(&mut self, at: Span, name: String, value: String) {
        if !value.is_empty() {
            self.hidden.push(Hidden { at, name, value });
        }
    }

    /// Whether something is wrong within a place.
    pub(super) fn are_within(&self, place: Span) -> bool {
        self.wrong.iter().any(|note| note.at.is_within(place))
    }

    /// How much is wrong so far.
    pub(super) fn count(&self) -> usize {
        self.wrong.len()
    }

    /// What is wrong, and what is odd, in the order of the files.
    pub(super) fn finish(self, sources: &[Source]) -> (Vec<Problem>, Vec<Problem>) {
        (finish(self.wrong, &self.hidden, sources), finish(self.odd, &self.hidden, sources))
    }
}

trait PushNote {
    fn push_mut_note(&mut self, at: Span, message: String) -> &mut Note;
}

impl PushNote for Vec<Note> {
    fn push_mut_note(&mut self, at: Span, message: String) -> &mut Note {
        self.push(Note { at, message, hint: None });
        self.last_mut().expect("one was pushed")
    }
}

fn finish(mut notes: Vec<Note>, hidden: &[Hidden], sources: &[Source]) -> Vec<Problem> {
    notes.sort_by_key(|note| (note.at.source, note.at.start));
    let mut problems: Vec<_> = notes.into_iter().map(|note| note.without(hidden).at(sources)).collect();
    problems.dedup();
    problems
}

impl Note {
    /// Without the values of variables that stand in what it is about.
    fn without(mut self, hidden: &[Hidden]) -> Self {
        for Hidden { at, name, value } in hidden {
            if at.is_within(self.at) || self.at.is_within(*at) {
                let shown = format!("${{{name}}}");
                // Texts are quoted in messages.
                self.message = self.message.replace(&value.escape_debug().to_string(), &shown);
                self.message = self.message.replace(value, &shown);
            }
        }
        self
    }

    fn at(self, sources: &[Source]) -> Problem {
        let Self { at, message, hint } = self;
        let message: String = message.chars().map(visible).collect();
        let Some(source) = sources.get(at.source) else {
            return Problem {
                file: String::new(),
                line: 0,
                column: 0,
                message,
                hint,
                excerpt: String::new(),
                width: 0,
            };
        };
        let (line, begin, end) = source.line(at.start);
        let meant = &source.text[at.start.min(end)..at.end.clamp(at.start.min(end), end)];
        // Lines of some systems end with a carriage return.
        let excerpt = source.text[begin..end].trim_end().chars().map(visible).collect();
        let width = meant.trim_end().chars().count();
        // All of a file is meant where it could not be read, or where something is missing in it.
        let (line, column) =
            if at == Span::file(at.source) { (0, 0) } else { (line, source.column(at.start)) };
        Problem { file: source.name.clone(), line, column, message, hint, excerpt, width }
    }
}

/// Why a file can't be read, without the number of the error.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::PermissionDenied => "the file may not be read".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}

/// What is shown of a character: no terminal should obey a file, and no log should have a line more by it.
fn visible(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}
