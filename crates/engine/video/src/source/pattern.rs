//! The test pattern: a picture that says which one it is, to people and to programs.
//!
//! From top to bottom: a block code that [`read_stamp`] reads back, even after scaling and a lossy codec; the time and
//! the picture's number as digits; colour bars; a box that crosses the picture in two seconds, so that a stutter shows;
//! a band of texture that scrolls, so that an encoder has motion to follow. Colours are BT.709 in limited range, as a
//! camera's are once they are converted.

use std::time::Duration;

use hyperzoom_media::I420;

use super::PictureSource;
use crate::VideoError;
use crate::spec::FrameRate;

/// The code's blocks: 80 bits in four rows. Around it stays a margin of one block.
const COLUMNS: usize = 20;
const ROWS: usize = 4;
/// The picture in blocks.
const ACROSS: usize = COLUMNS + 2;
const DOWN: usize = 24;

const GREY: u8 = 110;
const BLACK: u8 = 16;
const WHITE: u8 = 235;

/// What a picture of the pattern says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The picture's number on its source's schedule; it wraps at 2^32 (four and a half years at 30 a second).
    pub counter: u64,
    /// When it was due since the epoch of the process that drew it, to the millisecond; it wraps after 49 days.
    pub time: Duration,
}

impl Stamp {
    fn to_bits(self) -> u128 {
        let data = (self.counter & 0xffff_ffff) << 32 | (self.time.as_millis() as u64 & 0xffff_ffff);
        u128::from(data) << 16 | u128::from(crc16(data))
    }

    fn from_bits(bits: u128) -> Option<Self> {
        let data = (bits >> 16) as u64;
        let time = Duration::from_millis(data & 0xffff_ffff);
        (crc16(data) == bits as u16).then_some(Self { counter: data >> 32, time })
    }
}

/// CRC-16/IBM-3740 (polynomial 0x1021, initial value 0xffff): neither all black nor all white is a valid code.
fn crc16(data: u64) -> u16 {
    data.to_be_bytes().iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// Reads the code out of a picture's luma plane (`shape.width` × `shape.height` bytes), also where black bars surround
/// the pattern. `None` where there is no code that can be trusted.
#[must_use]
pub fn read_stamp(shape: I420, luma: &[u8]) -> Option<Stamp> {
    let (width, height) = (shape.width as usize, shape.height as usize);
    let luma = luma.get(..shape.luma_len())?;
    let whole = Area { left: 0, top: 0, width, height };
    read_area(width, luma, whole).or_else(|| read_area(width, luma, inside_bars(width, height, luma)?))
}

/// The picture's number, as [`read_stamp`] reads it.
#[must_use]
pub fn read_counter(shape: I420, luma: &[u8]) -> Option<u64> {
    read_stamp(shape, luma).map(|stamp| stamp.counter)
}

#[derive(Clone, Copy)]
struct Area {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Area {
    /// Where the block in this row and column lies: x from, x to, y from, y to.
    fn block(self, column: usize, row: usize) -> [usize; 4] {
        [
            self.left + self.width * (column + 1) / ACROSS,
            self.left + self.width * (column + 2) / ACROSS,
            self.top + self.height * (row + 1) / DOWN,
            self.top + self.height * (row + 2) / DOWN,
        ]
    }
}

fn read_area(stride: usize, luma: &[u8], area: Area) -> Option<Stamp> {
    let mut bits = 0u128;
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let [x0, x1, y0, y1] = area.block(column, row);
            // The middle half: the edges are where scaling and the codec blur.
            let (dx, dy) = ((x1 - x0) / 4, (y1 - y0) / 4);
            let (mut sum, mut count) = (0usize, 0usize);
            for line in luma.chunks_exact(stride).take(y1 - dy).skip(y0 + dy) {
                let middle = &line[x0 + dx..x1 - dx];
                sum += middle.iter().map(|&sample| usize::from(sample)).sum::<usize>();
                count += middle.len();
            }
            let mean = sum.checked_div(count)?;
            // A block that is neither dark nor bright means that this is no code, or that it is too damaged to trust.
            bits = bits << 1
                | match mean {
                    0..=90 => 0,
                    160.. => 1,
                    _ => return None,
                };
        }
    }
    Stamp::from_bits(bits)
}

