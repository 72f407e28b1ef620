//! Fuzzes [`walrus_fuzz::update`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| walrus_fuzz::update(data));
