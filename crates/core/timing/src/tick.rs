//! The grid of 1/30 s that masters are written on, and its timecode.

use std::fmt;
use std::str::FromStr;

use hyperzoom_media::{MASTER_FPS, SAMPLE_RATE};

const SECOND_NS: i128 = 1_000_000_000;
const FPS: u64 = MASTER_FPS as u64;

/// Samples of sound in one tick: a whole number, so that every tick falls on a sample.
pub const SAMPLES_PER_TICK: u64 = (SAMPLE_RATE / MASTER_FPS) as u64;

const _: () = assert!(SAMPLE_RATE.is_multiple_of(MASTER_FPS));

/// The session time of a tick, in nanoseconds: `tick / 30 s`, rounded down to a nanosecond, never by an accumulated
/// step.
#[must_use]
pub fn tick_time_ns(tick: u64) -> i64 {
    i64::try_from(i128::from(tick) * SECOND_NS / i128::from(FPS)).unwrap_or(i64::MAX)
}

/// The first tick at or after a session time. Tick 0 for every time before the session.
#[must_use]
pub fn tick_at_or_after(session_ns: i64) -> u64 {
    // The least n with floor(n · 10⁹ / 30) ≥ t is the least n with n ≥ t · 30 / 10⁹, since t is whole.
    let numerator = i128::from(session_ns.max(0)) * i128::from(FPS);
    ((numerator + SECOND_NS - 1) / SECOND_NS) as u64
}

/// The last tick at or before a session time, or none before the session.
#[must_use]
pub fn tick_at_or_before(session_ns: i64) -> Option<u64> {
    if session_ns < 0 {
        return None;
    }
    let after = tick_at_or_after(session_ns);
    Some(if tick_time_ns(after) > session_ns { after - 1 } else { after })
}

/// The number of a tick's sample on the session clock at 48 kHz.
#[must_use]
pub fn tick_sample(tick: u64) -> u64 {
    tick.saturating_mul(SAMPLES_PER_TICK)
}

/// A tick as people and editing programs write it: hours, minutes, seconds, frames at 30 fps, non-drop.
///
/// Hours count on past 23: a session's clock starts at zero and has no midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timecode(u64);

impl Timecode {
    /// The timecode of a tick.
    #[must_use]
    pub fn from_tick(tick: u64) -> Self {
        Self(tick)
    }

    /// The tick it names.
    #[must_use]
    pub fn tick(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Timecode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / FPS;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        write!(f, "{hours:02}:{minutes:02}:{:02}:{:02}", seconds % 60, self.0 % FPS)
    }
}

/// A text that is not a timecode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a timecode: write HH:MM:SS:FF, with frames from 00 to 29, such as 00:12:30:15")]
pub struct TimecodeError(String);

impl FromStr for Timecode {
    type Err = TimecodeError;

    fn from_str(text: &str) -> Result<Self, TimecodeError> {
        parse(text).map(Self).ok_or_else(|| TimecodeError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<u64> {
    let mut parts = text.trim().split(':').map(|part| {
        let digits = part.len() >= 2 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u64>().ok()).flatten()
    });
    let mut below = |limit: u64| parts.next().flatten().filter(|value| *value < limit);
    let (hours, minutes, seconds, frames) = (below(1 << 32)?, below(60)?, below(60)?, below(FPS)?);
    parts.next().is_none().then_some(((hours * 60 + minutes) * 60 + seconds) * FPS + frames)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_do_not_accumulate_rounding() {
        assert_eq!(tick_time_ns(1), 33_333_333);
        assert_eq!(tick_time_ns(30), 1_000_000_000);
        assert_eq!(tick_time_ns(30 * 3600 * 10), 36_000_000_000_000);
        assert_eq!(tick_sample(30), 48_000);
        assert_eq!(tick_time_ns(u64::MAX), i64::MAX);
        assert_eq!((tick_at_or_after(i64::MIN), tick_at_or_before(-1)), (0, None));
    }

    #[test]
    fn timecode_reads_as_editors_write_it() {
        assert_eq!(Timecode::from_tick(0).to_string(), "00:00:00:00");
        assert_eq!(Timecode::from_tick(30 * (3600 + 23 * 60 + 45) + 29).to_string(), "01:23:45:29");
        assert_eq!(Timecode::from_tick(30 * 3600 * 100).to_string(), "100:00:00:00");
        for wrong in
            ["", "1:00:00:00", "00:00:00", "00:00:00:30", "00:60:00:00", "00:00:00:00:00", "+1:00:00:00"]
        {
            let error = wrong.parse::<Timecode>().unwrap_err();
            assert!(error.to_string().contains("HH:MM:SS:FF"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_tick_is_found_again_from_its_time(tick in 0u64..1 << 37) {
            prop_assert_eq!(tick_at_or_after(tick_time_ns(tick)), tick);
            prop_assert_eq!(tick_at_or_after(tick_time_ns(tick) + 1), tick + 1);
            prop_assert_eq!(tick_at_or_before(tick_time_ns(tick)), Some(tick));
            prop_assert_eq!(tick_at_or_before(tick_time_ns(tick + 1) - 1), Some(tick));
        }

        #[test]
        fn timecode_comes_back_from_text(tick in 0u64..1 << 40) {
            prop_assert_eq!(Timecode::from_tick(tick).to_string().parse(), Ok(Timecode::from_tick(tick)));
        }

        #[test]
        fn no_text_or_time_panics(text: String, ns: i64) {
            let _ = text.parse::<Timecode>();
            let _ = (tick_at_or_after(ns), tick_at_or_before(ns));
        }
    }
}
