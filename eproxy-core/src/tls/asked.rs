//! The name that a client asks for, on its way from where rustls tells it to where it is wanted.
//!
//! An unbuffered connection does not say it. The resolver of certificates is told: for every hello, of a resumed session,
//! too, and by the very call that takes the hello, so on the same thread and with nothing in between.

use std::cell::RefCell;

/// What a hello asks for, and whether that is to be had.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) name: Option<Box<str>>,
    pub(super) is_refused: bool,
}

thread_local! {
    /// The last hello on this thread, if nobody has taken it.
    static ASKED: RefCell<Option<Asked>> = const { RefCell::new(None) };
}

/// Notes a hello.
pub(super) fn put(asked: Asked) {
    ASKED.set(Some(asked));
}

/// Takes the last hello, if there was one.
pub(super) fn take() -> Option<Asked> {
    ASKED.take()
}

/// A name in lower case, without a dot at its end.
pub(super) fn canonical(name: &str) -> Box<str> {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase().into()
}
