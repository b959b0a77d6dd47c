//! From what a camera delivers to [`I420`] in BT.709's limited range, which is what the master's header says.
//!
//! One pass over the picture, straight into the buffer that everybody shares. Cameras deliver YCbCr by BT.601, whatever their size: the
//! USB video class has it as the default (UVC 1.5 §3.9.2.6), and so has Linux (`V4L2_MAP_YCBCR_ENC_DEFAULT` for sRGB). JPEG is BT.601 in
//! full range (JFIF 1.02).

use hyperzoom_media::I420;
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix, bgr_to_yuv420,
    rgb_to_yuv420,
};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// How a camera writes its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// 4:2:0, a luma plane and one of pairs of chroma samples.
    Nv12,
    /// 4:2:2, packed: Y U Y V.
    Yuyv,
    /// Red, green, blue, a byte each.
    Rgb,
    /// Blue, green, red, a byte each.
    Bgr,
    /// One JPEG after another.
    Mjpeg,
    /// Luma alone, in full range.
    Gray,
}

impl PixelFormat {
    /// Its usual name: `YUYV`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nv12 => "NV12",
            Self::Yuyv => "YUYV",
            Self::Rgb => "RGB",
            Self::Bgr => "BGR",
            Self::Mjpeg => "MJPEG",
            Self::Gray => "GRAY",
        }
    }

    /// Bytes of a picture without padding; a JPEG has any number.
    fn len(self, shape: I420) -> Option<usize> {
        match self {
            Self::Nv12 => Some(shape.len()),
            Self::Yuyv => Some(shape.luma_len() * 2),
            Self::Rgb | Self::Bgr => Some(shape.luma_len() * 3),
            Self::Gray => Some(shape.luma_len()),
            Self::Mjpeg => None,
        }
    }
}

/// What a camera delivered is no picture of the format and shape that it was set to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// It is too short.
    #[error("{got} bytes came for a picture of {wanted}")]
    Short {
        /// So many came.
        got: usize,
        /// So many make a picture.
        wanted: usize,
    },
    /// It is no JPEG, or a damaged one.
    #[error("its JPEG cannot be read: {0}")]
    Jpeg(String),
    /// It is a JPEG of another width and height.
    #[error("its JPEG is {0}x{1}")]
    Shape(usize, usize),
}

/// Converts the pictures of one camera.
pub struct Converter {
    format: PixelFormat,
    shape: I420,
    /// A decoded JPEG.
    rgb: Vec<u8>,
    /// A JPEG with the mark that its Huffman tables are the usual ones.
    marked: Vec<u8>,
}

impl Converter {
    /// A converter of pictures with even sides.
    ///
    /// # Panics
    /// Where a side is odd or 0.
    #[must_use]
    pub fn new(format: PixelFormat, shape: I420) -> Self {
        let I420 { width, height } = shape;
        assert!(!shape.is_empty() && width % 2 + height % 2 == 0, "cameras' pictures have even sides");
        let rgb = if format == PixelFormat::Mjpeg { vec![0; shape.luma_len() * 3] } else { Vec::new() };
        Self { format, shape, rgb, marked: Vec::new() }
    }

    /// Writes every byte of `out`; where the picture is damaged, what `out` holds is unspecified. Bytes behind the picture are ignored:
    /// drivers round buffers up.
    ///
    /// # Errors
    /// [`Damaged`].
    ///
    /// # Panics
    /// Where `out` is not as long as the shape asks for.
    pub fn convert(&mut self, picture: &[u8], out: &mut [u8]) -> Result<(), Damaged> {
        let wanted = self.format.len(self.shape).unwrap_or_default();
        let got = picture.len();
        let body = picture.get(..wanted).ok_or(Damaged::Short { got, wanted })?;
        match self.format {
            PixelFormat::Nv12 => nv12(self.shape, body, out),
            PixelFormat::Yuyv => yuyv(self.shape, body, out),
            PixelFormat::Rgb => rgb(self.shape, body, rgb_to_yuv420, out),
            PixelFormat::Bgr => rgb(self.shape, body, bgr_to_yuv420, out),
            PixelFormat::Gray => gray(self.shape, body, out),
            PixelFormat::Mjpeg => {
                self.decode(picture)?;
                rgb(self.shape, &self.rgb, rgb_to_yuv420, out);
            }
        }
        Ok(())
    }

