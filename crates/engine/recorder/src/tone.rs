//! Sync tones in a take's sound: each at its session time, by the position of its samples.

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_timing::{TONE_SAMPLES, Timecode, tick_at_or_before, tone_sample};
use serde::{Deserialize, Serialize};

/// A sync tone that is in the sound of a take: 1 kHz, 200 ms, mixed into it at its session time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncTone {
    /// When it begins, in nanoseconds of session time: the same in everybody's take.
    pub session_ns: i64,
    /// Its first sample in the file, at 48 kHz.
    pub sample: u64,
}

impl SyncTone {
    /// The timecode of the picture at which it begins.
    #[must_use]
    pub fn timecode(&self) -> Timecode {
        Timecode::from_tick(tick_at_or_before(self.session_ns).unwrap_or(0))
    }
}

/// The tones of a take that runs.
#[derive(Debug, Default)]
pub(crate) struct Tones {
    /// Those whose place has not been settled yet, and those that are in, in any order. None is told twice.
    ahead: Vec<SyncTone>,
    mixed: Vec<SyncTone>,
}

impl Tones {
    /// A tone begins at `session_ns`, which is `take_ns` in a take that begins at `start_ns`. What lies before the take is not part of it.
    pub(crate) fn announce(&mut self, session_ns: i64, take_ns: i64, start_ns: i64) {
        let since = (i128::from(take_ns) - i128::from(start_ns)) * i128::from(SAMPLE_RATE);
        // To the nearest sample: the start is a tick, whose nanoseconds are rounded down.
        let Ok(sample) = u64::try_from((since + 500_000_000).div_euclid(1_000_000_000)) else { return };
        let known = self.ahead.iter().chain(&self.mixed).any(|tone| tone.session_ns == session_ns);
        if !known {
            self.ahead.push(SyncTone { session_ns, sample });
        }
    }

    /// Adds the tones to the samples of the take from `first` on. One whose beginning has been written is too late for it.
    pub(crate) fn mix(&mut self, first: u64, samples: &mut [f32]) {
        let end = first + samples.len() as u64;
        self.ahead.retain(|tone| {
            if tone.sample >= end {
                return true;
            }
            if tone.sample >= first {
                self.mixed.push(*tone);
            }
            false
        });
        for tone in &self.mixed {
            if tone.sample >= end || tone.sample + TONE_SAMPLES as u64 <= first {
                continue;
            }
            let n = first as i64 - tone.sample as i64;
            for (sample, n) in samples.iter_mut().zip(n..) {
                *sample += tone_sample(n);
            }
        }
    }

    /// The tones that are whole in a take of `total` samples.
    pub(crate) fn whole(&self, total: u64) -> Vec<SyncTone> {
        let inside = |tone: &&SyncTone| tone.sample.saturating_add(TONE_SAMPLES as u64) <= total;
        self.mixed.iter().filter(inside).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use hyperzoom_timing::tick_time_ns;

    use super::*;

    #[test]
    fn a_tone_lies_at_its_sample_however_the_sound_is_cut() {
        let start_ns = tick_time_ns(31);
        for block in [1, 64, 480, 4801, 100_000] {
            let mut tones = Tones::default();
            let mut out = vec![0.1_f32; 100_000];
            for (n, part) in out.chunks_mut(block).enumerate() {
                if n == 0 {
                    tones.announce(2_000_000_000, 2_000_000_000, start_ns);
                    tones.announce(2_000_000_000, 2_000_000_000, start_ns);
                }
                tones.mix((n * block) as u64, part);
            }
            // Tick 31 is a thirtieth after the first second: 46 400 samples before the second.
            for (n, sample) in (0_i64..).zip(&out) {
                assert_eq!(*sample, 0.1 + tone_sample(n - 46_400), "sample {n} in blocks of {block}");
            }
            assert_eq!(tones.whole(100_000), [SyncTone { session_ns: 2_000_000_000, sample: 46_400 }]);
            assert_eq!((tones.whole(56_000).len(), tones.whole(55_999).len()), (1, 0));
        }
    }

    #[test]
    fn one_that_comes_too_late_or_before_the_take_is_left_out() {
        let mut tones = Tones::default();
        let mut out = vec![0.0_f32; 48_000];
        tones.announce(500_000_000, 500_000_000, 1_000_000_000);
        tones.mix(0, &mut out);
        tones.announce(1_990_000_000, 1_990_000_000, 1_000_000_000);
        tones.mix(48_000, &mut out);
        assert!(out.iter().all(|sample| *sample == 0.0));
        assert_eq!(tones.whole(u64::MAX), []);
    }
}
