//! How loud the microphone is, or a peer, for whoever draws it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The peak of a microphone or of a voice since it was last asked for. Any number of threads may write.
#[derive(Debug, Clone, Default)]
pub struct Level(Arc<AtomicU32>);

impl Level {
    /// The greatest absolute sample since the last call, 0 to 1 for what a device delivers (a codec can overshoot that a little); 0 where nothing came since.
    #[must_use]
    pub fn take_peak(&self) -> f32 {
        f32::from_bits(self.0.swap(0, Ordering::Relaxed))
    }

    /// Takes note of a block of samples. Never blocks or allocates.
    pub(crate) fn note(&self, block: &[f32]) {
        let peak = block.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        // Of two floats that are not negative the greater has the greater bits.
        self.0.fetch_max(peak.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_told_once() {
        let level = Level::default();
        level.note(&[0.1, -0.5, 0.2]);
        level.note(&[0.3]);
        assert_eq!(level.take_peak(), 0.5);
        assert_eq!(level.take_peak(), 0.0);
    }

    #[test]
    fn a_sample_that_is_no_number_does_not_stick() {
        let level = Level::default();
        level.note(&[f32::NAN, 0.25]);
        assert_eq!(level.take_peak(), 0.25);
    }
}
