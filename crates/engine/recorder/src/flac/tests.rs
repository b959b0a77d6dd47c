//! From samples to a file that others decode to the same samples, whatever is cut off or damaged.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use flac_codec::decode::{FlacSampleReader, Verified, verify_reader};
use hyperzoom_media::SAMPLE_RATE;
use proptest::prelude::*;

use super::encode::{FlacEncoder, quantised};
use super::recover::inspect;
use super::*;
use crate::audio_track::AudioTrack;
use crate::mux::{About, Store};
use crate::shared::lock;

const START_NS: i64 = 3_000_000_000;

/// A file in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Store for Memory {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut file = lock(&self.0);
        let end = offset as usize + data.len();
        let len = file.len().max(end);
        file.resize(len, 0);
        file[offset as usize..end].copy_from_slice(data);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        lock(&self.0).truncate(len as usize);
        Ok(())
    }
}

impl Memory {
    fn bytes(&self) -> Vec<u8> {
        lock(&self.0).clone()
    }
}

fn about() -> About {
    About {
        session_id: "00000000000000ff".to_owned(),
        session_name: Some("Pilot".to_owned()),
        name: "Ada".to_owned(),
        started_at: "2026-02-27T19:15:00.5Z".to_owned(),
    }
}

/// A FLAC file of these samples as the recorder leaves it; or as it is before the end, where `finished` is not.
fn file(samples: &[f32], finished: bool) -> Vec<u8> {
    let (flac, map) = (Memory::default(), Memory::default());
    let stores = Stores { flac: Box::new(flac.clone()), map: Box::new(map) };
    let mut file = FlacFile::create(stores, &about(), 90).unwrap();
    let mut encoder = FlacEncoder::new();
    encoder.push(samples).unwrap();
    encoder.finish().unwrap();
    let chunk = Chunk { frames: encoder.take(), rows: String::new(), summary: encoder.summary() };
    file.append(&chunk).unwrap();
    assert_eq!(file.samples(), samples.len() as u64);
    if finished {
        file.finish().unwrap();
    }
    flac.bytes()
}

/// Each of these `i24`s as the capture path hands it on.
fn float(sample: i32) -> f32 {
    sample as f32 / 8_388_608.0
}

fn decoded(bytes: &[u8]) -> Vec<i32> {
    let mut samples = Vec::new();
    FlacSampleReader::new(bytes).unwrap().read_to_end(&mut samples).unwrap();
    samples
}

/// A voice's worth of tones, and a microphone's noise.
fn sound(samples: usize) -> Vec<i32> {
    let mut state = 88_172_645_463_325_252_u64;
    (0..samples)
        .map(|n| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let t = n as f64 / f64::from(SAMPLE_RATE) * std::f64::consts::TAU;
            let tone = 0.2 * (t * 220.0).sin() + 0.1 * (t * 1310.0).sin() + 0.02 * (t * 6100.0).sin();
            let noise = (state >> 40) as f64 / 16_777_216.0 - 0.5;
            ((tone + noise * 0.002) * 8_388_608.0) as i32
        })
        .collect()
}

fn floats(samples: &[i32]) -> Vec<f32> {
    samples.iter().map(|sample| float(*sample)).collect()
}

#[test]
fn every_sample_of_16_and_of_24_bits_survives_the_way_through_floats() {
    for sample in i16::MIN..=i16::MAX {
        assert_eq!(quantised(f32::from(sample) / 32_768.0), i32::from(sample) << 8);
    }
    for sample in -(1 << 23)..1 << 23 {
        assert_eq!(quantised(float(sample)), sample);
    }
}

#[test]
fn what_no_24_bits_hold_is_rounded_or_clipped() {
    for (sample, number) in [
        (1.0, 8_388_607),
        (-1.5, -8_388_608),
        (f32::INFINITY, 8_388_607),
        (f32::NEG_INFINITY, -8_388_608),
        (f32::NAN, 0),
        (0.6 / 8_388_608.0, 1),
        (-0.4 / 8_388_608.0, 0),
    ] {
        assert_eq!(quantised(sample), number, "{sample}");
    }
}

#[test]
fn a_file_says_all_of_itself() {
    let samples = sound(10_000);
    let bytes = file(&floats(&samples), true);
    assert_eq!(decoded(&bytes), samples);
    assert!(matches!(verify_reader(&bytes[..]), Ok(Verified::MD5Match)));
    for tag in [
        "ARTIST=Ada",
        "TITLE=Pilot",
        "SESSION_ID=00000000000000ff",
        "TIMECODE=00:00:03:00",
        "DATE=2026-02-27T19:15:00.5Z",
    ] {
        assert!(bytes.windows(tag.len()).any(|it| it == tag.as_bytes()), "{tag}");
    }
}

