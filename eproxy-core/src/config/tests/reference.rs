//! The schema and the reference are those of the keys. `EPROXY_BLESS=1` writes them anew.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::config::Config;
use crate::config::keys::{Default, ROOT, Section, Shape};

/// A page of this repository.
fn page(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

const BEGIN: &str = "<!-- From here on this page is made from the keys: EPROXY_BLESS=1 cargo test -p eproxy-core --lib config -->\n";

/// The reference, in Markdown.
fn reference() -> String {
    let mut sections = Vec::new();
    Shape::Table(&ROOT).sections(&mut sections);
    let mut out = String::new();
    for section in sections {
        describe(section, &mut out).expect("a string takes everything");
    }
    out
}

fn describe(section: &Section, out: &mut String) -> std::fmt::Result {
    let Section { name, doc, keys, one_of } = section;
    writeln!(out, "\n### {name}\n\n{doc}\n")?;
    for keys in *one_of {
        let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
        match keys.as_slice() {
            [_] => {}
            keys => writeln!(out, "Exactly one of {} has to be there.\n", keys.join(", "))?,
        }
    }
    writeln!(out, "| key | value | default | meaning |\n|---|---|---|---|")?;
    for key in *keys {
        let default = match key.default {
            Default::Required => "*has to be there*".into(),
            Default::Value(text) => format!("`{text}`"),
            Default::Words(words) => words.to_owned(),
        };
        writeln!(out, "| `{}` | {} | {default} | {} |", key.name, key.shape.words(), key.doc)?;
    }
    Ok(())
}

/// Compares a file with what it should be, or writes that.
fn current(path: &str, expected: &str) {
    let path = page(path);
    if std::env::var_os("EPROXY_BLESS").is_some() {
        fs::write(&path, expected).expect("the page can be written");
    }
    let is = fs::read_to_string(&path).unwrap_or_default();
    assert!(is == expected, "{} is not current: EPROXY_BLESS=1 writes it anew", path.display());
}

#[test]
fn the_schema_is_that_of_the_keys() {
    current("eproxy.schema.json", &Config::schema());
}

#[test]
fn the_reference_has_every_key_with_its_default() {
    let path = "configuration.md";
    let page = fs::read_to_string(page(path)).unwrap();
    let (front, _) = page.split_once(BEGIN).expect("the page has a reference");
    current(path, &format!("{front}{BEGIN}{}", reference()));
}
