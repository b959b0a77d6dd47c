//! Windows: the multimedia class scheduler (MMCSS), with the task that the system keeps for recording and playing.

use windows_sys::Win32::System::Threading::{
    AVRT_PRIORITY, AVRT_PRIORITY_HIGH, AVRT_PRIORITY_NORMAL, AvSetMmThreadCharacteristicsW,
    AvSetMmThreadPriority, GetCurrentThread, SetThreadPriority, THREAD_PRIORITY_TIME_CRITICAL,
};
use windows_sys::w;

use crate::{Refused, Work};

/// Among the threads of that task.
fn priority(work: Work) -> AVRT_PRIORITY {
    match work {
        Work::Sound => AVRT_PRIORITY_HIGH,
        Work::Network => AVRT_PRIORITY_NORMAL,
    }
}

pub(super) fn raise(work: Work) -> Result<(), Refused> {
    let mut task = 0;
    // SAFETY: the name is a constant that ends in a zero, and the number is written to once. A thread leaves its task when it ends.
    let handle = unsafe { AvSetMmThreadCharacteristicsW(w!("Pro Audio"), &mut task) };
    if !handle.is_null() {
        // SAFETY: the handle was given for this thread just now. Without the finer order among its like it is raised all the same.
        unsafe { AvSetMmThreadPriority(handle, priority(work)) };
        return Ok(());
    }
    // The service may be switched off.
    // SAFETY: a pseudo-handle of the calling thread is always valid.
    match unsafe { SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_TIME_CRITICAL) } {
        0 => Err(Refused),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) fn is_raised(_: Work) -> bool {
    use windows_sys::Win32::System::Threading::{GetThreadPriority, THREAD_PRIORITY_NORMAL};
    // SAFETY: as above. MMCSS shows in the base priority as the other way does, on Windows; Wine shows the other way alone.
    let shown = unsafe { GetThreadPriority(GetCurrentThread()) } > THREAD_PRIORITY_NORMAL;
    shown || raise(Work::Sound).is_ok()
}
