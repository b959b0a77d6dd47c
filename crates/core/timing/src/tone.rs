//! The sync tone: 1 kHz for 200 ms (spec §4.4), in everybody's master at the same session time, and how it is found again in a recording.

use std::f64::consts::TAU;

use hyperzoom_media::SAMPLE_RATE;

/// The tone's frequency, in Hz.
pub const TONE_HZ: u32 = 1000;

/// The tone's length in samples at 48 kHz: 200 ms.
pub const TONE_SAMPLES: usize = SAMPLE_RATE as usize / 5;

/// Its level where it is full: −12 dBFS, which is 10^(−12/20).
pub const TONE_AMPLITUDE: f32 = 0.251_188_64;

/// Samples of one cycle.
const CYCLE: usize = (SAMPLE_RATE / TONE_HZ) as usize;

/// Samples of each of its edges, which rise and fall as a raised cosine does: 2 ms. A correlator tells one cycle from the next by the
/// edges alone, so that they may not be long, and without them the tone would click.
const EDGE: usize = 2 * CYCLE;

/// Cycles of the whole tone.
const CYCLES: usize = TONE_SAMPLES / CYCLE;

const _: () = assert!(SAMPLE_RATE.is_multiple_of(TONE_HZ) && TONE_SAMPLES.is_multiple_of(4 * CYCLE));

/// Sample `n` of the tone at 48 kHz; silence where it has none. Allocates nothing.
#[must_use]
pub fn tone_sample(n: i64) -> f32 {
    if (0..TONE_SAMPLES as i64).contains(&n) { tone_at(n as f64) as f32 } else { 0.0 }
}

/// The tone at a moment between its samples, counted in them.
fn tone_at(at: f64) -> f64 {
    // Its first sample is half of one behind its edge, and its last so much before the other.
    let from_edge = (at + 0.5).min(TONE_SAMPLES as f64 - 0.5 - at);
    let edge = match from_edge / EDGE as f64 {
        ..=0.0 => 0.0,
        risen @ ..1.0 => 0.5 - 0.5 * (TAU * 0.5 * risen).cos(),
        _ => 1.0,
    };
    f64::from(TONE_AMPLITUDE) * edge * (TAU * at.rem_euclid(CYCLE as f64) / CYCLE as f64).sin()
}

/// A sync tone in a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundTone {
    /// Where it begins, in samples from the recording's first, with the fraction between two.
    pub at: f64,
    /// How loud it is: 1 as it was made.
    pub level: f64,
    /// How much of what there is to be heard it is, as a correlation: 1 where nothing else sounds.
    pub correlation: f64,
    /// How much likelier its first cycle is to be the first than any other, in nats. Its place within a cycle is right in any case.
    pub margin: f64,
}

/// Less than this, in nats, and a tone may lie whole cycles, which are milliseconds, beside where it was found. Under voices as loud as the
/// tone, clipped or not, none of 2800 that was found with more was wrong; see `tests/correlator.rs`.
const CERTAIN: f64 = 20.0;

impl FoundTone {
    /// Whether it is certain to the millisecond where it begins. It is not where somebody spoke loudly as it began and as it ended.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.margin >= CERTAIN
    }
}

/// The quietest and the loudest that counts as a tone, as [`FoundTone::level`].
const LEVELS: std::ops::Range<f64> = 0.5..2.0;
/// Each quarter of the tone is as loud as the whole within this, and in phase with it.
const QUARTERS: std::ops::Range<f64> = 0.6..1.4;
/// The 40 ms before and after it are less loud at its frequency than this share of it.
const FLANKS: f64 = 0.5;
/// Cycles of one flank.
const FLANK: usize = 40;
/// Two tones are at least so many cycles apart: less is the same one, which is half as loud there.
const APART: usize = CYCLES / 2;
/// Samples that are searched about a cycle that looks like the beginning.
const REACH: i64 = 3 * CYCLE as i64 / 2;
/// Samples that are looked at in one go: 2 s.
const STRETCH: usize = 2 * SAMPLE_RATE as usize;

