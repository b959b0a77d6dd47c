//! The live picture's encoder: real time, constant bit rate, no delay.

use std::ffi::c_ulong;
use std::mem::MaybeUninit;

use hyperzoom_media::I420;
use vpx_sys::{vp8e_enc_control_id, vpx_codec_cx_pkt_kind, vpx_codec_enc_cfg_t, vpx_image_t};

use super::Context;
use crate::VideoError;

/// How to encode.
#[derive(Debug, Clone, Copy)]
pub struct EncoderConfig {
    /// The shape of every picture.
    pub shape: I420,
    /// Frames a second that the rate control counts on.
    pub fps: u32,
    /// Bit rate aimed at, in kbit/s.
    pub bitrate_kbps: u32,
}

/// One encoded frame, borrowed from the encoder.
pub struct Packet<'a> {
    /// Whether it decodes without any other.
    pub keyframe: bool,
    /// The frame, never empty.
    pub data: &'a [u8],
}

/// An encoder of one stream.
pub struct Encoder {
    context: Context,
    config: Box<vpx_codec_enc_cfg_t>,
    shape: I420,
    last_pts: Option<i64>,
    frame_ms: c_ulong,
}

// SAFETY: `config` holds two pointers for two-pass statistics, which are null, and is only read by libvpx in calls.
// `Context` says why the context may move between threads.
unsafe impl Send for Encoder {}

impl Encoder {
    /// An encoder, ready for its first picture.
    ///
    /// # Errors
    /// Where libvpx refuses the configuration.
    pub fn new(config: EncoderConfig) -> Result<Self, VideoError> {
        const ACTION: &str = "start an encoder";
        let EncoderConfig { shape, fps, bitrate_kbps } = config;
        // SAFETY: the call returns a pointer to libvpx's static table of the VP8 encoder.
        let interface = unsafe { vpx_sys::vpx_codec_vp8_cx() };
        let mut settings: Box<MaybeUninit<vpx_codec_enc_cfg_t>> = Box::new(MaybeUninit::zeroed());
        // SAFETY: the interface is valid, the struct is writable and of the layout that the bindings' ABI version means.
        let status = unsafe { vpx_sys::vpx_codec_enc_config_default(interface, settings.as_mut_ptr(), 0) };
        if status != vpx_sys::VPX_CODEC_OK {
            return Err(VideoError::Vpx { action: ACTION, detail: super::describe(status) });
        }
        // SAFETY: the call succeeded, so libvpx has copied its whole default configuration there. (Zeroes alone are none:
        // there is no bit depth of 0.)
        let mut settings = unsafe { settings.assume_init() };
        settings.g_w = shape.width;
        settings.g_h = shape.height;
        // One thread: the live picture is the first to give way, and the recording needs the cores.
        settings.g_threads = 1;
        settings.g_timebase = vpx_sys::vpx_rational { num: 1, den: 1000 };
        settings.g_lag_in_frames = 0;
        // A receiver never shows a frame whose reference is lost, so resilience would cost bits for nothing.
        settings.g_error_resilient = 0;
        settings.rc_end_usage = vpx_sys::vpx_rc_mode::VPX_CBR;
        settings.rc_target_bitrate = bitrate_kbps;
        settings.rc_resize_allowed = 0;
        // No dropping. With a threshold over 0 libvpx also drops any frame that overshoots, which with moving detail is the
        // one after each keyframe: the picture stood still for 83 ms every 2 s. The cost is that this frame is larger.
        settings.rc_dropframe_thresh = 0;
        // As WebRTC sets them for conversation (modules/video_coding/codecs/vp8): a rate-control buffer of one second,
        // filled to 0.5 s at the start and 0.6 s aimed at.
        settings.rc_min_quantizer = 2;
        settings.rc_max_quantizer = 56;
        settings.rc_undershoot_pct = 100;
        settings.rc_overshoot_pct = 15;
        settings.rc_buf_sz = 1000;
        settings.rc_buf_initial_sz = 500;
        settings.rc_buf_optimal_sz = 600;
        // Keyframes come by time and on request, from the caller; the encoder adds one where a scene changes.
        settings.kf_mode = vpx_sys::vpx_kf_mode::VPX_KF_AUTO;
        settings.kf_max_dist = 3000;
        let version = vpx_sys::VPX_ENCODER_ABI_VERSION as i32;
        let context = Context::new(ACTION, |context| {
            // SAFETY: the context is zeroed memory for libvpx to fill, the interface is static, and libvpx copies the
            // settings.
            unsafe { vpx_sys::vpx_codec_enc_init_ver(context, interface, &raw const *settings, 0, version) }
        })?;
        let mut encoder = Self { context, config: settings, shape, last_pts: None, frame_ms: 0 };
        for (control, value) in [
            // A fixed speed, 5 of 16: on the test pattern about 1.3 dB better than 6 for 0.3 ms more. The example `costs` prints
            // both for the value that stands here.
            (vp8e_enc_control_id::VP8E_SET_CPUUSED, -5),
            (vp8e_enc_control_id::VP8E_SET_STATIC_THRESHOLD, 1),
            (vp8e_enc_control_id::VP8E_SET_NOISE_SENSITIVITY, 0),
            (vp8e_enc_control_id::VP8E_SET_TOKEN_PARTITIONS, 0),
        ] {
            encoder.control(control, value)?;
        }
        encoder.set_fps(fps)?;
        Ok(encoder)
    }

