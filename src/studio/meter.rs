//! Levels as people see them.

use std::time::{Duration, Instant};

use hyperzoom_ui_plugin::model::Loudness;

/// The quietest that is told apart from silence, in dB of full scale.
const SILENCE_DB: f32 = -100.0;

/// The bar falls by so much in a second, in dB: slowly enough to be read.
const FALL_DB: f32 = 30.0;

/// A sample as great as this is the greatest that converters of 16 bits and more know.
const CLIPS: f32 = 0.999;

/// So long that is said.
const CLIP_HOLD: Duration = Duration::from_secs(2);

/// Whoever is louder than this speaks: −40 dB of full scale.
const SPEAKS: f32 = 0.01;

/// And is still speaking so long after a syllable.
const SPEAKS_HOLD: Duration = Duration::from_millis(200);

/// The bar of a microphone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meter {
    read: Option<Instant>,
    db: f32,
    clipped: Option<Instant>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { read: None, db: SILENCE_DB, clipped: None }
    }
}

impl Meter {
    /// Takes the peak since it was last read.
    pub(super) fn read(&mut self, now: Instant, peak: f32) -> Loudness {
        let since = self.read.replace(now).map_or(Duration::ZERO, |read| now.saturating_duration_since(read));
        self.db = (self.db - FALL_DB * since.as_secs_f32()).max(decibels(peak));
        if peak >= CLIPS {
            self.clipped = Some(now);
        }
        let is_recent = |at: Instant| now.saturating_duration_since(at) < CLIP_HOLD;
        // What is drawn does not change for what nobody sees.
        let peak_db = (self.db * 10.0).round() / 10.0;
        Loudness { peak_db, clipped: self.clipped.is_some_and(is_recent) }
    }
}

/// Whether somebody speaks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Speaking(Option<Instant>);

impl Speaking {
    /// Takes the peak since it was last asked.
    pub(super) fn note(&mut self, now: Instant, peak: f32) -> bool {
        if peak >= SPEAKS {
            self.0 = Some(now);
        }
        self.0.is_some_and(|spoke| now.saturating_duration_since(spoke) < SPEAKS_HOLD)
    }
}

/// A sample's level, in dB of full scale.
pub(super) fn decibels(sample: f32) -> f32 {
    if sample > 0.0 { (20.0 * sample.log10()).clamp(SILENCE_DB, 0.0) } else { SILENCE_DB }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_rises_at_once_and_falls_slowly() {
        let (mut meter, begin) = (Meter::default(), Instant::now());
        let mut read = |ms: u64, peak: f32| meter.read(begin + Duration::from_millis(ms), peak);
        assert_eq!(read(0, 0.0), Loudness { peak_db: -100.0, clipped: false });
        assert_eq!(read(50, 0.1), Loudness { peak_db: -20.0, clipped: false });
        assert_eq!(read(150, 0.0).peak_db, -23.0);
        assert_eq!(read(160, 1.2), Loudness { peak_db: 0.0, clipped: true });
        assert_eq!(read(2100, 0.0), Loudness { peak_db: -58.2, clipped: true });
        assert!(!read(2200, 0.0).clipped);
        assert_eq!(read(60_000, f32::NAN).peak_db, -100.0);
    }

    #[test]
    fn who_pauses_between_two_words_goes_on_speaking() {
        let (mut speaking, begin) = (Speaking::default(), Instant::now());
        let mut note = |ms: u64, peak: f32| speaking.note(begin + Duration::from_millis(ms), peak);
        let heard = [(0, 0.001), (10, 0.02), (150, 0.0), (209, 0.0), (211, 0.0), (220, 0.5)];
        assert_eq!(heard.map(|(ms, peak)| note(ms, peak)), [false, true, true, true, false, true]);
    }
}
