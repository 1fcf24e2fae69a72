//! Gives `eproxy_core::fuzzing::local` its bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| eproxy_core::fuzzing::local(input));