/// The part of the picture within bars of black: no line or column of the pattern is all dark.
fn inside_bars(stride: usize, height: usize, luma: &[u8]) -> Option<Area> {
    const DARK: u8 = 48;
    let bright_row = |y: &usize| luma[y * stride..(y + 1) * stride].iter().any(|&sample| sample > DARK);
    let bright_column = |x: &usize| luma.iter().skip(*x).step_by(stride).any(|&sample| sample > DARK);
    let (top, bottom) = ((0..height).find(bright_row)?, (0..height).rfind(bright_row)?);
    let (left, right) = ((0..stride).find(bright_column)?, (0..stride).rfind(bright_column)?);
    Some(Area { left, top, width: right + 1 - left, height: bottom + 1 - top })
}

/// Draws the pattern.
pub struct Pattern {
    shape: I420,
    rate: FrameRate,
    /// All that stands still.
    backdrop: Vec<u8>,
    /// The scrolling band, twice side by side, so that a line of it is one copy from any offset.
    texture: Vec<u8>,
}

impl Pattern {
    /// A pattern of this shape, meant to be shown at this rate.
    #[must_use]
    pub fn new(shape: I420, rate: FrameRate) -> Self {
        let (width, height) = (shape.width as usize, shape.height as usize);
        let mut backdrop = vec![128; shape.len()];
        let [y, u, v] = shape.planes_mut(&mut backdrop);
        y.fill(GREY);
        let bars = band(height, 11, 17);
        for (n, [luma, cb, cr]) in BARS.into_iter().enumerate() {
            let [from, to] = [n, n + 1].map(|edge| (width * edge / BARS.len()) & !1);
            fill(y, width, [from, to, bars[0], bars[1]], luma);
            let chroma = [from / 2, to / 2, bars[0] / 2, bars[1] / 2];
            fill(u, width / 2, chroma, cb);
            fill(v, width / 2, chroma, cr);
        }
        Self { shape, rate, backdrop, texture: texture(width, TEXTURE.map(|edge| height * edge / DOWN)) }
    }

    /// Writes the picture with this number, due at this time.
    ///
    /// # Panics
    /// Where `picture` does not have the shape's length.
    pub fn draw(&self, counter: u64, time: Duration, picture: &mut [u8]) {
        let (width, height) = (self.shape.width as usize, self.shape.height as usize);
        picture.copy_from_slice(&self.backdrop);
        let [luma, ..] = self.shape.planes_mut(picture);

        let bits = Stamp { counter, time }.to_bits();
        let area = Area { left: 0, top: 0, width, height };
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                let bit = bits >> (COLUMNS * ROWS - 1 - (row * COLUMNS + column)) & 1;
                fill(luma, width, area.block(column, row), if bit == 1 { WHITE } else { BLACK });
            }
        }

        let seconds = time.as_secs();
        let text =
            format!("{:02}:{:02}.{:03} {counter:06}", seconds / 60 % 100, seconds % 60, time.subsec_millis());
        digits(luma, width, [width / ACROSS, height * 6 / DOWN, height * 4 / DOWN], &text);

        // The box starts at the left on every even second of the schedule.
        let per_sweep = (self.rate.as_f64() * 2.0).max(1.0);
        let phase = (counter as f64 % per_sweep) / per_sweep;
        let box_width = width / 20;
        let x = ((width - box_width) as f64 * phase) as usize;
        let [top, bottom] = band(height, 17, 19);
        fill(luma, width, [x, x + box_width, top, bottom], WHITE);

        let offset = (counter as usize).wrapping_mul(4) % width;
        let [top, bottom] = TEXTURE.map(|edge| height * edge / DOWN);
        for (line, source) in luma[top * width..bottom * width]
            .chunks_exact_mut(width)
            .zip(self.texture.chunks_exact(2 * width))
        {
            line.copy_from_slice(&source[offset..offset + width]);
        }
    }
}