/// Finds sync tones in a recording of any length, by correlation, wherever they are.
///
/// A tone is a place where 200 ms agree with it in phase and level in each of their quarters, and what is before and after does not.
/// There it is sought sample by sample: by its best correlation, by its edges, which decide on the cycle, and by its phase, which says the
/// fraction of a sample.
#[derive(Debug, Default)]
pub struct ToneFinder {
    /// Samples that are not done with.
    samples: Vec<f32>,
    /// The number of the first of them, in the recording.
    first: u64,
}

impl ToneFinder {
    /// A finder that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the recording's next samples at 48 kHz, and appends to `found` what is certain by now.
    pub fn push(&mut self, samples: &[f32], found: &mut Vec<FoundTone>) {
        for part in samples.chunks(STRETCH) {
            self.samples.extend_from_slice(part);
            if self.samples.len() >= STRETCH {
                self.scan(found);
            }
        }
    }

    /// The recording is over.
    pub fn finish(mut self, found: &mut Vec<FoundTone>) {
        // A tone at the very end has silence after it.
        let end = self.samples.len().next_multiple_of(CYCLE) + (CYCLES + 2 * FLANK) * CYCLE;
        self.samples.resize(end, 0.0);
        self.scan(found);
    }

    /// Looks at all places whose whole tone and flanks are there, and forgets what lies before the rest.
    fn scan(&mut self, found: &mut Vec<FoundTone>) {
        let cycles: Vec<Cycle> = self.samples.chunks_exact(CYCLE).map(Cycle::of).collect();
        let span = CYCLES + FLANK;
        let Some(places) = cycles.len().checked_sub(span).filter(|places| *places > 0) else { return };
        let mut whole: Cycle = cycles[..CYCLES].iter().sum();
        let mut best: Option<(usize, f64)> = None;
        for place in 0..places {
            if place > 0 {
                whole = whole + cycles[place + CYCLES - 1] - cycles[place - 1];
            }
            // Half a tone is no tone any more: whatever comes now is another one.
            if let Some((at, _)) = best.take_if(|(at, _)| place >= *at + APART) {
                found.extend(self.refine(at * CYCLE));
            }
            let level = whole.level(CYCLES);
            if LEVELS.contains(&level)
                && best.is_none_or(|(_, least)| level > least)
                && looks_like_it(&cycles, place, whole)
            {
                best = Some((place, level));
            }
        }
        // The next stretch begins with the flank of its first place: the best one is not known yet, or none is.
        let next = best.map_or(places, |(at, _)| at);
        let done = next.saturating_sub(FLANK + CYCLES_OFF + 8) * CYCLE;
        self.samples.drain(..done);
        self.first += done as u64;
    }

    /// The tone that begins about sample `about` of those that are here, to a fraction of a sample.
    fn refine(&self, about: usize) -> Option<FoundTone> {
        let about = about as i64;
        let template: Vec<f32> = (0..TONE_SAMPLES as i64).map(tone_sample).collect();
        let at = |n: i64| usize::try_from(n).ok().and_then(|n| self.samples.get(n)).copied().unwrap_or(0.0);
        let dot = |lag: i64| -> f64 {
            let sum = template.iter().zip(lag..).map(|(tone, n)| f64::from(tone * at(n)));
            sum.sum()
        };
        let (lag, peak) =
            (about - REACH..=about + REACH).map(|lag| (lag, dot(lag))).max_by(|a, b| a.1.total_cmp(&b.1))?;
        let own: f64 = template.iter().map(|s| f64::from(s * s)).sum();
        let omega = TAU / CYCLE as f64;
        let slope = (dot(lag + 1) - dot(lag - 1)) / (2.0 * omega.sin());
        let fraction = slope.atan2(peak) / omega;
        let level = peak / (omega * fraction).cos() / own;
        let (mut lag, mut margin) = (lag, 0.0);
        // What is learnt of the rest is wrong where the tone is taken from the wrong place: so once more from the right one.
        for _ in 0..TURNS {
            let (cycles, by) = self.cycle(lag as f64 + fraction, level);
            lag += CYCLE as i64 * cycles;
            if cycles == 0 {
                margin = by;
                break;
            }
        }
        let peak = dot(lag) / (omega * fraction).cos();
        let heard: f64 = (lag..lag + TONE_SAMPLES as i64).map(|n| f64::from(at(n) * at(n))).sum();
        Some(FoundTone {
            at: self.first as f64 + lag as f64 + fraction,
            level: peak / own,
            correlation: peak / (own * heard).sqrt().max(f64::MIN_POSITIVE),
            margin,
        })
    }
}

