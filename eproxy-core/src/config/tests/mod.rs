//! That the tables of keys, what is built, the schema and the reference say the same.

mod effects;
mod reference;

use std::path::PathBuf;

/// A file of this repository.
fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