    /// Decodes a JPEG into `rgb`.
    fn decode(&mut self, jpeg: &[u8]) -> Result<(), Damaged> {
        let I420 { width, height } = self.shape;
        let options = DecoderOptions::default()
            .set_max_width(width as usize)
            .set_max_height(height as usize)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let jpeg = if brings_tables(jpeg) { jpeg } else { mark(jpeg, &mut self.marked) };
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
        let broken = |error: zune_jpeg::errors::DecodeErrors| Damaged::Jpeg(error.to_string());
        decoder.decode_headers().map_err(broken)?;
        let (w, h) = decoder.dimensions().unwrap_or_default();
        if (w, h) != (width as usize, height as usize) {
            return Err(Damaged::Shape(w, h));
        }
        decoder.decode_into(&mut self.rgb).map_err(broken)
    }
}

/// Whether a JPEG has Huffman tables of its own, or is none at all. Cameras may leave them out, since they are always those of ITU-T T.81
/// annex K.3.
fn brings_tables(jpeg: &[u8]) -> bool {
    const HUFFMAN: u8 = 0xc4;
    const SCAN: u8 = 0xda;
    let mut rest = jpeg.get(2..).unwrap_or_default();
    while let [0xff, kind, high, low, ..] = *rest {
        match kind {
            HUFFMAN => return true,
            SCAN => return false,
            _ => rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..).unwrap_or_default(),
        }
    }
    true
}

/// Puts the segment behind the JPEG's start by which the decoder knows pictures of an AVI file, which have the usual tables.
fn mark<'a>(jpeg: &[u8], marked: &'a mut Vec<u8>) -> &'a [u8] {
    let (start, rest) = jpeg.split_at(jpeg.len().min(2));
    marked.clear();
    marked.extend_from_slice(start);
    marked.extend_from_slice(b"\xff\xe0\x00\x08AVI1\0\0");
    marked.extend_from_slice(rest);
    marked
}

/// From BT.601 to BT.709, both in limited range, with `BITS` bits behind the point: to R'G'B' by one standard's matrix and back by
/// the other's (ITU-R BT.601-7 §2.5.1, BT.709-6 §3.2–3.3). Luma is changed by chroma alone.
mod matrix {
    pub(super) const BITS: u32 = 14;
    const ONE: f64 = (1 << BITS) as f64;
    /// Luma weights of red and blue.
    const FROM: [f64; 2] = [0.299, 0.114];
    const TO: [f64; 2] = [0.2126, 0.0722];
    /// What Cb and Cr add to luma, where all three reach from -0.5 to 0.5, or from 0 to 1.
    const Y_CB: f64 = TO[1] * 2.0 * (1.0 - FROM[1])
        - (1.0 - TO[0] - TO[1]) * 2.0 * (1.0 - FROM[1]) * FROM[1] / (1.0 - FROM[0] - FROM[1]);
    const Y_CR: f64 = TO[0] * 2.0 * (1.0 - FROM[0])
        - (1.0 - TO[0] - TO[1]) * 2.0 * (1.0 - FROM[0]) * FROM[0] / (1.0 - FROM[0] - FROM[1]);
    const CB: f64 = 2.0 * (1.0 - TO[1]);
    const CR: f64 = 2.0 * (1.0 - TO[0]);

    const fn fixed(value: f64) -> i32 {
        (value * ONE + if value < 0.0 { -0.5 } else { 0.5 }) as i32
    }

    /// What U and V add to Y: luma has 219 steps, chroma 224.
    pub(super) const Y: [i32; 2] = [fixed(Y_CB * 219.0 / 224.0), fixed(Y_CR * 219.0 / 224.0)];
    /// What U and V give U.
    pub(super) const U: [i32; 2] = [fixed((2.0 * (1.0 - FROM[1]) - Y_CB) / CB), fixed(-Y_CR / CB)];
    /// What U and V give V.
    pub(super) const V: [i32; 2] = [fixed(-Y_CB / CR), fixed((2.0 * (1.0 - FROM[0]) - Y_CR) / CR)];
}

/// What a pair of chroma samples becomes, and what it adds to its lumas.
fn chroma_709(u: u8, v: u8) -> (i32, u8, u8) {
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    let apply = |[by_u, by_v]: [i32; 2]| (by_u * u + by_v * v + (1 << (matrix::BITS - 1))) >> matrix::BITS;
    let byte = |value: i32| value.clamp(0, 255) as u8;
    (apply(matrix::Y), byte(apply(matrix::U) + 128), byte(apply(matrix::V) + 128))
}

