//! The eproxy program.
fn main() {}
