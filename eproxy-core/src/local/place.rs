//! A description that becomes a handler when the server starts.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::handler::Handler;

/// Where something is mounted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The names of the pattern's parameters, in their order.
    pub(crate) names: &'a [String],
    /// The last of them is a wildcard: it stands for the rest of the path.
    pub(crate) has_rest: bool,
}

impl Place<'_> {
    /// The name of the wildcard.
    pub(super) fn rest(&self) -> Option<&str> {
        self.names.last().filter(|_| self.has_rest).map(String::as_str)
    }
}

/// The description of what answers here.
pub(crate) trait Local: fmt::Debug + Send + Sync {
    /// Makes it a handler for this place.
    ///
    /// # Errors
    ///
    /// `BadOption`, with the first thing that is wrong.
    fn build(&self, place: &Place<'_>) -> Result<Arc<dyn Handler>>;
}
