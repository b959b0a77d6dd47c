//! Takes of one session against each other, by what is to be heard in them: `hyperzoom verify A B C D`.

mod heard;
mod tones;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use hyperzoom_timing::{Drift, FoundTone, Timecode, tick_sample};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::certificate::{Grade, SyncCertificate};
use super::heard::{Clip, load};
use super::sound;
use crate::folder::{CERTIFICATE, METADATA};
use crate::metadata::SessionMetadata;
use crate::verify::VerifyError;
use heard::Bearing;
pub use heard::HeardOffset;
use tones::Pair;

/// Samples in a second.
const RATE: f64 = hyperzoom_media::SAMPLE_RATE as f64;
/// Two takes whose sound is further apart than this are red, in milliseconds.
const RED_MS: f64 = 1.0;
/// A drift above this is amber, in parts per million.
const DRIFT_PPM: f64 = 1.0;
/// Tones that are nearer to each other tell of no drift, in seconds: a hundredth of a millisecond would be a part in a million.
const DRIFT_SECONDS: f64 = 10.0;
/// Pieces of voices are right to a tenth of a millisecond or so: what they say of drift is told of so many seconds or more.
const VOICE_DRIFT_SECONDS: f64 = 600.0;
/// Tones that span less than this share of the takes' common time say little of the rest of it.
const SPAN: f64 = 0.5;
/// Of so short a common time they say enough, in seconds.
const SHORT_SECONDS: f64 = 60.0;
/// A certificate, or metadata, that is longer than this is none, in bytes.
const JSON_MOST: u64 = 1 << 24;

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
    /// Whose take it is, as its metadata says: only that tells the voices apart. When it is, its metadata is not asked.
    participant: Option<u8>,
    /// What was heard of the others.
    heard: Vec<Clip>,
    /// Why what was heard of the others says nothing, where it should.
    pub heard_error: Option<String>,
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
    /// in milliseconds. Where there are none, by what they have heard of each other.
    pub offset_ms: Option<f64>,
    /// The tone, or the piece of a voice, with the greatest offset, in milliseconds.
    pub worst_ms: Option<f64>,
    /// How the offset grows, in parts per million, where the tones lie far enough apart.
    pub residual_drift_ppm: Option<f64>,
    /// What each has heard of the other, as it was found in the other's take.
    pub heard: Vec<HeardOffset>,
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
    let session_id = recording.movie.map(|movie| movie.about.session_id).unwrap_or_default();
    let (heard, heard_error) = match load(folder, &session_id) {
        Ok(heard) => (heard, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let metadata = read_json::<SessionMetadata>(folder, METADATA).filter(|it| it.session_id == session_id);
    let certificate = read_json::<SyncCertificate>(folder, CERTIFICATE);
    Ok(Listened {
        folder: folder.to_owned(),
        start: tick_sample(start_tick) as f64,
        len,
        tones,
        certified: certificate.is_some_and(|it| it.grade == Grade::Green),
        participant: metadata.map(|it| it.recorded_by),
        heard,
        heard_error,
        session_id,
    })
}

/// A file of the take's folder; `None` where it is not there, or is not what it should be.
fn read_json<T: DeserializeOwned>(folder: &Path, name: &str) -> Option<T> {
    let mut json = Vec::new();
    let read = File::open(folder.join(name)).and_then(|file| file.take(JSON_MOST).read_to_end(&mut json));
    read.ok().and_then(|_| serde_json::from_slice(&json).ok())
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
///
/// By the sync tones that are in both, and by what each participant has heard of the other, which is looked for in the other's recording.
#[must_use]
pub fn compare(first: &Listened, second: &Listened) -> Comparison {
    let (a, b) = (first.moments(), second.moments());
    let certain = |take: &Listened| take.tones.iter().map(FoundTone::is_certain).collect::<Vec<_>>();
    let (a_certain, b_certain) = (certain(first), certain(second));
    let only = |all: &[f64], certain: &[bool]| {
        all.iter().zip(certain).filter(|(_, certain)| **certain).map(|(ms, _)| *ms).collect::<Vec<_>>()
    };
    // By those that are right to the millisecond, where both have such.
    let offset =
        tones::likeliest(&only(&a, &a_certain), &only(&b, &b_certain)).or_else(|| tones::likeliest(&a, &b));
    let same = offset.map(|offset| {
        let mut same = tones::pairs(&a, &b, offset);
        same.extend(tones::doubtful((&a, &a_certain), (&b, &b_certain), offset, &same));
        same.sort_unstable();
        same
    });
    let same = same.unwrap_or_default();
    let pair = |(n, m): (usize, usize)| {
        let is_certain = a_certain[n] && b_certain[m];
        Pair { ms: a[n], offset: b[m] - a[n], is_certain }
    };
    let mut pairs: Vec<Pair> = same.into_iter().map(pair).collect();
    // Of two takes of which each has one tone, at a time when the other was not there, these are two tones and not one that is off.
    let lasts = |take: &Listened, ms: f64| (take.span().0..=take.span().1).contains(&(ms / 1000.0));
    if let [only] = pairs[..]
        && !lasts(second, only.ms)
        && !lasts(first, only.ms + only.offset)
    {
        pairs.clear();
    }
    let of_first = heard::look_for(second, first);
    let of_second = heard::look_for(first, second);
    let bearings = [Bearing::of(first, &of_first), Bearing::of(second, &of_second)];
    // How the second lies to the first, where both were heard by the other.
    let heard = bearings[0].mean().zip(bearings[1].mean()).map(|(first, second)| second - first);
    let is_known = tones::settle(&mut pairs, heard);
    let mut it = Comparison {
        first: first.folder.clone(),
        second: second.folder.clone(),
        grade: None,
        reason: String::new(),
        tones: pairs.len(),
        offset_ms: None,
        worst_ms: None,
        residual_drift_ppm: None,
        heard: [of_first, of_second].concat(),
    };
    if pairs.is_empty() {
        by_voices(&mut it, first, second, &bearings);
    } else {
        by_tones(&mut it, first, second, &pairs, &bearings);
    }
    if !is_known && it.grade == Some(Grade::Green) {
        it.grade = Some(Grade::Amber);
        it.reason
            .push_str("; by whole milliseconds nothing tells: somebody talked too loudly over the tones");
    }
    // Whatever the tones say: they are mixed in by the same clock that the timecode comes from.
    let proven = bearings.each_ref().map(Bearing::proven);
    if it.grade != Some(Grade::Red)
        && let Some((which, ms)) = ["first", "second"].iter().zip(proven).find_map(|(it, ms)| Some((it, ms?)))
    {
        let side = if ms > 0.0 { "later" } else { "earlier" };
        it.grade = Some(Grade::Red);
        it.reason = format!(
            "the {which}'s sound is {:.3} ms {side} than its timecode says, by what the other has heard of it",
            ms.abs()
        );
    }
    it
}

/// What two takes have in common, in seconds of session time by their timecode.
fn common(first: &Listened, second: &Listened) -> (f64, f64) {
    let (a, b) = (first.span(), second.span());
    (a.0.max(b.0), a.1.min(b.1))
}

/// Whether what was seen from the first to the second moment stands for all of the common time.
fn is_seen((first, last): (f64, f64), (begin, end): (f64, f64)) -> bool {
    end - begin <= SHORT_SECONDS || last - first >= SPAN * (end - begin)
}

/// The verdict by the sync tones that both have.
fn by_tones(
    it: &mut Comparison,
    first: &Listened,
    second: &Listened,
    pairs: &[Pair],
    bearings: &[Bearing; 2],
) {
    let (begin, end) = common(first, second);
    let offsets: Vec<f64> = pairs.iter().map(|pair| pair.offset).collect();
    let mean = offsets.iter().sum::<f64>() / offsets.len() as f64;
    let worst =
        offsets.iter().copied().fold(0.0, |worst: f64, it| if it.abs() > worst.abs() { it } else { worst });
    let points: Vec<_> = pairs.iter().map(|pair| (pair.ms / 1000.0, pair.offset)).collect();
    let span = (points[0].0, points[points.len() - 1].0);
    let long = span.1 - span.0 >= DRIFT_SECONDS;
    let ppm = Drift::of(&points).filter(|_| long).map(|drift| thousandths(drift.ppm));
    it.offset_ms = Some(thousandths(mean));
    it.worst_ms = Some(thousandths(worst));
    it.residual_drift_ppm = ppm;
    let drifts = ppm.is_some_and(|ppm| ppm.abs() > DRIFT_PPM);
    if worst.abs() > RED_MS {
        let side = if worst > 0.0 { "later" } else { "earlier" };
        let ms = worst.abs();
        it.grade = Some(Grade::Red);
        it.reason = format!("the second's sound is {ms:.3} ms {side} than its timecode says");
        return;
    }
    if drifts {
        it.grade = Some(Grade::Amber);
        it.reason = format!("they drift by {:+.2} ppm", ppm.unwrap_or_default());
        return;
    }
    let mut within = format!("{} sync tones within {:.3} ms", pairs.len(), worst.abs());
    let pieces: usize = bearings.iter().map(Bearing::count).sum();
    let heard = bearings.iter().map(|it| it.worst().abs()).fold(0.0, f64::max);
    if pieces > 0 {
        within.push_str(&format!(", {pieces} pieces of what they heard of each other within {heard:.3} ms"));
    }
    let voices = bearings.each_ref().map(|it| it.span().is_some_and(|span| is_seen(span, (begin, end))));
    (it.grade, it.reason) = if heard > RED_MS {
        (Some(Grade::Amber), within)
    } else if is_seen(span, (begin, end)) || voices == [true, true] {
        (Some(Grade::Green), within)
    } else {
        // Everybody came in the first minute, say, and no tone was needed after that; one in mid-talk only to measure by would annoy. The
        // tones prove that both takes lie right there. That neither has drifted since, its own computer has looked up: it held the
        // file against the session's clock at start, middle and end. What one of the two was not found good in, nobody knows of the pair.
        let (seen, last) = (span.0 - begin, span.1 - begin);
        let seen =
            if last - seen < 1.0 { clock(seen) } else { format!("{} to {}", clock(seen), clock(last)) };
        let (grade, rest) = if first.certified && second.certified {
            (Grade::Green, "for the rest both certificates are green")
        } else {
            (Grade::Amber, "nothing was heard of the rest, and not both have a green certificate")
        };
        (Some(grade), format!("{within}, seen at {seen} of {} alone; {rest}", clock(end - begin)))
    };
}

/// The verdict where no sync tone is in both.
fn by_voices(it: &mut Comparison, first: &Listened, second: &Listened, bearings: &[Bearing; 2]) {
    let (begin, end) = common(first, second);
    let none = "no sync tone is in both";
    if first.len.min(second.len) == 0 {
        (it.grade, it.reason) = (Some(Grade::Amber), "one of them has no sound".to_owned());
        return;
    }
    let worst = bearings.iter().map(Bearing::worst).max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0);
    let pieces: usize = bearings.iter().map(Bearing::count).sum();
    (it.grade, it.reason) = match bearings.each_ref().map(Bearing::span) {
        [None, None] if end > begin => (Some(Grade::Amber), format!("{none}: nothing says how they lie")),
        [None, None] => (None, "by their timecode they have no moment in common".to_owned()),
        [Some(a), Some(b)] => {
            let mean = |it: &Bearing| it.mean().unwrap_or(0.0);
            it.offset_ms = Some(thousandths(mean(&bearings[1]) - mean(&bearings[0])));
            it.worst_ms = Some(thousandths(worst));
            let [of_first, of_second] = bearings.each_ref().map(|it| it.drift_ppm(VOICE_DRIFT_SECONDS));
            let ppm = of_first.zip(of_second).map(|(first, second)| thousandths(second - first));
            it.residual_drift_ppm = ppm;
            let within =
                format!("{pieces} pieces of what they heard of each other within {:.3} ms", worst.abs());
            let seen = [a, b].iter().all(|span| is_seen(*span, (begin, end)));
            match ppm.filter(|ppm| ppm.abs() > DRIFT_PPM) {
                Some(ppm) => (Some(Grade::Amber), format!("they drift by {ppm:+.2} ppm; {none}")),
                None if worst.abs() > RED_MS => (Some(Grade::Amber), format!("{within}; {none}")),
                None if seen => (Some(Grade::Green), format!("{within}; {none}")),
                None => (Some(Grade::Amber), format!("{within}, of a part of it; {none}")),
            }
        }
        [of_first, _] => {
            let (heard, sign) = if of_first.is_some() { ("first", -1.0) } else { ("second", 1.0) };
            let mean = bearings.iter().find_map(Bearing::mean).unwrap_or(0.0);
            it.offset_ms = Some(thousandths(sign * mean));
            it.worst_ms = Some(thousandths(sign * worst));
            let ms = worst.abs();
            (
                Some(Grade::Amber),
                format!("{none}, and only the {heard}'s voice was heard by the other, within {ms:.3} ms"),
            )
        }
    };
}

/// Seconds as people read them: `4:05`, or `1:04:05`.
fn clock(seconds: f64) -> String {
    let all = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests;
