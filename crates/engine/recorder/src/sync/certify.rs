//! Makes a take's certificate out of its finished file.

use std::path::Path;
use std::time::Duration;

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_timing::{Drift, FoundTone, TONE_SAMPLES, align, tone_sample};

use super::certificate::{CertifiedPoint, CertifiedTone, Grade, SyncCertificate};
use super::heard::HeardVoice;
use super::kept::Piece;
use super::sound::{self, MasterSound, on_samples};
use crate::ledger::{AudioCounts, VideoCounts};
use crate::tone::SyncTone;

/// An offset above this is red: the promise is a millisecond between any two takes.
const RED_MS: f64 = 1.0;
/// An offset above this is amber.
const AMBER_MS: f64 = 0.25;
/// A clock that may be further off than this is amber, in milliseconds: half a picture.
const CLOCK_MS: f64 = 1000.0 / 60.0;
/// A clock that has run by itself for longer than this at the end is amber: the host did not come back.
const CLOCK_ALONE: Duration = Duration::from_secs(60);
/// A residual drift above this is amber, in parts per million: 3.6 ms in an hour.
const DRIFT_PPM: f64 = 1.0;
/// A drift that is told of less than this is the codec's noise, in seconds.
const DRIFT_SECONDS: f64 = 10.0;
/// So many black pictures are more than a camera that wakes up: two seconds.
const BLACK: u64 = 60;
/// Sound whose root mean square is less than −66 dBFS says nothing.
const QUIET: f64 = 0.0005;
/// A second of sound that is less alike than this is not the same sound.
const ALIKE: f64 = 0.4;
/// So far a second of the microphone is looked for either way, in samples: 2 ms.
const REACH: usize = 96;
/// So far a tone that is not certain may lie beside where it was found, in milliseconds.
const DOUBT_MS: f64 = 24.0;
/// Samples about a tone that are decoded: half a second either side.
const ABOUT: u64 = SAMPLE_RATE as u64 / 2;

