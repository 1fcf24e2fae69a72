//! The shape of the source: rooms on floors, short files, no unfinished business. It reads the text of `src/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors of the house, the lowest first; a room may name rooms of lower floors only.
const FLOORS: [&[&str]; 10] = [
    &["driver", "error"],
    &["message", "tls"],
    &["http1", "tunnel", "telemetry"],
    &["http2", "http3"],
    &["handler", "upstream", "cache", "limit"],
    &["proxy", "client", "local"],
    &["router", "otlp"],
    &["server"],
    &["admin", "testing"],
    &["config"],
];

/// Lines of a signboard.
const MOD_LINES: usize = 80;

/// Lines of a file without its tests; more with a reason behind [`LONG`].
const FILE_LINES: usize = 400;

/// Lines of a file that says why it is long.
const LONG_FILE_LINES: usize = 600;

/// How a file says why it is longer than others.
const LONG: &str = "// long because";

struct Source {
    /// Below `src/`, with slashes.
    path: String,
    text: String,
    /// The text without its unit tests, without comments and without the insides of strings.
    code: String,
}

impl Source {
    /// The room that the file is in; none for the map, `lib.rs`, and for the doors of the fuzz targets.
    fn room(&self) -> Option<&str> {
        let first = self.path.split('/').next()?;
        let room = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(room, "lib" | "fuzzing")).then_some(room)
    }

    fn is_signboard(&self) -> bool {
        self.path.ends_with("/mod.rs")
    }

    /// Unit tests, and the doors for fuzz targets, which stand outside the house and are never shipped.
    fn is_test(&self) -> bool {
        let is_among_tests = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        is_among_tests || self.path.split('/').next_back() == Some("fuzzing.rs")
    }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 10, "the sources are where they are looked for");
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source is text");
        let code = code_of(without_tests(&text));
        let below = path.strip_prefix(&root).expect("a file of src").components();
        let path =
            below.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join("/");
        Source { path, text, code }
    };
    files.into_iter().map(source).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("a folder can be read").path();
        match path.is_dir() {
            true => collect(&path, files),
            false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
            false => {}
        }
    }
    files.sort();
}

/// Unit tests stand at the end of a file.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

/// The code without comments, and with empty strings; lines stay lines.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '"' => {
                code.push_str("\"\"");
                string_end(rest)
            }
            '\'' if rest.starts_with("'\\''") || rest.starts_with("'\"'") => {
                code.push_str("' '");
                rest[1..].find("'").map_or(1, |_| if rest.starts_with("'\\") { 4 } else { 3 })
            }
            _ => {
                code.push(c);
                c.len_utf8()
            }
        };
        code.extend(rest[..skipped].chars().filter(|skipped| *skipped == '\n' && c != '\n'));
        rest = &rest[skipped..];
    }
    code
}

/// The length of the string literal at the front.
fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The names that `lib.rs` re-exports, with the room that defines each.
fn exports(map: &str) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for statement in map.split("pub use ").skip(1) {
        let statement = &statement[..statement.find(';').unwrap_or(statement.len())];
        let Some((room, names)) = statement.split_once("::") else { continue };
        for name in names.trim_matches(['{', '}']).split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let name = name.rsplit(" as ").next().unwrap_or(name);
            let name = name.rsplit("::").next().unwrap_or(name);
            exports.insert(name.to_owned(), room.trim().to_owned());
        }
    }
    exports
}

/// The first names behind every `crate::`: those of a group, too.
fn names_behind_crate(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for tail in code.split("crate::").skip(1) {
        match tail.strip_prefix('{') {
            Some(group) => first_names(group, &mut names),
            None => names.push(first_name(tail)),
        }
    }
    names
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn first_names(group: &str, names: &mut Vec<String>) {
    let (mut depth, mut is_first) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            ',' if depth == 0 => is_first = true,
            c if is_first && depth == 0 && !c.is_whitespace() => {
                names.push(first_name(&group[at..]));
                is_first = false;
            }
            _ => {}
        }
    }
}

/// Fails with everything that is wrong, a line each.
fn nothing(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
}

#[test]
fn every_room_stands_on_a_floor() {
    let mut wrong: Vec<_> = sources()
        .iter()
        .filter_map(|source| source.room().map(str::to_owned))
        .filter(|room| floor(room).is_none())
        .map(|room| format!("{room} is not in the table of floors"))
        .collect();
    wrong.dedup();
    nothing(&wrong);
}

