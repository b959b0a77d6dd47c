//! H.264 High in software: openh264 through its C interface.
//!
//! The safe wrapper crate is passed by since it offers neither CABAC nor several slices on several threads.

use std::collections::VecDeque;
use std::ptr;

use hyperzoom_media::MASTER_FPS;
use openh264_sys2 as sys;
use sys::API;

use super::{EncodedPicture, GOP, ParameterSets, VideoEncoder, VideoFormat};
use crate::error::EncodeError;

/// Slices a picture. Each may run on a thread of its own; four cost next to nothing at this bitrate.
const SLICES: u32 = 4;

const SLICE_NON_IDR: u8 = 1;
const SLICE_IDR: u8 = 5;
const NAL_SPS: u8 = 7;
const NAL_PPS: u8 = 8;

/// openh264 as a [`VideoEncoder`]: High profile with CABAC, level 4.1 (higher where the shape needs it), BT.709 in limited range.
///
/// Its High profile uses no 8x8 transform, since openh264 has none.
pub struct H264Encoder {
    raw: RawEncoder,
    format: VideoFormat,
    parameter_sets: ParameterSets,
    ready: VecDeque<EncodedPicture>,
    threads: u16,
    /// Pictures that outgrew openh264's buffers and were encoded again.
    rebuilt: u32,
}

/// The least quantiser that a rebuilt encoder may use: openh264's buffers hold any picture from there on.
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
        let mut raw = RawEncoder::create()?;
        raw.initialise(&format, threads, None)?;
        let parameter_sets = raw.parameter_sets()?;
        Ok(Self { raw, format, parameter_sets, ready: VecDeque::new(), threads, rebuilt: 0 })
    }

    /// Encodes `picture` on a fresh encoder with a quantiser of at least `min_qp`: one that fails has torn itself down.
    fn rebuild(
        &mut self,
        min_qp: i32,
        position: u64,
        picture: &[u8],
    ) -> Result<(bool, Vec<u8>), EncodeError> {
        let mut raw = RawEncoder::create()?;
        raw.initialise(&self.format, self.threads, Some(min_qp))?;
        // The file has one sample entry, so what follows must decode with the first parameter sets.
        if raw.parameter_sets()? != self.parameter_sets {
            return Err(failed("starting again: its parameter sets changed", -1));
        }
        self.raw = raw;
        self.rebuilt += 1;
        tracing::debug!(position, times = self.rebuilt, "a fresh encoder");
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
        let mut encoded = self.raw.encode(&self.format, position, picture);
        for min_qp in COARSE {
            if let Err(error) = &encoded {
                tracing::warn!(position, min_qp, "{error}; the picture is encoded again, coarser");
                encoded = self.rebuild(min_qp, position, picture);
            }
        }
        let (keyframe, data) = encoded?;
        self.ready.push_back(EncodedPicture { position, keyframe, data });
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<EncodedPicture>, EncodeError> {
        Ok(self.ready.pop_front())
    }

    fn finish(&mut self) -> Result<(), EncodeError> {
        Ok(())
    }

    fn name(&self) -> String {
        format!("openh264 (High, CABAC, {SLICES} slices on {} threads)", self.threads)
    }
}

/// The C++ object, destroyed on drop.
struct RawEncoder {
    object: *mut sys::ISVCEncoder,
}

// SAFETY: the object has no tie to the thread that made it, and `&mut self` keeps callers apart.
unsafe impl Send for RawEncoder {}

fn failed(step: &'static str, code: impl Into<i64>) -> EncodeError {
    EncodeError { encoder: "H.264 (openh264)", step, code: code.into() }
}

impl RawEncoder {
    fn create() -> Result<Self, EncodeError> {
        let api = sys::DynamicAPI::from_source();
        let mut object = ptr::null_mut();
        // SAFETY: `object` is a valid place for the pointer that is written.
        let code = unsafe { api.WelsCreateSVCEncoder(&raw mut object) };
        if code != 0 || object.is_null() {
            return Err(failed("creation", code));
        }
        Ok(Self { object })
    }

    /// The table of the object's functions.
    fn functions(&self) -> &sys::ISVCEncoderVtbl {
        // SAFETY: `object` came from WelsCreateSVCEncoder and lives until drop; its first word points to a static table.
        unsafe { &**self.object }
    }