/// What the recorder knows of a take, beside its file.
pub(crate) struct Facts {
    pub(crate) start_ns: i64,
    pub(crate) tones: Vec<SyncTone>,
    pub(crate) pieces: Vec<(&'static str, Piece)>,
    /// What the folder has of the others' voices.
    pub(crate) heard: Vec<HeardVoice>,
    pub(crate) clock_bound_ns: u64,
    /// For how long the clock had run by itself at the take's end.
    pub(crate) clock_alone: Duration,
    pub(crate) video: VideoCounts,
    pub(crate) audio: AudioCounts,
    /// Whether the session's clock jumped, and the take went on by its own.
    pub(crate) jumped: bool,
    pub(crate) complete: bool,
}

/// Looks for all of that in the take in `folder`. It takes a few seconds of sound to decode, however long the take.
pub(crate) fn certify(folder: &Path, facts: &Facts) -> SyncCertificate {
    let mut reasons: Vec<(Grade, String)> = Vec::new();
    let (mut tones, mut points) = (Vec::new(), Vec::new());
    match sound::open(folder).map_err(|error| error.to_string()) {
        Ok((_, Some(mut master))) => {
            tones = facts.tones.iter().map(|tone| find(&mut master, tone)).collect();
            points =
                facts.pieces.iter().map(|(place, piece)| compare(&mut master, place, piece, facts)).collect();
        }
        Ok((_, None)) => reasons.push((Grade::Amber, "the take has no sound to look at".to_owned())),
        Err(error) => reasons.push((Grade::Red, error)),
    }
    let offsets = tones.iter().map(|tone: &CertifiedTone| tone.offset_ms);
    let offsets = offsets.chain(points.iter().map(|point: &CertifiedPoint| point.offset_ms)).flatten();
    let offset_ms = offsets.max_by(|a, b| a.abs().total_cmp(&b.abs()));
    let drift: Vec<_> = points.iter().filter_map(|it| Some((it.at_seconds, it.offset_ms?))).collect();
    let long = |drift: &[(f64, f64)]| {
        drift.last().zip(drift.first()).is_some_and(|(last, first)| last.0 - first.0 >= DRIFT_SECONDS)
    };
    let residual_drift_ppm = Drift::of(&drift).filter(|_| long(&drift)).map(|drift| thousandths(drift.ppm));
    let (video, audio) = (facts.video, facts.audio);
    let certificate = SyncCertificate {
        grade: Grade::Green,
        reasons: Vec::new(),
        offset_ms,
        residual_drift_ppm,
        clock_bound_ms: thousandths(facts.clock_bound_ns as f64 / 1e6),
        gaps: audio.gaps,
        silent_ms: thousandths(audio.silence as f64 / 48.0),
        frames_repeated: video.duplicated,
        frames_black: video.black,
        frames_decimated: video.decimated,
        dropped: video.dropped + audio.dropped,
        tones,
        points,
        heard: facts.heard.clone(),
    };
    judge(certificate, reasons, facts)
}

fn judge(mut it: SyncCertificate, mut reasons: Vec<(Grade, String)>, facts: &Facts) -> SyncCertificate {
    use Grade::{Amber, Red};
    let mut note = |grade, holds: bool, text: String| {
        if holds {
            reasons.push((grade, text));
        }
    };
    note(Red, !facts.complete, "the recording was not finished".to_owned());
    note(Red, it.dropped > 0, format!("{} pictures or samples were lost", it.dropped));
    note(Red, facts.jumped, "the session's clock jumped: line this take up by its sound".to_owned());
    let missing = it.tones.iter().filter(|tone| tone.offset_ms.is_none()).count();
    note(Red, missing > 0, format!("{missing} of {} sync tones are not in the file", it.tones.len()));
    note(Amber, it.tones.is_empty(), "there was no sync tone while it was recorded".to_owned());
    for point in &it.points {
        let other = point.offset_ms.is_none() && point.correlation.is_some();
        note(Red, other, format!("the sound at its {} is not what the microphone heard", point.place));
    }
    let off = it.offset_ms.map_or(0.0, f64::abs);
    note(Red, off > RED_MS, format!("its sound is off by {off:.3} ms"));
    note(Amber, off > AMBER_MS && off <= RED_MS, format!("its sound is off by {off:.3} ms"));
    let ppm = it.residual_drift_ppm.unwrap_or(0.0);
    note(Amber, ppm.abs() > DRIFT_PPM, format!("it drifts by {ppm:+.2} ppm"));
    let bound = it.clock_bound_ms;
    note(Amber, bound > CLOCK_MS, format!("the clock may have been {bound:.1} ms off: the network was slow"));
    let alone = match facts.clock_alone.as_secs() {
        seconds @ ..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    };
    note(
        Amber,
        facts.clock_alone > CLOCK_ALONE,
        format!("the clock ran by itself for the last {alone}: the host was gone"),
    );
    note(
        Amber,
        it.gaps > 0,
        format!("the microphone gave nothing {} times, {:.0} ms", it.gaps, it.silent_ms),
    );
    let late = facts.audio.late;
    note(Amber, late > 0, format!("{late} samples came after their place had been filled"));
    note(Amber, it.frames_black >= BLACK, format!("{} pictures are black", it.frames_black));
    reasons.sort_by_key(|(grade, _)| std::cmp::Reverse(*grade));
    it.grade = reasons.first().map_or(Grade::Green, |(grade, _)| *grade);
    it.reasons = reasons.into_iter().map(|(_, text)| text).collect();
    it
}

/// Finds the tone that should be in the file.
fn find(master: &mut MasterSound, tone: &SyncTone) -> CertifiedTone {
    let from = tone.sample.saturating_sub(ABOUT);
    let end = tone.sample + TONE_SAMPLES as u64 + ABOUT;
    let found = master.tones(from, end).unwrap_or_default().into_iter().min_by(|a, b| {
        let far = |at: f64| (at - tone.sample as f64).abs();
        far(a.at).total_cmp(&far(b.at))
    });
    let offset_ms = |found: FoundTone| {
        let ms = (found.at - tone.sample as f64) / 48.0;
        // By whole milliseconds, what the microphone heard says how the file lies.
        let may_be_beside = !found.is_certain() && ms.abs() <= DOUBT_MS;
        thousandths(if may_be_beside { ms - ms.round() } else { ms })
    };
    CertifiedTone {
        session_ns: tone.session_ns,
        at_seconds: thousandths(tone.sample as f64 / f64::from(SAMPLE_RATE)),
        offset_ms: found.map(offset_ms),
        correlation: found.map(|found| thousandths(found.correlation)),
    }
}

/// Holds a second of the microphone against the file.
fn compare(master: &mut MasterSound, place: &str, piece: &Piece, facts: &Facts) -> CertifiedPoint {
    let (from_ns, to_ns) = piece.times.unwrap_or_default();
    // Samples of the take, with fractions, at which the piece's first and last lie.
    let position = |ns: i64| (ns - facts.start_ns) as f64 * f64::from(SAMPLE_RATE) / 1e9;
    let (first, last) = (position(from_ns), position(to_ns));
    let mut point = CertifiedPoint {
        place: place.to_owned(),
        at_seconds: thousandths(first / f64::from(SAMPLE_RATE)),
        offset_ms: None,
        correlation: None,
    };
    let (begin, mut heard) = on_samples(&piece.samples, first, last);
    let count = heard.len();
    let power = heard.iter().map(|sample| f64::from(sample * sample)).sum::<f64>() / count.max(1) as f64;
    if power.sqrt() < QUIET {
        return point;
    }
    // The file has the tones beside what the microphone heard.
    for tone in &facts.tones {
        let ahead = begin as i64 - i64::try_from(tone.sample).unwrap_or(i64::MAX);
        heard.iter_mut().zip(ahead..).for_each(|(sample, n)| *sample += tone_sample(n));
    }
    let file = master.samples(begin, count as u64).unwrap_or_default();
    let found = align(&heard, &file, SAMPLE_RATE, REACH);
    point.correlation = Some(found.map_or(0.0, |found| thousandths(found.correlation)));
    point.offset_ms =
        found.filter(|found| found.correlation >= ALIKE).map(|found| thousandths(found.lag / 48.0));
    point
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
