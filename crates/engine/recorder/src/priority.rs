//! Precedence for the threads that record, over everything but what carries sound live.

use std::thread;

use crate::error::RecordError;

/// Nice value of the recording threads on Linux: well before programs at 0. It takes a privilege (`RLIMIT_NICE` or
/// `CAP_SYS_NICE`); without it they run as others do, and the ring is all that they have.
#[cfg(target_os = "linux")]
const NICE: i32 = -10;

/// Asks for precedence for the calling thread, and on Linux for those that it will start. Being refused is no error.
pub(crate) fn raise() {
    if let Err(error) = system::raise() {
        tracing::debug!("the recording threads run at normal priority: {error}");
    }
}

/// Runs `make` on a thread that has precedence: what it makes may start threads of its own, which inherit it on Linux.
pub(crate) fn on_raised_thread<T: Send>(make: impl FnOnce() -> T + Send) -> Result<T, RecordError> {
    thread::scope(|scope| {
        let maker = thread::Builder::new().name("hz-rec-setup".to_owned()).spawn_scoped(scope, || {
            raise();
            make()
        });
        let made = maker.map_err(RecordError::Thread)?.join();
        Ok(made.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;

    /// On Linux a nice value is a thread's own (`setpriority(2)`, «C library/kernel differences»), and 0 is the caller.
    pub(super) fn raise() -> io::Result<()> {
        // SAFETY: it touches no memory.
        match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, super::NICE) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use thread_priority::{Error, ThreadPriority, ThreadPriorityValue, set_current_thread_priority};

    pub(super) fn raise() -> Result<(), Error> {
        let value =
            ThreadPriorityValue::try_from(80_u8).map_or(ThreadPriority::Max, ThreadPriority::Crossplatform);
        set_current_thread_priority(value)
    }
}
