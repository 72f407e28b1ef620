//! Fuzzes [`walrus_fuzz::journal`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| walrus_fuzz::journal(data));
