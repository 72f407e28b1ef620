//! Fuzzes [`walrus_fuzz::message`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| walrus_fuzz::message(data));
