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
