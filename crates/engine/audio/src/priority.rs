//! Real-time priority for the threads that carry sound.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyperzoom_realtime::Work;

/// Whether the system refused real-time priority to one of our threads: set by that thread, told by another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusal(Arc<AtomicBool>);

impl Refusal {
    /// Whether there was a refusal. Forgets it.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// What to tell a person whose system refused.
pub(crate) const ADVICE: &str = if cfg!(target_os = "linux") {
    "real-time priority was refused, so a busy machine may make the sound stutter. Allow it with a line \
     \"@audio - rtprio 95\" in /etc/security/limits.d/audio.conf and membership of the group audio"
} else {
    "real-time priority was refused, so a busy machine may make the sound stutter"
};

/// Asks for real-time priority for the calling thread. Neither allocates nor blocks, so that a callback can do it when it first runs.
pub(crate) fn make_real_time(refusal: &Refusal) {
    if hyperzoom_realtime::raise(Work::Sound).is_err() {
        refusal.0.store(true, Ordering::Relaxed);
    }
}
