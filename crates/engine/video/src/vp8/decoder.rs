//! The decoder of one peer's pictures. Its input comes from the network.

use hyperzoom_media::I420;
use vpx_sys::vpx_image_t;

use super::Context;
use crate::VideoError;

/// The largest picture that is decoded, in luma samples. A frame's header can claim 16383x16383, for which libvpx
/// would take over a gigabyte.
const MAX_LUMA: usize = 1920 * 1088;

/// What a VP8 frame's first bytes say (RFC 6386 §9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameStart {
    /// The frame decodes without any other.
    Keyframe {
        /// The stream's shape from here on.
        shape: I420,
    },
    /// The frame needs the ones before it.
    Delta,
}

impl FrameStart {
    /// Reads the first ten bytes, or the first three of a delta; `None` where they are not those of a frame.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let tag = data.get(..3)?;
        // The tag's lowest bit is 0 in a keyframe.
        if tag[0] & 1 == 1 {
            return Some(Self::Delta);
        }
        let &[0x9d, 0x01, 0x2a, w0, w1, h0, h1] = data.get(3..10)? else { return None };
        // 14 bits of size; the two above them only say how a player may scale.
        let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
        Some(Self::Keyframe { shape: I420 { width: side(w0, w1), height: side(h0, h1) } })
    }
}

/// A decoder of one stream.
pub struct Decoder {
    context: Context,
}

impl Decoder {
    /// A decoder that waits for a keyframe.
    ///
    /// # Errors
    /// Where libvpx cannot be used.
    pub fn new() -> Result<Self, VideoError> {
        // SAFETY: the call returns a pointer to libvpx's static table of the VP8 decoder.
        let interface = unsafe { vpx_sys::vpx_codec_vp8_dx() };
        // One thread: 480p decodes in about a millisecond.
        let config = vpx_sys::vpx_codec_dec_cfg_t { threads: 1, w: 0, h: 0 };
        let version = vpx_sys::VPX_DECODER_ABI_VERSION as i32;
        let context = Context::new("start a decoder", |context| {
            // SAFETY: the context is zeroed memory for libvpx to fill, the interface is static, and libvpx copies the
            // configuration.
            unsafe { vpx_sys::vpx_codec_dec_init_ver(context, interface, &raw const config, 0, version) }
        })?;
        Ok(Self { context })
    }

    /// Decodes one frame and, where it is to be shown, gives its picture to `show`. A frame that was damaged on the way
    /// is an error, and nothing is shown then.
    ///
    /// # Errors
    /// Where the frame is damaged or no VP8. Decoding goes on with the next keyframe.
    pub fn decode(&mut self, data: &[u8], show: impl FnOnce(&Decoded<'_>)) -> Result<(), VideoError> {
        const ACTION: &str = "decode a frame";
        let refuse = |detail: &str| Err(VideoError::Vpx { action: ACTION, detail: detail.to_owned() });
        match FrameStart::parse(data) {
            None => return refuse("it does not begin as a VP8 frame does"),
            Some(FrameStart::Keyframe { shape }) if shape.is_empty() || shape.luma_len() > MAX_LUMA => {
                return refuse("its size is not between 1x1 and 1920x1080");
            }
            Some(_) => {}
        }
        let Ok(length) = u32::try_from(data.len()) else { return refuse("it is over 4 GB long") };
        // SAFETY: the context is initialised; the data is `length` readable bytes, and libvpx keeps no pointer to them
        // after the call.
        let status = unsafe {
            vpx_sys::vpx_codec_decode(self.context.as_mut(), data.as_ptr(), length, std::ptr::null_mut(), 0)
        };
        self.context.check(ACTION, status)?;
        // A frame whose data ends too early decodes to garbage without an error; libvpx only takes note of it.
        let mut corrupted = 0i32;
        let control = vpx_sys::vp8_dec_control_id::VP8D_GET_FRAME_CORRUPTED as i32;
        // SAFETY: the context is initialised, and this control takes a pointer to an int (libvpx's vp8dx.h).
        let status =
            unsafe { vpx_sys::vpx_codec_control_(self.context.as_mut(), control, &raw mut corrupted) };
        let mut iterator = std::ptr::null();
        // SAFETY: the context is initialised, and the iterator is this call's alone. The image is null or stays as it is
        // until the next call of the decoder, and `decoded` does not outlive this function.
        let image =
            unsafe { vpx_sys::vpx_codec_get_frame(self.context.as_mut(), &raw mut iterator).as_ref() };
        // Without a reference, libvpx cannot tell.
        if status == vpx_sys::VPX_CODEC_OK && corrupted != 0 {
            return refuse("it is damaged");
        }
        let Some(image) = image else { return Ok(()) };
        match Decoded::new(image) {
            Some(decoded) => {
                show(&decoded);
                Ok(())
            }
            None => refuse("it is no 4:2:0 picture"),
        }
    }
}

/// A picture in the decoder's own memory.
pub struct Decoded<'a> {
    image: &'a vpx_image_t,
    shape: I420,
}

