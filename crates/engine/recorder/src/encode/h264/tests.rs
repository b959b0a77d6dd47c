use openh264_sys2 as sys;

use super::settings::level;
use super::*;
use hyperzoom_media::I420;
use shiguredo_mp4::bitstream::h264::parse_sps;

const SHAPE: I420 = I420 { width: 320, height: 180 };

fn format(shape: I420) -> VideoFormat {
    VideoFormat { shape, bitrate_kbps: 2000, max_bitrate_kbps: 2500 }
}

fn noise(shape: I420, seed: u64) -> Vec<u8> {
    let mut state = seed * 2 + 1;
    (0..shape.len())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

/// Whether openh264's assembly is part of the program. Without nasm at build it silently is not, and this does not link then.
fn simd_is_linked() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        unsafe extern "C" {
            fn WelsSampleSad16x16_sse2();
        }
        let address = WelsSampleSad16x16_sse2 as *const ();
        !address.is_null()
    }
    // On ARM the compiler assembles it, no tool can be missing.
    #[cfg(not(target_arch = "x86_64"))]
    {
        cfg!(target_arch = "aarch64")
    }
}

#[test]
fn the_assembly_is_linked() {
    assert!(simd_is_linked());
}

#[test]
fn the_parameter_sets_say_high_4_1_and_the_true_size() {
    let encoder = H264Encoder::new(format(I420 { width: 1920, height: 1080 }), 2).unwrap();
    let sps = parse_sps(&encoder.parameter_sets().sps).unwrap();
    assert_eq!((sps.profile_level_id.profile_idc, sps.profile_level_id.level_idc), (100, 41));
    assert_eq!((sps.width, sps.height), (1920, 1080));
}

#[test]
fn every_thirtieth_picture_is_a_keyframe_even_where_the_scene_changes() {
    let mut encoder = H264Encoder::new(format(SHAPE), 2).unwrap();
    for position in 0..95 {
        // Another flat grey at every eleventh picture: scene changes all over the second.
        encoder.submit(position, &vec![(position / 11 * 97) as u8; SHAPE.len()]).unwrap();
        let picture = encoder.poll().unwrap().expect("openh264 is synchronous");
        assert_eq!(picture.position, position);
        assert_eq!(picture.keyframe, position % u64::from(GOP) == 0, "picture {position}");
    }
    assert_eq!(encoder.poll().unwrap(), None);
}

#[test]
fn hard_pictures_at_a_low_bitrate_are_never_skipped() {
    let starved = VideoFormat { shape: SHAPE, bitrate_kbps: 50, max_bitrate_kbps: 60 };
    let mut encoder = H264Encoder::new(starved, 1).unwrap();
    for position in 0..60 {
        encoder.submit(position, &noise(SHAPE, position)).unwrap();
        assert!(encoder.poll().unwrap().is_some_and(|picture| picture.data.len() > 16));
    }
}

#[test]
fn pictures_that_outgrow_the_encoders_buffers_are_encoded_all_the_same() {
    let generous = VideoFormat { shape: SHAPE, bitrate_kbps: 18_000, max_bitrate_kbps: 20_000 };
    let mut encoder = H264Encoder::new(generous, 2).unwrap();
    encoder.rate.finest = 1.0;
    for position in 0..130 {
        // Nothing to see for two seconds, which brings the finest quantiser, and then noise.
        let picture = if position < 65 { vec![90; SHAPE.len()] } else { noise(SHAPE, position / 11) };
        encoder.submit(position, &picture).unwrap();
        let picture = encoder.poll().unwrap().expect("openh264 is synchronous");
        assert!(picture.keyframe || position % u64::from(GOP) != 0, "picture {position} is off the grid");
    }
    assert!(encoder.rebuilt > 0, "noise that is encoded at once tests nothing here");
}

#[test]
fn larger_pictures_get_the_level_that_allows_them() {
    assert_eq!(level(1920, 1080), sys::LEVEL_4_1);
    assert_eq!(level(640, 480), sys::LEVEL_4_1);
    assert_eq!(level(2560, 1440), sys::LEVEL_5_0);
    assert_eq!(level(3840, 2160), sys::LEVEL_5_1);
}

/// A camera that moves over grain: nothing of it can be predicted well, and more bits always make it better.
fn hard(position: u64) -> Vec<u8> {
    let mut picture = noise(SHAPE, position);
    let (luma, chroma) = picture.split_at_mut(SHAPE.luma_len());
    for (i, sample) in luma.iter_mut().enumerate() {
        let (x, y) = (i % 320 + 3 * position as usize, i / 320);
        let texture = 40.0 * (x as f32 * 0.31).sin() * (y as f32 * 0.23).cos();
        *sample = (120.0 + texture) as u8 + *sample / 32;
    }
    chroma.fill(128);
    picture
}

