//! H.264 High in software: openh264 through its C interface.
//!
//! The safe wrapper crate is passed by since it offers neither CABAC nor several slices on several threads.

mod rate;
mod raw;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::rate::Rate;
use self::raw::{RawEncoder, failed};
use self::settings::SLICES;
use super::{Effort, EncodedPicture, GOP, ParameterSets, VideoEncoder, VideoFormat};
use crate::error::EncodeError;

/// openh264 as a [`VideoEncoder`]: High profile with CABAC, level 4.1 (higher where the shape needs it), BT.709 in limited range.
///
/// Its High profile uses no 8x8 transform, since openh264 has none. Each picture is encoded when [`submit`](VideoEncoder::submit) returns.
pub struct H264Encoder {
    raw: RawEncoder,
    rate: Rate,
    format: VideoFormat,
    parameter_sets: ParameterSets,
    ready: VecDeque<EncodedPicture>,
    threads: u16,
    /// Pictures that outgrew openh264's buffers and were encoded again.
    rebuilt: u32,
}

/// Quantisers for a picture that outgrew openh264's buffers: they hold any picture from there on.
const COARSE: [i32; 2] = [24, 40];

impl H264Encoder {
    /// Starts an encoder on `threads` threads (0: one a core, at most four).
    ///
    /// # Errors
    /// [`EncodeError`] when openh264 refuses the format.
    pub fn new(format: VideoFormat, threads: u16) -> Result<Self, EncodeError> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(SLICES as usize) as u16),
            n => n,
        };
        let mut raw = RawEncoder::new(&format, threads)?;
        let parameter_sets = raw.parameter_sets()?;
        let bits = |kbps: u32| kbps as f32 * 1000.0;
        let rate = Rate::new(
            bits(format.bitrate_kbps),
            bits(format.max_bitrate_kbps),
            format.shape.luma_len() as f32,
        );
        Ok(Self { raw, rate, format, parameter_sets, ready: VecDeque::new(), threads, rebuilt: 0 })
    }

    /// Encodes `picture` on a fresh encoder with a quantiser of at least `quantiser`: one that fails has torn itself down.
    fn rebuild(
        &mut self,
        quantiser: i32,
        position: u64,
        picture: &[u8],
    ) -> Result<(bool, Vec<u8>), EncodeError> {
        let mut raw = RawEncoder::new(&self.format, self.threads)?;
        // The file has one sample entry, so what follows must decode with the first parameter sets.
        if raw.parameter_sets()? != self.parameter_sets {
            return Err(failed("starting again: its parameter sets changed", -1));
        }
        self.raw = raw;
        self.rebuilt += 1;
        self.rate.at_least(quantiser);
        tracing::debug!(position, times = self.rebuilt, "a fresh encoder");
        self.raw.set_quantiser(self.rate.next())?;
        self.raw.encode(&self.format, position, picture)
    }
}

impl VideoEncoder for H264Encoder {
    fn parameter_sets(&self) -> &ParameterSets {
        &self.parameter_sets
    }

    fn submit(&mut self, position: u64, picture: &[u8]) -> Result<(), EncodeError> {
        // On every grid point, so that an encoder that had to start again off the grid comes back to it.
        if position.is_multiple_of(u64::from(GOP)) {
            self.raw.force_keyframe()?;
        }
        self.raw.set_quantiser(self.rate.next())?;
        let mut encoded = self.raw.encode(&self.format, position, picture);
        for quantiser in COARSE {
            if let Err(error) = &encoded {
                tracing::warn!(position, quantiser, "{error}; the picture is encoded again, coarser");
                encoded = self.rebuild(quantiser, position, picture);
            }
        }
        let (keyframe, data) = encoded?;
        self.rate.spent(keyframe, data.len());
        self.ready.push_back(EncodedPicture { position, keyframe, data });
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<EncodedPicture>, EncodeError> {
        Ok(self.ready.pop_front())
    }

    fn finish(&mut self) -> Result<(), EncodeError> {
        Ok(())
    }

    /// A hurry is a coarser quantiser: fewer coefficients to code, and more blocks that are skipped before anything is searched.
    fn set_effort(&mut self, effort: Effort) -> bool {
        self.rate.hurry(effort == Effort::Hurry);
        true
    }

    fn name(&self) -> String {
        format!("openh264 (High, CABAC, {SLICES} slices on {} threads)", self.threads)
    }
}
