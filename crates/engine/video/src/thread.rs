//! Threads with a name.

use std::thread::JoinHandle;

use crate::VideoError;

/// What a thread gives way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precedence {
    /// Before other programs, where the system allows it: what the recording needs.
    High,
    /// As other programs.
    Normal,
    /// The first to give way.
    Low,
}

impl Precedence {
    /// As a nice value of Linux, where each thread has its own (`setpriority(2)`).
    #[cfg(target_os = "linux")]
    fn nice(self) -> i32 {
        match self {
            Self::High => -10,
            Self::Normal => 0,
            Self::Low => 5,
        }
    }

    /// Takes it for the calling thread. Being refused is no error: the recording's ring holds seconds.
    fn take(self) {
        #[cfg(target_os = "linux")]
        if self != Self::Normal {
            // SAFETY: it touches no memory; 0 is the calling thread.
            if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, self.nice()) } != 0 {
                let error = std::io::Error::last_os_error();
                tracing::debug!(precedence = ?self, "a video thread runs at normal priority: {error}");
            }
        }
    }
}

/// Starts a thread whose name a debugger and `top -H` show.
pub(crate) fn spawn(
    name: &str,
    precedence: Precedence,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, VideoError> {
    let run = move || {
        precedence.take();
        body();
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(VideoError::Thread)
}

/// Repeats a question until it has an answer; gives up after a minute, so that a broken thread fails its test.
#[cfg(test)]
pub(crate) fn wait_for<T>(mut question: impl FnMut() -> Option<T>) -> T {
    let asked = std::time::Instant::now();
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(asked.elapsed().as_secs() < 60, "no answer within a minute");
        std::thread::yield_now();
    }
}
