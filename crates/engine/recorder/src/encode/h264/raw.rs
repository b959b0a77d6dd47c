//! openh264's C interface: all of this crate's unsafe code for pictures.

use std::ptr;

use hyperzoom_media::MASTER_FPS;
use openh264_sys2 as sys;
use sys::API;

use super::super::{ParameterSets, VideoFormat};
use super::settings::configure;
use crate::error::EncodeError;

const SLICE_NON_IDR: u8 = 1;
const SLICE_IDR: u8 = 5;
const NAL_SPS: u8 = 7;
const NAL_PPS: u8 = 8;

/// The C++ object, destroyed on drop.
pub(super) struct RawEncoder {
    object: *mut sys::ISVCEncoder,
    params: sys::SEncParamExt,
}

// SAFETY: the object has no tie to the thread that made it, and `&mut self` keeps callers apart.
unsafe impl Send for RawEncoder {}

pub(super) fn failed(step: &'static str, code: impl Into<i64>) -> EncodeError {
    EncodeError { encoder: "H.264 (openh264)", step, code: code.into() }
}

impl RawEncoder {
    /// An encoder for `format` on `threads` threads.
    pub(super) fn new(format: &VideoFormat, threads: u16) -> Result<Self, EncodeError> {
        let api = sys::DynamicAPI::from_source();
        let mut object = ptr::null_mut();
        // SAFETY: `object` is a valid place for the pointer that is written.
        let code = unsafe { api.WelsCreateSVCEncoder(&raw mut object) };
        if code != 0 || object.is_null() {
            return Err(failed("creation", code));
        }
        let mut encoder = Self { object, params: sys::SEncParamExt::default() };
        encoder.initialise(format, threads)?;
        Ok(encoder)
    }

    /// The table of the object's functions.
    fn functions(&self) -> &sys::ISVCEncoderVtbl {
        // SAFETY: `object` came from WelsCreateSVCEncoder and lives until drop; its first word points to a static table.
        unsafe { &**self.object }
    }

    fn initialise(&mut self, format: &VideoFormat, threads: u16) -> Result<(), EncodeError> {
        let functions = *self.functions();
        let missing = || failed("initialisation", -1);
        let get_defaults = functions.GetDefaultParams.ok_or_else(missing)?;
        let initialise = functions.InitializeExt.ok_or_else(missing)?;

        let mut quiet: i32 = sys::WELS_LOG_QUIET;
        // SAFETY: this option reads one int.
        unsafe { self.set_option(sys::ENCODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast())? };
        // SAFETY: `object` is valid and `params` is a whole SEncParamExt.
        let code = unsafe { get_defaults(self.object, &raw mut self.params) };
        if code != 0 {
            return Err(failed("reading its defaults", code));
        }
        configure(&mut self.params, format, threads);
        // SAFETY: as above; openh264 copies the parameters.
        let code = unsafe { initialise(self.object, &raw const self.params) };
        if code != 0 {
            return Err(failed("initialisation", code));
        }
        // The log level is reset by initialisation.
        // SAFETY: this option reads one int.
        unsafe { self.set_option(sys::ENCODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast()) }
    }

    /// # Safety
    /// `value` must point to what `option` reads.
    unsafe fn set_option(
        &mut self,
        option: sys::ENCODER_OPTION,
        value: *mut std::ffi::c_void,
    ) -> Result<(), EncodeError> {
        let set_option = self.functions().SetOption.ok_or_else(|| failed("an option", -1))?;
        // SAFETY: `object` is valid; the caller answers for `value`.
        match unsafe { set_option(self.object, option, value) } {
            0 => Ok(()),
            code => Err(failed("an option", code)),
        }
    }

    /// The quantiser from the next picture on.
    ///
    /// openh264 takes it with all other parameters. Since none of those differs, it neither starts again nor makes a keyframe.
    pub(super) fn set_quantiser(&mut self, quantiser: i32) -> Result<(), EncodeError> {
        if self.params.sSpatialLayers[0].iDLayerQp == quantiser {
            return Ok(());
        }
        self.params.sSpatialLayers[0].iDLayerQp = quantiser;
        let mut params = self.params;
        // SAFETY: this option reads a whole SEncParamExt.
        unsafe { self.set_option(sys::ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, (&raw mut params).cast()) }
    }

    pub(super) fn force_keyframe(&mut self) -> Result<(), EncodeError> {
        let force = self.functions().ForceIntraFrame.ok_or_else(|| failed("a keyframe", -1))?;
        // SAFETY: `object` is initialised.
        match unsafe { force(self.object, true) } {
            0 => Ok(()),
            code => Err(failed("a keyframe", code)),
        }
    }

