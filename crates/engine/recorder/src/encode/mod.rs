//! Encoders of the master recording, behind traits that a hardware encoder fits as well.

mod aac;
mod h264;

pub(crate) use aac::{AacEncoder, BITRATE as AAC_BITRATE, FRAME as AAC_FRAME, MAX_UNIT as AAC_MAX_UNIT};
pub use h264::H264Encoder;

use hyperzoom_media::I420;

use crate::error::EncodeError;

/// What a video encoder is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoFormat {
    /// The pictures' shape; it holds for the whole take.
    pub shape: I420,
    /// The bitrate to aim at, in kbit/s.
    pub bitrate_kbps: u32,
    /// The bitrate that is not exceeded for long, in kbit/s.
    pub max_bitrate_kbps: u32,
}

/// The stream's parameter sets, each one NAL unit without a start code: what an MP4 keeps in its sample entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSets {
    /// Sequence parameter set (ITU-T H.264 §7.3.2.1).
    pub sps: Vec<u8>,
    /// Picture parameter set (ITU-T H.264 §7.3.2.2).
    pub pps: Vec<u8>,
}

/// One encoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPicture {
    /// The position given with the picture, counted in pictures from the take's start.
    pub position: u64,
    /// Whether it decodes without any other.
    pub keyframe: bool,
    /// NAL units, each behind its length as 4 big-endian bytes (ISO/IEC 14496-15), without parameter sets.
    pub data: Vec<u8>,
}

/// How hard a video encoder tries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Effort {
    /// The best that real time allows.
    #[default]
    Full,
    /// Less quality or more bits for less time, while the recording is behind.
    Hurry,
}

/// Encodes pictures in the order of their position, one a tick, every thirtieth a keyframe and no B-pictures.
///
/// [`submit`](Self::submit) may return before the picture is encoded, as a hardware encoder does; what is ready is fetched
/// with [`poll`](Self::poll), in order.
pub trait VideoEncoder: Send {
    /// The stream's parameter sets.
    fn parameter_sets(&self) -> &ParameterSets;

    /// Hands over one picture, laid out as [`I420`] says.
    ///
    /// It is lent until this returns, since it is a pooled picture of the camera's: an encoder that returns before it has read it makes
    /// a copy, which for hardware is the upload that it makes anyway.
    ///
    /// # Errors
    /// [`EncodeError`] when the encoder refuses it; it will not take another.
    fn submit(&mut self, position: u64, picture: &[u8]) -> Result<(), EncodeError>;

    /// The next encoded picture, once it is there.
    ///
    /// # Errors
    /// [`EncodeError`] when a picture that was handed over could not be encoded.
    fn poll(&mut self) -> Result<Option<EncodedPicture>, EncodeError>;

    /// Encodes what is still inside; [`poll`](Self::poll) returns all of it after that.
    ///
    /// # Errors
    /// [`EncodeError`] when a picture that was handed over could not be encoded.
    fn finish(&mut self) -> Result<(), EncodeError>;

    /// How hard to try from the next picture on; returns whether this encoder can do that. It must not change the parameter sets.
    fn set_effort(&mut self, effort: Effort) -> bool {
        let _ = effort;
        false
    }

    /// What it is, for reports.
    fn name(&self) -> String;
}

/// Encodes sound into AAC-LC access units.
pub(crate) trait AudioEncoder: Send {
    /// Samples by which what is decoded lags what was encoded.
    fn delay(&self) -> u32;

    /// The stream's AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).
    fn config(&self) -> &[u8];

    /// Encodes `samples`, calling `unit` with each access unit that gets full.
    fn encode(&mut self, samples: &[f32], unit: &mut dyn FnMut(Vec<u8>)) -> Result<(), EncodeError>;

    /// Encodes the rest and enough silence that every sample given so far comes out of a decoder.
    fn finish(&mut self, unit: &mut dyn FnMut(Vec<u8>)) -> Result<(), EncodeError>;
}

/// Pictures from one keyframe to the next: one second (spec §4.3.1).
pub(crate) const GOP: u32 = 30;
