//! A configuration that was read and found right.

use std::path::Path;

use crate::admin::Admin;
use crate::server::Builder;
use crate::upstream::Group;

use super::build::{self, Groups};
use super::files::Files;
use super::gather::{Gathered, gather, gather_text};
use super::problem::{Problem, Problems};
use super::tree::{Node, Table};
use super::{describe, differences, keys};

/// A configuration, read from a file in TOML and found right: everything that a [`Builder`] and its groups can be told.
/// `docs/configuration.md` has every key.
///
/// ```
/// use eproxy_core::Config;
///
/// let config = Config::parse(
///     r#"
///     [[listener]]
///     address = "127.0.0.1:0"
///
///     [[route]]
///     path = "/*path"
///     proxy = { to = "http://10.0.0.7:3000" }
///     "#,
///     "eproxy.toml",
/// );
/// let server = config.map_err(|problems| problems.to_string())?.builder();
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct Config {
    tree: Table,
    groups: Groups,
    warnings: Vec<Problem>,
    files: Files,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads a file and those that it includes.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Problems> {
        Self::of(gather(path.as_ref(), &variable), None)
    }

    /// Reads a file in place of one that was read before: a group whose section is the same as in `previous` is the same
    /// [`Group`] again, with its connections, its counters and all that is known of its endpoints. Where only its endpoints
    /// are others it is the same as well, and gets them when [`settle`](Self::settle) is called.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them; `previous` is as it was.
    pub fn load_after(path: impl AsRef<Path>, previous: &Self) -> Result<Self, Problems> {
        Self::of(gather(path.as_ref(), &variable), Some(previous))
    }

    /// Reads a text as if it stood in a file of this name, at which relative paths begin.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn parse(text: &str, name: impl AsRef<Path>) -> Result<Self, Problems> {
        Self::of(gather_text(text, name.as_ref(), &variable), None)
    }

    fn of(gathered: Gathered, previous: Option<&Self>) -> Result<Self, Problems> {
        let Gathered { sources, tree, mut notes, files, has_gaps } = gathered;
        let groups = build::check(&tree, previous.map(|previous| &previous.groups), has_gaps, &mut notes);
        let (wrong, warnings) = notes.finish(&sources);
        match wrong.is_empty() {
            true => Ok(Self { tree, groups, warnings, files }),
            false => Err(Problems::new(wrong, files)),
        }
    }

    #[cfg(test)]
    pub(super) fn tree(&self) -> &Table {
        &self.tree
    }

    /// The server that it describes, to be started, or to take the place of one that runs.
    pub fn builder(&self) -> Builder {
        build::builder(&self.tree, &self.groups)
    }

    /// The groups, in the order of their names; those of proxies that name no group go by the URLs that these name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups.named().chain(self.groups.unnamed())
    }

    /// The admin listener, if there is one: to be told of groups and reloads, and to be started beside the server.
    #[must_use]
    pub fn admin(&self) -> Option<Admin> {
        self.tree.table("admin").map(build::admin)
    }

    /// Gives the endpoints that are named here to groups that were kept from the configuration
    /// [before](Self::load_after): to be called when a server has taken the [builder](Self::builder).
    pub fn settle(&self) {
        self.groups.settle();
    }

    /// What is right, but likely not meant: groups that nobody uses, certificates that have expired.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The files that it was read from.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The addresses that are listened on as they are written, each with whether TLS is spoken there, in the order of
    /// [`Handle::listeners`](crate::Handle::listeners).
    pub fn listeners(&self) -> impl Iterator<Item = (&str, bool)> {
        let tables = self.tree.list("listener").iter().filter_map(Node::table);
        tables.filter_map(|listener| Some((listener.text("address")?, listener.has("tls"))))
    }

    /// What the program's own log says at least, if that is said.
    #[must_use]
    pub fn log_level(&self) -> Option<log::LevelFilter> {
        self.tree.table("log")?.text("level")?.parse().ok()
    }

    /// How the lines of the program's own log look, if that is said.
    #[must_use]
    pub fn log_format(&self) -> Option<LogFormat> {
        match self.tree.table("log")?.text("format")? {
            "json" => Some(LogFormat::Json),
            _ => Some(LogFormat::Pretty),
        }
    }

    /// Whether the files are to be read again when they have changed.
    #[must_use]
    pub fn reloads_on_change(&self) -> bool {
        self.tree.table("reload").is_some_and(|reload| reload.is("on_change"))
    }

    /// How much there is of what: `3 listeners, 12 routes, 2 groups`.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |number: usize, what: &str| match number {
            1 => format!("1 {what}"),
            number => format!("{number} {what}s"),
        };
        let listeners = self.tree.list("listener").len();
        let routes = self.tree.list("route").len();
        let groups = self.groups.named().count();
        [count(listeners, "listener"), count(routes, "route"), count(groups, "group")].join(", ")
    }

    /// All of it as JSON, with the files that are included, with the defaults of what is there, and without secrets:
    /// variables of the environment stay names.
    #[must_use]
    pub fn describe(&self) -> String {
        describe::describe(&self.tree)
    }

    /// What is new, gone and changed since `old`, a line each and without secrets; empty where it is the same.
    #[must_use]
    pub fn differences(&self, old: &Self) -> Vec<String> {
        differences::differences(&old.tree, &self.tree)
    }

    /// The keys of the file as JSON Schema, draft 2020-12.
    #[must_use]
    pub fn schema() -> String {
        format!("{:#}\n", keys::schema())
    }
}

/// A variable of the environment.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