/// The stream in a file that ffmpeg's tools read, with start codes.
fn annex_b(encoder: &H264Encoder, pictures: &[EncodedPicture]) -> tempfile::NamedTempFile {
    let mut stream = Vec::new();
    let mut nal = |nal: &[u8]| {
        stream.extend_from_slice(&[0, 0, 0, 1]);
        stream.extend_from_slice(nal);
    };
    nal(&encoder.parameter_sets().sps);
    nal(&encoder.parameter_sets().pps);
    for picture in pictures {
        let mut rest = &picture.data[..];
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let (unit, after) = after.split_at(u32::from_be_bytes(*len) as usize);
            nal(unit);
            rest = after;
        }
    }
    let file = tempfile::Builder::new().suffix(".h264").tempfile().unwrap();
    std::fs::write(file.path(), stream).unwrap();
    file
}

fn encode(encoder: &mut H264Encoder, positions: std::ops::Range<u64>) -> Vec<EncodedPicture> {
    positions
        .map(|position| {
            encoder.submit(position, &hard(position)).unwrap();
            encoder.poll().unwrap().expect("openh264 is synchronous")
        })
        .collect()
}

fn kbps(pictures: &[EncodedPicture]) -> f64 {
    pictures.iter().map(|it| it.data.len()).sum::<usize>() as f64 * 8.0 / 1000.0 * 30.0
        / pictures.len() as f64
}

#[test]
fn ffprobe_finds_what_was_promised() {
    let mut encoder = H264Encoder::new(format(SHAPE), 2).unwrap();
    let pictures = encode(&mut encoder, 0..95);
    let file = annex_b(&encoder, &pictures);
    assert_eq!(hyperzoom_testkit::media::decode_errors(file.path()), "");
    let probe = hyperzoom_testkit::media::ffprobe(file.path());
    let video = hyperzoom_testkit::media::stream(&probe, "video");
    assert_eq!((&video["profile"], &video["level"]), (&"High".into(), &41.into()), "{video:#}");
    assert_eq!((&video["pix_fmt"], &video["color_range"]), (&"yuv420p".into(), &"tv".into()), "{video:#}");
    for tag in ["color_space", "color_primaries", "color_transfer"] {
        assert_eq!(video[tag], "bt709", "{video:#}");
    }
    assert_eq!((&video["has_b_frames"], &video["refs"]), (&0.into(), &1.into()), "{video:#}");

    let listed = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "frame=pict_type,key_frame", "-of", "csv=p=0"])
        .arg(file.path())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let kinds: Vec<bool> = listed.lines().map(|line| line.starts_with("1,I")).collect();
    let grid: Vec<bool> = (0..95).map(|position| position % 30 == 0).collect();
    assert_eq!(kinds, grid, "{listed}");
}

#[test]
fn the_picture_parameter_set_says_cabac() {
    let encoder = H264Encoder::new(format(SHAPE), 2).unwrap();
    // ITU-T H.264 §7.3.2.2: two ids as ue(v), which are a bit of 1 when 0, then entropy_coding_mode_flag.
    let pps = &encoder.parameter_sets().pps;
    assert_eq!((pps[0] & 0x1f, pps[1] >> 5), (8, 0b111));
}

#[test]
fn a_hard_clip_has_the_bits_that_were_asked_for() {
    // 15, 18 and 20 Mbit/s at 1080p are this much here, sample for sample.
    let [least, mean, most] = [15e3, 18e3, 20e3].map(|it| it * SHAPE.luma_len() as f64 / (1920.0 * 1080.0));
    let wanted = VideoFormat { shape: SHAPE, bitrate_kbps: mean as u32, max_bitrate_kbps: most as u32 };
    let mut encoder = H264Encoder::new(wanted, 2).unwrap();
    let pictures = encode(&mut encoder, 0..20 * 30);
    let got = kbps(&pictures[5 * 30..]);
    assert!((least..=most).contains(&got), "{got} kbit/s, not {least} to {most}");
    let file = annex_b(&encoder, &pictures);
    assert_eq!(hyperzoom_testkit::media::decode_errors(file.path()), "");
}

#[test]
fn a_hurry_changes_neither_parameter_sets_nor_the_grid_and_ends() {
    let mut encoder = H264Encoder::new(format(SHAPE), 2).unwrap();
    let sets = encoder.parameter_sets().clone();
    let mut pictures = encode(&mut encoder, 0..170);
    assert!(encoder.set_effort(Effort::Hurry));
    pictures.extend(encode(&mut encoder, 170..347));
    assert!(encoder.set_effort(Effort::Full));
    pictures.extend(encode(&mut encoder, 347..600));
    for picture in &pictures {
        assert_eq!(picture.keyframe, picture.position.is_multiple_of(u64::from(GOP)), "{}", picture.position);
    }
    assert_eq!(encoder.raw.parameter_sets().unwrap(), sets);
    let [usual, first, hurried, again] =
        [90..170, 171..180, 240..330, 510..600].map(|it| kbps(&pictures[it]));
    assert!(first < 0.9 * usual && hurried < 0.4 * usual, "{usual}, {first}, {hurried} kbit/s");
    assert!((again / usual - 1.0).abs() < 0.3, "{usual}, {again} kbit/s");
    assert_eq!(hyperzoom_testkit::media::decode_errors(annex_b(&encoder, &pictures).path()), "");
}
