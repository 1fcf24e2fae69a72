//! Where the kernel moves no bytes from one socket to another by itself, there are no pipes to be had.

use std::convert::Infallible;
use std::io;
use std::task::{Context, Poll};

use super::stream::Stream;

/// A pipe that there is not.
#[derive(Debug)]
pub(crate) struct Pipe(Infallible);

impl Pipe {
    pub(crate) fn take() -> Option<Self> {
        None
    }

    pub(crate) fn put(self) {
        match self.0 {}
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn poll_fill(&mut self, _: &mut Context<'_>, _: &Stream, _: usize) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    pub(crate) fn poll_drain(&mut self, _: &mut Context<'_>, _: &Stream) -> Poll<io::Result<usize>> {
        match self.0 {}
    }
}
