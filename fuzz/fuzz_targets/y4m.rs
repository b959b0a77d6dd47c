#![no_main]

#[path = "../src/y4m.rs"]
mod y4m;

libfuzzer_sys::fuzz_target!(|data: &[u8]| y4m::run(data));