#[test]
fn rooms_import_from_lower_floors_only() {
    let sources = sources();
    let map = sources.iter().find(|source| source.path == "lib.rs").expect("the crate has a root");
    let exports = exports(&map.code);
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let Some(room) = source.room() else { continue };
        for name in names_behind_crate(&source.code) {
            let of = exports.get(&name).unwrap_or(&name);
            match floor(of) {
                _ if of == room => {}
                None => wrong.push(format!("{}: crate::{name} is of no room", source.path)),
                Some(there) if Some(there) < floor(room) => {}
                Some(_) => {
                    wrong.push(format!("{}: {room} may not import from {of} (crate::{name})", source.path))
                }
            }
        }
        // The same by another way.
        for tail in source.code.split("super::super::").skip(1) {
            if !tail.starts_with("super") && source.path.split('/').count() == 2 {
                wrong.push(format!("{}: super::super leaves the room: write crate::", source.path));
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn every_folder_has_a_signboard_which_says_what_it_is_for_and_names_what_is_in_it() {
    let sources = sources();
    let mut wrong = Vec::new();
    for file in sources.iter().filter(|file| !file.is_signboard() && file.room().is_some()) {
        let Some((folder, name)) = file.path.rsplit_once('/') else { continue };
        let board = sources.iter().find(|source| source.path == format!("{folder}/mod.rs"));
        match board {
            None => wrong.push(format!("{folder} has no mod.rs")),
            Some(board) if !board.text.starts_with("//! ") => {
                wrong.push(format!("{folder}/mod.rs does not say what the folder is for"))
            }
            Some(board) if !file.is_test() && !board.text.contains(&format!("`{name}`")) => {
                wrong.push(format!("{folder}/mod.rs does not name `{name}`"));
            }
            Some(_) => {}
        }
    }
    wrong.dedup();
    nothing(&wrong);
}

#[test]
fn every_file_is_in_the_table_of_its_room_in_the_architecture() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/architecture.md");
    let page = fs::read_to_string(page).expect("there is a page on the architecture");
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| !file.is_signboard() && !file.is_test()) {
        let (Some(room), Some((_, below))) = (file.room(), file.path.split_once('/')) else { continue };
        let table = page.split_once(&format!("\n| `{room}` | |\n")).map_or("", |(_, behind)| behind);
        let table = table.split("\n\n").next().unwrap_or_default();
        let is_named = match below.rsplit_once('/') {
            None => table.contains(&format!("`{below}`")),
            Some((folder, name)) => table
                .lines()
                .any(|row| row.contains(&format!("`{folder}/`")) && row.contains(&format!("`{name}`"))),
        };
        if !is_named {
            wrong.push(format!("docs/architecture.md does not name {}", file.path));
        }
    }
    nothing(&wrong);
}

/// The page tells those who read a log what each name in it means.
#[test]
fn every_kind_of_failure_is_explained_to_those_who_run_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../docs/operations.md")).expect("there is a page on operations");
    let table = fs::read_to_string(root.join("src/error.rs")).expect("there is a table of kinds");
    let rows =
        table.split_once("\nkinds! {\n").and_then(|(_, rows)| rows.split_once("\n}\n")).expect("a table").0;
    // A row is: kind, name in quotes, side, status, …
    let names = rows.lines().filter_map(|row| {
        let mut words = row.split_whitespace();
        let name = words.nth(1)?.strip_prefix('"')?.strip_suffix('"')?;
        (!row.trim_start().starts_with("//")).then_some((name, words.nth(1)?))
    });
    let mut wrong = Vec::new();
    let mut number = 0;
    for (name, status) in names {
        number += 1;
        let explained = page.lines().find(|line| line.starts_with(&format!("| `{name}` | ")));
        match explained {
            None => wrong.push(format!("docs/operations.md does not explain {name}")),
            Some(line) if !line.contains(&format!("| {status} |")) && !line.contains("| — |") => {
                wrong.push(format!("docs/operations.md has another status than {status} for {name}"));
            }
            Some(_) => {}
        }
    }
    assert!(number > 60, "the table is read: {number} rows");
    nothing(&wrong);
}

#[test]
fn signboards_are_short_and_hold_no_logic() {
    let mut wrong = Vec::new();
    for board in sources().iter().filter(|source| source.is_signboard()) {
        let lines = board.text.lines().count();
        if lines > MOD_LINES {
            wrong.push(format!("{} has {lines} lines, more than {MOD_LINES}", board.path));
        }
        if board.code.split_whitespace().any(|word| word == "fn") {
            wrong.push(format!("{} has a function", board.path));
        }
    }
    nothing(&wrong);
}

#[test]
fn files_are_short_or_say_why_they_are_not() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines = without_tests(&source.text).lines().count();
        let most = if source.text.contains(LONG) { LONG_FILE_LINES } else { FILE_LINES };
        if lines > most {
            wrong.push(format!("{} has {lines} lines without its tests, more than {most}", source.path));
        }
    }
    nothing(&wrong);
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (number, line) in source.code.lines().enumerate() {
            if line.contains(".unwrap()") {
                wrong.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn nothing_is_left_to_be_done() {
    let marks = ["TODO", "FIXME", "XXX", "todo!", "unimplemented!"];
    let mut wrong = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                wrong.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn this_reader_of_rust_reads_what_it_has_to() {
    let code = code_of(
        "use crate::{a::B, c::{D, E}, F}; // crate::g\nlet s = \"crate::h \\\" crate::i\"; '\"' crate::j::K",
    );
    assert_eq!(names_behind_crate(&code), ["a", "c", "F", "j"]);
    assert_eq!(code.lines().count(), 2);
    let exports = exports("pub use handler::{A, B as C};\npub use error::Error;");
    assert_eq!(exports.get("C").map(String::as_str), Some("handler"));
    assert_eq!(exports.get("Error").map(String::as_str), Some("error"));
}
