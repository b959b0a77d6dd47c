#![no_main]

#[path = "../src/vp8.rs"]
mod vp8;

libfuzzer_sys::fuzz_target!(|data: &[u8]| vp8::run(data));
