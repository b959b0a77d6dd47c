//! Microphones that need no device.

mod pips;
mod tone;
mod wav;

pub(crate) use pips::Pips;
pub(crate) use tone::Tone;
pub(crate) use wav::Wav;

use std::time::{Duration, Instant};

use hyperzoom_media::SAMPLE_RATE;

use crate::error::AudioError;
use crate::spec::SoundSpec;

/// Something that can be heard, mono, for ever: at 48 kHz, or what a device takes for it.
pub(crate) enum Source {
    Silence,
    Tone(Tone),
    Pips(Pips),
    Wav(Wav),
}

impl Source {
    /// The source that `spec` means; `None` where it means a device.
    pub(crate) fn of(spec: &SoundSpec) -> Result<Option<Self>, AudioError> {
        Ok(match spec {
            SoundSpec::None => Some(Self::Silence),
            SoundSpec::Tone(hz) => Some(Self::Tone(Tone::new(*hz))),
            SoundSpec::Pips(ppm) => Some(Self::Pips(Pips::new(*ppm))),
            SoundSpec::File(path) => Some(Self::Wav(Wav::open(path)?)),
            SoundSpec::Default { .. } | SoundSpec::Device { .. } => None,
        })
    }

    /// Its device starts, in a process that counts from `epoch`.
    pub(crate) fn start(&mut self, epoch: Instant) {
        if let Self::Pips(pips) = self {
            pips.start(epoch);
        }
    }

    /// Samples a second of its device, by this computer's clock.
    pub(crate) fn rate(&self) -> f64 {
        match self {
            Self::Pips(pips) => pips.rate(),
            Self::Silence | Self::Tone(_) | Self::Wav(_) => f64::from(SAMPLE_RATE),
        }
    }

    /// The next samples, the first of them captured at `at` since the epoch.
    pub(crate) fn fill(&mut self, at: Duration, out: &mut [f32]) {
        match self {
            Self::Silence => out.fill(0.0),
            Self::Tone(tone) => tone.fill(out),
            Self::Pips(pips) => pips.fill(at, out),
            Self::Wav(wav) => wav.fill(out),
        }
    }
}
