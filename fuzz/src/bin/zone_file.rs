//! Fuzzes [`walrus_fuzz::zone_file`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| walrus_fuzz::zone_file(data));