impl PictureSource for Pattern {
    fn shape(&self) -> I420 {
        self.shape
    }

    fn rate(&self) -> FrameRate {
        self.rate
    }

    fn describe(&self) -> String {
        format!("test pattern, {}x{} at {} fps", self.shape.width, self.shape.height, self.rate)
    }

    fn fill(&mut self, slot: u64, at: Duration, picture: &mut [u8]) -> Result<(), VideoError> {
        self.draw(slot, at, picture);
        Ok(())
    }

    fn skip(&mut self) -> Result<(), VideoError> {
        Ok(())
    }
}

/// The texture's band, in blocks from the top.
const TEXTURE: [usize; 2] = [19, 23];

/// 75 % colour bars as Y, Cb, Cr (ITU-R BT.709-6 §3, limited range): white, yellow, cyan, green, magenta, red, blue, black.
const BARS: [[u8; 3]; 8] = [
    [180, 128, 128],
    [168, 44, 136],
    [145, 147, 44],
    [133, 63, 52],
    [63, 193, 204],
    [51, 109, 212],
    [28, 212, 120],
    [16, 128, 128],
];

/// Rows of a band given in blocks, on even lines so that chroma meets luma.
fn band(height: usize, from: usize, to: usize) -> [usize; 2] {
    [from, to].map(|edge| (height * edge / DOWN) & !1)
}

/// Fills x from..to, y from..to of a plane.
fn fill(plane: &mut [u8], stride: usize, [x0, x1, y0, y1]: [usize; 4], value: u8) {
    for line in plane[y0 * stride..y1 * stride].chunks_exact_mut(stride) {
        line[x0..x1].fill(value);
    }
}

/// Smooth noise, seamless at the wrap.
fn texture(width: usize, [top, bottom]: [usize; 2]) -> Vec<u8> {
    const CELL: usize = 16;
    let cells = (width / CELL).max(1);
    let node = |x: usize, y: usize| {
        let hash = ((x % cells) as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca6b);
        let hash = (hash ^ hash >> 15).wrapping_mul(0x2c1b_3c6d);
        60.0 + ((hash >> 16) % 140) as f32
    };
    let mut out = Vec::with_capacity((bottom - top) * width * 2);
    for y in 0..bottom - top {
        let (row, down) = (y / CELL, (y % CELL) as f32 / CELL as f32);
        let line: Vec<u8> = (0..width)
            .map(|x| {
                let at = (x * cells) as f32 / width as f32;
                let (column, across) = (at as usize, at.fract());
                let mix = |row| node(column, row) * (1.0 - across) + node(column + 1, row) * across;
                (mix(row) * (1.0 - down) + mix(row + 1) * down) as u8
            })
            .collect();
        out.extend_from_slice(&line);
        out.extend_from_slice(&line);
    }
    out
}

/// Seven segments of each digit: top, upper right, lower right, bottom, lower left, upper left, middle; bit 0 is the top.
const SEGMENTS: [u8; 10] = [0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f];

