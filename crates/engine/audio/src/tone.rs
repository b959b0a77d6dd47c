//! The sync tone as the loudspeaker plays it: at its session time, as near as the device's own delay is known.

use std::time::Duration;

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_timing::{SharedClock, TONE_SAMPLES, tone_sample};

/// Plays the tone that was announced last. Never blocks, allocates or frees.
#[derive(Debug, Default)]
pub(crate) struct TonePlayer {
    state: State,
    /// What the device plays before the present period.
    ahead: Duration,
    /// Samples of the period that were mixed already.
    mixed: u64,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Nothing,
    /// It begins then, session time in nanoseconds.
    Due(i64),
    /// The next sample is this one of the tone; those below 0 are still to wait for.
    Playing(i64),
}

impl TonePlayer {
    /// A tone begins at `at_ns` of session time.
    pub(crate) fn set(&mut self, at_ns: i64) {
        self.state = State::Due(at_ns);
    }

    /// A period begins, before which the device plays for so long.
    pub(crate) fn period(&mut self, ahead: Duration) {
        (self.ahead, self.mixed) = (ahead, 0);
    }

    /// Adds the tone to the next samples of the period that was asked for `now`.
    ///
    /// Where it begins is settled once, so that it is whole whatever the callbacks' moments are.
    pub(crate) fn mix(&mut self, now: Duration, clock: &SharedClock, out: &mut [f32]) {
        if let (State::Due(at_ns), Some(clock)) = (&self.state, clock.known()) {
            let mixed = Duration::from_nanos(self.mixed * 1_000_000_000 / u64::from(SAMPLE_RATE));
            let heard_ns = clock.session_ns(now + self.ahead + mixed);
            let since = i128::from(heard_ns) - i128::from(*at_ns);
            let next = (since * i128::from(SAMPLE_RATE)).div_euclid(1_000_000_000);
            if next >= TONE_SAMPLES as i128 {
                self.state = State::Nothing;
            } else if next > -(out.len() as i128) {
                self.state = State::Playing(next as i64);
            }
        }
        if let State::Playing(next) = &mut self.state {
            for (sample, n) in out.iter_mut().zip(*next..) {
                *sample += tone_sample(n);
            }
            *next += out.len() as i64;
            if *next >= TONE_SAMPLES as i64 {
                self.state = State::Nothing;
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
        player.set(at_ns);
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
    fn one_that_is_over_is_not_played_and_one_that_runs_is_joined_in_time() {
        assert!(play(-250_000_000, 480, Duration::ZERO, Duration::ZERO).iter().all(|sample| *sample == 0.0));
        let joined = play(-100_000_000, 480, Duration::ZERO, Duration::ZERO);
        assert!(joined[..4800].iter().zip(4800..).all(|(sample, n)| *sample == tone_sample(n)));
        assert!(joined[4800..].iter().all(|sample| *sample == 0.0));
    }
}
