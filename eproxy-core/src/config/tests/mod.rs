//! That the tables of keys, what is built, the schema and the reference say the same.

// They set keys of discoveries that need it.
#[cfg(feature = "dns")]
mod effects;
mod odd;
mod reference;
