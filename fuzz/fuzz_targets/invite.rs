#![no_main]

#[path = "../src/invite.rs"]
mod invite;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invite::run(data));
