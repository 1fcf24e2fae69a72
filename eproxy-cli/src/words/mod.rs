//! What is written from the flags: completions for shells, and the man page. Built for tests only: one of them compares with
//! the files that are kept, and `BLESS=1 cargo test -p eproxy-cli words` writes them anew.
//!
//! | file | what it writes |
//! |---|---|
//! | `flag.rs` | nothing yet: what the flags and sub-commands are, in the words of the others |
//! | `bash.rs`, `zsh.rs`, `fish.rs` | `examples/completions/eproxy.bash`, `_eproxy`, `eproxy.fish` |
//! | `man.rs` | `docs/eproxy.1` |
//! | `tests.rs` | the files themselves, and whether shells and `man` make of them what they should |

mod bash;
mod fish;
mod flag;
mod man;
mod tests;
mod zsh;
