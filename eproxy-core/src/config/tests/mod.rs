//! That the tables of keys, what is built, the schema and the reference say the same.

mod effects;
mod reference;
