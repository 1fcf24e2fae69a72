//! What may stand behind a route.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::handler::Handler;
use crate::local::{Files, Fixed, Local, Place, Redirect};
use crate::proxy::{Proxy, Reverse};
use crate::upstream::Registry;

/// What can be mounted at a pattern: a [`Handler`], a [`Proxy`], [`Files`], a [`Fixed`] answer or a [`Redirect`].
///
/// It is what [`Builder::at`](crate::Builder::at) and [`Route::any`](crate::Route::any) take; there is no need to
/// implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be mounted at a pattern",
    label = "neither a handler nor a proxy",
    note = "a handler is a closure `|req: Request, res: Response| ...` with its types written out, or a type that \
            implements `Handler`"
)]
pub trait Mount {
    /// Makes it what routes hold.
    fn mount(self) -> Mounted;
}

impl<H: Handler> Mount for H {
    fn mount(self) -> Mounted {
        Mounted(What::Handler(Arc::new(self)))
    }
}

impl Mount for Proxy {
    fn mount(self) -> Mounted {
        Mounted(What::Proxy(Box::new(self)))
    }
}

impl Mount for Mounted {
    fn mount(self) -> Mounted {
        self
    }
}

impl Mount for Fixed {
    fn mount(self) -> Mounted {
        Mounted(What::Local(Box::new(self)))
    }
}

impl Mount for Redirect {
    fn mount(self) -> Mounted {
        Mounted(What::Local(Box::new(self)))
    }
}

impl Mount for Files {
    fn mount(self) -> Mounted {
        Mounted(What::Local(Box::new(self)))
    }
}

/// What is mounted at a pattern.
pub struct Mounted(What);

enum What {
    Handler(Arc<dyn Handler>),
    Local(Box<dyn Local>),
    Proxy(Box<Proxy>),
}

impl Mounted {
    /// The proxy, if it is one.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        match &self.0 {
            What::Handler(_) | What::Local(_) => None,
            What::Proxy(proxy) => Some(proxy),
        }
    }

    /// Looks for what is wrong with its description, at this place; none is where the pattern is malformed.
    ///
    /// # Errors
    ///
    /// `BadOption`, with the first thing that is wrong; for a proxy those of [`Proxy::check`].
    pub(super) fn check(&self, place: Option<&Place<'_>>) -> Result<()> {
        match (&self.0, place) {
            (What::Proxy(proxy), _) => proxy.check(),
            (What::Local(local), Some(place)) => local.build(place).map(drop),
            (What::Local(_), None) | (What::Handler(_), _) => Ok(()),
        }
    }

    /// Makes it what cores work with.
    ///
    /// # Errors
    ///
    /// `BadOption`: something is wrong with its description.
    pub(super) fn build(
        self,
        place: &Place<'_>,
        registry: &mut Registry,
        reverses: &mut Vec<Reverse>,
    ) -> Result<Target> {
        Ok(match self.0 {
            What::Handler(handler) => Target::Handler(handler),
            What::Local(local) => Target::Handler(local.build(place)?),
            What::Proxy(proxy) => {
                reverses.push(proxy.build(registry)?);
                Target::Reverse(reverses.len() - 1)
            }
        })
    }
}

impl fmt::Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            What::Handler(_) => f.write_str("Handler"),
            What::Local(local) => local.fmt(f),
            What::Proxy(proxy) => proxy.fmt(f),
        }
    }
}

/// What answers the requests of a route.
pub(crate) enum Target {
    Handler(Arc<dyn Handler>),
    /// The reverse proxy of this number in its table.
    Reverse(usize),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handler(_) => "Handler",
            Self::Reverse(_) => "Reverse",
        })
    }
}