    fn initialise(
        &mut self,
        format: &VideoFormat,
        threads: u16,
        min_qp: Option<i32>,
    ) -> Result<(), EncodeError> {
        let functions = *self.functions();
        let missing = || failed("initialisation", -1);
        let get_defaults = functions.GetDefaultParams.ok_or_else(missing)?;
        let initialise = functions.InitializeExt.ok_or_else(missing)?;
        let set_option = functions.SetOption.ok_or_else(missing)?;

        let mut quiet: i32 = sys::WELS_LOG_QUIET;
        // SAFETY: this option reads one int.
        unsafe { set_option(self.object, sys::ENCODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast()) };
        let mut params = sys::SEncParamExt::default();
        // SAFETY: `object` is valid and `params` is a whole SEncParamExt.
        let code = unsafe { get_defaults(self.object, &raw mut params) };
        if code != 0 {
            return Err(failed("reading its defaults", code));
        }
        configure(&mut params, format, threads);
        params.iMinQp = min_qp.unwrap_or(params.iMinQp);
        // SAFETY: as above; openh264 copies the parameters.
        let code = unsafe { initialise(self.object, &raw const params) };
        if code != 0 {
            return Err(failed("initialisation", code));
        }
        // The log level is reset by initialisation.
        // SAFETY: this option reads one int.
        unsafe { set_option(self.object, sys::ENCODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast()) };
        Ok(())
    }

    fn force_keyframe(&mut self) -> Result<(), EncodeError> {
        let force = self.functions().ForceIntraFrame.ok_or_else(|| failed("a keyframe", -1))?;
        // SAFETY: `object` is initialised.
        match unsafe { force(self.object, true) } {
            0 => Ok(()),
            code => Err(failed("a keyframe", code)),
        }
    }

