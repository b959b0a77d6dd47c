//! The weights of a scaling pass, in fixed point.
//!
//! They are made as `fast_image_resize` 6 makes its own (`convolution::precompute_coefficients` and
//! `optimisations::Normalizer16`, after Pillow-SIMD): a triangle over the samples of the larger picture, its weights in 16
//! bits with as many of them behind the binary point as the largest weight allows. So GPU and CPU round alike.

/// Bits of the accumulator that a weight may not use: 8 for the sample, 2 for the sum's overshoot.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// The weights for each output of one pass, ready for `scale.wgsl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taps {
    /// For each output: the first input, how many there are, and that many weights, padded to `step`.
    pub(crate) words: Vec<i32>,
    /// Words for each output.
    pub(crate) step: u32,
    /// Bits behind the weights' binary point.
    pub(crate) bits: u32,
}

impl Taps {
    /// The weights from `from` samples to `to`; neither may be 0.
    pub(crate) fn new(from: u32, to: u32) -> Self {
        let scale = f64::from(from) / f64::from(to);
        let radius = scale.max(1.0);
        let triangle = |x: f64| (1.0 - x.abs()).max(0.0);
        let outputs: Vec<(u32, Vec<f64>)> = (0..to)
            .map(|output| {
                let center = (f64::from(output) + 0.5) * scale;
                let first = (center - radius).floor().max(0.0) as u32;
                let end = (center + radius).ceil().min(f64::from(from)) as u32;
                let weights: Vec<f64> = (first..end)
                    .map(|input| triangle((f64::from(input) - (center - 0.5)) * (1.0 / radius)))
                    .collect();
                let leading = weights.iter().take_while(|&&weight| weight == 0.0).count();
                let used = weights.iter().rposition(|&weight| weight != 0.0).map_or(leading, |last| last + 1);
                let sum: f64 = weights.iter().sum();
                (first + leading as u32, weights[leading..used].iter().map(|weight| weight / sum).collect())
            })
            .collect();
        let largest = outputs.iter().flat_map(|(_, weights)| weights).copied().fold(0.0, f64::max);
        let bits = (0..PRECISION_BITS)
            .find(|bits| (largest * f64::from(1 << (bits + 1))).round() >= f64::from(1 << 15))
            .unwrap_or(PRECISION_BITS - 1);
        let step = 2 + outputs.iter().map(|(_, weights)| weights.len()).max().unwrap_or(0);
        let mut words = Vec::with_capacity(step * outputs.len());
        for (first, weights) in &outputs {
            words.extend([*first as i32, weights.len() as i32]);
            words.extend(weights.iter().map(|weight| (weight * f64::from(1 << bits)).round() as i32));
            words.resize(words.len().next_multiple_of(step), 0);
        }
        Self { words, step: step as u32, bits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_size_keeps_every_sample() {
        let taps = Taps::new(7, 7);
        for (n, entry) in taps.words.chunks_exact(taps.step as usize).enumerate() {
            assert_eq!(entry[..3], [n as i32, 1, 1 << taps.bits]);
        }
    }

    #[test]
    fn half_the_size_is_a_triangle_over_four() {
        let taps = Taps::new(8, 4);
        let one = f64::from(1 << taps.bits);
        let entry = &taps.words[taps.step as usize..2 * taps.step as usize];
        assert_eq!(entry[..2], [1, 4]);
        for (weight, eighths) in entry[2..6].iter().zip([1.0, 3.0, 3.0, 1.0]) {
            assert!((f64::from(*weight) / one - eighths / 8.0).abs() < 1e-4, "{entry:?}");
        }
    }

    proptest! {
        #[test]
        fn weights_add_up_to_one_and_lie_within_the_picture(from in 1u32..2200, to in 1u32..1000) {
            let taps = Taps::new(from, to);
            prop_assert_eq!(taps.words.len(), (taps.step * to) as usize);
            for entry in taps.words.chunks_exact(taps.step as usize) {
                let count = entry[1] as usize;
                prop_assert!(count > 0 && entry[0] >= 0 && entry[0] as u32 + entry[1] as u32 <= from);
                let sum: i32 = entry[2..2 + count].iter().sum();
                prop_assert!((f64::from(sum) / f64::from(1 << taps.bits) - 1.0).abs() < 2e-3, "{:?}", entry);
                prop_assert!(entry[2..].iter().all(|&weight| (0..1 << 15).contains(&weight)));
            }
        }
    }
}
