//! Fuzzes [`walrus_fuzz::transfer`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| walrus_fuzz::transfer(data));
