#![no_main]

#[path = "../src/reassembly.rs"]
mod reassembly;

libfuzzer_sys::fuzz_target!(|data: &[u8]| reassembly::run(data));
