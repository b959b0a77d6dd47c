//! The grid's shader against the formulas of ITU-R BT.601 and BT.709.

#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use common::{noise, renderer};
use hyperzoom_gpu::{ColourSpace, GridPicture, Matrix, Painter, Range};
use hyperzoom_media::I420;

const SIDE: u32 = 256;
const PICTURE: I420 = I420 { width: SIDE, height: SIDE };

/// Squares of one colour each, so that a sample inside one has neighbours of its own colour only.
const SQUARE: usize = 16;

struct Canvas {
    device: wgpu::Device,
    queue: wgpu::Queue,
    texture: wgpu::Texture,
    painter: Painter,
}

impl Canvas {
    fn new(format: wgpu::TextureFormat) -> Option<Self> {
        let (device, queue) = renderer()?;
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width: SIDE, height: SIDE, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        let painter = Painter::new(device.clone(), queue.clone(), format).unwrap();
        Some(Self { device, queue, texture, painter })
    }

    /// The pixels after the picture was drawn into `area`, row by row.
    fn drawn(&self, area: [f32; 4], space: ColourSpace, picture: &[u8]) -> Vec<[u8; 4]> {
        let view = self.texture.create_view(&wgpu::TextureViewDescriptor::default());
        self.painter.draw(&view, area, space, PICTURE, picture).unwrap();
        let size = u64::from(4 * SIDE * SIDE);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let layout =
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * SIDE), rows_per_image: None };
        let mut commands = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        commands.copy_texture_to_buffer(
            self.texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo { buffer: &buffer, layout },
            self.texture.size(),
        );
        self.queue.submit([commands.finish()]);
        buffer.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        buffer.get_mapped_range(..).chunks_exact(4).map(|pixel| pixel.try_into().unwrap()).collect()
    }
}

/// R', G' and B' in code values: the definitions E'y = Kr R' + Kg G' + Kb B', Cb = (B' - E'y) / (2 - 2 Kb) and
/// Cr = (R' - E'y) / (2 - 2 Kr), solved, after the quantisation of BT.601-7 §2.5.3 or of JFIF 1.02.
fn reference(space: ColourSpace, [y, u, v]: [u8; 3]) -> [f64; 3] {
    let (kr, kb) = match space.matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
    };
    let [y, u, v] = [y, u, v].map(f64::from);
    let (luma, cb, cr) = match space.range {
        Range::Limited => ((y - 16.0) / 219.0, (u - 128.0) / 224.0, (v - 128.0) / 224.0),
        Range::Full => (y / 255.0, (u - 128.0) / 255.0, (v - 128.0) / 255.0),
    };
    let red = luma + cr * (2.0 - 2.0 * kr);
    let blue = luma + cb * (2.0 - 2.0 * kb);
    let green = (luma - kr * red - kb * blue) / (1.0 - kr - kb);
    [red, green, blue].map(|value| value.clamp(0.0, 1.0) * 255.0)
}

fn spaces() -> impl Iterator<Item = ColourSpace> {
    let both = |matrix| [Range::Limited, Range::Full].map(|range| ColourSpace { matrix, range });
    [Matrix::Bt601, Matrix::Bt709].into_iter().flat_map(both)
}

/// Squares of these colours, row by row, and of the first again behind the last.
fn squares(colours: &[[u8; 3]]) -> Vec<u8> {
    let mut picture = vec![0; PICTURE.len()];
    for (n, plane) in PICTURE.planes_mut(&mut picture).into_iter().enumerate() {
        let (width, square) = if n == 0 { (SIDE as usize, SQUARE) } else { (SIDE as usize / 2, SQUARE / 2) };
        for (at, sample) in plane.iter_mut().enumerate() {
            let index = (at / width / square) * (SIDE as usize / SQUARE) + at % width / square;
            *sample = colours[index % colours.len()][n];
        }
    }
    picture
}

/// The pixel in the middle of square `n`.
fn middle(n: usize) -> usize {
    let across = SIDE as usize / SQUARE;
    (n / across * SQUARE + SQUARE / 2) * SIDE as usize + n % across * SQUARE + SQUARE / 2
}

