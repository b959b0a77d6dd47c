//! Which quantiser each picture gets, so that a second of them has about the bits that were asked for.
//!
//! openh264's own rate control is for calls: it never lets a keyframe have a quantiser below 22, then steps down by three a picture,
//! and ends a second with another quality than it began with. A recording has no line to keep free, only a mean to keep. So here
//! the quantiser moves slowly, keyframes get the same one as the pictures around them, and only a burst of bits moves it fast.

use super::super::GOP;

/// The finest quantiser. Its step of 3.25 code values (ITU-T H.264 table 8-15 and clause 8.5.9) errs by less than a camera's noise.
const FINEST: f32 = 14.0;
/// The coarsest one that H.264 has.
const COARSEST: f32 = 51.0;
/// Quantisers a picture that a doubling of the bits is answered with. A quantiser is worth an eighth of the bits in clean pictures and
/// more than half of them where it decides whether noise is coded at all: faster than this swings there.
const GAIN: f32 = 0.1;
/// Pictures over which the bits of pictures between keyframes are averaged.
const MEMORY: f32 = 8.0;
/// Times its share from which a picture is a burst, and the most quantisers that answers one.
const BURST: f32 = 2.0;
const BURST_STEP: f32 = 6.0;

/// How much of a second's miss the seconds after it make up for, and how far that may go.
const TRIM: f32 = 0.3;
const TRIM_RANGE: (f32, f32) = (0.7, 1.6);

/// How many of the usual bits a hurried second has. A picture's time goes with its bits.
const HURRIED: f32 = 0.15;
/// Quantisers that a hurry begins with: it is needed at once.
const HURRY_STEP: f32 = 3.0;

/// Quantisers that halve the bits of clean pictures, as [`Rate::new`] takes them to.
const HALVING: f32 = 6.0;

/// One-pass rate control with a quantiser a picture.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    /// Bits a second that are aimed at without hurry.
    bitrate: f32,
    /// Bits that no second should have more than.
    max: f32,
    hurried: bool,
    /// [`FINEST`], but in tests.
    pub(super) finest: f32,
    /// What the next picture should have, in fractions of a quantiser.
    quantiser: f32,
    /// What rounding has left over; the next picture makes up for it.
    carry: f32,
    /// Bits of the last keyframe, and of the pictures since, on average.
    keyframe: Option<f32>,
    picture: Option<f32>,
    /// Bits since the last keyframe with it, and what they say about the target: a mean of rounded quantisers is not the quantiser of the mean.
    second: f32,
    trim: f32,
}

impl Rate {
    /// Aims at `bitrate` bits a second of pictures with `samples` luma samples, and leaves no more than a second above `max`.
    pub(super) fn new(bitrate: f32, max: f32, samples: f32) -> Self {
        let a_sample = bitrate / (samples * GOP as f32);
        // Only where it starts: about right for a room at 18 Mbit/s and 1080p, and six quantisers for each halving of the bits.
        let quantiser = (12.0 - HALVING * a_sample.log2()).clamp(20.0, 40.0);
        Self {
            bitrate,
            max: max.max(bitrate),
            hurried: false,
            finest: FINEST,
            quantiser,
            carry: 0.0,
            keyframe: None,
            picture: None,
            second: 0.0,
            trim: 1.0,
        }
    }

    /// The quantiser of the next picture.
    pub(super) fn next(&mut self) -> i32 {
        let wanted = self.quantiser + self.carry;
        let rounded = wanted.round().clamp(self.finest, COARSEST);
        self.carry = (wanted - rounded).clamp(-0.5, 0.5);
        rounded as i32
    }

    /// A picture was encoded.
    pub(super) fn spent(&mut self, keyframe: bool, bytes: usize) {
        let bits = bytes as f32 * 8.0;
        if keyframe {
            self.trim(bits);
            return;
        }
        self.second += bits;
        // What a keyframe leaves of its second. However large it is, the others get something.
        let second = (self.trim * self.target()).min(self.max);
        let left = (second - self.keyframe.unwrap_or(0.0)).max(0.3 * second);
        let share = left / (GOP - 1) as f32;
        let mean = self.picture.map_or(bits, |mean| mean + (bits - mean) / MEMORY);
        self.picture = Some(mean);
        let burst = bits / (BURST * share);
        let step = if burst > 1.0 {
            (3.0 * burst.log2()).min(BURST_STEP)
        } else {
            GAIN * (mean.max(1.0) / share).log2()
        };
        self.quantiser = (self.quantiser + step).clamp(self.finest, COARSEST);
    }

    /// A second ends with the next one's keyframe.
    fn trim(&mut self, bits: f32) {
        if self.keyframe.is_some() {
            self.limit(bits);
            let (least, most) = TRIM_RANGE;
            // At the finest quantiser there are fewer bits because no more are needed. That says nothing about what comes after it.
            self.trim = if self.quantiser > self.finest {
                (self.trim * (self.target() / self.second.max(1.0)).powf(TRIM)).clamp(least, most)
            } else {
                self.trim.powf(1.0 - TRIM)
            };
        }
        self.keyframe = Some(bits);
        self.second = bits;
    }

    /// Raises the quantiser at once where the second that has ended had more than the maximum, and the next one, which begins with a
    /// keyframe of `bits`, would have too.
    fn limit(&mut self, bits: f32) {
        let Some(mean) = self.picture else { return };
        let ahead = bits + (GOP - 1) as f32 * mean;
        let excess = self.second.min(ahead) / self.max;
        if excess > 1.0 {
            let step = (HALVING * excess.log2()).min(BURST_STEP);
            self.quantiser = (self.quantiser + step).clamp(self.finest, COARSEST);
            // It was counted at another quantiser.
            self.picture = Some(mean / (step / HALVING).exp2());
        }
    }

