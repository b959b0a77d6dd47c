//! Takes of one session against each other, by what is to be heard in them: `hyperzoom verify A B C D`.

use std::path::{Path, PathBuf};

use hyperzoom_timing::{Drift, FoundTone, Timecode, tick_sample};
use serde::Serialize;

use super::certificate::Grade;
use super::sound;
use crate::verify::VerifyError;

/// Tones that lie within this of each other once the takes are shifted are the same, in milliseconds.
const SAME_MS: f64 = 5.0;
/// Two takes whose sound is further apart than this are red, in milliseconds.
const RED_MS: f64 = 1.0;
/// A drift above this is amber, in parts per million.
const DRIFT_PPM: f64 = 1.0;
/// Tones that are nearer to each other tell of no drift, in seconds: a hundredth of a millisecond would be a part in a million.
const DRIFT_SECONDS: f64 = 10.0;

/// A take as it sounds.
#[derive(Debug, Clone)]
pub struct Listened {
    /// Its folder.
    pub folder: PathBuf,
    /// The session, as the file's head says; empty where it does not.
    pub session_id: String,
    /// The session time of its first sample, in samples at 48 kHz, as its timecode track says.
    start: f64,
    len: u64,
    tones: Vec<FoundTone>,
}

/// How two takes lie to each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The first take's folder.
    pub first: PathBuf,
    /// The second take's.
    pub second: PathBuf,
    /// The verdict; `null` where they have no common time.
    pub grade: Option<Grade>,
    /// Why it is no better, or what it rests on.
    pub reason: String,
    /// Sync tones that both have.
    pub tones: usize,
    /// How much later the second take's sound lies than the first one's, where both are placed by their timecode; the mean of the tones,
    /// in milliseconds.
    pub offset_ms: Option<f64>,
    /// The tone with the greatest offset, in milliseconds.
    pub worst_ms: Option<f64>,
    /// How the offset grows, in parts per million, where the tones lie far enough apart.
    pub residual_drift_ppm: Option<f64>,
}

/// Listens to the whole take in `folder`.
///
/// # Errors
/// [`VerifyError`] where its recording cannot be read, is none, or does not decode.
pub fn listen(folder: &Path) -> Result<Listened, VerifyError> {
    let (recording, sound) = sound::open(folder)?;
    let damaged = |reason| VerifyError::Damaged { path: folder.join(crate::folder::RECORDING), reason };
    // The track is what editing programs go by; the head beside it must say the same, which the take's own checks look at.
    let start_tick = match (&recording.timecode, &recording.movie) {
        (_, Ok(movie)) if recording.timecode.is_none() => movie.start_tick,
        (Some(frame), Ok(movie)) => {
            // The track counts in 32 bits.
            movie.start_tick - (movie.start_tick & u64::from(u32::MAX)) + u64::from(*frame)
        }
        (Some(frame), Err(_)) => u64::from(*frame),
        (None, _) => return Err(damaged("it has no timecode".to_owned())),
    };
    let (len, tones) = match sound {
        Some(mut sound) => (sound.len(), sound.tones(0, u64::MAX).map_err(damaged)?),
        None => (0, Vec::new()),
    };
    Ok(Listened {
        folder: folder.to_owned(),
        session_id: recording.movie.map(|movie| movie.about.session_id).unwrap_or_default(),
        start: tick_sample(start_tick) as f64,
        len,
        tones,
    })
}

impl Listened {
    /// The session times of its tones by its timecode, in milliseconds.
    fn moments(&self) -> Vec<f64> {
        self.tones.iter().map(|tone| (self.start + tone.at) / 48.0).collect()
    }

    /// Whether it lasts, by its timecode, at a session time in milliseconds.
    fn spans(&self, ms: f64) -> bool {
        (self.start / 48.0..=(self.start + self.len as f64) / 48.0).contains(&ms)
    }

    /// The timecodes of the tones that were found in it.
    #[must_use]
    pub fn tone_timecodes(&self) -> Vec<Timecode> {
        self.moments().iter().map(|ms| Timecode::from_tick((ms * 0.03 + 0.01).max(0.0) as u64)).collect()
    }
}

