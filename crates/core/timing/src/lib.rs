//! Puts every machine of a call on one clock, so that what they record lines up by itself.
//!
//! The *session clock* is the host's monotonic clock since the session began, in nanoseconds. The host knows it
//! exactly ([`SessionClock::host`]); everybody else estimates it from time exchanges ([`ClockEstimator`]), for the
//! whole session and with its skew, since two crystals that differ by 100 ppm are 360 ms apart after an hour. The
//! threads that stamp and record media read the latest estimate from a [`SharedClock`], which a real-time thread may
//! do at any time.
//!
//! A sound device counts samples by a crystal of its own; [`DeviceClock`] says which session time each of them has.
//!
//! Masters are written on a grid of [ticks](tick_time_ns) of 1/30 s of session time, and [`Timecode`] names a tick.
//!
//! A [sync tone](tone_sample) lies at the same session time in each of them. [`ToneFinder`] finds it again, and [`align()`] says how two
//! recordings of the same sound lie to each other: neither trusts what anybody says of the clock. What is compared later, [`Spread`] keeps.
//!
//! Nothing here asks for the time: a local moment is a [`Duration`](std::time::Duration) since the process's epoch.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod align;
mod clock;
mod device;
mod estimator;
mod line;
mod pip;
mod shared;
mod spread;
mod tick;
mod tone;

pub use align::{Alignment, Drift, align, likeness};
pub use clock::SessionClock;
pub use device::DeviceClock;
pub use estimator::{ClockEstimator, Exchange, Rejected};
pub use pip::{PIP_SECONDS, pip};
pub use shared::SharedClock;
pub use spread::Spread;
pub use tick::{
    SAMPLES_PER_TICK, Timecode, TimecodeError, tick_at_or_after, tick_at_or_before, tick_sample, tick_time_ns,
};
pub use tone::{FoundTone, TONE_AMPLITUDE, TONE_HZ, TONE_SAMPLES, ToneFinder, tone_sample};
