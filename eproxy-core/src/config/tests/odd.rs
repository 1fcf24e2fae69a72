//! What a tired hand writes: odd files are told of in words that help, and without what is nobody's business.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::build;
use crate::config::gather::{Gathered, gather, gather_text};
use crate::config::{Config, Problem};

const LISTENER: &str = "[[listener]]\naddress = \"127.0.0.1:8080\"\n";

/// What is wrong with a text, where the environment says of every variable that it is `value`.
fn told_with(text: &str, value: &str) -> Vec<Problem> {
    told_of(gather_text(text, Path::new("test.toml"), &|_| Some(value.to_owned())))
}

fn told(text: &str) -> Vec<Problem> {
    told_with(text, "")
}

fn told_of(gathered: Gathered) -> Vec<Problem> {
    let Gathered { sources, tree, mut notes, has_gaps, .. } = gathered;
    build::check(&tree, None, has_gaps, &mut notes);
    notes.finish(&sources).0
}

fn messages(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(Problem::message).collect()
}

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("eproxy-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn what_a_variable_says_is_told_to_nobody() {
    let text = format!(
        "{LISTENER}[[route]]\npath = \"/a\"\nproxy = {{ to = \"http://ada:${{PASS}}@host:80\", timeout = \"${{PASS}}\" }}\n\
         [[route]]\npath = \"/b\"\nproxy = {{ group = \"${{PASS}}\", retries = \"${{PASS}}\" }}\n"
    );
    let problems = told_with(&text, "s3cr\"t w/ord");
    assert_eq!(problems.len(), 4, "{problems:?}");
    for problem in problems {
        assert!(!problem.to_string().contains("s3cr"), "{problem}");
        assert!(problem.message().contains("${PASS}"), "{problem}");
    }
}

#[test]
fn what_headers_with_credentials_say_is_shown_to_nobody() {
    let text = format!(
        "{LISTENER}[[route]]\npath = \"/\"\nheader = {{ Authorization = {{ exact = \"hush1\" }} }}\n\
         [route.proxy]\ngroup = \"token-service\"\nrequest_headers = {{ set = {{ Cookie = \"hush2\", A = \"b\" }}, add = {{ X-Token = [\"hush3\"] }} }}\n\
         [group.token-service]\nendpoints = \"http://a\"\nsticky = {{ cookie = \"seen\" }}\n"
    );
    let shown = Config::parse(&text, "test.toml").unwrap().describe();
    assert!(!shown.contains("hush") && shown.contains("\"A\": \"b\""), "{shown}");
    assert!(shown.contains("http://a") && shown.contains("\"cookie\": \"seen\""), "{shown}");
}

#[test]
fn messages_are_of_one_line_that_no_terminal_obeys() {
    let problems = told(&format!("{LISTENER}\"a\\u001b[31mred\\nnext\" = 1\n"));
    assert_eq!(messages(&problems), ["unknown key `a\u{fffd}[31mred\u{fffd}next` in [[listener]]"]);
}

#[test]
fn lines_that_end_with_a_carriage_return_are_shown_without_it() {
    let problems = told("[[listener]]\r\naddress = \"127.0.0.1:8080\"\r\nfoo = 1\r\n");
    assert!(problems[0].to_string().contains("    3 | foo = 1\n      | ^^^\n"), "{}", problems[0]);
}

#[test]
fn numbers_are_read_in_the_base_that_they_are_written_in() {
    let text = "[limits]\nhead = 0x1000\ntarget = 0o1000\nbody = 4_096\n[access_log]\nlog = true\nsample = 0x1\n[group.a]\n\
                endpoints = \"http://a\"\nejection = { deviations = 0x10 }\n";
    let shown = Config::parse(&format!("{LISTENER}{text}"), "test.toml").unwrap().describe();
    for part in [
        "\"head\": \"4KiB\"",
        "\"target\": \"512\"",
        "\"body\": \"4KiB\"",
        "\"deviations\": 16.0",
        "\"sample\": 1.0",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(told(&format!("{LISTENER}[limits]\nbody = -0x1\n")).len(), 1);
}

#[test]
fn what_could_not_be_used_is_found_before_the_start() {
    for (text, what) in [
        ("[[route]]\npath = \"/\"\nanswer = { body_file = \".\" }\n", ".: it is a folder"),
        (
            "[traces]\nto = \"http://c.test\"\nheaders = { x = \"a\\r\\nb: c\" }\n",
            "the value of \"x\" is not of visible ASCII",
        ),
        ("[admin]\naddress = \"127.0.0.1:8080\"\n", "a listener is on 127.0.0.1:8080 already"),
    ] {
        assert_eq!(messages(&told(&format!("{LISTENER}{text}"))), [what]);
    }
    let long = format!("[[listener]]\naddress = \"unix:/{}\"\n", "a".repeat(200));
    #[cfg(unix)]
    assert_eq!(messages(&told(&long)), ["this path is longer than those of unix-domain sockets can be"]);
}

#[test]
fn hints_tell_where_a_key_belongs_and_how_a_list_begins() {
    let problems = told(&format!("{LISTENER}workers = 2\n[listener.tls]\ncertificate = 1\n"));
    assert_eq!(
        problems[0].hint(),
        Some("`workers` belongs to the top of the file, before its first heading")
    );
    let problems = told("[listener]\naddress = \"127.0.0.1:8080\"\n");
    assert_eq!(problems[0].hint(), Some("a list of tables has two brackets: [[listener]]"));
}

#[test]
fn what_follows_from_something_wrong_is_not_told_as_well() {
    let problems = told(&format!("{LISTENER}[group.a]\nendpoints = [5]\n"));
    assert_eq!(
        messages(&problems),
        ["an item of `endpoints` in [group.a] is an integer, expected a string, or a table"]
    );

    let folder = Folder::new("follows");
    folder.file("more.toml", "workers = 2\n");
    let path = folder.file("main.toml", "include = \"more.toml\"\nlistener = 5\n");
    let problems = told_of(gather(&path, &|_| None));
    assert_eq!(messages(&problems), ["`listener` is an integer, expected a list, each a table"]);

    let path = folder.file("gap.toml", "include = [\"${NONE}/x.toml\"]\n");
    let problems = told_of(gather(&path, &|_| None));
    assert_eq!(messages(&problems), ["the environment has no variable `NONE`"]);
}

#[test]
fn only_what_include_says_is_a_pattern() {
    let folder = Folder::new("pattern[1]");
    folder.file("d/a.toml", LISTENER);
    let path = folder.file("main.toml", "include = \"d/*.toml\"\n");
    let config = Config::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.files().paths().count(), 2);
    assert!(config.files().look() == *config.files());
    folder.file("d/b.toml", "workers = 2\n");
    assert!(config.files().look() != *config.files());
}

#[test]
fn what_holds_from_the_next_start_on_is_told_so() {
    let read = |format: &str| {
        Config::parse(&format!("{LISTENER}[log]\nformat = \"{format}\"\n"), "test.toml").unwrap()
    };
    assert_eq!(
        read("json").differences(&read("pretty")),
        ["log.format: \"pretty\" is \"json\" from the next start on"]
    );
}
