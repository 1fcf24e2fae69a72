//! What can be said of a server's description before it is started.

use std::fmt;

use crate::error::Error;

/// Something that is not right with the description of a server; see [`Builder::check`](crate::Builder::check).
#[derive(Debug)]
#[non_exhaustive]
pub enum Finding {
    /// The server does not start: [`start`](crate::Builder::start) fails with the first of these.
    Invalid(Error),
    /// A route, or one of its methods, that no request can ever reach. The server starts all the same.
    Unreachable(Unreachable),
}

/// A route, or one of its methods, that no request can ever reach.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreachable {
    /// The name of the route, or its pattern.
    pub route: String,
    /// Its pattern.
    pub pattern: String,
    /// The method that can't be reached; none where it is what answers any other.
    pub method: Option<String>,
    /// Why.
    pub why: Hidden,
}

/// Why a route, or one of its methods, can't be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hidden {
    /// The route of this name or pattern always comes before it: it has the same hosts and pattern, asks for no more, and
    /// answers the method.
    Behind(String),
    /// A route that was added later with the same hosts, pattern, conditions and priority answers the method in its place.
    Replaced,
    /// It asks for two things that no request can have both.
    Contradiction(String, String),
}

impl Finding {
    /// Whether the server does not start because of it.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Invalid(_))
    }
}

impl From<Error> for Finding {
    fn from(error: Error) -> Self {
        Self::Invalid(error)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => error.fmt(f),
            Self::Unreachable(unreachable) => unreachable.fmt(f),
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { route, pattern, method, why } = self;
        match method {
            Some(method) => write!(f, "{method} of route {route}")?,
            None => write!(f, "route {route}")?,
        }
        if route != pattern {
            write!(f, " ({pattern})")?;
        }
        write!(f, " can never be chosen: {why}")
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind(other) => write!(f, "{other} comes before it and takes all of its requests"),
            Self::Replaced => f.write_str("another that was added later takes its place"),
            Self::Contradiction(one, other) => write!(f, "no request has both: {one}, {other}"),
        }
    }
}
