//! What the guide and the example say is right.

use std::fs;

use eproxy_core::Config;

use crate::support::certificates::{authority, pair};
use crate::support::folder::Folder;

/// A folder with what examples name.
fn folder() -> Folder {
    let folder = Folder::new();
    for name in ["certs", "site", "routes.d"] {
        fs::create_dir(folder.path(name)).expect("a file can be written");
    }
    for name in ["cert.pem", "certs/shop.pem", "certs/blog.pem"] {
        fs::write(folder.path(name), &pair().certificate).expect("a file can be written");
    }
    for name in ["key.pem", "certs/shop.key", "certs/blog.key"] {
        fs::write(folder.path(name), &pair().key).expect("a file can be written");
    }
    for name in ["certs/partners.pem", "certs/inside.pem"] {
        fs::write(folder.path(name), authority().pem()).expect("a file can be written");
    }
    fs::write(folder.path("admin.token"), "a-token\n").expect("a file can be written");
    fs::write(folder.path("sticky.secret"), "a secret\n").expect("a file can be written");
    folder
}

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).expect("there is such a page")
}

#[test]
fn every_example_of_the_guide_is_right() {
    let folder = folder();
    let page = read("docs/configuration.md");
    let blocks: Vec<_> =
        page.split("```toml\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    assert!(blocks.len() >= 10, "{}", blocks.len());
    for block in blocks {
        let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\n";
        let text =
            if block.contains("[[listener]]") { block.to_owned() } else { format!("{block}\n{listener}") };
        Config::parse(&text, folder.path("eproxy.toml"))
            .unwrap_or_else(|problems| panic!("{block}\n{problems}"));
    }
}

#[test]
fn the_example_is_right() {
    let folder = folder();
    let text = read("examples/eproxy.toml");
    let config =
        Config::parse(&text, folder.path("eproxy.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
    let _built = config.builder();
}

#[test]
fn files_that_are_right_are_read() {
    for name in ["smallest", "everything", "others"] {
        let path = format!("tests/configs/good/{name}.toml");
        let config = Config::load(path).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(config.warnings().is_empty(), "{:?}", config.warnings());
        let _built = config.builder();
    }
}
