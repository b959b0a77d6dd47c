//! How loud an invented frame is: a decoder's guess is good for a few frames and then becomes a drone.

use hyperzoom_media::SAMPLE_RATE;

const MS: usize = SAMPLE_RATE as usize / 1000;
/// Concealment is left alone for so long.
const FULL: usize = 20 * MS;
/// After so long it is silent.
const SILENT: usize = 60 * MS;
/// A voice comes back over so long.
const RETURN: usize = 5 * MS / 2;

/// The gain of the sound, and how long it has been invented.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fade {
    gain: f32,
    concealed: usize,
}

impl Fade {
    /// How many samples in a row were concealed.
    pub(crate) fn concealed(&self) -> usize {
        self.concealed
    }

    /// Whether all that is invented from here on is silence.
    pub(crate) fn is_silent(&self) -> bool {
        self.gain == 0.0
    }

    /// A frame that was really received.
    pub(crate) fn real(&mut self, frame: &mut [f32]) {
        self.concealed = 0;
        if self.gain == 1.0 {
            return;
        }
        for sample in frame {
            self.gain = (self.gain + 1.0 / RETURN as f32).min(1.0);
            *sample *= self.gain;
        }
    }

    /// A frame that was invented.
    pub(crate) fn concealed_frame(&mut self, frame: &mut [f32]) {
        let before = self.concealed;
        self.concealed += frame.len();
        if self.concealed <= FULL && self.gain == 1.0 {
            return;
        }
        for (i, sample) in frame.iter_mut().enumerate() {
            let left = SILENT.saturating_sub(before + i + 1) as f32 / (SILENT - FULL) as f32;
            self.gain = self.gain.min(left);
            *sample *= self.gain;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_fades_without_a_step_and_the_voice_comes_back_without_one() {
        let mut fade = Fade::default();
        let mut out = Vec::new();
        let mut run = |fade: &mut Fade, real: bool, frames: usize| {
            for _ in 0..frames {
                let mut frame = [1.0; 240];
                if real {
                    fade.real(&mut frame);
                } else {
                    fade.concealed_frame(&mut frame);
                }
                out.extend(frame);
            }
        };
        run(&mut fade, true, 4);
        run(&mut fade, false, 20);
        assert!(fade.is_silent());
        run(&mut fade, true, 4);
        assert!(out.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.01), "no click");
        assert_eq!(out[480], 1.0);
        assert_eq!(out[4 * 240 + FULL - 1], 1.0, "the decoder's own guess is left alone for 20 ms");
        assert_eq!(out[4 * 240 + SILENT..24 * 240], [0.0; 20 * 240 - SILENT]);
        assert_eq!(*out.last().unwrap(), 1.0);
    }
}
