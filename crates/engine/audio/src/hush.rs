//! Notices a microphone that hears nothing at all.

use std::time::Duration;

/// How long a microphone may be without any sound before that is said: with the time that passes until somebody looks, two seconds.
const LIMIT: Duration = Duration::from_millis(1700);

/// Watches one open microphone.
///
/// A microphone that works always hears something: its own noise. One that delivers zeros, or nothing, is switched off by a key or a
/// slide of its own, not allowed for this program, or broken.
#[derive(Debug)]
pub(crate) struct Hush {
    heard: u64,
    since: Duration,
    said: bool,
}

impl Hush {
    pub(crate) fn new(now: Duration, heard: u64) -> Self {
        Self { heard, since: now, said: false }
    }

    /// To be asked a few times a second, with how many blocks there were so far that were not all zero. Whether it is time to say that
    /// the microphone hears nothing: once. While it is `muted` nobody wonders.
    pub(crate) fn is_news(&mut self, now: Duration, heard: u64, muted: bool) -> bool {
        if heard != self.heard || muted {
            (self.heard, self.since) = (heard, now);
        }
        if self.said || now.saturating_sub(self.since) < LIMIT {
            return false;
        }
        self.said = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When it is said, in milliseconds, of a microphone that is asked every 200 ms.
    fn said(heard: impl Fn(u64) -> u64, muted: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut hush = Hush::new(Duration::ZERO, 0);
        (0..10_000)
            .step_by(200)
            .filter(|ms| hush.is_news(Duration::from_millis(*ms), heard(*ms), muted(*ms)))
            .collect()
    }

    #[test]
    fn silence_is_said_once_and_within_two_seconds() {
        assert_eq!(said(|_| 0, |_| false), [1800]);
    }

    #[test]
    fn a_microphone_that_hears_now_and_then_is_none_to_speak_of() {
        assert_eq!(said(|ms| ms / 1500, |_| false), [0; 0]);
    }

    #[test]
    fn one_that_falls_silent_later_is() {
        assert_eq!(said(|ms| ms.min(4000), |_| false), [5800]);
    }

    #[test]
    fn one_that_is_muted_may_be_silent() {
        assert_eq!(said(|_| 0, |_| true), [0; 0]);
        assert_eq!(said(|_| 0, |ms| ms < 3000), [4600]);
    }
}
