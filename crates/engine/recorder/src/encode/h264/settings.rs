//! What openh264 is told, and why. The alternatives were tried with `./x bench encode`'s clips.

use hyperzoom_media::MASTER_FPS;
use openh264_sys2 as sys;

use super::super::{GOP, VideoFormat};

/// Slices a picture, each of which may run on a thread of its own: more than there are usually threads, so that one that is finished
/// early takes another.
pub(super) const SLICES: u32 = 4;

/// Fills `params`, which hold openh264's defaults.
pub(super) fn configure(params: &mut sys::SEncParamExt, format: &VideoFormat, threads: u16) {
    let (width, height) = (format.shape.width as i32, format.shape.height as i32);
    let bitrate = (format.bitrate_kbps * 1000) as i32;
    let max_bitrate = (format.max_bitrate_kbps.max(format.bitrate_kbps) * 1000) as i32;

    params.iUsageType = sys::CAMERA_VIDEO_REAL_TIME;
    params.iPicWidth = width;
    params.iPicHeight = height;
    params.fMaxFrameRate = MASTER_FPS as f32;
    params.iTargetBitrate = bitrate;
    params.iMaxBitrate = max_bitrate;
    // The quantiser of each picture is ours, see `rate`.
    params.iRCMode = sys::RC_OFF_MODE;
    params.bEnableFrameSkip = false;
    // The others take more time for next to no quality.
    params.iComplexityMode = sys::LOW_COMPLEXITY;
    params.iEntropyCodingModeFlag = 1;
    params.uiIntraPeriod = GOP;
    params.iNumRefFrame = 1;
    // The same ids at every keyframe, so that one sample entry describes the whole file.
    params.eSpsPpsIdStrategy = sys::CONSTANT_ID;
    // A keyframe off the one-second grid would only cost bits: what decodes from where is known from the grid.
    params.bEnableSceneChangeDetect = false;
    // It freezes what does not move, noise and all, until the next keyframe, and then no bitrate brings the quality back. What a coarse
    // quantiser leaves unchanged is skipped as fast without it.
    params.bEnableBackgroundDetection = false;
    // openh264 ignores it.
    params.bEnableAdaptiveQuant = false;
    params.iMultipleThreadIdc = threads;
    // Slices that move with the load would make each run another file.
    params.bUseLoadBalancing = false;
    params.bEnableDenoise = false;

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
pub(super) fn level(width: i32, height: i32) -> sys::ELevelIdc {
    let blocks = ((width + 15) / 16) * ((height + 15) / 16);
    let per_second = blocks * MASTER_FPS as i32;
    match (blocks, per_second) {
        (..=8192, ..=245_760) => sys::LEVEL_4_1,
        (..=22_080, ..=589_824) => sys::LEVEL_5_0,
        _ => sys::LEVEL_5_1,
    }
}
