//! What one participant heard of another, looked for in the other's take.
//!
//! A piece of a voice says when it was spoken, by the packets it came in. The speaker's take has the same sound at that session time, if its
//! timecode is right; where it lies instead, the correlation says.

use std::path::PathBuf;

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_timing::{Drift, TONE_SAMPLES, align, likeness, tone_sample};
use serde::Serialize;

use super::super::heard::Clip;
use super::super::sound::{self, MasterSound, on_samples};
use super::{Listened, RED_MS, thousandths};

/// So far a piece is looked for either way: two seconds, in samples. A timecode that is further off has its tones elsewhere.
const REACH: usize = 2 * SAMPLE_RATE as usize;
/// Its place is looked for once more by parts of so many samples, half a second.
const PART: usize = SAMPLE_RATE as usize / 2;
/// So far each of them is looked for: 2 ms.
const FINE: usize = SAMPLE_RATE as usize / 500;
/// A sound that is cut out begins and ends over so many samples, 10 ms: sharp edges would be found in one another whatever is between them.
const EDGE: usize = SAMPLE_RATE as usize / 100;
/// What is less alike is another sound, or too much was lost of it. What Opus makes of a voice at 64 kbit/s is alike by 0.9 and more.
const ALIKE: f64 = 0.6;
/// Where another place is nearly as good as the best the sound repeats itself: a tone, a vowel that is held.
const RIVAL: f64 = 0.8;
/// Where the take is as like the piece by this share further away than [`FAR`], it repeats itself as well: a beat. [`align`] alone would
/// tell one bar from the other by where the piece is cut.
const TWIN: f32 = 0.75;
/// 20 ms, in samples: nearer than that a low voice is like itself.
const FAR: usize = SAMPLE_RATE as usize / 50;
/// A single piece that lies wrong by up to this may be of a computer that was too busy for half a second to notice when its sound came.
const SINGLE_MS: f64 = 3.0;

/// Where a take has what another participant heard of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeardOffset {
    /// The folder of the take that it was looked for in, the speaker's.
    pub speaker: PathBuf,
    /// Where in the listener's take it was heard: `start`, `middle` or `end`.
    pub place: String,
    /// Seconds into the speaker's take, as its timecode says.
    pub at_seconds: f64,
    /// How much later than there it was found, in milliseconds; `null` where the take has no such sound near there, or several.
    pub offset_ms: Option<f64>,
    /// How alike they are there, from 0 to 1; `null` where the take has none.
    pub correlation: Option<f64>,
}

/// Looks for all that `listener` has of `speaker` at that time. Nothing where it has none, or where nobody knows whose take that is.
pub(super) fn look_for(listener: &Listened, speaker: &Listened) -> Vec<HeardOffset> {
    let (begin, end) = speaker.span();
    let within = |clip: &&Clip| {
        let voice = &clip.voice;
        speaker.participant == Some(voice.participant)
            && voice.from_ns as f64 >= begin * 1e9
            && voice.to_ns as f64 <= end * 1e9
    };
    let clips: Vec<&Clip> = listener.heard.iter().filter(within).collect();
    if clips.is_empty() || speaker.participant == listener.participant {
        return Vec::new();
    }
    // It has been read before, and without a word: what fails now has changed meanwhile.
    let Ok((_, Some(mut master))) = sound::open(&speaker.folder) else { return Vec::new() };
    clips.into_iter().map(|clip| find(clip, speaker, &mut master)).collect()
}

fn find(clip: &Clip, speaker: &Listened, master: &mut MasterSound) -> HeardOffset {
    let position = |ns: i64| ns as f64 * f64::from(SAMPLE_RATE) / 1e9 - speaker.start;
    let (first, last) = (position(clip.voice.from_ns), position(clip.voice.to_ns));
    let (begin, wanted) = on_samples(&clip.samples, first, last);
    let from = begin.saturating_sub(REACH as u64);
    let mut there = master.samples(from, begin - from + (wanted.len() + REACH) as u64).unwrap_or_default();
    silence_tones(speaker, from, &mut there);
    let found = locate(&wanted, &there, (begin - from) as usize);
    HeardOffset {
        speaker: speaker.folder.clone(),
        place: clip.voice.place.clone(),
        at_seconds: thousandths(first / f64::from(SAMPLE_RATE)),
        offset_ms: found.filter(Place::is_sure).map(|it| thousandths(it.offset / 48.0)),
        correlation: found.map(|it| thousandths(it.correlation)),
    }
}

/// A place.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// In samples, from where it should be.
    offset: f64,
    correlation: f64,
    rival: f64,
    /// Whether the sound is elsewhere as well.
    has_twin: bool,
}

impl Place {
    fn is_sure(&self) -> bool {
        self.correlation >= ALIKE && self.rival <= RIVAL && !self.has_twin
    }
}

