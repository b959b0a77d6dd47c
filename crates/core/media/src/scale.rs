//! Where a picture lies within another, and what scales it there.

use crate::I420;

/// Black in Y, U and V (limited range).
pub const BLACK: [u8; 3] = [16, 128, 128];

/// Scales pictures to the one shape that it was made for, with black bars where their proportions differ from it.
///
/// Implementations differ in where they compute (`hyperzoom-video` on the CPU, `hyperzoom-gpu` on either), and agree within
/// one code value: a [triangle filter](https://en.wikipedia.org/wiki/Triangular_function) as wide as two steps of the
/// smaller picture, first over columns and then over rows.
pub trait Downscale: Send {
    /// The picture in the shape that this was made for. Panics where `picture` is not as long as `from` asks for, or empty.
    fn scale(&mut self, from: I420, picture: &[u8]) -> &[u8];
}

/// Where a picture lies within another, in luma samples; all four are even, so that chroma meets luma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// Samples left of it.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Samples a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Fit {
    /// The largest area within `to`, in the middle, that has the proportions of `from`, to the nearest even number: so
    /// 1920x1080, which is 853.3 samples wide at 480 lines, fills 854x480 without bars.
    #[must_use]
    pub fn new(from: I420, to: I420) -> Self {
        let even = |side: f64, limit: u32| (((side / 2.0).round() as u32) * 2).clamp(2, limit & !1);
        let scale =
            (f64::from(to.width) / f64::from(from.width)).min(f64::from(to.height) / f64::from(from.height));
        let width = even(f64::from(from.width) * scale, to.width);
        let height = even(f64::from(from.height) * scale, to.height);
        Self { left: ((to.width - width) / 2) & !1, top: ((to.height - height) / 2) & !1, width, height }
    }

    /// The same area in plane `n` of Y, U and V: left, top, width, height. Chroma has half the samples.
    #[must_use]
    pub fn plane(self, n: usize) -> [u32; 4] {
        [self.left, self.top, self.width, self.height].map(|side| if n == 0 { side } else { side / 2 })
    }
}