#[test]
fn tones_and_noise_become_smaller() {
    let samples = sound(10 * SAMPLE_RATE as usize);
    let size = file(&floats(&samples), true).len() as f64 / (samples.len() * 3) as f64;
    // The noise alone takes 14 of the 24 bits.
    assert!((0.5..0.7).contains(&size), "{size}");
}

#[test]
fn a_last_frame_of_any_length_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.flac");
    let samples = sound(2 * BLOCK);
    // Header codes of their own have 192, 256, 512, 576, 1024, 1152, 2048, 2304 and 4096 samples.
    for len in (1..600).chain([1023, 1024, 1025, 1152, 2048, 2304, 4095, 4096, 4097, 4096 + 192]) {
        std::fs::write(&path, file(&floats(&samples[..len]), true)).unwrap();
        let found = inspect(&mut std::fs::File::open(&path).unwrap()).unwrap();
        assert!(found.is_finished() && found.samples == len as u64, "{len}: {found:?}");
    }
}

/// Signals that are hard on a predictor.
fn signals() -> impl Strategy<Value = Vec<i32>> {
    let sample = prop_oneof![
        3 => -(1_i32 << 23)..1 << 23,
        1 => Just(-(1 << 23)),
        1 => Just((1 << 23) - 1),
        2 => -4_i32..4,
        1 => Just(0),
    ];
    let stretch = prop_oneof![
        prop::collection::vec(sample.clone(), 1..300),
        (sample.clone(), 1_usize..5000).prop_map(|(sample, len)| vec![sample; len]),
        (1_usize..5000, 1_usize..40, sample).prop_map(|(len, half, top)| {
            (0..len).map(|n| if n / half % 2 == 0 { top } else { (-top).min((1 << 23) - 1) }).collect()
        }),
    ];
    prop::collection::vec(stretch, 1..6).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_samples_come_back_bit_for_bit(samples in signals()) {
        let bytes = file(&floats(&samples), true);
        prop_assert_eq!(decoded(&bytes), &samples[..]);
        prop_assert!(matches!(verify_reader(&bytes[..]), Ok(Verified::MD5Match)));
        // Our own walk over the frames agrees with the decoder.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.flac");
        std::fs::write(&path, &bytes).unwrap();
        let found = inspect(&mut std::fs::File::open(&path).unwrap()).unwrap();
        prop_assert!(found.is_finished() && found.damaged == 0);
        prop_assert_eq!(found.samples, samples.len() as u64);
        // Nothing but noise ever outgrows what it is by more than its headers.
        prop_assert!(bytes.len() < samples.len() * 3 + 64 * (samples.len() / BLOCK + 1) + 600);
    }

    #[test]
    fn no_damage_panics_or_makes_it_worse(
        hits in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 0..6),
        cut in 0.0..1.0_f64,
        zeros in 0_usize..5000,
        finished: bool,
    ) {
        let samples = sound(5 * BLOCK + 100);
        let mut bytes = file(&floats(&samples), finished);
        for (at, byte) in hits {
            let at = (at * bytes.len() as f64) as usize;
            bytes[at] ^= byte;
        }
        bytes.truncate((cut * bytes.len() as f64) as usize);
        bytes.resize(bytes.len() + zeros, 0);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.flac");
        std::fs::write(&path, &bytes).unwrap();
        let whole = inspect(&mut std::fs::File::open(&path).unwrap()).map(|it| it.samples);
        match recover(&path) {
            Ok(count) => {
                prop_assert_eq!(Some(count), whole.ok());
                let after = inspect(&mut std::fs::File::open(&path).unwrap()).unwrap();
                prop_assert!(after.is_finished() && after.samples == count);
                prop_assert_eq!(recover(&path).unwrap(), count, "a second time changes nothing");
            }
            Err(error) => {
                prop_assert!(error.to_string().contains("x.flac"));
                prop_assert_eq!(std::fs::read(&path).unwrap(), bytes, "what is refused is not touched");
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_mended(bytes in prop::collection::vec(any::<u8>(), 0..2000), head: bool) {
        let mut all = if head { file(&[], false) } else { Vec::new() };
        all.extend(bytes);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.flac");
        std::fs::write(&path, &all).unwrap();
        prop_assert_eq!(recover(&path).is_ok(), head);
    }
}

#[test]
fn a_file_cut_off_anywhere_keeps_every_whole_frame() {
    // So quiet that there are few bytes to cut at.
    let samples: Vec<i32> = sound(2 * BLOCK + 700).iter().map(|sample| sample % 3).collect();
    let bytes = file(&floats(&samples), false);
    let head = file(&[], false).len();
    let mut ends = vec![head];
    for frame in 1..=2 {
        ends.push(file(&floats(&samples[..frame * BLOCK]), false).len());
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.flac");
    for cut in 0..bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let recovered = recover(&path);
        if cut < head {
            assert!(recovered.is_err(), "{cut}");
            continue;
        }
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        assert_eq!(recovered.unwrap(), (whole * BLOCK) as u64, "{cut}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), ends[whole] as u64, "{cut}");
    }
    // Each of the ends is a file that a decoder takes to be whole.
    for (frames, end) in ends.iter().enumerate().skip(1) {
        std::fs::write(&path, &bytes[..end + 9]).unwrap();
        recover(&path).unwrap();
        let mended = std::fs::read(&path).unwrap();
        assert_eq!(decoded(&mended), samples[..frames * BLOCK]);
        assert!(matches!(verify_reader(&mended[..]), Ok(Verified::NoMD5)));
    }
}

#[test]
fn a_whole_file_is_not_touched() {
    let bytes = file(&floats(&sound(9000)), true);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.flac");
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(recover(&path).unwrap(), 9000);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_frame_damaged_in_the_middle_costs_no_other() {
    let samples = sound(6 * BLOCK);
    let mut bytes = file(&floats(&samples), false);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.flac");
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(recover(&path).unwrap(), 6 * BLOCK as u64);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), bytes.len() as u64);
    assert_eq!(inspect(&mut std::fs::File::open(&path).unwrap()).unwrap().damaged, 1);
}

#[test]
fn more_behind_the_last_frame_than_a_torn_write_leaves_is_not_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.flac");
    let mut bytes = file(&floats(&sound(BLOCK)), false);
    let whole = bytes.len();
    bytes.resize(whole + (2 << 20), 0x55);
    std::fs::write(&path, &bytes).unwrap();
    assert!(recover(&path).unwrap_err().to_string().contains("left as it is"));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), bytes.len() as u64);
    // Zeros are nothing, however many.
    bytes[whole..].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(recover(&path).unwrap(), BLOCK as u64);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), whole as u64);
}

