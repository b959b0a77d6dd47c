//! The formats that cameras deliver, and what makes I420 of them on the CPU.

use hyperzoom_media::I420;

use crate::{ColourSpace, GpuError};

/// How the bytes of a picture are laid out, without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Three planes, as [`I420`] says.
    I420,
    /// A luma plane, then one plane of U and V in turns, of half the width and height.
    Nv12,
    /// Y U Y V for every two pixels of a row.
    Yuyv,
    /// Red, green and blue, a byte each; the colour space is what they are turned into.
    Rgb(ColourSpace),
}

impl PixelFormat {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::I420 => "I420",
            Self::Nv12 => "NV12",
            Self::Yuyv => "YUYV",
            Self::Rgb(_) => "RGB",
        }
    }

    /// Bytes of a picture.
    #[must_use]
    pub fn len(self, shape: I420) -> usize {
        match self {
            Self::I420 | Self::Nv12 => shape.len(),
            Self::Yuyv => 2 * shape.luma_len(),
            Self::Rgb(_) => 3 * shape.luma_len(),
        }
    }

    /// Refuses what has no meaning: no bytes, too few of them, and chroma for half a pixel.
    pub(crate) fn check(self, shape: I420, bytes: usize) -> Result<(), GpuError> {
        let odd = !(shape.width.is_multiple_of(2) && shape.height.is_multiple_of(2));
        let why = if shape.is_empty() {
            "they are empty"
        } else if self != Self::I420 && odd {
            "a side is odd"
        } else if bytes != self.len(shape) {
            "they have another number of bytes"
        } else {
            return Ok(());
        };
        Err(GpuError::Shape { width: shape.width, height: shape.height, format: self.name(), why })
    }

    /// Writes the picture as I420 into `out`, which becomes as long as that.
    ///
    /// # Errors
    /// Where `picture` is not as long as `shape` asks for, or a side is odd.
    pub fn to_i420(self, shape: I420, picture: &[u8], out: &mut Vec<u8>) -> Result<(), GpuError> {
        self.check(shape, picture.len())?;
        out.resize(shape.len(), 0);
        let width = shape.width as usize;
        let [y, u, v] = shape.planes_mut(out);
        match self {
            Self::I420 => out.copy_from_slice(picture),
            Self::Nv12 => {
                let (luma, chroma) = picture.split_at(shape.luma_len());
                y.copy_from_slice(luma);
                for ((pair, u), v) in chroma.chunks_exact(2).zip(u).zip(v) {
                    (*u, *v) = (pair[0], pair[1]);
                }
            }
            // Not `yuv`'s conversion: it takes the chroma of one row out of two.
            Self::Yuyv => {
                for (two, y) in picture.chunks_exact(2).zip(y) {
                    *y = two[0];
                }
                let rows = picture.chunks_exact(4 * width).map(|rows| rows.split_at(2 * width));
                let chroma = u.chunks_exact_mut(width / 2).zip(v.chunks_exact_mut(width / 2));
                for ((above, below), (u, v)) in rows.zip(chroma) {
                    let pairs = above.chunks_exact(4).zip(below.chunks_exact(4));
                    for (((above, below), u), v) in pairs.zip(u).zip(v) {
                        *u = mean(above[1], below[1]);
                        *v = mean(above[3], below[3]);
                    }
                }
            }
            Self::Rgb(space) => return rgb(space, shape, picture, [y, u, v]),
        }
        Ok(())
    }
}

fn mean(a: u8, b: u8) -> u8 {
    (u16::from(a) + u16::from(b)).div_ceil(2) as u8
}

fn rgb(space: ColourSpace, shape: I420, picture: &[u8], [y, u, v]: [&mut [u8]; 3]) -> Result<(), GpuError> {
    let half = shape.chroma_width() as u32;
    let mut planes = yuv::YuvPlanarImageMut {
        y_plane: yuv::BufferStoreMut::Borrowed(y),
        y_stride: shape.width,
        u_plane: yuv::BufferStoreMut::Borrowed(u),
        u_stride: half,
        v_plane: yuv::BufferStoreMut::Borrowed(v),
        v_stride: half,
        width: shape.width,
        height: shape.height,
    };
    let range = match space.range {
        crate::Range::Limited => yuv::YuvRange::Limited,
        crate::Range::Full => yuv::YuvRange::Full,
    };
    let matrix = match space.matrix {
        crate::Matrix::Bt601 => yuv::YuvStandardMatrix::Bt601,
        crate::Matrix::Bt709 => yuv::YuvStandardMatrix::Bt709,
    };
    let mode = yuv::YuvConversionMode::Balanced;
    yuv::rgb_to_yuv420(&mut planes, picture, 3 * shape.width, range, matrix, mode).map_err(|_| {
        GpuError::Shape { width: shape.width, height: shape.height, format: "RGB", why: "`yuv` refuses them" }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Matrix, Range};

    const SHAPE: I420 = I420 { width: 4, height: 2 };

    fn converted(format: PixelFormat, shape: I420, picture: &[u8]) -> Vec<u8> {
        let mut out = vec![9; 3];
        format.to_i420(shape, picture, &mut out).unwrap();
        out
    }

    #[test]
    fn interleaved_chroma_is_taken_apart() {
        let nv12 = [1, 2, 3, 4, 5, 6, 7, 8, 100, 200, 101, 201];
        assert_eq!(converted(PixelFormat::Nv12, SHAPE, &nv12), [1, 2, 3, 4, 5, 6, 7, 8, 100, 101, 200, 201]);
    }

    #[test]
    fn yuyv_takes_the_mean_of_two_rows_of_chroma() {
        let yuyv = [1, 100, 2, 200, 3, 50, 4, 60, 5, 103, 6, 210, 7, 50, 8, 61];
        assert_eq!(converted(PixelFormat::Yuyv, SHAPE, &yuyv), [1, 2, 3, 4, 5, 6, 7, 8, 102, 50, 205, 61]);
    }

    #[test]
    fn rgb_follows_the_formula_within_one_code_value() {
        let shape = I420 { width: 64, height: 2 };
        for matrix in [Matrix::Bt601, Matrix::Bt709] {
            for range in [Range::Limited, Range::Full] {
                for colour in [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255; 3], [0; 3], [12, 130, 77]] {
                    let space = ColourSpace { matrix, range };
                    let picture = colour.repeat(shape.luma_len());
                    let out = converted(PixelFormat::Rgb(space), shape, &picture);
                    let [r, g, b] = colour.map(f64::from);
                    let [kr, kb] = space.weights();
                    let luma = kr * r + (1.0 - kr - kb) * g + kb * b;
                    let (black, y, c) = if range == Range::Full {
                        (0.0, 1.0, 1.0)
                    } else {
                        (16.0, 219.0 / 255.0, 224.0 / 255.0)
                    };
                    let expected = [
                        black + y * luma,
                        128.0 + c * (b - luma) / (2.0 - 2.0 * kb),
                        128.0 + c * (r - luma) / (2.0 - 2.0 * kr),
                    ];
                    for (plane, expected) in shape.planes(&out).into_iter().zip(expected) {
                        for &sample in plane {
                            let off = (f64::from(sample) - expected.min(255.0)).abs();
                            assert!(off <= 1.0, "{space:?} {colour:?}: {sample}, not {expected:.1}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn half_a_pixel_of_chroma_is_refused() {
        let shape = I420 { width: 3, height: 2 };
        let error = PixelFormat::Yuyv.to_i420(shape, &[0; 12], &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("3x2 pictures in YUYV") && error.contains("odd"), "{error}");
    }
}
