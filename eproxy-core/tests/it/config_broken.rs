//! Configurations that are wrong: all of it is told at once, each with its place, in these words.

use std::fs;
use std::path::Path;

use eproxy_core::Config;

/// Files that are wrong, each with what is told of it beside it in a file that ends in `.stderr`. `EPROXY_BLESS=1` writes these
/// anew.
const FOLDER: &str = "tests/configs/broken";

/// What is told of a file; the machine's own words for its errors are left out.
fn told(path: &Path) -> String {
    match Config::load(path) {
        Ok(config) => panic!("{} is right: {}", path.display(), config.summary()),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn everything_that_is_wrong_is_told_with_its_place() {
    let bless = std::env::var_os("EPROXY_BLESS").is_some();
    let mut files: Vec<_> = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(files.len() >= 40, "{}", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let told = told(&path);
        let expected = path.with_extension("stderr");
        if bless {
            fs::write(&expected, &told).unwrap();
        }
        let expected = fs::read_to_string(expected).unwrap_or_default();
        if told != expected {
            wrong.push(format!("{}\n--- expected\n{expected}--- told\n{told}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_problem_can_be_taken_apart() {
    let problems = Config::load("tests/configs/broken/unknown_key.toml").unwrap_err();
    assert_eq!(problems.count(), 3);
    let first = problems.iter().next().unwrap();
    assert_eq!((first.file(), first.line(), first.column()), ("tests/configs/broken/unknown_key.toml", 5, 1));
    assert_eq!(first.message(), "unknown key `idel_timeout` in [timeouts]");
    assert_eq!(first.hint(), Some("did you mean `keep_alive`?"));
    assert_eq!(
        first.summary(),
        "tests/configs/broken/unknown_key.toml:5:1: unknown key `idel_timeout` in [timeouts] (did you mean `keep_alive`?)"
    );
}

#[test]
fn a_file_that_is_not_there_is_told_without_a_line() {
    let problems = Config::load("tests/configs/none.toml").unwrap_err();
    assert_eq!(problems.to_string(), "tests/configs/none.toml: there is no such file\n");
}