#[test]
fn another_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.flac");
    std::fs::write(&path, "RIFF and so on").unwrap();
    let error = recover(&path).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("is no FLAC file"), "{error}");
    assert_eq!(recover(Path::new("/nowhere/x.flac")).unwrap_err().kind(), io::ErrorKind::NotFound);
}

/// What a device gave, and when: block by block through tap and track, as the sound's thread does it.
struct Rig {
    track: AudioTrack,
    tap: FlacTap,
    chunks: Vec<Chunk>,
    given: Vec<i32>,
}

impl Rig {
    fn new() -> Self {
        Self {
            track: AudioTrack::new(START_NS),
            tap: FlacTap::new(START_NS),
            chunks: Vec::new(),
            given: Vec::new(),
        }
    }

    /// A block of 240 samples whose first has this index, marked `at_ns`; each sample says which one it is.
    fn push(&mut self, index: u64, at_ns: i64, end_ns: Option<i64>) {
        let block: Vec<i32> = (index..index + 240).map(|n| (n % (1 << 23)) as i32).collect();
        let samples = floats(&block);
        self.given.extend(block);
        self.track.push(index, at_ns, &samples, &mut Vec::new());
        self.tap.push(&self.track, index, at_ns, &samples, end_ns).unwrap();
        self.chunks.extend(self.tap.poll(&self.track));
    }

    /// All samples of the file, and the rows of its map.
    fn finish(self) -> (Vec<i32>, Vec<(u64, i64, String)>) {
        let mut chunks = self.chunks;
        chunks.push(self.tap.finish(&self.track).unwrap());
        let (flac, map) = (Memory::default(), Memory::default());
        let stores = Stores { flac: Box::new(flac.clone()), map: Box::new(map.clone()) };
        let mut file = FlacFile::create(stores, &about(), 90).unwrap();
        chunks.iter().for_each(|chunk| file.append(chunk).unwrap());
        file.finish().unwrap();
        let text = String::from_utf8(map.bytes()).unwrap();
        let mut lines = text.lines().skip_while(|line| line.starts_with('#'));
        assert_eq!(lines.next(), Some("flac_sample,session_ns,event"));
        let rows = lines
            .map(|line| {
                let fields: Vec<_> = line.split(',').collect();
                (fields[0].parse().unwrap(), fields[1].parse().unwrap(), fields[2].to_owned())
            })
            .collect();
        (decoded(&flac.bytes()), rows)
    }
}

/// Session time of a sample of a device that runs 100 ppm fast, and began half a second before the take.
fn drifting(index: u64) -> i64 {
    START_NS - 500_000_000 + (index as f64 / 48_000.0 * 1e9 / 1.000_1).round() as i64
}

