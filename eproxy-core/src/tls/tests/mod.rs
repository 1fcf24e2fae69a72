//! Both sides of TLS, with nothing but memory in between.

mod agreeing;
mod bytes;
mod sides;

pub(super) use sides::{Authority, Both, Pair, trusts};
