use super::*;
use proptest::prelude::*;

/// Luma weights of red and blue.
type Weights = [f64; 2];
const BT601: Weights = [0.299, 0.114];
const BT709: Weights = [0.2126, 0.0722];

/// The eight-bit R'G'B' of a limited-range sample, unclipped, by the definitions.
fn to_rgb([r, b]: Weights, [y, u, v]: [u8; 3]) -> [f64; 3] {
    let luma = (f64::from(y) - 16.0) / 219.0;
    let [cb, cr] = [u, v].map(|c| (f64::from(c) - 128.0) / 224.0);
    let (red, blue) = (luma + 2.0 * (1.0 - r) * cr, luma + 2.0 * (1.0 - b) * cb);
    [red, (luma - r * red - b * blue) / (1.0 - r - b), blue]
}

/// And back, to the code values before they are rounded.
fn from_rgb([r, b]: Weights, [red, green, blue]: [f64; 3]) -> [f64; 3] {
    let luma = r * red + (1.0 - r - b) * green + b * blue;
    let [cb, cr] = [(blue - luma) / (2.0 * (1.0 - b)), (red - luma) / (2.0 * (1.0 - r))];
    [16.0 + 219.0 * luma, 128.0 + 224.0 * cb, 128.0 + 224.0 * cr].map(|value| value.clamp(0.0, 255.0))
}

fn converted(format: PixelFormat, shape: I420, picture: &[u8]) -> Vec<u8> {
    let mut out = vec![0xaa; shape.len()];
    Converter::new(format, shape).convert(picture, &mut out).unwrap();
    out
}

/// The three samples at a place of a picture.
fn at(shape: I420, picture: &[u8], x: usize, y: usize) -> [u8; 3] {
    let [luma, u, v] = shape.planes(picture);
    let chroma = y / 2 * shape.chroma_width() + x / 2;
    [luma[y * shape.width as usize + x], u[chroma], v[chroma]]
}

fn near(got: [u8; 3], wanted: [f64; 3], tolerance: f64) -> bool {
    got.into_iter().zip(wanted).all(|(got, wanted)| (f64::from(got) - wanted).abs() <= tolerance)
}

fn shapes() -> impl Strategy<Value = I420> {
    (1u32..40, 1u32..20).prop_map(|(w, h)| I420 { width: w * 2, height: h * 2 })
}

