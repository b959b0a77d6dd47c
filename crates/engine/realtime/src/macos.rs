//! macOS: the time constraint policy (Apple, Kernel Programming Guide, "Mach Scheduling and Thread Interfaces"), as Core Audio's own threads have it.

use mach2::kern_return::KERN_SUCCESS;
use mach2::mach_time::{mach_timebase_info, mach_timebase_info_data_t};
use mach2::thread_policy::{
    THREAD_TIME_CONSTRAINT_POLICY, THREAD_TIME_CONSTRAINT_POLICY_COUNT, thread_policy_set,
    thread_time_constraint_policy_data_t,
};

use crate::{Refused, Work};

/// In nanoseconds: how often there is work, how much of a core that takes, and by when it must be done. A frame of 2.5 ms is encoded in a
/// fifth of a millisecond. One who takes more than it said loses the policy.
fn needs(work: Work) -> [u64; 3] {
    match work {
        Work::Sound => [2_500_000, 700_000, 2_000_000],
        Work::Network => [2_500_000, 500_000, 2_500_000],
    }
}

pub(super) fn raise(work: Work) -> Result<(), Refused> {
    let mut timebase = mach_timebase_info_data_t { numer: 0, denom: 0 };
    // SAFETY: it writes to the two numbers.
    if unsafe { mach_timebase_info(&mut timebase) } != KERN_SUCCESS || timebase.numer == 0 {
        return Err(Refused);
    }
    let ticks = |ns: u64| {
        u32::try_from(ns * u64::from(timebase.denom) / u64::from(timebase.numer)).unwrap_or(u32::MAX)
    };
    let [period, computation, constraint] = needs(work).map(ticks);
    let mut policy = thread_time_constraint_policy_data_t { period, computation, constraint, preemptible: 1 };
    // SAFETY: the calling thread's port is valid as long as it runs, and the policy is as long as is said.
    let set = unsafe {
        thread_policy_set(
            libc::pthread_mach_thread_np(libc::pthread_self()),
            THREAD_TIME_CONSTRAINT_POLICY,
            (&raw mut policy).cast(),
            THREAD_TIME_CONSTRAINT_POLICY_COUNT,
        )
    };
    if set == KERN_SUCCESS { Ok(()) } else { Err(Refused) }
}

#[cfg(test)]
pub(super) fn is_raised(_: Work) -> bool {
    use mach2::thread_policy::thread_policy_get;
    // SAFETY: all zeros are a policy, which is overwritten.
    let mut policy: thread_time_constraint_policy_data_t = unsafe { std::mem::zeroed() };
    let (mut count, mut is_default) = (THREAD_TIME_CONSTRAINT_POLICY_COUNT, 0);
    // SAFETY: as above; both numbers are written to.
    let got = unsafe {
        thread_policy_get(
            libc::pthread_mach_thread_np(libc::pthread_self()),
            THREAD_TIME_CONSTRAINT_POLICY,
            (&raw mut policy).cast(),
            &mut count,
            &mut is_default,
        )
    };
    got == KERN_SUCCESS && is_default == 0 && policy.constraint > 0
}
