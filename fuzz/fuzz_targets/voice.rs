#![no_main]

#[path = "../src/voice.rs"]
mod voice;

libfuzzer_sys::fuzz_target!(|data: &[u8]| voice::run(data));