#[test]
fn the_map_agrees_with_the_marks_from_start_to_end() {
    let mut rig = Rig::new();
    let end_ns = START_NS + 300_000_000_000;
    let blocks = 301 * 200_u64;
    for block in 0..blocks {
        let jitter = (block * 7919 % 400) as i64 * 1000;
        rig.push(block * 240, drifting(block * 240) + jitter, Some(end_ns));
    }
    let (samples, rows) = rig.finish();
    let first = samples[0] as u64;
    assert!((0..=16_000_000).contains(&(START_NS - drifting(first))), "{first}");
    assert!((end_ns - drifting(first + samples.len() as u64)).abs() < 1_000_000);
    assert_eq!(
        samples,
        (first..first + samples.len() as u64).map(|n| (n % (1 << 23)) as i32).collect::<Vec<_>>()
    );
    assert_eq!((rows[0].0, rows[0].2.as_str()), (0, "start"));
    let last = rows.last().unwrap();
    assert_eq!((last.0, last.2.as_str()), (samples.len() as u64, "end"));
    assert!((299..=302).contains(&(rows.len() - 2)), "a tick a second: {}", rows.len());
    for (sample, ns, event) in &rows {
        let off = ns - drifting(first + sample);
        assert!(off.abs() < 1_000_000, "{event} {sample} is off by {off} ns");
    }
}

#[test]
fn holes_in_the_devices_sound_are_in_the_map_and_not_in_the_file() {
    let mut rig = Rig::new();
    let at = |index: u64| START_NS + (index * 62_500 / 3) as i64;
    for block in 0..400 {
        rig.push(block * 240, at(block * 240), None);
    }
    // The ring loses 100 blocks.
    for block in 500..900 {
        rig.push(block * 240, at(block * 240), None);
    }
    // The device stands still for 2 s.
    for block in 900..1300 {
        rig.push(block * 240, at(block * 240) + 2_000_000_000, None);
    }
    let expected: Vec<i32> = (0..400 * 240).chain(500 * 240..1300 * 240).collect();
    let (samples, rows) = rig.finish();
    assert_eq!(samples, expected);
    let around: Vec<_> = rows
        .windows(2)
        .filter(|pair| pair[1].2 == "resumed")
        .map(|pair| (pair[0].0, pair[1].0, pair[0].1 - START_NS, pair[1].1 - START_NS, pair[0].2.as_str()))
        .collect();
    assert_eq!(
        around,
        [
            (96_000, 96_000, 2_000_000_000, 2_500_000_000, "tick"),
            (192_000, 192_000, 4_500_000_000, 6_500_000_000, "tick"),
        ]
    );
    assert_eq!(rows.last(), Some(&(288_000, START_NS + 8_500_000_000, "end".to_owned())));
}

#[test]
fn a_chunk_comes_about_once_a_second_and_each_leaves_a_whole_file() {
    let mut rig = Rig::new();
    for block in 0..1000 {
        rig.push(block * 240, START_NS + block as i64 * 5_000_000, None);
    }
    let seconds: Vec<u64> = rig.chunks.iter().map(|chunk| chunk.summary.samples).collect();
    assert_eq!(seconds, [45_056, 90_112, 135_168, 180_224, 225_280]);
    for (number, chunk) in rig.chunks.iter().enumerate() {
        let flac = Memory::default();
        let stores = Stores { flac: Box::new(flac.clone()), map: Box::<Memory>::default() };
        let mut file = FlacFile::create(stores, &about(), 90).unwrap();
        rig.chunks[..=number].iter().for_each(|chunk| file.append(chunk).unwrap());
        file.finish().unwrap();
        assert_eq!(decoded(&flac.bytes()).len() as u64, chunk.summary.samples);
        assert!(matches!(verify_reader(&flac.bytes()[..]), Ok(Verified::MD5Match)));
    }
}

/// CPU time of this process, in milliseconds, from /proc (Linux).
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    after.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap() * 10.0).sum()
}

/// `cargo nextest run -p hyperzoom-recorder what_it_costs --run-ignored only --no-capture`
#[test]
#[ignore = "a measurement"]
fn what_it_costs() {
    let seconds = 120;
    let samples = floats(&sound(seconds * SAMPLE_RATE as usize));
    let took = |what: &str, since: f64| {
        println!("{what}: {:.2} ms of CPU for a second of sound", (cpu_ms() - since) / seconds as f64);
    };
    let began = cpu_ms();
    let bytes = file(&samples, true);
    took("encoded, with MD5", began);
    println!("size: {:.3} of 24-bit PCM", bytes.len() as f64 / (samples.len() * 3) as f64);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.flac");
    std::fs::write(&path, &bytes).unwrap();
    let began = cpu_ms();
    let mut opened = std::fs::File::open(&path).unwrap();
    let found = inspect(&mut opened).unwrap();
    took("walked over, as recovery does", began);
    let began = cpu_ms();
    assert_eq!(samples_match(&mut opened, &found).unwrap(), Some(true));
    took("decoded and compared, as verify does", began);
}