    fn parameter_sets(&mut self) -> Result<ParameterSets, EncodeError> {
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

    fn encode(
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

fn configure(params: &mut sys::SEncParamExt, format: &VideoFormat, threads: u16) {
    let (width, height) = (format.shape.width as i32, format.shape.height as i32);
    let bitrate = (format.bitrate_kbps * 1000) as i32;
    let max_bitrate = (format.max_bitrate_kbps.max(format.bitrate_kbps) * 1000) as i32;

    params.iUsageType = sys::CAMERA_VIDEO_REAL_TIME;
    params.iPicWidth = width;
    params.iPicHeight = height;
    params.fMaxFrameRate = MASTER_FPS as f32;
    params.iTargetBitrate = bitrate;
    params.iMaxBitrate = max_bitrate;
    params.iRCMode = sys::RC_BITRATE_MODE;
    params.bEnableFrameSkip = false;
    params.iComplexityMode = sys::LOW_COMPLEXITY;
    params.iEntropyCodingModeFlag = 1;
    params.uiIntraPeriod = GOP;
    params.iNumRefFrame = 1;
    // The same ids at every keyframe, so that one sample entry describes the whole file.
    params.eSpsPpsIdStrategy = sys::CONSTANT_ID;
    // A keyframe off the one-second grid would only cost bits: what decodes from where is known from the grid.
    params.bEnableSceneChangeDetect = false;
    // A third less CPU on a talking head, which is what leaves two cores room for a call beside the recording.
    params.bEnableBackgroundDetection = true;
    params.bEnableAdaptiveQuant = false;
    params.iMultipleThreadIdc = threads;
    params.bUseLoadBalancing = false;

    let layer = &mut params.sSpatialLayers[0];
    layer.iVideoWidth = width;
    layer.iVideoHeight = height;
    layer.fFrameRate = MASTER_FPS as f32;
    layer.iSpatialBitrate = bitrate;
    layer.iMaxSpatialBitrate = max_bitrate;
    layer.uiProfileIdc = sys::PRO_HIGH;
    layer.uiLevelIdc = level(width, height);
    layer.sSliceArgument.uiSliceMode = sys::SM_FIXEDSLCNUM_SLICE;
    layer.sSliceArgument.uiSliceNum = SLICES.min((height as u32).div_ceil(16));
    layer.bVideoSignalTypePresent = true;
    layer.uiVideoFormat = sys::VF_UNDEF as u8;
    layer.bFullRange = false;
    layer.bColorDescriptionPresent = true;
    layer.uiColorPrimaries = sys::CP_BT709 as u8;
    layer.uiTransferCharacteristics = sys::TRC_BT709 as u8;
    layer.uiColorMatrix = sys::CM_BT709 as u8;
}

/// The lowest level from 4.1 on that allows 30 pictures a second of this shape (ITU-T H.264 table A-1, MaxMBPS and MaxFS).
fn level(width: i32, height: i32) -> sys::ELevelIdc {
    let blocks = ((width + 15) / 16) * ((height + 15) / 16);
    let per_second = blocks * MASTER_FPS as i32;
    match (blocks, per_second) {
        (..=8192, ..=245_760) => sys::LEVEL_4_1,
        (..=22_080, ..=589_824) => sys::LEVEL_5_0,
        _ => sys::LEVEL_5_1,
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

#[cfg(test)]
mod tests {
    use super::*;
    use hyperzoom_media::I420;
    use shiguredo_mp4::bitstream::h264::parse_sps;

    const SHAPE: I420 = I420 { width: 320, height: 180 };

    fn format(shape: I420) -> VideoFormat {
        VideoFormat { shape, bitrate_kbps: 2000, max_bitrate_kbps: 2500 }
    }

    fn noise(shape: I420, seed: u64) -> Vec<u8> {
        let mut state = seed * 2 + 1;
        (0..shape.len())
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect()
    }

    /// Whether openh264's assembly is part of the program. Without nasm at build it silently is not, and this does not link then.
    fn simd_is_linked() -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            unsafe extern "C" {
                fn WelsSampleSad16x16_sse2();
            }
            let address = WelsSampleSad16x16_sse2 as *const ();
            !address.is_null()
        }
        // On ARM the compiler assembles it, no tool can be missing.
        #[cfg(not(target_arch = "x86_64"))]
        {
            cfg!(target_arch = "aarch64")
        }
    }

    #[test]
    fn the_assembly_is_linked() {
        assert!(simd_is_linked());
    }

    #[test]
    fn the_parameter_sets_say_high_4_1_and_the_true_size() {
        let encoder = H264Encoder::new(format(I420 { width: 1920, height: 1080 }), 2).unwrap();
        let sps = parse_sps(&encoder.parameter_sets().sps).unwrap();
        assert_eq!((sps.profile_level_id.profile_idc, sps.profile_level_id.level_idc), (100, 41));
        assert_eq!((sps.width, sps.height), (1920, 1080));
    }

    #[test]
    fn every_thirtieth_picture_is_a_keyframe_even_where_the_scene_changes() {
        let mut encoder = H264Encoder::new(format(SHAPE), 2).unwrap();
        for position in 0..95 {
            // Another flat grey at every eleventh picture: scene changes all over the second.
            encoder.submit(position, &vec![(position / 11 * 97) as u8; SHAPE.len()]).unwrap();
            let picture = encoder.poll().unwrap().expect("openh264 is synchronous");
            assert_eq!(picture.position, position);
            assert_eq!(picture.keyframe, position % u64::from(GOP) == 0, "picture {position}");
        }
        assert_eq!(encoder.poll().unwrap(), None);
    }

    #[test]
    fn hard_pictures_at_a_low_bitrate_are_never_skipped() {
        let starved = VideoFormat { shape: SHAPE, bitrate_kbps: 50, max_bitrate_kbps: 60 };
        let mut encoder = H264Encoder::new(starved, 1).unwrap();
        for position in 0..60 {
            encoder.submit(position, &noise(SHAPE, position)).unwrap();
            assert!(encoder.poll().unwrap().is_some_and(|picture| picture.data.len() > 16));
        }
    }

    #[test]
    fn pictures_that_outgrow_the_encoders_buffers_are_encoded_all_the_same() {
        let generous = VideoFormat { shape: SHAPE, bitrate_kbps: 18_000, max_bitrate_kbps: 20_000 };
        let mut encoder = H264Encoder::new(generous, 2).unwrap();
        for position in 0..70 {
            encoder.submit(position, &noise(SHAPE, position / 11)).unwrap();
            let picture = encoder.poll().unwrap().expect("openh264 is synchronous");
            assert!(picture.keyframe || position % u64::from(GOP) != 0, "picture {position} is off the grid");
        }
        assert!(encoder.rebuilt > 0, "noise that is encoded at once tests nothing here");
    }

    #[test]
    fn larger_pictures_get_the_level_that_allows_them() {
        assert_eq!(level(1920, 1080), sys::LEVEL_4_1);
        assert_eq!(level(640, 480), sys::LEVEL_4_1);
        assert_eq!(level(2560, 1440), sys::LEVEL_5_0);
        assert_eq!(level(3840, 2160), sys::LEVEL_5_1);
    }
}