/// A shape and bytes for the largest format of it.
fn noise() -> impl Strategy<Value = (I420, Vec<u8>)> {
    shapes().prop_flat_map(|shape| {
        (Just(shape), prop::collection::vec(any::<u8>(), shape.luma_len() * 3..=shape.luma_len() * 3))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nv12_keeps_every_colour((shape, bytes) in noise()) {
        let out = converted(PixelFormat::Nv12, shape, &bytes);
        let (width, luma) = (shape.width as usize, shape.luma_len());
        for y in 0..shape.height as usize {
            for x in 0..width {
                let pair = luma + y / 2 * width + x / 2 * 2;
                let from = [bytes[y * width + x], bytes[pair], bytes[pair + 1]];
                let wanted = from_rgb(BT709, to_rgb(BT601, from));
                prop_assert!(near(at(shape, &out, x, y), wanted, 1.0), "{from:?} became {:?}", at(shape, &out, x, y));
            }
        }
    }

    #[test]
    fn yuyv_keeps_luma_and_the_mean_of_two_lines_chroma((shape, bytes) in noise()) {
        let out = converted(PixelFormat::Yuyv, shape, &bytes);
        let width = shape.width as usize;
        for y in 0..shape.height as usize {
            for x in 0..width {
                let chroma = |line: usize, which: usize| bytes[(line * width + x / 2 * 2) * 2 + which];
                let mean = |which| mean(chroma(y & !1, which), chroma(y | 1, which));
                let from = [bytes[(y * width + x) * 2], mean(1), mean(3)];
                let wanted = from_rgb(BT709, to_rgb(BT601, from));
                prop_assert!(near(at(shape, &out, x, y), wanted, 1.0), "{from:?} became {:?}", at(shape, &out, x, y));
            }
        }
    }

    #[test]
    fn flat_rgb_is_within_one_code_value(shape in shapes(), rgb in any::<[u8; 3]>()) {
        let wanted = from_rgb(BT709, rgb.map(|value| f64::from(value) / 255.0));
        let mut bgr = rgb;
        bgr.reverse();
        for (format, pixel) in [(PixelFormat::Rgb, rgb), (PixelFormat::Bgr, bgr)] {
            let out = converted(format, shape, &pixel.repeat(shape.luma_len()));
            for y in 0..shape.height as usize {
                for x in 0..shape.width as usize {
                    // Half a step of rounding, and the library's fixed point.
                    prop_assert!(near(at(shape, &out, x, y), wanted, 1.0), "{rgb:?} became {:?}, not {wanted:?}", at(shape, &out, x, y));
                }
            }
        }
    }

    #[test]
    fn noisy_rgb_keeps_its_luma_everywhere((shape, bytes) in noise()) {
        let out = converted(PixelFormat::Rgb, shape, &bytes);
        for (pixel, luma) in bytes.as_chunks::<3>().0.iter().zip(shape.planes(&out)[0]) {
            let wanted = from_rgb(BT709, pixel.map(|value| f64::from(value) / 255.0))[0];
            // Half a step of rounding, and up to one of the library's fixed point.
            prop_assert!((f64::from(*luma) - wanted).abs() <= 1.5, "{pixel:?} became {luma}, not {wanted}");
        }
    }

    #[test]
    fn any_bytes_are_answered(format in 0..6usize, bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let format = FORMATS[format];
        let mut out = vec![0; SMALL.len()];
        let fits = format.len(SMALL).is_some_and(|wanted| bytes.len() >= wanted);
        prop_assert_eq!(Converter::new(format, SMALL).convert(&bytes, &mut out).is_ok(), fits);
    }

    #[test]
    fn a_damaged_jpeg_is_survived(at in 0..BARS.len(), byte in any::<u8>(), keep in 0..=BARS.len()) {
        let mut jpeg = BARS[..keep].to_vec();
        if let Some(place) = jpeg.get_mut(at) {
            *place = byte;
        }
        let mut out = vec![0; BARS_SHAPE.len()];
        let _ = Converter::new(PixelFormat::Mjpeg, BARS_SHAPE).convert(&jpeg, &mut out);
    }
}

const FORMATS: [PixelFormat; 6] = [
    PixelFormat::Nv12,
    PixelFormat::Yuyv,
    PixelFormat::Rgb,
    PixelFormat::Bgr,
    PixelFormat::Mjpeg,
    PixelFormat::Gray,
];
const SMALL: I420 = I420 { width: 32, height: 16 };

/// Four bars, 64 samples square, as `ffmpeg -c:v mjpeg` writes them, 4:2:0.
const BARS: &[u8] = include_bytes!("bars.jpg");
const BARS_SHAPE: I420 = I420 { width: 64, height: 64 };
/// Their colours.
const COLOURS: [[u8; 3]; 4] = [[255, 255, 255], [200, 30, 30], [30, 160, 40], [40, 50, 210]];

#[test]
fn a_jpeg_shows_the_colours_that_went_in() {
    let out = converted(PixelFormat::Mjpeg, BARS_SHAPE, BARS);
    for (n, rgb) in COLOURS.into_iter().enumerate() {
        let wanted = from_rgb(BT709, rgb.map(|value| f64::from(value) / 255.0));
        let got = at(BARS_SHAPE, &out, n * 16 + 8, 32);
        assert!(near(got, wanted, 4.0), "bar {n}: {got:?}, not {wanted:?}");
    }
}

#[test]
fn a_jpeg_with_rubbish_behind_it_is_read() {
    let mut padded = BARS.to_vec();
    padded.extend([0x5a; 5000]);
    assert_eq!(
        converted(PixelFormat::Mjpeg, BARS_SHAPE, &padded),
        converted(PixelFormat::Mjpeg, BARS_SHAPE, BARS)
    );
}

#[test]
fn a_jpeg_without_huffman_tables_has_the_usual_ones() {
    let plain = without_tables(BARS);
    assert!(plain.len() < BARS.len() - 400, "the tables are gone");
    assert_eq!(
        converted(PixelFormat::Mjpeg, BARS_SHAPE, &plain),
        converted(PixelFormat::Mjpeg, BARS_SHAPE, BARS)
    );
}

/// Leaves out what many cameras do: the Huffman tables, since they are always those of ITU-T T.81 annex K.
fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (jpeg[..2].to_vec(), &jpeg[2..]);
    while rest[1] != 0xda {
        let (segment, after) = rest.split_at(2 + usize::from(u16::from_be_bytes([rest[2], rest[3]])));
        if segment[1] != 0xc4 {
            out.extend(segment);
        }
        rest = after;
    }
    out.extend(rest);
    out
}

#[test]
fn a_jpeg_of_another_size_is_refused() {
    let shape = I420 { width: 128, height: 128 };
    let mut out = vec![0; shape.len()];
    let refused = Converter::new(PixelFormat::Mjpeg, shape).convert(BARS, &mut out);
    assert_eq!(refused, Err(Damaged::Shape(64, 64)));
}

#[test]
fn black_and_white_stay_so() {
    let shape = I420 { width: 4, height: 2 };
    for (gray, luma) in [(0, 16), (255, 235), (128, 126)] {
        let out = converted(PixelFormat::Gray, shape, &[gray; 8]);
        assert_eq!(at(shape, &out, 3, 1), [luma, 128, 128]);
    }
    for luma in [16, 235] {
        let out = converted(PixelFormat::Yuyv, shape, &[luma, 128].repeat(8));
        assert_eq!(at(shape, &out, 0, 0), [luma, 128, 128]);
    }
}
