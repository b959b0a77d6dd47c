//! Microphones that need no device.

mod tone;
mod wav;

pub(crate) use tone::Tone;
pub(crate) use wav::Wav;

use crate::error::AudioError;
use crate::spec::SoundSpec;

/// Something that can be heard at 48 kHz, mono, for ever.
pub(crate) enum Source {
    Silence,
    Tone(Tone),
    Wav(Wav),
}

impl Source {
    /// The source that `spec` means; `None` where it means a device.
    pub(crate) fn of(spec: &SoundSpec) -> Result<Option<Self>, AudioError> {
        Ok(match spec {
            SoundSpec::None => Some(Self::Silence),
            SoundSpec::Tone(hz) => Some(Self::Tone(Tone::new(*hz))),
            SoundSpec::File(path) => Some(Self::Wav(Wav::open(path)?)),
            SoundSpec::Default { .. } | SoundSpec::Device { .. } => None,
        })
    }

    /// The next samples.
    pub(crate) fn fill(&mut self, out: &mut [f32]) {
        match self {
            Self::Silence => out.fill(0.0),
            Self::Tone(tone) => tone.fill(out),
            Self::Wav(wav) => wav.fill(out),
        }
    }
}
