//! A configuration that takes the place of another: what stays the same is kept, and what changes is told.

use std::path::PathBuf;

use async_std::task::block_on;
use eproxy_core::{Config, Group};

use crate::support::folder::Folder;
use crate::support::{Running, get};
use crate::upstream::{Upstream, upstream};

/// An upstream that answers with its name.
fn named(name: &'static str) -> Upstream {
    upstream(move |peer| {
        while peer.next().is_some() {
            peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()));
        }
    })
}

/// A file that is written anew.
struct File {
    _folder: Folder,
    path: PathBuf,
}

impl File {
    fn new(text: &str) -> Self {
        let folder = Folder::new();
        let path = folder.path("eproxy.toml");
        let file = Self { _folder: folder, path };
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\n";
        std::fs::write(&self.path, format!("workers = 1\n{listener}{text}")).expect("a file can be written");
    }

    fn load(&self) -> Config {
        Config::load(&self.path).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn load_after(&self, previous: &Config) -> Config {
        Config::load_after(&self.path, previous).unwrap_or_else(|problems| panic!("{problems}"))
    }
}

fn group(config: &Config, name: &str) -> Group {
    config.groups().find(|(known, _)| *known == name).expect("there is such a group").1.clone()
}

fn attempts(group: &Group) -> u64 {
    group.snapshot().endpoints.iter().map(|endpoint| endpoint.attempts).sum()
}

fn with_group(endpoints: &str, more: &str) -> String {
    format!(
        "[group.api]\nendpoints = [{endpoints}]\n{more}\n\n[[route]]\npath = \"/*path\"\nproxy = {{ group = \"api\" }}\n"
    )
}

#[test]
fn a_group_that_has_not_changed_keeps_its_connections_and_what_is_known_of_it() {
    let upstream = named("a");
    let url = format!("\"{}\"", upstream.url());
    let file = File::new(&with_group(&url, ""));
    let first = file.load();
    let server = Running::new(first.builder());
    assert_eq!(server.ask(get("/")).text(), "a");

    file.write(&format!(
        "{}\n[[route]]\npath = \"/new\"\nanswer = {{ body = \"new\" }}\n",
        with_group(&url, "")
    ));
    let second = file.load_after(&first);
    block_on(server.handle().replace(second.builder())).unwrap();
    second.settle();
    assert_eq!((server.ask(get("/")).text(), server.ask(get("/new")).text()), ("a", "new"));
    assert_eq!(attempts(&group(&second, "api")), 2);
    assert_eq!(upstream.accepted(), 1);
    assert_eq!(second.differences(&first), ["route /new: new"]);
}

#[test]
fn of_a_group_whose_endpoints_change_those_that_stay_are_kept() {
    let (a, b) = (named("a"), named("b"));
    let file = File::new(&with_group(&format!("\"{}\"", a.url()), ""));
    let first = file.load();
    let server = Running::new(first.builder());
    assert_eq!(server.ask(get("/")).text(), "a");

    file.write(&with_group(&format!("\"{}\", \"{}\"", a.url(), b.url()), ""));
    let second = file.load_after(&first);
    // Nothing has happened to the server that runs.
    assert_eq!(group(&first, "api").snapshot().endpoints.len(), 1);
    block_on(server.handle().replace(second.builder())).unwrap();
    second.settle();
    let snapshot = group(&second, "api").snapshot();
    assert_eq!(snapshot.endpoints.len(), 2);
    assert_eq!(snapshot.endpoint(&a.url()).unwrap().attempts, 1);
    assert_eq!(second.differences(&first), ["group api: changed"]);
}

#[test]
fn a_group_that_is_told_something_else_is_a_new_one() {
    let upstream = named("a");
    let url = format!("\"{}\"", upstream.url());
    let file = File::new(&with_group(&url, ""));
    let first = file.load();
    let server = Running::new(first.builder());
    server.ask(get("/"));
    file.write(&with_group(&url, "balance = \"random\""));
    let second = file.load_after(&first);
    assert_eq!((attempts(&group(&first, "api")), attempts(&group(&second, "api"))), (1, 0));
}

#[test]
fn a_group_behind_an_url_is_kept_as_well_and_shared() {
    let upstream = named("a");
    let route =
        |path: &str| format!("[[route]]\npath = \"{path}\"\nproxy = {{ to = \"{}\" }}\n", upstream.url());
    let file = File::new(&format!("{}{}", route("/a"), route("/b")));
    let first = file.load();
    let server = Running::new(first.builder());
    server.ask(get("/a"));
    server.ask(get("/b"));
    file.write(&route("/c"));
    let second = file.load_after(&first);
    assert_eq!(attempts(&group(&second, &upstream.url())), 2);
    assert_eq!(second.differences(&first), ["route /c: new", "route /a: gone", "route /b: gone"]);
}

#[test]
fn a_file_that_is_wrong_changes_nothing() {
    let upstream = named("a");
    let url = format!("\"{}\"", upstream.url());
    let file = File::new(&with_group(&url, ""));
    let first = file.load();
    file.write(&with_group("\"nowhere\"", "balnce = \"random\""));
    assert_eq!(Config::load_after(&file.path, &first).unwrap_err().count(), 2);
    assert_eq!(group(&first, "api").snapshot().endpoints.len(), 1);
    assert!(file.path.exists() && first.differences(&first).is_empty());
}

#[test]
fn what_has_changed_is_told_and_secrets_are_not() {
    let file = File::new("[limits]\nhead = \"1KiB\"\n[forward]\nusers = { ada = \"one\" }\n");
    let first = file.load();
    file.write("[limits]\nhead = \"2KiB\"\nbody = \"1MiB\"\n[timeouts]\nhead = \"5s\"\n[forward]\nusers = { ada = \"two\" }\n");
    let second = file.load_after(&first);
    assert_eq!(
        second.differences(&first),
        [
            "limits.body: unset is now \"1MiB\"",
            "limits.head: \"1KiB\" is now \"2KiB\"",
            "timeouts.head: unset is now \"5s\"",
            "forward.users: changed",
        ]
    );
}

#[test]
fn changes_of_files_are_seen_those_of_included_ones_and_new_ones_too() {
    let folder = Folder::new();
    let main = "include = [\"*.part\"]\n[[listener]]\naddress = \"127.0.0.1:0\"\n";
    std::fs::write(folder.path("eproxy.toml"), main).unwrap();
    std::fs::write(folder.path("a.part"), "[[route]]\npath = \"/a\"\nanswer = {}\n").unwrap();
    let load = || Config::load(folder.path("eproxy.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    let config = load();
    assert_eq!(config.files().paths().count(), 2);
    assert_eq!(config.files().look(), *config.files());
    std::fs::write(folder.path("a.part"), "[[route]]\npath = \"/longer\"\nanswer = {}\n").unwrap();
    assert_ne!(config.files().look(), *config.files());
    let config = load();
    std::fs::write(folder.path("b.part"), "[[route]]\npath = \"/b\"\nanswer = {}\n").unwrap();
    assert_ne!(config.files().look(), *config.files());
    assert_eq!(load().summary(), "1 listener, 2 routes, 0 groups");
}
