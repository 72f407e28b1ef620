//! Fuzzes [`walrus_fuzz::name_server_reply`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| walrus_fuzz::name_server_reply(data));
