//! Precedence for the threads that carry sound, as each system grants it: `SCHED_FIFO` on Linux and BSD, MMCSS's "Pro Audio" on Windows, the
//! time constraint policy on macOS.
#![deny(missing_docs)]

#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
#[cfg_attr(all(unix, not(target_os = "macos")), path = "fifo.rs")]
mod system;

/// What a thread does, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Takes sound from a device, encodes it, or gives it to one: late by a few milliseconds is heard.
    Sound,
    /// Takes packets from the network: arrival stamps are only as good as it is quick.
    Network,
}

/// The system would not have it: an ordinary priority is what the thread keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the system refused real-time priority")
    }
}

impl std::error::Error for Refused {}

/// Asks for precedence for the calling thread. Neither allocates nor waits for anybody, so that a callback can do it when it first runs.
///
/// # Errors
/// [`Refused`] where the system does not grant it.
pub fn raise(work: Work) -> Result<(), Refused> {
    system::raise(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_what_it_asked_for_or_is_told_that_it_has_not() {
        for work in [Work::Sound, Work::Network] {
            let asked = std::thread::spawn(move || (raise(work), system::is_raised(work)));
            let (granted, is_raised) = asked.join().unwrap_or((Err(Refused), true));
            assert_eq!(granted.is_ok(), is_raised, "{work:?}");
        }
    }
}