impl ToneFinder {
    /// By how many cycles the tone lies beside the place `lag` where it correlates best, at that level; and how much likelier that is than
    /// any other, in nats.
    ///
    /// What tells one cycle from the next is at the edges only, and a voice may be louder there. So that is compared after whitening: a
    /// linear predictor (Makhoul 1975) of what else sounds about each edge takes away what it foresees. What it does not foresee of a voice
    /// is a pulse now and then, and a click where it was too loud for the microphone: as with Student's t, whose tails are that heavy
    /// (Lange, Little and Taylor 1989), these say little.
    fn cycle(&self, lag: f64, level: f64) -> (i64, f64) {
        let at = |n: i64| usize::try_from(n).ok().and_then(|n| self.samples.get(n)).copied().unwrap_or(0.0);
        let rest = |edge: i64, shift: i64| -> Vec<f64> {
            let about = edge - AROUND..edge + AROUND;
            about.map(|n| f64::from(at(n)) - level * tone_at((n - shift) as f64 - lag)).collect()
        };
        let mut costs = [0.0; 2 * CYCLES_OFF + 1];
        for edge in [lag as i64, lag as i64 + TONE_SAMPLES as i64] {
            let predictor = predictor(&rest(edge, 0));
            let surprise = |shift: i64| -> Vec<f64> {
                let rest = rest(edge, shift);
                rest.windows(ORDER + 1).map(|part| predicted(part, &predictor).powi(2)).collect()
            };
            let mut usual = surprise(0);
            let middle = usual.len() / 2;
            // The median of what has one degree of freedom is 0.455 of its mean.
            let power = (*usual.select_nth_unstable_by(middle, f64::total_cmp).1 / 0.455).max(LEAST_POWER);
            for (cost, shift) in costs.iter_mut().zip(-(CYCLES_OFF as i64)..) {
                let all = surprise(shift * CYCLE as i64);
                *cost += all.iter().map(|it| (it / (FREEDOM * power)).ln_1p()).sum::<f64>() * (FREEDOM + 1.0)
                    / 2.0;
            }
        }
        let least = (0..costs.len()).min_by(|l, r| costs[*l].total_cmp(&costs[*r])).unwrap_or(CYCLES_OFF);
        let others = costs.iter().enumerate().filter(|(n, _)| *n != least).map(|(_, cost)| *cost);
        let margin = others.fold(f64::INFINITY, f64::min) - costs[least];
        (least as i64 - CYCLES_OFF as i64, margin)
    }
}

/// Degrees of freedom of what the predictor does not foresee.
const FREEDOM: f64 = 3.0;
/// Its least power: what a 16 bit sample leaves.
const LEAST_POWER: f64 = 1e-10;

/// Samples to either side of an edge that are compared: 30 ms.
const AROUND: i64 = 30 * CYCLE as i64;
/// Cycles that the best correlation may be wrong by.
const CYCLES_OFF: usize = 8;
/// So often the cycle is looked for.
const TURNS: u32 = 3;
/// The predictor's order: enough for a voice's formants at 48 kHz.
const ORDER: usize = 40;
/// White noise that the predictor assumes beside what it hears, as a share of it: where a codec leaves nothing there is nothing to learn.
const ASSUMED_NOISE: f64 = 1e-3;

