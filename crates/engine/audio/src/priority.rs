//! Real-time priority for the threads that carry sound.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    if raise().is_err() {
        refusal.0.store(true, Ordering::Relaxed);
    }
}

/// Priority of our real-time threads on Linux and BSD, of 1 to 99: below JACK's and PipeWire's own (usually 70 to 88), on whose
/// heels we follow, and above everything that does not carry sound.
#[cfg(unix)]
const FIFO_PRIORITY: u8 = 20;

#[cfg(unix)]
fn raise() -> Result<(), thread_priority::Error> {
    use thread_priority::{
        RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };
    let value = ThreadPriorityValue::try_from(FIFO_PRIORITY)
        .map_or(ThreadPriority::Min, ThreadPriority::Crossplatform);
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), value, policy)
}

#[cfg(windows)]
fn raise() -> Result<(), thread_priority::Error> {
    use thread_priority::{ThreadPriority, WinAPIThreadPriority, set_current_thread_priority};
    set_current_thread_priority(ThreadPriority::Os(WinAPIThreadPriority::TimeCritical.into()))
}
