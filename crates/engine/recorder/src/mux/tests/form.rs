//! The finished file, as other people's programs see it.

use super::*;

#[test]
fn a_finished_take_is_what_editors_expect() {
    let scratch = Scratch::new();
    // 5.7 s: the last fragment is a part of one.
    let file = scratch.file(&replay(&finished(171, true, true)));
    check_streams(&file, 171);
    assert!((duration(&file, "a") - 5.7).abs() < 1e-5, "{}", duration(&file, "a"));
    let (pictures, samples) = decode(&file);
    assert_eq!(pictures, 171);
    assert!((273_600..273_600 + AAC_FRAME).contains(&samples), "{samples}");
}

#[test]
fn each_tick_shows_its_own_picture() {
    let scratch = Scratch::new();
    let file = scratch.file(&replay(&finished(95, true, true)));
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&file)
        .args(["-map", "0:v", "-vsync", "passthrough", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    let shown: Vec<&[u8]> = output.stdout.chunks_exact(SHAPE.len()).collect();
    assert_eq!(shown.len(), 95);
    let distance = |a: &[u8], b: &[u8]| {
        let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
        sum / SHAPE.luma_len() as f64
    };
    for (tick, picture) in (0..).zip(shown) {
        let off = distance(&picture[..SHAPE.luma_len()], &source_picture(tick)[..SHAPE.luma_len()]);
        let next = distance(&picture[..SHAPE.luma_len()], &source_picture(tick + 1)[..SHAPE.luma_len()]);
        assert!(off < 4.0 && next > 10.0, "tick {tick}: {off} from its own picture, {next} from the next");
    }
}

#[test]
fn a_finished_take_is_read_by_an_independent_reader() {
    let bytes = replay(&finished(95, true, true));
    let len = bytes.len() as u64;
    let mut reader = ::mp4::Mp4Reader::read_header(std::io::Cursor::new(bytes), len).unwrap();
    assert!(!reader.is_fragmented());
    let tracks: Vec<_> = reader
        .tracks()
        .values()
        .map(|track| (track.track_id(), track.media_type().ok(), track.sample_count()))
        .collect();
    assert!(tracks.contains(&(1, Some(::mp4::MediaType::H264), 95)), "{tracks:?}");
    // It knows no timecode, and leaves the track be.
    assert!(tracks.contains(&(3, None, 1)), "{tracks:?}");
    assert_eq!(reader.tracks()[&1].video_profile().unwrap(), ::mp4::AvcProfile::AvcHigh);
    assert_eq!(reader.tracks()[&2].audio_profile().unwrap(), ::mp4::AudioObjectType::AacLowComplexity);
    for id in 1..=95 {
        let sample = reader.read_sample(1, id).unwrap().unwrap();
        assert_eq!(sample.start_time, u64::from(id - 1) * u64::from(TICK_DURATION));
        assert_eq!(sample.is_sync, (id - 1) % 30 == 0);
        let first = u32::from_be_bytes(sample.bytes[..4].try_into().unwrap()) as usize;
        assert!(first + 4 <= sample.bytes.len(), "sample {id} does not begin with a NAL unit");
    }
}

#[test]
fn sound_alone_and_pictures_alone_are_takes_too() {
    let scratch = Scratch::new();
    let file = scratch.file(&replay(&finished(75, false, true)));
    assert!((duration(&file, "a") - 2.5).abs() < 1e-5);
    assert!((120_000..121_024).contains(&decode(&file).1));
    let file = scratch.file(&replay(&finished(75, true, false)));
    assert_eq!((duration(&file, "v"), decode(&file)), (2.5, (75, 0)));
}

#[test]
fn an_end_before_what_was_encoded_cuts_to_the_tick() {
    let notebook = Notebook::new();
    let (mut muxer, _) = take(notebook.clone(), 100, true, true);
    muxer.finish(77, &[]).unwrap();
    let scratch = Scratch::new();
    let file = scratch.file(&replay(&notebook.calls.lock().unwrap()));
    check_streams(&file, 77);
    assert_eq!(decode(&file).0, 77);
}

#[test]
fn pictures_and_sound_are_in_time() {
    // Silence, and a step to a loud tone at tick 40.
    let notebook = Notebook::new();
    let mut aac = AacEncoder::new().unwrap();
    let movie = Movie {
        created: std::time::Duration::ZERO,
        start_tick: 0,
        about: About::default(),
        video: None,
        audio: Some(AudioConfig::new(aac.config(), aac.delay()).unwrap()),
    };
    let mut muxer = Muxer::create(Box::new(notebook.clone()), movie).unwrap();
    let samples: Vec<f32> =
        (0..96_000).map(|i| if i < 64_000 { 0.0 } else { (i as f32 * 0.4).sin() * 0.7 }).collect();
    let mut units = Vec::new();
    aac.encode(&samples, &mut |unit| units.push(unit)).unwrap();
    aac.finish(&mut |unit| units.push(unit)).unwrap();
    for unit in units {
        muxer.unit(unit).unwrap();
    }
    muxer.finish(60, &[]).unwrap();
    let calls = notebook.calls.lock().unwrap();
    let scratch = Scratch::new();
    // In the finished file and in the one that a crash left: the sound begins where it did.
    for prefix in [calls.len(), calls.len() - 6] {
        let file = scratch.file(&replay(&calls[..prefix]));
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-copyts", "-i"])
            .arg(&file)
            .args(["-af", "atrim=start=0", "-f", "s16le", "-"])
            .output()
            .unwrap();
        let decoded: Vec<i16> =
            output.stdout.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        let onset = decoded.iter().position(|sample| sample.unsigned_abs() > 8000).unwrap();
        assert!(onset.abs_diff(64_000) < 48, "the tone begins at sample {onset}, not 64000");
    }
}