/// Says how two takes of one session lie to each other.
#[must_use]
pub fn compare(first: &Listened, second: &Listened) -> Comparison {
    let (a, b) = (first.moments(), second.moments());
    let offset = likeliest(&a, &b);
    let pairs = offset.map(|offset| pairs(&a, &b, offset)).unwrap_or_default();
    // Of two takes of which each has one tone, at a time when the other was not there, these are two tones and not one that is off.
    let elsewhere = |(a, b): &(f64, f64)| !second.spans(*a) && !first.spans(*b);
    let pairs = if pairs.len() == 1 && elsewhere(&pairs[0]) { Vec::new() } else { pairs };
    let mut it = Comparison {
        first: first.folder.clone(),
        second: second.folder.clone(),
        grade: None,
        reason: String::new(),
        tones: pairs.len(),
        offset_ms: None,
        worst_ms: None,
        residual_drift_ppm: None,
    };
    if pairs.is_empty() {
        let span = |take: &Listened| (take.start, take.start + take.len as f64);
        let (a, b) = (span(first), span(second));
        let common = a.1.min(b.1) - a.0.max(b.0);
        (it.grade, it.reason) = match (first.len.min(second.len), common > 0.0) {
            (0, _) => (Some(Grade::Amber), "one of them has no sound".to_owned()),
            (_, false) => (None, "by their timecode they have no moment in common".to_owned()),
            (_, true) => {
                (Some(Grade::Amber), "no sync tone is in both: nothing says how they lie".to_owned())
            }
        };
        return it;
    }
    let offsets: Vec<f64> = pairs.iter().map(|(a, b)| b - a).collect();
    let mean = offsets.iter().sum::<f64>() / offsets.len() as f64;
    let worst =
        offsets.iter().copied().fold(0.0, |worst: f64, it| if it.abs() > worst.abs() { it } else { worst });
    let points: Vec<_> = pairs.iter().map(|(a, b)| (a / 1000.0, b - a)).collect();
    let long = points[points.len() - 1].0 - points[0].0 >= DRIFT_SECONDS;
    let ppm = Drift::of(&points).filter(|_| long).map(|drift| thousandths(drift.ppm));
    it.offset_ms = Some(thousandths(mean));
    it.worst_ms = Some(thousandths(worst));
    it.residual_drift_ppm = ppm;
    let drifts = ppm.is_some_and(|ppm| ppm.abs() > DRIFT_PPM);
    (it.grade, it.reason) = if worst.abs() > RED_MS {
        let side = if worst > 0.0 { "later" } else { "earlier" };
        let ms = worst.abs();
        (Some(Grade::Red), format!("the second's sound is {ms:.3} ms {side} than its timecode says"))
    } else if drifts {
        (Some(Grade::Amber), format!("they drift by {:+.2} ppm", ppm.unwrap_or_default()))
    } else {
        (Some(Grade::Green), format!("{} sync tones within {:.3} ms", pairs.len(), worst.abs()))
    };
    it
}

/// The offset, in milliseconds, at which the most tones of both fall together; of equals the least.
fn likeliest(a: &[f64], b: &[f64]) -> Option<f64> {
    let candidates = a.iter().flat_map(|a| b.iter().map(move |b| b - a));
    let score = |offset: f64| (pairs(a, b, offset).len(), -offset.abs());
    let better = |l: &f64, r: &f64| {
        let (l, r) = (score(*l), score(*r));
        l.0.cmp(&r.0).then(l.1.total_cmp(&r.1))
    };
    candidates.max_by(better)
}

/// The tones of both that fall together at an offset, in order.
fn pairs(a: &[f64], b: &[f64], offset: f64) -> Vec<(f64, f64)> {
    let partner = |a: f64| b.iter().copied().find(|b| (b - a - offset).abs() < SAME_MS);
    a.iter().filter_map(|a| Some((*a, partner(*a)?))).collect()
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(start_s: f64, tones_ms: &[f64]) -> Listened {
        let tone = |ms: &f64| FoundTone { at: ms * 48.0, level: 1.0, correlation: 1.0 };
        Listened {
            folder: PathBuf::from("take"),
            session_id: "1".into(),
            start: start_s * 48_000.0,
            len: 60 * 48_000,
            tones: tones_ms.iter().map(tone).collect(),
        }
    }

    #[test]
    fn takes_that_lie_as_their_timecode_says_are_green() {
        let it = compare(&take(1.0, &[3000.0, 9000.0, 30_000.0]), &take(2.0, &[8000.02, 29_000.01]));
        assert_eq!((it.grade, it.tones), (Some(Grade::Green), 2));
        assert!((it.offset_ms.unwrap() - 0.015).abs() < 1e-6 && (it.worst_ms.unwrap() - 0.02).abs() < 1e-6);
        assert!((it.residual_drift_ppm.unwrap() + 0.476).abs() < 0.01, "{it:?}");
    }

    #[test]
    fn a_wrong_timecode_is_red_however_wrong() {
        for off in [1.5, -40.0, 4000.0, -90_000.0] {
            let it = compare(&take(1.0, &[3000.0, 9000.0]), &take(1.0, &[3000.0 + off, 9000.0 + off]));
            assert_eq!((it.grade, it.tones), (Some(Grade::Red), 2), "{it:?}");
            assert!((it.offset_ms.unwrap() - off).abs() < 1e-6);
        }
    }

    #[test]
    fn drift_is_told_and_what_says_nothing_is_said() {
        let it = compare(&take(1.0, &[3000.0, 33_000.0]), &take(1.0, &[3000.0, 33_000.3]));
        assert_eq!((it.grade, it.residual_drift_ppm), (Some(Grade::Amber), Some(10.0)));
        let it = compare(&take(1.0, &[]), &take(1.0, &[3000.0]));
        assert_eq!((it.grade, it.offset_ms), (Some(Grade::Amber), None));
        let it = compare(&take(1.0, &[]), &take(100.0, &[3000.0]));
        assert_eq!(it.grade, None);
    }

    #[test]
    fn takes_that_had_no_tone_at_the_same_time_are_not_held_to_one() {
        // Of one who was cut off and came back: each take has a tone of its own.
        let it = compare(&take(1.0, &[3000.0]), &take(70.0, &[3000.0]));
        assert_eq!((it.grade, it.tones, it.offset_ms), (None, 0, None), "{it:?}");
        // They overlap, and the second one's tone came when the first had ended.
        let it = compare(&take(1.0, &[3000.0]), &take(50.0, &[15_000.0]));
        assert_eq!((it.grade, it.offset_ms), (Some(Grade::Amber), None), "{it:?}");
        // One tone that both should have is off.
        let it = compare(&take(1.0, &[3000.0]), &take(1.0, &[3040.0]));
        assert_eq!(it.grade, Some(Grade::Red), "{it:?}");
    }
}
