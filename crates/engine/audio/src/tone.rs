//! The sync tone as the loudspeaker plays it: at its session time, as near as the device's own delay is known.

use std::time::Duration;

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_timing::{SharedClock, TONE_SAMPLES, tone_sample};

/// Tones that may be due together: the host has them seconds apart, and tells of them a few seconds ahead.
const MOST: usize = 4;

/// Plays the tones that were announced. Never blocks, allocates or frees.
#[derive(Debug, Default)]
pub(crate) struct TonePlayer {
    /// When those begin that have not begun, session time in nanoseconds.
    due: [Option<i64>; MOST],
    /// The next sample of the one that has begun; those below 0 are still to wait for.
    playing: Option<i64>,
    /// What the device plays before the present period.
    ahead: Duration,
    /// Samples of the period that were mixed already.
    mixed: u64,
}

impl TonePlayer {
    /// A tone begins at `at_ns` of session time. Where too many are due it takes the place of the first of them.
    pub(crate) fn add(&mut self, at_ns: i64) {
        if self.due.contains(&Some(at_ns)) {
            return;
        }
        // None is less than any time.
        if let Some(slot) = self.due.iter_mut().min() {
            *slot = Some(at_ns);
        }
    }

    /// A period begins, before which the device plays for so long.
    pub(crate) fn period(&mut self, ahead: Duration) {
        (self.ahead, self.mixed) = (ahead, 0);
    }

    /// Adds the tones to the next samples of the period that was asked for `now`.
    ///
    /// Where one begins is settled once, so that it is whole whatever the callbacks' moments are.
    pub(crate) fn mix(&mut self, now: Duration, clock: &SharedClock, out: &mut [f32]) {
        if let (true, Some(clock)) = (self.due.iter().any(Option::is_some), clock.known()) {
            let mixed = Duration::from_nanos(self.mixed * 1_000_000_000 / u64::from(SAMPLE_RATE));
            let heard_ns = clock.session_ns(now + self.ahead + mixed);
            for slot in &mut self.due {
                let Some(at_ns) = *slot else { continue };
                let since = i128::from(heard_ns) - i128::from(at_ns);
                let next = (since * i128::from(SAMPLE_RATE)).div_euclid(1_000_000_000);
                if next >= TONE_SAMPLES as i128 {
                    *slot = None;
                } else if next > -(out.len() as i128) && self.playing.is_none() {
                    (*slot, self.playing) = (None, Some(next as i64));
                }
            }
        }
        if let Some(next) = &mut self.playing {
            for (sample, n) in out.iter_mut().zip(*next..) {
                *sample += tone_sample(n);
            }
            *next += out.len() as i64;
            if *next >= TONE_SAMPLES as i64 {
                self.playing = None;
            }
        }
        self.mixed += out.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use hyperzoom_timing::{SessionClock, ToneFinder};

    use super::*;

    /// Plays two seconds in periods, each asked for `late` after its time and in blocks of 480.
    fn play(at_ns: i64, period: usize, ahead: Duration, late: Duration) -> Vec<f32> {
        let clock = SharedClock::of(SessionClock::host(Duration::from_secs(5)));
        let mut player = TonePlayer::default();
        player.add(at_ns);
        let mut out = vec![0.0; 96_000];
        for (n, period) in out.chunks_mut(period).enumerate() {
            let at = Duration::from_secs(5) + Duration::from_nanos((n * period.len()) as u64 * 62_500 / 3);
            player.period(ahead);
            period.chunks_mut(480).for_each(|block| player.mix(at + late, &clock, block));
        }
        out
    }

    #[test]
    fn it_is_heard_at_its_session_time_whatever_the_period() {
        for period in [64, 480, 2000, 4800] {
            for ahead_ms in [0, 7, 40] {
                let out = play(1_000_000_000, period, Duration::from_millis(ahead_ms), Duration::ZERO);
                let mut found = Vec::new();
                let mut finder = ToneFinder::new();
                finder.push(&out, &mut found);
                finder.finish(&mut found);
                assert_eq!(found.len(), 1, "{found:?}");
                let expected = 48_000.0 - ahead_ms as f64 * 48.0;
                assert!((found[0].at - expected).abs() <= 1.0, "period {period}, {ahead_ms} ms: {found:?}");
                assert!(found[0].correlation > 0.999);
            }
        }
    }

    #[test]
    fn further_announcements_cut_off_none_that_is_due_or_plays() {
        let clock = SharedClock::of(SessionClock::IDENTITY);
        let mut player = TonePlayer::default();
        let tenth = |n: usize| n as i64 * 100_000_000;
        let tones: [(usize, i64); 5] =
            [(0, tenth(5)), (1, tenth(25)), (2, tenth(45)), (6, tenth(65)), (26, tenth(85))];
        let mut out = vec![0.0; 480_000];
        for (n, block) in out.chunks_mut(480).enumerate() {
            // Each is told of twice, the fourth and the fifth while one plays.
            tones
                .iter()
                .filter(|(told, _)| n == told * 10 || n == told * 10 + 1)
                .for_each(|(_, at_ns)| player.add(*at_ns));
            player.period(Duration::ZERO);
            player.mix(Duration::from_millis(n as u64 * 10), &clock, block);
        }
        for (n, sample) in (0_i64..).zip(&out) {
            let expected: f32 = tones.iter().map(|(_, at_ns)| tone_sample(n - at_ns / 1_000_000 * 48)).sum();
            assert_eq!(*sample, expected, "sample {n}");
        }
        // Of more than it keeps the last ones are played.
        for n in 0..6 {
            player.add(10_000_000_000 + tenth(n * 20));
        }
        let mut out = vec![0.0; 960_000];
        player.period(Duration::ZERO);
        out.chunks_mut(480).for_each(|block| player.mix(Duration::from_secs(10), &clock, block));
        let loud = |second: usize| out[second * 48_000..][..9600].iter().any(|sample| *sample != 0.0);
        assert_eq!([0, 2, 4, 6, 8, 10].map(loud), [false, false, true, true, true, true]);
    }

    #[test]
    fn one_that_is_over_is_not_played_and_one_that_runs_is_joined_in_time() {
        assert!(play(-250_000_000, 480, Duration::ZERO, Duration::ZERO).iter().all(|sample| *sample == 0.0));
        let joined = play(-100_000_000, 480, Duration::ZERO, Duration::ZERO);
        assert!(joined[..4800].iter().zip(4800..).all(|(sample, n)| *sample == tone_sample(n)));
        assert!(joined[4800..].iter().all(|sample| *sample == 0.0));
    }
}
