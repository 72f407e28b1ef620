//! Fuzzes [`walrus_fuzz::https_query`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| walrus_fuzz::https_query(data));
