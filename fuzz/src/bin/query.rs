//! Fuzzes [`walrus_fuzz::query`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| walrus_fuzz::query(data));
