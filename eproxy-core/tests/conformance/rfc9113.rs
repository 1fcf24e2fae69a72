//! RFC 9113, HTTP/2, of requests that handlers answer: every listener speaks it to those who begin with its preface (§3.3).
//!
//! | file | what is in it |
//! |---|---|
//! | `s3_4.rs` | the preface |
//! | `s4.rs` | frames and header blocks |
//! | `s5.rs` | streams: their states, numbers, and how many there may be |
//! | `s6.rs`, `s6_5.rs` | each type of frame; SETTINGS, PING, GOAWAY |
//! | `s6_9.rs` | flow control, in both directions |
//! | `s6_8.rs` | a server that shuts down |
//! | `s8_1.rs` | requests and answers: bodies, trailers, interim answers |
//! | `s8_2.rs`, `s8_3.rs` | fields; pseudo-header fields and CONNECT |
//! | `s10_5.rs` | floods and other ways to be a burden |

mod s10_5;
mod s3_4;
mod s4;
mod s5;
mod s6;
mod s6_5;
mod s6_8;
mod s6_9;
mod s8_1;
mod s8_2;
mod s8_3;
