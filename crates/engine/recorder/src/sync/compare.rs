//! Takes of one session against each other, by what is to be heard in them: `hyperzoom verify A B C D`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use hyperzoom_timing::{Drift, FoundTone, Timecode, tick_sample};
use serde::Serialize;

use super::certificate::{Grade, SyncCertificate};
use super::sound;
use crate::folder::CERTIFICATE;
use crate::verify::VerifyError;

/// Samples in a second.
const RATE: f64 = hyperzoom_media::SAMPLE_RATE as f64;
/// Tones that lie within this of each other once the takes are shifted are the same, in milliseconds.
const SAME_MS: f64 = 5.0;
/// Tones of each take by which they are laid beside each other: a call has some dozens, and whatever else beeps may have thousands.
const MOST_TONES: usize = 1000;
/// Two takes whose sound is further apart than this are red, in milliseconds.
const RED_MS: f64 = 1.0;
/// A drift above this is amber, in parts per million.
const DRIFT_PPM: f64 = 1.0;
/// Tones that are nearer to each other tell of no drift, in seconds: a hundredth of a millisecond would be a part in a million.
const DRIFT_SECONDS: f64 = 10.0;
/// Tones that span less than this share of the takes' common time say little of the rest of it.
const SPAN: f64 = 0.5;
/// Of so short a common time they say enough, in seconds.
const SHORT_SECONDS: f64 = 60.0;
/// A certificate that is longer than this is none, in bytes.
const CERTIFICATE_MOST: u64 = 1 << 20;

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
    /// Whether its certificate is green.
    certified: bool,
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
        certified: is_certified(folder),
    })
}

/// Whether the computer that made the take has found it green.
fn is_certified(folder: &Path) -> bool {
    let mut json = Vec::new();
    let read = File::open(folder.join(CERTIFICATE))
        .and_then(|file| file.take(CERTIFICATE_MOST).read_to_end(&mut json));
    let certificate = read.ok().and_then(|_| serde_json::from_slice::<SyncCertificate>(&json).ok());
    certificate.is_some_and(|it| it.grade == Grade::Green)
}

impl Listened {
    /// The session times of its tones by its timecode, in milliseconds.
    fn moments(&self) -> Vec<f64> {
        self.tones.iter().map(|tone| (self.start + tone.at) / 48.0).collect()
    }

    /// From when to when it is by its timecode, in seconds of session time.
    fn span(&self) -> (f64, f64) {
        (self.start / RATE, (self.start + self.len as f64) / RATE)
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
    let lasts = |take: &Listened, ms: f64| (take.span().0..=take.span().1).contains(&(ms / 1000.0));
    let elsewhere = |(a, b): &(f64, f64)| !lasts(second, *a) && !lasts(first, *b);
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
    let (a, b) = (first.span(), second.span());
    let (begin, end) = (a.0.max(b.0), a.1.min(b.1));
    if pairs.is_empty() {
        (it.grade, it.reason) = match (first.len.min(second.len), end > begin) {
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
        let within = format!("{} sync tones within {:.3} ms", pairs.len(), worst.abs());
        let (seen, last) = (points[0].0 - begin, points[points.len() - 1].0 - begin);
        if end - begin <= SHORT_SECONDS || last - seen >= SPAN * (end - begin) {
            (Some(Grade::Green), within)
        } else {
            // Everybody came in the first minute, say, and no tone was needed after that; one in mid-talk only to measure by would annoy. The
            // tones prove that both takes lie right there. That neither has drifted since, its own computer has looked up: it held the
            // file against the session's clock at start, middle and end. What one of the two was not found good in, nobody knows of the pair.
            let seen =
                if last - seen < 1.0 { clock(seen) } else { format!("{} to {}", clock(seen), clock(last)) };
            let (grade, rest) = if first.certified && second.certified {
                (Grade::Green, "for the rest both certificates are green")
            } else {
                (Grade::Amber, "nothing was heard of the rest, and not both have a green certificate")
            };
            (Some(grade), format!("{within}, seen at {seen} of {} alone; {rest}", clock(end - begin)))
        }
    };
    it
}

/// Seconds as people read them: `4:05`, or `1:04:05`.
fn clock(seconds: f64) -> String {
    let all = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// The offset, in milliseconds, at which the most tones of both fall together; of equals the least.
fn likeliest(a: &[f64], b: &[f64]) -> Option<f64> {
    let first = |tones: &[f64]| tones[..tones.len().min(MOST_TONES)].to_vec();
    let (a, b) = (first(a), first(b));
    let mut offsets: Vec<f64> = a.iter().flat_map(|a| b.iter().map(move |b| b - a)).collect();
    offsets.sort_by(f64::total_cmp);
    // Tones of one take lie further apart than what counts as the same: each offset nearby is another pair.
    let (mut from, mut end) = (0, 0);
    let mut best: Option<(usize, f64)> = None;
    for offset in &offsets {
        while offset - offsets[from] >= SAME_MS {
            from += 1;
        }
        while end < offsets.len() && offsets[end] - offset < SAME_MS {
            end += 1;
        }
        let count = end - from;
        if best.is_none_or(|(most, least)| count > most || count == most && offset.abs() < least.abs()) {
            best = Some((count, *offset));
        }
    }
    best.map(|(_, offset)| offset)
}

/// The tones of both that fall together at an offset, in order.
fn pairs(a: &[f64], b: &[f64], offset: f64) -> Vec<(f64, f64)> {
    let partner = |a: f64| {
        let near = b.partition_point(|b| b - a - offset <= -SAME_MS);
        b.get(near).copied().filter(|b| b - a - offset < SAME_MS)
    };
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
            certified: false,
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
    fn of_a_long_take_with_tones_at_its_beginning_alone_the_certificates_decide_and_it_is_said() {
        let long = |tones_ms: &[f64], certified| {
            let mut it = take(2.0, tones_ms);
            (it.len, it.certified) = (3 * 3600 * 48_000, certified);
            it
        };
        for (a, b, grade) in
            [(true, true, Grade::Green), (true, false, Grade::Amber), (false, false, Grade::Amber)]
        {
            let it = compare(&long(&[4000.0], a), &long(&[4000.0], b));
            assert_eq!(it.grade, Some(grade), "{}", it.reason);
            assert!(it.reason.contains("seen at 0:04 of 3:00:00 alone"), "{}", it.reason);
        }
        let it = compare(&long(&[4000.0, 75_000.0], true), &long(&[4000.0, 75_000.0], true));
        assert!(it.reason.contains("seen at 0:04 to 1:15 of 3:00:00 alone"), "{}", it.reason);
        // One that is heard near the end needs nobody's word.
        let tones = [4000.0, 6_000_000.0];
        let it = compare(&long(&tones, false), &long(&tones, false));
        assert_eq!((it.grade, it.reason.contains("alone")), (Some(Grade::Green), false), "{}", it.reason);
    }

    #[test]
    fn takes_full_of_tones_are_laid_beside_each_other() {
        // Twenty thousand each, at distances that do not repeat, and both begin with some that the other lacks.
        let mut state = 1_u64;
        let mut moments = vec![1000.0];
        for n in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            moments.push(moments[n] + 200.0 + (state >> 54) as f64);
        }
        let later: Vec<f64> = moments[5..].iter().map(|ms| ms + 70.0).collect();
        let it = compare(&take(1.0, &moments[..19_990]), &take(1.0, &later));
        assert_eq!(
            (it.grade, it.tones, it.offset_ms),
            (Some(Grade::Red), 19_985, Some(70.0)),
            "{}",
            it.reason
        );
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