    /// The next picture gets at least this quantiser: the one before did not fit at a finer one.
    pub(super) fn at_least(&mut self, quantiser: i32) {
        self.quantiser = self.quantiser.max(quantiser as f32);
        self.carry = 0.0;
    }

    /// Fewer bits for less time, or as many as were asked for again.
    pub(super) fn hurry(&mut self, hurried: bool) {
        if hurried != self.hurried {
            self.hurried = hurried;
            let step = if hurried { HURRY_STEP } else { -HURRY_STEP };
            self.quantiser = (self.quantiser + step).clamp(self.finest, COARSEST);
            // They were counted at another quantiser.
            self.picture = None;
            self.keyframe = None;
            self.trim = 1.0;
        }
    }

    fn target(&self) -> f32 {
        if self.hurried { self.bitrate * HURRIED } else { self.bitrate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BITRATE: f32 = 18e6;
    const MAX: f32 = 20e6;
    const SAMPLES: f32 = 1920.0 * 1080.0;

    /// Pictures of `size` bits at quantiser 20, of which each quantiser more takes the fraction `slope`.
    fn run(rate: &mut Rate, seconds: u32, size: f32, slope: f32) -> Vec<f32> {
        (0..seconds)
            .map(|_| {
                let second = (0..GOP).map(|number| {
                    let coarser = (rate.next() - 20) as f32;
                    let large = if number == 0 { 3.0 } else { 1.0 };
                    let bits = size * large * (1.0 - slope).powf(coarser);
                    rate.spent(number == 0, (bits / 8.0) as usize);
                    bits
                });
                second.sum()
            })
            .collect()
    }

    #[test]
    fn pictures_of_every_kind_come_to_the_bits_asked_for() {
        for (size, slope) in
            [(400e3, 0.11), (300e3, 0.11), (2e6, 0.11), (190e3, 0.6), (700e3, 0.4), (6e6, 0.2)]
        {
            let mut rate = Rate::new(BITRATE, MAX, SAMPLES);
            let seconds = run(&mut rate, 40, size, slope);
            let late = &seconds[20..];
            let mean = late.iter().sum::<f32>() / late.len() as f32;
            assert!((15e6..20e6).contains(&mean), "{size} {slope}: {mean}");
            assert!(late.iter().all(|it| (10e6..25e6).contains(it)), "{size} {slope}: {late:?}");
        }
    }

    #[test]
    fn what_needs_few_bits_gets_no_more_than_it_needs() {
        let mut rate = Rate::new(BITRATE, MAX, SAMPLES);
        run(&mut rate, 20, 1e3, 0.11);
        assert_eq!(rate.next(), FINEST as i32);
    }

    #[test]
    fn a_sudden_change_is_answered_within_a_second() {
        let mut rate = Rate::new(BITRATE, MAX, SAMPLES);
        run(&mut rate, 20, 300e3, 0.11);
        let seconds = run(&mut rate, 3, 8e6, 0.11);
        assert!(seconds[0] > 2.0 * BITRATE, "no change at all: {seconds:?}");
        assert!(seconds[1..].iter().all(|&it| it < 1.2 * BITRATE), "{seconds:?}");
    }

    #[test]
    fn after_still_pictures_the_maximum_is_exceeded_for_no_more_than_a_second() {
        for (size, slope) in [(400e3, 0.11), (2e6, 0.11), (8e6, 0.11), (700e3, 0.4), (6e6, 0.2)] {
            let mut rate = Rate::new(BITRATE, MAX, SAMPLES);
            run(&mut rate, 5, 500e3, 0.11);
            // What the last seconds above the finest quantiser have said.
            rate.trim = TRIM_RANGE.1;
            run(&mut rate, 20, 1e3, 0.11);
            assert!(rate.trim < 1.01, "{}", rate.trim);
            let seconds = run(&mut rate, 10, size, slope);
            println!("{size} {slope}: {:?}", seconds.iter().map(|it| it / 1e6).collect::<Vec<_>>());
            assert!(seconds[1..].iter().all(|&it| it < 1.05 * MAX), "{size} {slope}: {seconds:?}");
        }
    }

    #[test]
    fn a_hurry_is_felt_at_once_and_ends() {
        let mut rate = Rate::new(BITRATE, MAX, SAMPLES);
        let usual = run(&mut rate, 20, 500e3, 0.11)[19];
        rate.hurry(true);
        let hurried = run(&mut rate, 10, 500e3, 0.11);
        assert!(hurried[0] < 0.8 * usual && hurried[9] < 0.45 * usual, "{hurried:?} of {usual}");
        rate.hurry(false);
        let again = run(&mut rate, 10, 500e3, 0.11)[9];
        assert!((again / usual - 1.0).abs() < 0.2, "{again} of {usual}");
    }

    proptest! {
        #[test]
        fn no_sizes_lead_out_of_the_range(sizes in proptest::collection::vec((any::<bool>(), 0_usize..50_000_000), 1..200)) {
            let mut rate = Rate::new(BITRATE, MAX, SAMPLES);
            for (keyframe, bytes) in sizes {
                rate.spent(keyframe, bytes);
                prop_assert!((FINEST as i32..=COARSEST as i32).contains(&rate.next()));
            }
        }
    }
}