/// The coefficients of the linear predictor of `samples`, by their autocorrelation and the Levinson–Durbin recursion. Of silence it
/// foresees silence.
fn predictor(samples: &[f64]) -> [f64; ORDER] {
    let len = samples.len() as f64;
    let window = |n: usize| 0.5 - 0.5 * (TAU * (n as f64 + 0.5) / len).cos();
    let shaped: Vec<f64> = samples.iter().enumerate().map(|(n, s)| s * window(n)).collect();
    let mut correlation = [0.0; ORDER + 1];
    for (lag, sum) in correlation.iter_mut().enumerate() {
        *sum = shaped.iter().zip(shaped.iter().skip(lag)).map(|(a, b)| a * b).sum();
    }
    correlation[0] *= 1.0 + ASSUMED_NOISE;
    let mut error = correlation[0];
    let mut weights = [0.0; ORDER];
    // A millionth of the tone's own power.
    if !error.is_finite() || error < 1e-8 * len {
        return weights;
    }
    for order in 0..ORDER {
        let foreseen: f64 = (0..order).map(|n| weights[n] * correlation[order - n]).sum();
        let reflection = (correlation[order + 1] - foreseen) / error;
        let before = weights;
        weights[order] = reflection;
        for n in 0..order {
            weights[n] = before[n] - reflection * before[order - 1 - n];
        }
        error *= 1.0 - reflection * reflection;
    }
    weights
}

/// The last of `part` less what the others let foresee of it.
fn predicted(part: &[f64], predictor: &[f64; ORDER]) -> f64 {
    let foreseen: f64 = predictor.iter().zip(part[..ORDER].iter().rev()).map(|(w, s)| w * s).sum();
    part[ORDER] - foreseen
}

/// Whether the tone may begin with cycle `place`, where `whole` is the sum of as many cycles as it has.
fn looks_like_it(cycles: &[Cycle], place: usize, whole: Cycle) -> bool {
    let quarter = CYCLES / 4;
    let level = whole.level(CYCLES);
    let even = cycles[place..place + CYCLES].chunks_exact(quarter).all(|part| {
        let part: Cycle = part.iter().sum();
        QUARTERS.contains(&(part.along(whole) / quarter as f64 / level))
    });
    let flank = |part: &[Cycle]| {
        let sum: Cycle = part.iter().sum();
        part.is_empty() || sum.level(part.len().max(FLANK)) < FLANKS * level
    };
    // The cycle next to an edge may have a part of it.
    let before = &cycles[place.saturating_sub(FLANK + 1)..place.saturating_sub(1)];
    let end = place + CYCLES;
    even && flank(before) && flank(&cycles[end + 1..(end + FLANK).min(cycles.len())])
}

/// What a stretch of whole cycles holds at the tone's frequency.
#[derive(Debug, Clone, Copy, Default)]
struct Cycle {
    re: f64,
    im: f64,
}

impl Cycle {
    fn of(samples: &[f32]) -> Self {
        let mut it = Self::default();
        for (n, sample) in samples.iter().enumerate() {
            let (sin, cos) = (TAU * n as f64 / CYCLE as f64).sin_cos();
            it.re += f64::from(*sample) * cos;
            it.im -= f64::from(*sample) * sin;
        }
        it
    }

    /// How loud the tone is in `count` cycles whose sum this is: 1 as it was made.
    fn level(self, count: usize) -> f64 {
        2.0 * self.re.hypot(self.im) / (count * CYCLE) as f64 / f64::from(TONE_AMPLITUDE)
    }

    /// As [`level`](Self::level) of one cycle, of what is in phase with `other`.
    fn along(self, other: Self) -> f64 {
        let dot = self.re * other.re + self.im * other.im;
        2.0 * dot / other.re.hypot(other.im).max(f64::MIN_POSITIVE) / CYCLE as f64 / f64::from(TONE_AMPLITUDE)
    }
}

impl std::ops::Add for Cycle {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

impl std::ops::Sub for Cycle {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { re: self.re - other.re, im: self.im - other.im }
    }
}

impl<'a> std::iter::Sum<&'a Cycle> for Cycle {
    fn sum<I: Iterator<Item = &'a Cycle>>(all: I) -> Self {
        all.fold(Self::default(), |sum, it| sum + *it)
    }
}
