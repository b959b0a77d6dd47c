//! What a stream's samples are.

use std::ffi::CString;

use hyperzoom_media::SAMPLE_RATE;
use pulseaudio::protocol::{ChannelMap, ChannelPosition, SampleFormat, SampleSpec};

use crate::devices::SoundDevice;

/// Bytes of a sample: our streams are 32-bit floats.
pub(super) const BYTES: usize = size_of::<f32>();

/// The most channels of a stream: PulseAudio's own bound.
const MAX_CHANNELS: u16 = 32;

/// Channels of a stream of this device's: as many as it has, so that nothing is mixed but by us.
pub(super) fn channels_of(device: &SoundDevice) -> u16 {
    device.channels.unwrap_or(1).clamp(1, MAX_CHANNELS)
}

/// Bytes of a frame.
pub(super) fn frame(channels: u16) -> usize {
    usize::from(channels) * BYTES
}

/// The device's name, as the server wants it.
pub(super) fn name_of(device: &SoundDevice) -> Result<CString, String> {
    CString::new(device.name.as_str()).map_err(|error| error.to_string())
}

/// What a stream's samples are.
pub(super) fn spec(channels: u16) -> SampleSpec {
    let format =
        if cfg!(target_endian = "little") { SampleFormat::Float32Le } else { SampleFormat::Float32Be };
    // Clamped to 32 where it was read.
    SampleSpec { format, channels: channels as u8, sample_rate: SAMPLE_RATE }
}

/// Mono, or left and right first. What lies beyond is not used, and only has to be called something.
pub(super) fn map(channels: u16) -> ChannelMap {
    use ChannelPosition as P;
    let rest = [
        P::FrontCenter,
        P::Lfe,
        P::RearLeft,
        P::RearRight,
        P::SideLeft,
        P::SideRight,
        P::Aux0,
        P::Aux1,
        P::Aux2,
        P::Aux3,
        P::Aux4,
        P::Aux5,
        P::Aux6,
        P::Aux7,
        P::Aux8,
        P::Aux9,
        P::Aux10,
        P::Aux11,
        P::Aux12,
        P::Aux13,
        P::Aux14,
        P::Aux15,
        P::Aux16,
        P::Aux17,
        P::Aux18,
        P::Aux19,
        P::Aux20,
        P::Aux21,
        P::Aux22,
        P::Aux23,
    ];
    match channels {
        1 => ChannelMap::new([P::Mono]),
        more => {
            ChannelMap::new([P::FrontLeft, P::FrontRight].into_iter().chain(rest).take(usize::from(more)))
        }
    }
}
