//! Time on the clock and of the processor.

use std::time::{Duration, Instant};

/// What one step took.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    clock: Duration,
    processor: Duration,
}

/// What a step took, each time.
#[derive(Default)]
pub(crate) struct Costs(Vec<Cost>);

impl Costs {
    /// Runs the step.
    pub(crate) fn of<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let (began, processor) = (Instant::now(), processor_time(Whose::Ours));
        let result = step();
        let clock = began.elapsed();
        let used = processor_time(Whose::Ours).zip(processor).map(|(now, then)| now.saturating_sub(then));
        self.0.push(Cost { clock, processor: used.unwrap_or(clock) });
        result
    }

    /// The processor's time for each, on average: the kernel counts it in steps that are too coarse for one.
    pub(crate) fn mean(&self) -> Duration {
        self.0.iter().map(|cost| cost.processor).sum::<Duration>() / self.0.len().max(1) as u32
    }

    /// One row of the table.
    pub(crate) fn print(&self, step: &str) {
        let mut clock: Vec<Duration> = self.0.iter().map(|cost| cost.clock).collect();
        clock.sort_unstable();
        let at = |part: f64| clock[(clock.len() as f64 * part) as usize].as_secs_f64() * 1e3;
        let mean = self.mean().as_secs_f64() * 1e3;
        println!("  {step:<38} {:>9.2} {:>9.2} {mean:>11.2}", at(0.5), at(0.95));
    }
}

/// Whose processor time is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Whose {
    /// All threads of this process.
    Ours,
    /// All processes that it started and that have ended.
    Children,
}

/// The processor time so far, where the system tells (`getrusage(2)`).
#[cfg(unix)]
pub(crate) fn processor_time(whose: Whose) -> Option<Duration> {
    let who = match whose {
        Whose::Ours => libc::RUSAGE_SELF,
        Whose::Children => libc::RUSAGE_CHILDREN,
    };
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the struct is writable and as large as libc says; zeroes are a valid value of it.
    let usage = unsafe {
        if libc::getrusage(who, usage.as_mut_ptr()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    Some(time(usage.ru_utime) + time(usage.ru_stime))
}

/// Not told here.
#[cfg(not(unix))]
pub(crate) fn processor_time(_: Whose) -> Option<Duration> {
    None
}
