#![no_main]

#[path = "../src/take.rs"]
mod take;

libfuzzer_sys::fuzz_target!(|data: &[u8]| take::run(data));