#[test]
fn every_matrix_and_range_gives_the_colours_of_the_recommendations() {
    for format in [wgpu::TextureFormat::Rgba8Unorm, wgpu::TextureFormat::Rgba8UnormSrgb] {
        let Some(canvas) = Canvas::new(format) else { return };
        let bytes = noise(3 * 256, 11);
        let colours: Vec<[u8; 3]> = bytes.chunks_exact(3).map(|three| three.try_into().unwrap()).collect();
        let picture = squares(&colours);
        for space in spaces() {
            let pixels = canvas.drawn(GridPicture::ALL, space, &picture);
            let mut largest = 0.0f64;
            for (n, &colour) in colours.iter().enumerate() {
                let expected = reference(space, colour);
                let pixel = pixels[middle(n)];
                for (is, should) in pixel.iter().zip(expected) {
                    let off = (f64::from(*is) - should).abs();
                    largest = largest.max(off);
                    assert!(off <= 1.0, "{format:?} {space:?} {colour:?}: {pixel:?}, not {expected:.1?}");
                }
                assert_eq!(pixel[3], 255);
            }
            eprintln!("{format:?} {space:?}: {largest:.2} code values off at most");
        }
    }
}

/// Not from our own formulas: the colours of test charts, as published for 100 % bars.
#[test]
fn the_bars_of_test_charts_have_their_colours() {
    let Some(canvas) = Canvas::new(wgpu::TextureFormat::Rgba8Unorm) else { return };
    let [bt601, _, bt709, full709] = {
        let mut all = spaces();
        std::array::from_fn(|_| all.next().unwrap())
    };
    for (space, yuv, rgb) in [
        (bt601, [235, 128, 128], [255, 255, 255]),
        (bt601, [16, 128, 128], [0, 0, 0]),
        (bt601, [81, 90, 240], [255, 0, 0]),
        (bt601, [145, 54, 34], [0, 255, 0]),
        (bt601, [41, 240, 110], [0, 0, 255]),
        (bt709, [63, 102, 240], [255, 0, 0]),
        (bt709, [173, 42, 26], [0, 255, 0]),
        (bt709, [32, 240, 118], [0, 0, 255]),
        (full709, [255, 128, 128], [255, 255, 255]),
        (full709, [0, 128, 128], [0, 0, 0]),
    ] {
        let pixel = canvas.drawn(GridPicture::ALL, space, &squares(&[yuv]))[middle(0)];
        for (is, should) in pixel.iter().zip(rgb) {
            // The charts' own values are rounded, each by up to half a code value.
            assert!(is.abs_diff(should) <= 2, "{space:?} {yuv:?}: {pixel:?}, not {rgb:?}");
        }
    }
}

#[test]
fn a_picture_stays_within_its_area_the_right_way_up_and_can_be_mirrored() {
    let Some(canvas) = Canvas::new(wgpu::TextureFormat::Rgba8Unorm) else { return };
    let space = ColourSpace { matrix: Matrix::Bt709, range: Range::Full };
    let at = |pixels: &[[u8; 4]], x: usize, y: usize| pixels[y * SIDE as usize + x][0];
    // Grey that grows to the right, and a bright upper half.
    let mut picture = vec![128; PICTURE.len()];
    for (n, luma) in picture[..PICTURE.luma_len()].iter_mut().enumerate() {
        let (x, y) = (n % SIDE as usize, n / SIDE as usize);
        *luma = (x / 4) as u8 + if y < SIDE as usize / 2 { 128 } else { 0 };
    }
    let pixels = canvas.drawn([-1.0, 1.0, 0.0, 0.0], space, &picture);
    assert_eq!((at(&pixels, 200, 50), at(&pixels, 50, 200)), (0, 0), "nothing is drawn around it");
    assert!(at(&pixels, 10, 10) >= 128 && at(&pixels, 10, 120) < 128, "above is above");
    assert!(at(&pixels, 120, 10) > at(&pixels, 5, 10), "right is right");
    let pixels = canvas.drawn([1.0, 1.0, -1.0, -1.0], space, &picture);
    assert!(at(&pixels, 5, 10) > at(&pixels, 250, 10), "mirrored");
}
