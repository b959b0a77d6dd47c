//! What the whole-program tests share: processes, a sound server of their own, and ways to look at what came out.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod media;
pub mod process;
pub mod pulse;
pub mod signal;

use std::process::Command;

/// Whether `program` can be started here. Where it cannot, the test that asks is skipped with a note; in continuous
/// integration (`HZ_REQUIRE_ALL`) nothing may be skipped.
pub fn have(program: &str, why: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program} >/dev/null")])
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        assert!(std::env::var_os("HZ_REQUIRE_ALL").is_none(), "{program} is missing: {why}");
        eprintln!("SKIPPED: no {program} here ({why})");
    }
    found
}
