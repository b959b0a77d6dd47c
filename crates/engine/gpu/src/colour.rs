//! Matrices between Y'CbCr and R'G'B', from the constants of ITU-R BT.601-7 §2.5 and BT.709-6 §3.

/// Which weights make luma of red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// ITU-R BT.601: what most webcams send.
    Bt601,
    /// ITU-R BT.709: HD video.
    Bt709,
}

/// Which values a sample can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Range {
    /// 16 to 235 in luma, 16 to 240 in chroma.
    Limited,
    /// 0 to 255 in both, as JPEG.
    Full,
}

/// How the samples of a picture mean colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ColourSpace {
    /// The weights.
    pub matrix: Matrix,
    /// The values.
    pub range: Range,
}

/// Bits behind the binary point of [`ColourSpace::rgb_rows`].
pub(crate) const RGB_BITS: u32 = 13;

impl ColourSpace {
    /// What a camera's picture is converted to, recorded in and sent in. VP8 has no name for it (RFC 6386 §9.2 knows BT.601 alone), and
    /// passes the samples on as they are: both ends are this program.
    pub const LIVE: Self = Self { matrix: Matrix::Bt709, range: Range::Limited };

    /// Kr and Kb.
    pub(crate) fn weights(self) -> [f64; 2] {
        match self.matrix {
            Matrix::Bt601 => [0.299, 0.114],
            Matrix::Bt709 => [0.2126, 0.0722],
        }
    }

    /// Black in luma, and how many code values luma and chroma span.
    fn spans(self) -> [f64; 3] {
        match self.range {
            Range::Limited => [16.0, 219.0, 224.0],
            Range::Full => [0.0, 255.0, 255.0],
        }
    }

    /// Rows of the matrix that makes R', G' and B', 0 to 1, of (Y, U, V, 1), where samples are 0 to 1 as a texture
    /// delivers them.
    #[must_use]
    pub fn to_rgb(self) -> [[f32; 4]; 3] {
        let [kr, kb] = self.weights();
        let kg = 1.0 - kr - kb;
        let [black, luma, chroma] = self.spans();
        let (y, c) = (255.0 / luma, 255.0 / chroma);
        let row = |u: f64, v: f64| {
            let offset = -y * black / 255.0 - c * (u + v) * 128.0 / 255.0;
            [y, c * u, c * v, offset].map(|value| value as f32)
        };
        [
            row(0.0, 2.0 * (1.0 - kr)),
            row(-2.0 * (1.0 - kb) * kb / kg, -2.0 * (1.0 - kr) * kr / kg),
            row(2.0 * (1.0 - kb), 0.0),
        ]
    }

    /// Rows of the matrix that makes Y, U and V of (R, G, B, 1), times 2^13, with rounding in the last column.
    pub(crate) fn rgb_rows(self) -> [[i32; 4]; 3] {
        let [kr, kb] = self.weights();
        let kg = 1.0 - kr - kb;
        let [black, luma, chroma] = self.spans();
        let one = f64::from(1 << RGB_BITS);
        let row = |weights: [f64; 3], span: f64, zero: f64| {
            let [r, g, b] = weights.map(|weight| (weight * span / 255.0 * one).round() as i32);
            [r, g, b, (zero * one) as i32 + (1 << (RGB_BITS - 1)) - 1]
        };
        let (u, v) = (0.5 / (1.0 - kb), 0.5 / (1.0 - kr));
        [
            row([kr, kg, kb], luma, black),
            row([-kr * u, -kg * u, 0.5], chroma, 128.0),
            row([0.5, -kg * v, -kb * v], chroma, 128.0),
        ]
    }
}