    pub(super) fn parameter_sets(&mut self) -> Result<ParameterSets, EncodeError> {
        let encode = self.functions().EncodeParameterSets.ok_or_else(|| failed("parameter sets", -1))?;
        let mut info = sys::SFrameBSInfo::default();
        // SAFETY: `object` is initialised and `info` is a whole SFrameBSInfo, which is filled with pointers into the object.
        let code = unsafe { encode(self.object, &raw mut info) };
        if code != 0 {
            return Err(failed("parameter sets", code));
        }
        let (mut sps, mut pps) = (Vec::new(), Vec::new());
        for_each_nal(&info, |nal| match nal[0] & 0x1f {
            NAL_SPS => sps = nal.to_vec(),
            NAL_PPS => pps = nal.to_vec(),
            _ => (),
        });
        if sps.is_empty() || pps.is_empty() {
            return Err(failed("parameter sets", -1));
        }
        Ok(ParameterSets { sps, pps })
    }

    /// Encodes a picture; returns whether it is a keyframe, and its slices as [`EncodedPicture`](super::super::EncodedPicture) has them.
    pub(super) fn encode(
        &mut self,
        format: &VideoFormat,
        position: u64,
        picture: &[u8],
    ) -> Result<(bool, Vec<u8>), EncodeError> {
        let encode = self.functions().EncodeFrame.ok_or_else(|| failed("encoding", -1))?;
        let shape = format.shape;
        let [y, u, v] = shape.planes(picture);
        let chroma_stride = shape.chroma_width() as i32;
        let source = sys::SSourcePicture {
            iColorFormat: sys::videoFormatI420,
            iStride: [shape.width as i32, chroma_stride, chroma_stride, 0],
            pData: [y.as_ptr().cast_mut(), u.as_ptr().cast_mut(), v.as_ptr().cast_mut(), ptr::null_mut()],
            iPicWidth: shape.width as i32,
            iPicHeight: shape.height as i32,
            uiTimeStamp: (position * 1000 / u64::from(MASTER_FPS)) as i64,
            ..Default::default()
        };
        let mut info = sys::SFrameBSInfo::default();
        // SAFETY: the planes outlive the call, are as large as shape and strides say, and openh264 only reads them.
        let code = unsafe { encode(self.object, &raw const source, &raw mut info) };
        if code != 0 {
            return Err(failed("encoding", code));
        }
        let mut keyframe = false;
        let mut slices = 0;
        let mut data = Vec::with_capacity(usize::try_from(info.iFrameSizeInBytes).unwrap_or(0) + 64);
        for_each_nal(&info, |nal| {
            let kind = nal[0] & 0x1f;
            // Parameter sets stand in the file's sample entry, and they never change.
            if kind == SLICE_IDR || kind == SLICE_NON_IDR {
                keyframe |= kind == SLICE_IDR;
                slices += 1;
                data.extend_from_slice(&(nal.len() as u32).to_be_bytes());
                data.extend_from_slice(nal);
            }
        });
        // Frame skipping is off, so that an empty picture is a failure and not rate control.
        if slices == 0 {
            return Err(failed("encoding: no slice came out", info.eFrameType));
        }
        Ok((keyframe, data))
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: `object` is valid, and nothing uses it after this.
        unsafe {
            if let Some(uninitialise) = self.functions().Uninitialize {
                uninitialise(self.object);
            }
            sys::DynamicAPI::from_source().WelsDestroySVCEncoder(self.object);
        }
    }
}

/// Calls `f` with each NAL unit of `info`, without its start code.
fn for_each_nal(info: &sys::SFrameBSInfo, mut f: impl FnMut(&[u8])) {
    let layers = usize::try_from(info.iLayerNum).unwrap_or(0).min(info.sLayerInfo.len());
    for layer in &info.sLayerInfo[..layers] {
        let mut at = layer.pBsBuf;
        for i in 0..usize::try_from(layer.iNalCount).unwrap_or(0) {
            // SAFETY: openh264 fills `iNalCount` lengths, and the buffer holds that many bytes back to back, until the next call.
            let nal = unsafe {
                let len = *layer.pNalLengthInByte.add(i) as usize;
                let nal = std::slice::from_raw_parts(at, len);
                at = at.add(len);
                nal
            };
            let nal = nal.strip_prefix(&[0, 0, 0, 1]).or_else(|| nal.strip_prefix(&[0, 0, 1])).unwrap_or(nal);
            if !nal.is_empty() {
                f(nal);
            }
        }
    }
}