impl<'a> Decoded<'a> {
    fn new(image: &'a vpx_image_t) -> Option<Self> {
        let shape = I420 { width: image.d_w, height: image.d_h };
        let usable = image.fmt == vpx_sys::vpx_img_fmt_t::VPX_IMG_FMT_I420
            && !shape.is_empty()
            && shape.luma_len() <= MAX_LUMA
            && image.planes[..3].iter().all(|plane| !plane.is_null())
            && i64::from(image.stride[0]) >= i64::from(shape.width)
            && image.stride[1..3].iter().all(|&stride| i64::from(stride) >= shape.chroma_width() as i64);
        usable.then_some(Self { image, shape })
    }

    /// The picture's shape.
    #[must_use]
    pub fn shape(&self) -> I420 {
        self.shape
    }

    /// Copies the picture, without libvpx's padding.
    ///
    /// # Panics
    /// Where `out` is not as long as the shape asks for.
    pub fn copy_to(&self, out: &mut [u8]) {
        let (width, height) = (self.shape.width as usize, self.shape.height as usize);
        let chroma = (self.shape.chroma_width(), self.shape.chroma_height());
        let sizes = [(width, height), chroma, chroma];
        for (n, (plane, (width, height))) in self.shape.planes_mut(out).into_iter().zip(sizes).enumerate() {
            let stride = self.image.stride[n] as usize;
            for (y, line) in plane.chunks_exact_mut(width).enumerate().take(height) {
                // SAFETY: libvpx's plane holds `height` lines of at least `width` samples (`new` has compared them with
                // the stride), each `stride` after the one before, and nothing writes to them while the decoder is
                // borrowed.
                let source =
                    unsafe { std::slice::from_raw_parts(self.image.planes[n].add(y * stride), width) };
                line.copy_from_slice(source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vp8::{Encoder, EncoderConfig};
    use crate::{FrameRate, Pattern};
    use proptest::prelude::*;
    use std::time::Duration;

    const SHAPE: I420 = I420 { width: 102, height: 66 };

    /// A keyframe and the frames after it, of moving noise, so that there is something to predict.
    fn stream() -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(EncoderConfig { shape: SHAPE, fps: 24, bitrate_kbps: 500 }).unwrap();
        (0..6u32)
            .map(|n| {
                let picture: Vec<u8> = (0..SHAPE.len() as u32)
                    .map(|at| ((at + n * 3).wrapping_mul(2_654_435_761) >> 24) as u8)
                    .collect();
                encoder.encode(&picture, i64::from(n) * 41, false).unwrap().map(|packet| packet.data.to_vec())
            })
            .take_while(Option::is_some)
            .flatten()
            .collect()
    }

    fn decode(decoder: &mut Decoder, data: &[u8]) -> Result<Option<Vec<u8>>, VideoError> {
        let mut out = None;
        decoder.decode(data, |decoded| {
            let mut picture = vec![0; decoded.shape().len()];
            decoded.copy_to(&mut picture);
            out = Some(picture);
        })?;
        Ok(out)
    }

    #[test]
    fn a_stream_decodes_to_its_shape() {
        let mut decoder = Decoder::new().unwrap();
        let stream = stream();
        assert!(stream.len() > 1);
        assert_eq!(FrameStart::parse(&stream[0]), Some(FrameStart::Keyframe { shape: SHAPE }));
        assert_eq!(FrameStart::parse(&stream[1]), Some(FrameStart::Delta));
        for frame in stream {
            assert_eq!(decode(&mut decoder, &frame).unwrap().unwrap().len(), SHAPE.len());
        }
    }

    #[test]
    fn a_giant_is_refused_before_it_takes_memory() {
        let mut frame = stream().remove(0);
        frame[6..10].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
        let error = decode(&mut Decoder::new().unwrap(), &frame).unwrap_err().to_string();
        assert!(error.contains("its size"), "{error}");
    }

    /// libvpx returns no error for a delta whose last partition is short; it decodes zeros in place of what is missing.
    #[test]
    fn a_frame_without_its_end_is_not_shown_wherever_it_was_cut() {
        let shape = I420 { width: 640, height: 360 };
        let pattern = Pattern::new(shape, FrameRate::THIRTY);
        let mut encoder = Encoder::new(EncoderConfig { shape, fps: 24, bitrate_kbps: 800 }).unwrap();
        let mut picture = vec![0; shape.len()];
        let [keyframe, delta] = [0, 1].map(|n| {
            pattern.draw(n, Duration::from_millis(n * 41), &mut picture);
            encoder.encode(&picture, n as i64 * 41, false).unwrap().unwrap().data.to_vec()
        });
        for cut in (0..delta.len()).step_by(3) {
            let mut decoder = Decoder::new().unwrap();
            decode(&mut decoder, &keyframe).unwrap();
            assert!(decode(&mut decoder, &delta[..cut]).is_err(), "delta, {cut} of {} bytes", delta.len());
        }
        for cut in (0..keyframe.len()).step_by(13) {
            assert!(decode(&mut Decoder::new().unwrap(), &keyframe[..cut]).is_err(), "keyframe, {cut} bytes");
        }
    }

    #[test]
    fn a_delta_without_a_keyframe_is_an_error() {
        let delta = &stream()[1];
        assert!(decode(&mut Decoder::new().unwrap(), delta).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_are_survived(frames in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..400), 1..6,
        )) {
            let mut decoder = Decoder::new().unwrap();
            for frame in frames {
                let _ = decode(&mut decoder, &frame);
                // Behind a header that libvpx takes: the codec proper sees the bytes.
                let mut dressed = vec![0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 64, 0, 48, 0];
                dressed.extend(frame);
                let _ = decode(&mut decoder, &dressed);
            }
        }

        #[test]
        fn damaged_and_truncated_frames_are_survived_and_a_keyframe_heals(
            damage in proptest::collection::vec((0usize..6, any::<prop::sample::Index>(), any::<u8>()), 0..12),
            cuts in proptest::collection::vec((0usize..6, any::<prop::sample::Index>()), 0..3),
        ) {
            let good = stream();
            let mut stream = good.clone();
            for (frame, at, value) in damage {
                let Some(frame) = stream.get_mut(frame) else { continue };
                let at = at.index(frame.len());
                frame[at] = value;
            }
            for (frame, at) in cuts {
                let Some(frame) = stream.get_mut(frame) else { continue };
                frame.truncate(at.index(frame.len()));
                frame.push(0);
            }
            let mut decoder = Decoder::new().unwrap();
            for frame in &stream {
                let _ = decode(&mut decoder, frame);
            }
            let healed = decode(&mut decoder, &good[0]).unwrap().unwrap();
            let fresh = decode(&mut Decoder::new().unwrap(), &good[0]).unwrap().unwrap();
            prop_assert!(healed == fresh);
        }
    }
}