    /// Counts on so many frames a second from the next frame on.
    ///
    /// # Errors
    /// Where libvpx refuses.
    pub fn set_fps(&mut self, fps: u32) -> Result<(), VideoError> {
        let fps = fps.clamp(1, 1000);
        self.frame_ms = (1000 / fps).into();
        // A keyframe may take this much of an average frame's bits: a fifth of a second's, since all that follows waits until it has left.
        let keyframe_percent = (100 * fps / 5).max(300);
        self.control(vp8e_enc_control_id::VP8E_SET_MAX_INTRA_BITRATE_PCT, keyframe_percent as i32)
    }

    fn control(&mut self, control: vp8e_enc_control_id, value: i32) -> Result<(), VideoError> {
        // SAFETY: the context is initialised, and every control that this crate sets takes one int (libvpx's vp8cx.h:
        // VPX_CTRL_USE_TYPE with int or unsigned int).
        let status = unsafe { vpx_sys::vpx_codec_control_(self.context.as_mut(), control as i32, value) };
        self.context.check("be set up", status)
    }

    /// Aims at another bit rate from the next frame on.
    ///
    /// # Errors
    /// Where libvpx refuses the rate.
    pub fn set_bitrate(&mut self, kbps: u32) -> Result<(), VideoError> {
        self.config.rc_target_bitrate = kbps;
        // SAFETY: the context is initialised, and libvpx copies the settings.
        let status =
            unsafe { vpx_sys::vpx_codec_enc_config_set(self.context.as_mut(), &raw const *self.config) };
        self.context.check("change its bit rate", status)
    }

