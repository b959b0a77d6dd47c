//! Refuses to build a slow recorder: without nasm `openh264-sys2` leaves its SIMD out and says nothing.
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=PATH");
    println!("cargo:rerun-if-env-changed=NASM");
    let x86 = std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64" || arch == "x86");
    let without = std::env::var_os("OPENH264_NO_ASM").is_some();
    if x86 && (without || Command::new("nasm").arg("-v").output().is_err()) {
        println!(
            "cargo:error=nasm was not found, or OPENH264_NO_ASM is set: the H.264 encoder would be several times slower. \
             Install nasm (apt install nasm, dnf install nasm, pacman -S nasm) and run `cargo clean -p openh264-sys2`."
        );
    }
}
