//! What the whole-program tests share beside the test kit.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

#[cfg(target_os = "linux")]
pub mod disk;
pub mod process;
#[cfg(target_os = "linux")]
pub mod screen;
#[cfg(target_os = "linux")]
pub mod sitting;