/// Where `wanted` is in `there`; it should begin at sample `expected`.
fn locate(wanted: &[f32], there: &[f32], expected: usize) -> Option<Place> {
    let near = align(&faded(wanted), &faded(there), SAMPLE_RATE, expected + REACH)?;
    let at = near.lag.round().max(0.0) as usize;
    let exact = there.get(at..at + wanted.len())?;
    // In parts: a take whose map to the session's clock still settles moves by some tenths of a millisecond meanwhile. Each weighs as much
    // as it has energy.
    let (mut offset, mut sure, mut alike, mut energy) = (0.0, 0.0, 0.0, 0.0);
    for (wanted, exact) in wanted.chunks(PART).zip(exact.chunks(PART)) {
        let weight: f64 = wanted.iter().map(|sample| f64::from(sample * sample)).sum();
        energy += weight;
        let Some(found) = align(wanted, exact, SAMPLE_RATE, FINE) else { continue };
        alike += weight * found.correlation;
        if found.correlation >= ALIKE {
            sure += weight;
            offset += weight * found.lag;
        }
    }
    let offset = at as f64 - expected as f64 + if sure > 0.0 { offset / sure } else { 0.0 };
    let correlation = if energy > 0.0 { alike / energy } else { 0.0 };
    Some(Place { offset, correlation, rival: near.rival, has_twin: has_twin(wanted, there, at) })
}

/// Whether `wanted`, which is at sample `at` of `there`, is somewhere else in it, too.
fn has_twin(wanted: &[f32], there: &[f32], at: usize) -> bool {
    let like = likeness(wanted, there, SAMPLE_RATE);
    let (mut here, mut elsewhere) = (0.0_f32, 0.0_f32);
    for (place, like) in like.into_iter().enumerate() {
        let best = if place.abs_diff(at) > FAR { &mut elsewhere } else { &mut here };
        *best = best.max(like);
    }
    elsewhere > TWIN * here
}

/// A sound with soft edges.
fn faded(sound: &[f32]) -> Vec<f32> {
    let len = sound.len();
    let gain = |n: usize| {
        let part = (n.min(len - 1 - n) as f32 + 0.5) / EDGE as f32;
        if part < 1.0 { 0.5 - 0.5 * (std::f32::consts::PI * part).cos() } else { 1.0 }
    };
    sound.iter().enumerate().map(|(n, sample)| sample * gain(n)).collect()
}

/// Takes the sync tones out of a part of the take that begins at sample `from`: nobody spoke them.
fn silence_tones(take: &Listened, from: u64, part: &mut [f32]) {
    for tone in &take.tones {
        let ahead = from as i64 - tone.at.round() as i64;
        if ahead < TONE_SAMPLES as i64 && ahead + part.len() as i64 > 0 {
            part.iter_mut()
                .zip(ahead..)
                .for_each(|(sample, n)| *sample -= tone.level as f32 * tone_sample(n));
        }
    }
}

/// What the pieces that were found of one take say of its timecode.
pub(super) struct Bearing {
    /// Session times in seconds, and offsets in milliseconds, in order.
    points: Vec<(f64, f64)>,
}

impl Bearing {
    pub(super) fn of(take: &Listened, pieces: &[HeardOffset]) -> Self {
        let (begin, _) = take.span();
        let mut points: Vec<_> =
            pieces.iter().filter_map(|it| Some((begin + it.at_seconds, it.offset_ms?))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { points }
    }

    pub(super) fn count(&self) -> usize {
        self.points.len()
    }

    /// The first and the last moment of which it says something.
    pub(super) fn span(&self) -> Option<(f64, f64)> {
        Some((self.points.first()?.0, self.points.last()?.0))
    }

    pub(super) fn mean(&self) -> Option<f64> {
        let sum: f64 = self.points.iter().map(|it| it.1).sum();
        (!self.points.is_empty()).then(|| sum / self.points.len() as f64)
    }

    /// The greatest offset, either way.
    pub(super) fn worst(&self) -> f64 {
        self.points
            .iter()
            .map(|it| it.1)
            .fold(0.0, |worst: f64, it| if it.abs() > worst.abs() { it } else { worst })
    }

    /// The least offset, where all pieces agree that the take is off by so much: red. A stamp may be late for once, on a computer that is
    /// too busy, so that what one piece says and another does not proves nothing.
    pub(super) fn proven(&self) -> Option<f64> {
        let least = self.points.iter().map(|it| it.1).min_by(|a, b| a.abs().total_cmp(&b.abs()))?;
        let agree = self.points.iter().all(|it| it.1 * least > 0.0);
        let most = if self.points.len() > 1 { RED_MS } else { SINGLE_MS };
        (agree && least.abs() > most).then_some(least)
    }

    /// How the offset grows, in parts per million, where it lasts for `seconds` or longer.
    pub(super) fn drift_ppm(&self, seconds: f64) -> Option<f64> {
        let (first, last) = self.span()?;
        Drift::of(&self.points).filter(|_| last - first >= seconds).map(|drift| drift.ppm)
    }
}

#[cfg(test)]
mod tests;
