//! Whether pictures decode: openh264's decoder, with its concealment of errors off.

use std::ptr;

use openh264_sys2 as sys;
use sys::API;

use crate::encode::ParameterSets;
use crate::error::EncodeError;

const NAL_SLICE: u8 = 1;
const NAL_IDR: u8 = 5;
const NAL_SEI: u8 = 6;
const NAL_FILLER: u8 = 12;

/// The C++ object, destroyed on drop.
pub(super) struct Decoder {
    object: *mut sys::ISVCDecoder,
    scratch: Vec<u8>,
}

fn failed(step: &'static str, code: impl Into<i64>) -> EncodeError {
    EncodeError { encoder: "H.264 (openh264, decoding)", step, code: code.into() }
}

impl Decoder {
    /// A decoder of the stream with these parameter sets.
    pub(super) fn new(sets: &ParameterSets) -> Result<Self, EncodeError> {
        let api = sys::DynamicAPI::from_source();
        let mut object = ptr::null_mut();
        // SAFETY: `object` is a valid place for the pointer that is written.
        let code = unsafe { api.WelsCreateDecoder(&raw mut object) };
        if code != 0 || object.is_null() {
            return Err(failed("creation", code));
        }
        let mut decoder = Self { object, scratch: Vec::new() };
        let functions = *decoder.functions();
        let missing = || failed("initialisation", -1);
        let initialise = functions.Initialize.ok_or_else(missing)?;
        let set_option = functions.SetOption.ok_or_else(missing)?;
        let mut quiet: i32 = sys::WELS_LOG_QUIET;
        // SAFETY: this option reads one int.
        unsafe { set_option(object, sys::DECODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast()) };
        let mut param = sys::SDecodingParam { eEcActiveIdc: sys::ERROR_CON_DISABLE, ..Default::default() };
        param.sVideoProperty.eVideoBsType = sys::VIDEO_BITSTREAM_AVC;
        // SAFETY: `object` is valid and `param` is a whole SDecodingParam, which is copied.
        let code = unsafe { initialise(object, &raw const param) };
        if code != 0 {
            return Err(failed("initialisation", code));
        }
        for set in [&sets.sps, &sets.pps] {
            decoder.scratch.clear();
            append(&mut decoder.scratch, set);
            decoder.feed()?;
        }
        Ok(decoder)
    }

    /// Whether the picture `data` (NAL units behind their lengths) decodes, after all before it.
    pub(super) fn decodes(&mut self, data: &[u8]) -> bool {
        self.scratch.clear();
        let mut rest = data;
        let mut slices = 0;
        while !rest.is_empty() {
            let unit = rest.split_first_chunk::<4>().and_then(|(len, after)| {
                after.split_at_checked(u32::from_be_bytes(*len) as usize).filter(|(unit, _)| !unit.is_empty())
            });
            let Some((unit, after)) = unit else { return false };
            match unit[0] & 0x1f {
                NAL_SLICE | NAL_IDR => slices += 1,
                NAL_SEI | NAL_FILLER => (),
                // The encoder puts nothing else into a picture; parameter sets could change its size.
                _ => return false,
            }
            append(&mut self.scratch, unit);
            rest = after;
        }
        // What is shown may lag, so that it is the decoder's count that tells.
        let before = self.decoded();
        slices > 0 && self.feed().is_ok() && self.decoded() == before.wrapping_add(1)
    }

    /// Pictures decoded so far.
    fn decoded(&self) -> u32 {
        let mut statistics = sys::SDecoderStatistics::default();
        if let Some(get_option) = self.functions().GetOption {
            // SAFETY: this option fills one SDecoderStatistics.
            unsafe {
                get_option(self.object, sys::DECODER_OPTION_GET_STATISTICS, (&raw mut statistics).cast());
            }
        }
        statistics.uiDecodedFrameCount
    }

    /// Decodes what lies in `scratch`.
    fn feed(&mut self) -> Result<(), EncodeError> {
        let decode = self.functions().DecodeFrameNoDelay.ok_or_else(|| failed("decoding", -1))?;
        let len = i32::try_from(self.scratch.len()).map_err(|_| failed("decoding", -1))?;
        let mut planes = [ptr::null_mut(); 3];
        // SAFETY: the struct is plain numbers and pointers, for which all zeros are valid.
        let mut info: sys::SBufferInfo = unsafe { std::mem::zeroed() };
        // SAFETY: `object` is initialised, the input has `len` bytes, and both outputs are whole. What `planes` points to
        // belongs to the decoder and is not touched.
        let state =
            unsafe { decode(self.object, self.scratch.as_ptr(), len, planes.as_mut_ptr(), &raw mut info) };
        match state {
            sys::dsErrorFree => Ok(()),
            state => Err(failed("decoding", state)),
        }
    }

    /// The table of the object's functions.
    fn functions(&self) -> &sys::ISVCDecoderVtbl {
        // SAFETY: `object` came from WelsCreateDecoder and lives until drop; its first word points to a static table.
        unsafe { &**self.object }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let uninitialise = self.functions().Uninitialize;
        // SAFETY: `object` is valid, and not used after this.
        unsafe {
            if let Some(uninitialise) = uninitialise {
                uninitialise(self.object);
            }
            sys::DynamicAPI::from_source().WelsDestroyDecoder(self.object);
        }
    }
}

/// One NAL unit behind a start code (ITU-T H.264 annex B).
fn append(stream: &mut Vec<u8>, unit: &[u8]) {
    stream.extend_from_slice(&[0, 0, 0, 1]);
    stream.extend_from_slice(unit);
}

#[cfg(test)]
mod tests {
    use hyperzoom_media::I420;

    use super::*;
    use crate::encode::{H264Encoder, VideoEncoder, VideoFormat};

    const SHAPE: I420 = I420 { width: 320, height: 180 };

    fn pictures(count: u64) -> (ParameterSets, Vec<Vec<u8>>) {
        let format = VideoFormat { shape: SHAPE, bitrate_kbps: 2000, max_bitrate_kbps: 2500 };
        let mut encoder = H264Encoder::new(format, 2).unwrap();
        let pictures = (0..count).map(|position| {
            let picture: Vec<u8> =
                (0..SHAPE.len() as u64).map(|i| ((i / 3 + position * 5) % 180) as u8 + 20).collect();
            encoder.submit(position, &picture).unwrap();
            encoder.poll().unwrap().unwrap().data
        });
        let pictures = pictures.collect();
        (encoder.parameter_sets().clone(), pictures)
    }

    #[test]
    fn what_was_encoded_decodes_picture_by_picture() {
        let (sets, pictures) = pictures(40);
        let mut decoder = Decoder::new(&sets).unwrap();
        for (number, picture) in pictures.iter().enumerate() {
            assert!(decoder.decodes(picture), "picture {number}");
        }
    }

    #[test]
    fn torn_zeroed_or_orphaned_pictures_do_not_decode() {
        let (sets, pictures) = pictures(3);
        let key = &pictures[0];
        let fresh = || Decoder::new(&sets).unwrap();
        for len in [0, 3, 4, 5, key.len() / 2, key.len() - 1] {
            assert!(!fresh().decodes(&key[..len]), "{len} bytes of {}", key.len());
        }
        assert!(!fresh().decodes(&vec![0; key.len()]));
        assert!(!fresh().decodes(&pictures[1]), "its keyframe is missing");
        let mut tail_is_zero = key.clone();
        tail_is_zero[key.len() / 3..].fill(0);
        assert!(!fresh().decodes(&tail_is_zero));
    }
}
