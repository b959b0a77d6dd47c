//! A sine wave.

use std::f64::consts::TAU;

use hyperzoom_media::SAMPLE_RATE;

/// The tone's amplitude: −20 dBFS RMS is −17 dBFS peak, the usual line-up level.
const AMPLITUDE: f64 = 0.141;

/// A sine wave that never jumps.
pub(crate) struct Tone {
    step: f64,
    phase: f64,
}

impl Tone {
    pub(crate) fn new(hz: f32) -> Self {
        Self { step: TAU * f64::from(hz) / f64::from(SAMPLE_RATE), phase: 0.0 }
    }

    pub(crate) fn fill(&mut self, out: &mut [f32]) {
        for sample in out {
            *sample = (AMPLITUDE * self.phase.sin()) as f32;
            self.phase = (self.phase + self.step) % TAU;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tone_has_its_frequency_across_blocks() {
        let mut tone = Tone::new(1000.0);
        let mut second = vec![0.0; SAMPLE_RATE as usize];
        second.chunks_mut(121).for_each(|block| tone.fill(block));
        let crossings = second.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        assert!((999..=1000).contains(&crossings), "{crossings} periods in a second");
    }
}
