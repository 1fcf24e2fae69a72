//! What clients say to files and redirects.

/// Reads the first line of `input` as a host and a target, and the others as header fields, for what files and redirects
/// make of them.
///
/// # Panics
///
/// A redirect leads to another host than its template says, as browsers read it, or its place can't be sent; a path that may
/// be served has a segment that is no name; a part of a file lies outside of it.
pub fn local(input: &[u8]) {
    crate::local::fuzzing::run(input);
}
