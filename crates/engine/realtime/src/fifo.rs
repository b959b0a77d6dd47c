//! Linux and BSD: the scheduler's fixed priorities. A nice value does not do: a busy core lets its own thread finish its slice, which is
//! milliseconds.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::{Refused, Work};

const POLICY: ThreadSchedulePolicy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);

/// Of 1 to 99: below JACK's and PipeWire's own (usually 70 to 88), on whose heels we follow, and above everything that does not carry sound.
fn value(work: Work) -> u8 {
    match work {
        Work::Sound => 20,
        Work::Network => 15,
    }
}

pub(super) fn raise(work: Work) -> Result<(), Refused> {
    let value =
        ThreadPriorityValue::try_from(value(work)).map_or(ThreadPriority::Min, ThreadPriority::Crossplatform);
    set_thread_priority_and_policy(thread_native_id(), value, POLICY).map_err(|_| Refused)
}

#[cfg(test)]
pub(super) fn is_raised(_: Work) -> bool {
    thread_priority::thread_schedule_policy().is_ok_and(|policy| policy == POLICY)
}
