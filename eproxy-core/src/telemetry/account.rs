//! What is kept of an exchange until it is over: what is counted of it, and its story if somebody wants to know more.

use crate::error::Kind;

use super::story::Story;

/// What is kept of an exchange.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// The status that the client was given; 0 for none so far.
    pub(crate) status: u16,
    /// Why it failed.
    pub(crate) failure: Option<Kind>,
    /// Bytes of the bodies of the request and of the answer.
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) story: Option<Box<Story>>,
}