fn add(luma: u8, more: i32) -> u8 {
    (i32::from(luma) + more).clamp(0, 255) as u8
}

/// The lines of a picture two by two, with the chroma line that they share: `(upper, lower, u, v)`.
fn line_pairs(
    shape: I420,
    out: &mut [u8],
) -> impl Iterator<Item = (&mut [u8], &mut [u8], &mut [u8], &mut [u8])> {
    let width = shape.width as usize;
    let [y, u, v] = shape.planes_mut(out);
    let chroma = u.chunks_exact_mut(width / 2).zip(v.chunks_exact_mut(width / 2));
    y.chunks_exact_mut(2 * width).zip(chroma).map(move |(pair, (u, v))| {
        let (upper, lower) = pair.split_at_mut(width);
        (upper, lower, u, v)
    })
}

fn nv12(shape: I420, picture: &[u8], out: &mut [u8]) {
    let width = shape.width as usize;
    let (luma, chroma) = picture.split_at(shape.luma_len());
    let lines = luma.chunks_exact(2 * width).zip(chroma.chunks_exact(width));
    for ((upper, lower, u, v), (luma, uv)) in line_pairs(shape, out).zip(lines) {
        let (above, below) = luma.split_at(width);
        let luma = above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0);
        let to = upper.as_chunks_mut::<2>().0.iter_mut().zip(lower.as_chunks_mut::<2>().0);
        let to = to.zip(u.iter_mut().zip(v));
        for ((([a, b], [c, d]), [u, v]), ((above, below), (to_u, to_v))) in
            luma.zip(uv.as_chunks::<2>().0).zip(to)
        {
            let more;
            (more, *to_u, *to_v) = chroma_709(*u, *v);
            *above = [add(*a, more), add(*b, more)];
            *below = [add(*c, more), add(*d, more)];
        }
    }
}

/// The chroma of two lines becomes their mean, rounded up.
fn yuyv(shape: I420, picture: &[u8], out: &mut [u8]) {
    let line = 2 * shape.width as usize;
    for ((upper, lower, u, v), pair) in line_pairs(shape, out).zip(picture.chunks_exact(2 * line)) {
        let (above, below) = pair.split_at(line);
        let from = above.as_chunks::<4>().0.iter().zip(below.as_chunks::<4>().0);
        let to = upper.as_chunks_mut::<2>().0.iter_mut().zip(lower.as_chunks_mut::<2>().0);
        let to = to.zip(u.iter_mut().zip(v));
        for (([a, u0, b, v0], [c, u1, d, v1]), ((above, below), (to_u, to_v))) in from.zip(to) {
            let more;
            (more, *to_u, *to_v) = chroma_709(mean(*u0, *u1), mean(*v0, *v1));
            *above = [add(*a, more), add(*b, more)];
            *below = [add(*c, more), add(*d, more)];
        }
    }
}

fn mean(a: u8, b: u8) -> u8 {
    (u16::from(a) + u16::from(b)).div_ceil(2) as u8
}

fn gray(shape: I420, picture: &[u8], out: &mut [u8]) {
    let [y, u, v] = shape.planes_mut(out);
    for (to, from) in y.iter_mut().zip(picture) {
        *to = (16 + (u32::from(*from) * 219 + 127) / 255) as u8;
    }
    u.fill(128);
    v.fill(128);
}

type FromRgb = fn(
    &mut YuvPlanarImageMut<'_, u8>,
    &[u8],
    u32,
    YuvRange,
    YuvStandardMatrix,
    YuvConversionMode,
) -> Result<(), yuv::YuvError>;

fn rgb(shape: I420, picture: &[u8], convert: FromRgb, out: &mut [u8]) {
    let I420 { width, height } = shape;
    let [y, u, v] = shape.planes_mut(out);
    let mut planes = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: width,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: width / 2,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: width / 2,
        width,
        height,
    };
    let (range, standard) = (YuvRange::Limited, YuvStandardMatrix::Bt709);
    convert(&mut planes, picture, width * 3, range, standard, YuvConversionMode::Balanced)
        .expect("planes and picture are as long as their shape says");
}

#[cfg(test)]
mod tests;
