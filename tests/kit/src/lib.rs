//! What tests share: a sound server of their own, other people's readers of recordings, ways to listen by measuring.
//!
//! Everything here panics with a reason where something that a test needs does not work; a program that is not installed
//! is asked for with [`have`] first.

mod corpus;
mod font;
mod heap;
mod jack;
pub mod media;
mod pulse;
pub mod signal;
mod stalls;

pub use corpus::replay;
pub use font::fonts;
pub use heap::{CountingHeap, heap_calls};
pub use jack::Jack;
pub use pulse::{Module, Pulse, Recording};
pub use stalls::Stalls;

use std::io::Write;
use std::process::Command;

/// Whether all of `programs` can be started here. Where one cannot, the test that asks is to return: it is skipped, and
/// `./x test` says so at its end (through the file that `HZ_SKIPPED` names). In continuous integration
/// (`HZ_REQUIRE_ALL`) nothing may be skipped.
///
/// # Panics
/// In continuous integration, where a program is missing.
#[must_use]
pub fn have(programs: &[&str]) -> bool {
    for program in programs {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program} >/dev/null")])
            .status()
            .is_ok_and(|status| status.success());
        if !found {
            assert!(std::env::var_os("HZ_REQUIRE_ALL").is_none(), "{program} is missing");
            skipped(&format!("{program} is not installed"));
            return false;
        }
    }
    true
}

/// Notes that the calling test is skipped.
///
/// # Panics
/// In continuous integration.
pub fn skipped(why: &str) {
    assert!(std::env::var_os("HZ_REQUIRE_ALL").is_none(), "skipped: {why}");
    forbidden(why);
}

/// Notes that the calling test is skipped for what the system forbids and no package brings, such as mounting in a container.
pub fn forbidden(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("skipped {test}: {why}");
    if let Some(list) = std::env::var_os("HZ_SKIPPED") {
        // A list that cannot be written is no reason to fail: the line above is in the test's own output.
        let _ = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(list)
            .and_then(|mut file| writeln!(file, "{test}: {why}"));
    }
}