    /// Encodes one picture, captured at `pts_ms`. `None` where the rate control leaves the frame out.
    ///
    /// # Errors
    /// Where libvpx fails.
    ///
    /// # Panics
    /// Where `picture` is not as long as the encoder's shape asks for.
    pub fn encode(
        &mut self,
        picture: &[u8],
        pts_ms: i64,
        force_keyframe: bool,
    ) -> Result<Option<Packet<'_>>, VideoError> {
        // Times must increase, also where the clock that stamps them is corrected backwards.
        let pts = self.last_pts.map_or(pts_ms, |last| pts_ms.max(last + 1));
        self.last_pts = Some(pts);
        let image = self.image(picture);
        let flags = if force_keyframe { vpx_sys::VPX_EFLAG_FORCE_KF.into() } else { 0 };
        let deadline = c_ulong::from(vpx_sys::VPX_DL_REALTIME);
        // SAFETY: the context is initialised; the image points at planes of `picture`, which outlives the call, and
        // libvpx only reads them and keeps no pointer to them (`g_lag_in_frames` is 0, and it copies in any case).
        let status = unsafe {
            vpx_sys::vpx_codec_encode(
                self.context.as_mut(),
                &raw const image,
                pts,
                self.frame_ms,
                flags,
                deadline,
            )
        };
        self.context.check("encode a frame", status)?;
        Ok(self.packet())
    }

    fn packet(&mut self) -> Option<Packet<'_>> {
        let mut iterator = std::ptr::null();
        loop {
            // SAFETY: the context is initialised, and the iterator belongs to this loop alone.
            let packet =
                unsafe { vpx_sys::vpx_codec_get_cx_data(self.context.as_mut(), &raw mut iterator).as_ref() }?;
            if packet.kind != vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: the kind says that this is the union's member.
            let frame = unsafe { packet.data.frame };
            let keyframe = frame.flags & vpx_sys::VPX_FRAME_IS_KEY != 0;
            // SAFETY: libvpx's buffer of `sz` bytes stays as it is until the next call of the encoder, and the packet
            // borrows the encoder until then.
            let data = unsafe { std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz as usize) };
            return Some(Packet { keyframe, data });
        }
    }

    /// libvpx's description of a picture, pointing into it.
    fn image(&self, picture: &[u8]) -> vpx_image_t {
        let [y, u, v] = self.shape.planes(picture);
        // SAFETY: integers, enums with a variant 0 and pointers: zero is valid for all of them.
        let mut image: vpx_image_t = unsafe { std::mem::zeroed() };
        image.fmt = vpx_sys::vpx_img_fmt_t::VPX_IMG_FMT_I420;
        (image.w, image.h) = (self.shape.width, self.shape.height);
        (image.d_w, image.d_h) = (self.shape.width, self.shape.height);
        image.bit_depth = 8;
        image.bps = 12;
        (image.x_chroma_shift, image.y_chroma_shift) = (1, 1);
        let chroma = self.shape.chroma_width() as i32;
        image.stride = [self.shape.width as i32, chroma, chroma, 0];
        // libvpx's type wants mutable pointers; the encoder takes the image as const and does not write.
        image.planes =
            [y.as_ptr().cast_mut(), u.as_ptr().cast_mut(), v.as_ptr().cast_mut(), std::ptr::null_mut()];
        image.img_data = y.as_ptr().cast_mut();
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::pattern::Pattern;
    use crate::spec::FrameRate;
    use std::time::Duration;

    const SHAPE: I420 = I420 { width: 854, height: 480 };

    fn encoder(bitrate_kbps: u32) -> Encoder {
        Encoder::new(EncoderConfig { shape: SHAPE, fps: 24, bitrate_kbps }).unwrap()
    }

    /// Bytes of `frames` frames from `from` on, without the first.
    fn bytes(encoder: &mut Encoder, from: u64, frames: u64) -> usize {
        let pattern = Pattern::new(SHAPE, FrameRate::THIRTY);
        let mut picture = vec![0; SHAPE.len()];
        let mut sum = 0;
        for n in from..from + frames {
            let time = Duration::from_millis(n * 1000 / 24);
            pattern.draw(n, time, &mut picture);
            let packet = encoder.encode(&picture, time.as_millis() as i64, false).unwrap();
            sum += packet.filter(|_| n > from).map_or(0, |packet| packet.data.len());
        }
        sum
    }

    #[test]
    fn a_keyframe_comes_first_and_on_request() {
        let mut encoder = encoder(400);
        let picture = vec![100; SHAPE.len()];
        let keyframe = |encoder: &mut Encoder, pts, force| {
            encoder.encode(&picture, pts, force).unwrap().map(|packet| packet.keyframe)
        };
        assert_eq!(keyframe(&mut encoder, 0, false), Some(true));
        assert_eq!(keyframe(&mut encoder, 41, false), Some(false));
        assert_eq!(keyframe(&mut encoder, 83, true), Some(true));
        assert_eq!(keyframe(&mut encoder, 83, false), Some(false), "the same time again is no error");
    }

    #[test]
    fn the_bit_rate_is_kept_and_can_be_changed() {
        let mut encoder = encoder(400);
        bytes(&mut encoder, 0, 48);
        let at_400 = bytes(&mut encoder, 48, 96) * 8 / 4000;
        encoder.set_bitrate(200).unwrap();
        bytes(&mut encoder, 144, 48);
        let at_200 = bytes(&mut encoder, 192, 96) * 8 / 4000;
        assert!(at_400 <= 440, "{at_400} kbit/s");
        assert!(at_200 <= 220, "{at_200} kbit/s");
        assert!(at_200 < at_400);
    }

    #[test]
    fn fewer_frames_a_second_keep_the_bit_rate() {
        let mut encoder = encoder(150);
        encoder.set_fps(15).unwrap();
        let pattern = Pattern::new(SHAPE, FrameRate::THIRTY);
        let mut picture = vec![0; SHAPE.len()];
        let mut sum = 0;
        for n in 0..90 {
            let time = Duration::from_millis(n * 1000 / 15);
            pattern.draw(n, time, &mut picture);
            let packet = encoder.encode(&picture, time.as_millis() as i64, false).unwrap();
            sum += packet.filter(|_| n >= 30).map_or(0, |packet| packet.data.len());
        }
        let kbps = sum * 8 / 4000;
        assert!((100..=165).contains(&kbps), "{kbps} kbit/s");
    }

    #[test]
    fn no_frame_is_left_out_after_a_keyframe() {
        let mut encoder = encoder(400);
        let pattern = Pattern::new(SHAPE, FrameRate::THIRTY);
        let mut picture = vec![0; SHAPE.len()];
        for n in 0..144 {
            let time = Duration::from_millis(n * 1000 / 24);
            pattern.draw(n, time, &mut picture);
            let packet = encoder.encode(&picture, time.as_millis() as i64, n % 48 == 0).unwrap();
            assert_eq!(packet.map(|packet| packet.keyframe), Some(n % 48 == 0), "frame {n}");
        }
    }

    #[test]
    fn an_impossible_shape_is_an_error() {
        let config = EncoderConfig { shape: I420 { width: 0, height: 480 }, fps: 24, bitrate_kbps: 400 };
        let error = Encoder::new(config).err().unwrap().to_string();
        assert!(error.contains("VP8 cannot start an encoder"), "{error}");
    }
}