/// Writes digits, colons, points and spaces from `left`, `top` down `height` lines, one block wide each.
fn digits(luma: &mut [u8], stride: usize, [left, top, height]: [usize; 3], text: &str) {
    let cell = stride / ACROSS;
    let (pen, bottom) = ((cell / 6).max(1), top + height * 7 / 8);
    let (first, middle) = (top + height / 8, top + height / 2);
    for (n, character) in text.chars().enumerate() {
        let x0 = left + n * cell;
        let x1 = x0 + cell - cell / 4;
        if x1 > stride {
            return;
        }
        let upright = |x: usize, from: usize, to: usize| [x, x + pen, from, to];
        let level = |y: usize| [x0, x1, y, y + pen];
        let dot = |y: usize| [x0 + cell / 3, x0 + cell / 3 + pen, y, y + pen];
        let strokes: &[[usize; 4]] = match character {
            ':' => &[dot(first + height / 5), dot(bottom - height / 5)],
            '.' => &[dot(bottom - pen)],
            '0'..='9' => &[
                level(first),
                upright(x1 - pen, first, middle),
                upright(x1 - pen, middle, bottom),
                level(bottom - pen),
                upright(x0, middle, bottom),
                upright(x0, first, middle),
                level(middle),
            ],
            _ => &[],
        };
        let lit = character.to_digit(10).map_or(0xff, |digit| SEGMENTS[digit as usize]);
        for (_, stroke) in strokes.iter().enumerate().filter(|(segment, _)| lit >> segment & 1 == 1) {
            fill(luma, stride, *stroke, WHITE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::convert::{Converter, PixelFormat};
    use proptest::prelude::*;

    fn drawn(shape: I420, counter: u64, time: Duration) -> Vec<u8> {
        let mut picture = vec![0; shape.len()];
        Pattern::new(shape, FrameRate::THIRTY).draw(counter, time, &mut picture);
        picture
    }

    #[test]
    fn nothing_is_read_out_of_what_is_no_pattern() {
        let shape = I420 { width: 854, height: 480 };
        for level in 0..=255 {
            assert_eq!(read_stamp(shape, &vec![level; shape.luma_len()]), None);
        }
        let mut state = 1u32;
        let noise: Vec<u8> = (0..shape.luma_len())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        assert_eq!(read_stamp(shape, &noise), None);
        assert_eq!(read_stamp(shape, &[]), None, "too short for its shape");
    }

    #[test]
    fn the_bars_are_what_a_cameras_picture_of_the_same_colours_becomes() {
        let shape = I420 { width: 16, height: 16 };
        let full = 191; // three quarters of 255
        for (bar, n) in BARS.into_iter().zip(0u8..) {
            // White to black: blue changes with each bar, red with every second one, green with every fourth.
            let colour = [n & 2, n & 4, n & 1].map(|bit| if bit == 0 { full } else { 0 });
            let mut converted = vec![0; shape.len()];
            Converter::new(PixelFormat::Rgb, shape).convert(&colour.repeat(256), &mut converted).unwrap();
            let camera = shape.planes(&converted).map(|plane| plane[0]);
            let near = bar.iter().zip(camera).all(|(bar, camera)| bar.abs_diff(camera) <= 1);
            assert!(near, "{colour:?}: {bar:?} in the pattern, {camera:?} from a camera");
        }
    }

    #[test]
    fn the_code_is_found_between_black_bars() {
        let (inner, outer) = (I420 { width: 640, height: 360 }, I420 { width: 854, height: 480 });
        let picture = drawn(inner, 77, Duration::from_millis(2_567));
        let mut framed = vec![BLACK; outer.luma_len()];
        for (n, line) in picture[..inner.luma_len()].chunks_exact(640).enumerate() {
            framed[(n + 60) * 854 + 107..][..640].copy_from_slice(line);
        }
        assert_eq!(
            read_stamp(outer, &framed),
            Some(Stamp { counter: 77, time: Duration::from_millis(2_567) })
        );
    }

    #[test]
    fn one_picture_differs_from_the_next_in_what_a_person_sees() {
        let shape = I420 { width: 640, height: 360 };
        let (one, next) = (drawn(shape, 1, Duration::ZERO), drawn(shape, 2, Duration::ZERO));
        for [top, bottom] in [[6, 10], [17, 19], TEXTURE] {
            let rows = 640 * 360 * top / DOWN..640 * 360 * bottom / DOWN;
            assert_ne!(one[rows.clone()], next[rows], "between {top} and {bottom}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_stamp_is_read_back_at_any_size(
            counter in 0..=u64::from(u32::MAX), ms in 0..=u64::from(u32::MAX), width in 80u32..800, height in 60u32..500,
        ) {
            let shape = I420 { width: width * 2, height: height * 2 };
            let time = Duration::from_millis(ms);
            let picture = drawn(shape, counter, time);
            prop_assert_eq!(read_stamp(shape, shape.planes(&picture)[0]), Some(Stamp { counter, time }));
        }
    }
}
