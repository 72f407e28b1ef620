//! Fuzzes [`walrus_fuzz::config`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| walrus_fuzz::config(data));
