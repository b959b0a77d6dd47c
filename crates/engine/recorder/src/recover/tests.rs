//! Files cut off anywhere, zeroed, damaged; recoveries that are cut off themselves.

use std::io::Cursor;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use hyperzoom_media::I420;
use hyperzoom_testkit::media::decode_errors;
use proptest::prelude::*;

use super::*;
use crate::encode::{AacEncoder, AudioEncoder, H264Encoder, VideoEncoder, VideoFormat};
use crate::folder::METADATA;
use crate::mux::{About, AudioConfig, VideoConfig};
use crate::shared::lock;

const SHAPE: I420 = I420 { width: 160, height: 96 };
const START_TICK: u64 = 1234;

/// A file in memory that takes so many calls, and then half of one more write.
#[derive(Clone)]
struct Memory {
    bytes: Arc<Mutex<Vec<u8>>>,
    calls: Arc<Mutex<usize>>,
}

impl Memory {
    fn new(bytes: Vec<u8>, calls: usize) -> Self {
        Self { bytes: Arc::new(Mutex::new(bytes)), calls: Arc::new(Mutex::new(calls)) }
    }

    fn bytes(&self) -> Vec<u8> {
        lock(&self.bytes).clone()
    }

    fn call(&self) -> bool {
        let mut left = lock(&self.calls);
        *left = left.saturating_sub(1);
        *left > 0
    }
}

impl Store for Memory {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let whole = self.call();
        let data = if whole { data } else { &data[..data.len() / 2] };
        let mut bytes = lock(&self.bytes);
        let at = offset as usize;
        if *lock(&self.calls) > 0 || !data.is_empty() {
            let len = bytes.len().max(at + data.len());
            bytes.resize(len, 0);
            bytes[at..at + data.len()].copy_from_slice(data);
        }
        if whole { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.call() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        if !self.call() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        lock(&self.bytes).resize(len as usize, 0);
        Ok(())
    }
}

/// A growing file with four whole fragments of pictures and sound.
fn growing() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let format = VideoFormat { shape: SHAPE, bitrate_kbps: 300, max_bitrate_kbps: 400 };
        let mut h264 = H264Encoder::new(format, 1).unwrap();
        let mut aac = AacEncoder::new().unwrap();
        let about = About {
            session_id: "00000000a1b2c3d4".into(),
            session_name: None,
            name: "Ada".into(),
            started_at: "2026-02-27T19:15:00.25Z".into(),
        };
        let movie = Movie {
            created: Duration::from_secs(1_772_223_300),
            start_tick: START_TICK,
            about,
            video: Some(VideoConfig::new(SHAPE, h264.parameter_sets()).unwrap()),
            audio: Some(AudioConfig::new(aac.config(), aac.delay()).unwrap()),
        };
        let memory = Memory::new(Vec::new(), usize::MAX);
        let mut muxer = Muxer::create(Box::new(memory.clone()), movie).unwrap();
        for tick in 0..121_u64 {
            let picture: Vec<u8> = (0..SHAPE.len() as u64)
                .map(|i| ((i / 3 + i / 160 * 7 + tick * 5) % 180) as u8 + 20)
                .collect();
            h264.submit(tick, &picture).unwrap();
            muxer.picture(h264.poll().unwrap().unwrap()).unwrap();
            let samples: Vec<f32> =
                (tick * 1600..(tick + 1) * 1600).map(|i| (i as f32 * 0.05).sin() * 0.4).collect();
            let mut units = Vec::new();
            aac.encode(&samples, &mut |unit| units.push(unit)).unwrap();
            for unit in units {
                muxer.unit(unit).unwrap();
            }
        }
        assert_eq!(muxer.fragments(), 4);
        memory.bytes()
    })
}

/// Where each fragment's box begins, and the end of the last.
fn fragments(file: &[u8]) -> Vec<usize> {
    let mut source = Source::new(Cursor::new(file)).unwrap();
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = source.find_fragment(from).unwrap() {
        found.push(at as usize);
        from = at + 8;
    }
    found.push(file.len());
    found
}

/// The file, cut after `len` bytes in its last fragment, which has not got its name yet.
fn torn(len: usize) -> Vec<u8> {
    let mut file = growing()[..len].to_vec();
    let at = fragments(growing())[3];
    if len >= at + 8 {
        file[at + 4..at + 8].copy_from_slice(b"free");
    }
    file
}

/// Finishes `file` with `calls` calls of its store; what came of it, and the file.
fn attempt(file: &[u8], calls: usize) -> (Result<Done, Failure>, Vec<u8>) {
    let memory = Memory::new(file.to_vec(), calls);
    let mut source = Source::new(Cursor::new(file.to_vec())).unwrap();
    let done = match growing::form(&mut source) {
        Ok(Form::Growing(head)) => finish(source, *head, Box::new(memory.clone()), &[]).map(|(_, done)| done),
        Ok(Form::Finished(moov)) => Ok(Done::finished(&moov, file.len() as u64)),
        Err(problem) => Err(Failure::Problem(problem)),
    };
    (done, memory.bytes())
}

fn whole(file: &[u8]) -> (Done, Vec<u8>) {
    let (done, file) = attempt(file, usize::MAX);
    (done.unwrap(), file)
}

fn plays(file: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RECORDING);
    std::fs::write(&path, file).unwrap();
    assert_eq!(decode_errors(&path), "");
    assert!(recover(&path).unwrap().already_finished);
}

/// Pictures of the last fragment that lie before byte `len`, by its own list.
fn pictures_before(len: usize) -> u64 {
    let at = fragments(growing())[3];
    let size = u32::from_be_bytes(growing()[at..at + 4].try_into().unwrap()) as usize;
    let list = fragment::Fragment::parse(&growing()[at..at + size], at as u64).unwrap();
    let video = list.video.unwrap();
    video.places().filter(|(at, size)| at + u64::from(*size) <= len as u64).count() as u64
}

#[test]
fn a_whole_growing_file_becomes_a_plain_one() {
    let (done, file) = whole(growing());
    assert_eq!((done.contents.pictures, done.salvaged), (Some(120), 0));
    assert_eq!(done.bytes, file.len() as u64);
    plays(&file);
}

#[test]
fn a_torn_fragment_keeps_every_picture_that_came_whole() {
    let places = fragments(growing());
    let (start, end) = (places[3], places[4]);
    for step in 0..=40 {
        let len = start + (end - start) * step / 40;
        let (done, file) = whole(&torn(len));
        assert_eq!(done.contents.pictures, Some(90 + pictures_before(len)), "{len} of {start}..{end}");
        assert_eq!(done.salvaged, pictures_before(len));
        // The sound lies in front of the pictures, so that whoever has a picture has all of the second's sound.
        if done.salvaged > 0 {
            assert!(done.contents.samples.unwrap() > 4 * 48_000 - 1024, "{done:?}");
        }
        if step % 10 == 0 || step == 21 {
            plays(&file);
        }
    }
    assert_eq!(whole(&torn(end)).0.salvaged, 30, "only its name was missing");
}

#[test]
fn zeros_where_data_never_came_are_not_taken_for_data() {
    let places = fragments(growing());
    for len in [places[3] + 4, places[3] + 700, (places[3] + places[4]) / 2, places[4] - 300] {
        let (expected, _) = whole(&torn(len));
        let mut file = torn(len);
        file.resize(places[4], 0);
        let (done, file) = whole(&file);
        assert_eq!(done.contents.pictures, expected.contents.pictures, "{len}");
        plays(&file);
    }
}

#[test]
fn a_recovery_that_is_cut_off_at_any_call_can_be_done_again() {
    let places = fragments(growing());
    for len in [places[3] + 4, places[3] + 700, (places[3] + places[4]) / 2, places[4]] {
        let (expected, finished) = whole(&torn(len));
        for calls in 1.. {
            let (cut_off, file) = attempt(&torn(len), calls);
            let (again, file) = whole(&file);
            assert_eq!(again.contents, expected.contents, "{len} bytes, {calls} calls");
            if cut_off.is_ok() {
                assert_eq!(file, finished);
                break;
            }
            plays(&file);
        }
    }
}

#[test]
fn a_conversion_that_was_cut_off_is_done_again() {
    let (_, finished) = whole(growing());
    let head = finished.windows(4).position(|it| it == b"mdat").unwrap() - 4;
    // The list of samples is there, and the placeholder in each of its states.
    let states = [(0, false), (8, false), (4, false), (3, true)];
    for (from, plain) in states {
        let mut file = finished.clone();
        file[head..head + 16].copy_from_slice(b"\0\0\0\x10free\0\0\0\0\0\0\0\0");
        if from > 0 {
            file[head + from..head + 16].copy_from_slice(&finished[head + from..head + 16]);
        }
        let mut source = Source::new(Cursor::new(file.clone())).unwrap();
        assert_eq!(matches!(growing::form(&mut source), Ok(Form::Finished(_))), plain);
        let (done, again) = whole(&file);
        assert_eq!((done.contents.pictures, &again), (Some(120), &finished));
        // And the list torn.
        for less in [1, 300, 2000] {
            let (done, again) = whole(&file[..file.len() - less]);
            assert_eq!((done.contents.pictures, &again), (Some(120), &finished), "{less} bytes less");
        }
    }
}

#[test]
fn a_damaged_placeholder_does_not_hide_the_take() {
    let (_, finished) = whole(growing());
    let head = finished.windows(4).position(|it| it == b"mdat").unwrap() - 4;
    for at in 0..16 {
        let mut file = growing().to_vec();
        file[head + at] ^= 0x03;
        let (done, file) = whole(&file);
        assert_eq!((done.contents.pictures, &file), (Some(120), &finished), "byte {at}");
    }
}

#[test]
fn a_take_that_has_only_begun_becomes_an_empty_file() {
    let start = fragments(growing())[0];
    for len in [start, start + 3, start + 20] {
        let (done, file) = whole(&growing()[..len]);
        assert_eq!((done.contents.pictures, done.contents.samples), (Some(0), Some(0)));
        let mut source = Source::new(Cursor::new(file)).unwrap();
        assert!(matches!(growing::form(&mut source), Ok(Form::Finished(_))));
    }
}

#[test]
fn fragments_behind_a_damaged_one_are_left_where_they_are() {
    let places = fragments(growing());
    let mut file = growing().to_vec();
    file[places[1] + 20..places[1] + 60].fill(0xee);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [(RECORDING, &file[..]), (JOURNAL, b""), (METADATA, b"{")] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let error = recover(folder.path()).unwrap_err().to_string();
    assert!(error.contains(&format!("byte {}: the 1.0 s before", places[1])), "{error}");
    for (name, bytes) in [(RECORDING, &file[..]), (JOURNAL, b""), (METADATA, b"{")] {
        assert!(std::fs::read(folder.path().join(name)).unwrap() == bytes, "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn a_whole_fragment_that_does_not_follow_the_damaged_one_is_left_too() {
    let places = fragments(growing());
    let mut file = growing().to_vec();
    // The list of the last fragment but one loses its pictures, and keeps its sound.
    let lists: Vec<_> =
        (places[2]..places[2] + 400).filter(|at| file.get(*at..*at + 4) == Some(b"traf")).collect();
    assert_eq!(lists.len(), 2);
    for at in lists {
        file[at] = 0;
        let (done, after) = attempt(&file, usize::MAX);
        assert!(matches!(done, Err(Failure::Problem(Problem::Damaged(_)))), "{done:?}");
        assert!(after == file);
        file[at] = b't';
    }
}

#[test]
fn a_torn_list_behind_a_damaged_last_fragment_goes_and_the_fragment_stays() {
    let places = fragments(growing());
    let mut file = growing().to_vec();
    file[places[3] + 20..places[3] + 60].fill(0xee);
    let damaged = file.clone();
    file.extend_from_slice(b"\0\x01\0\0moov and no more than the beginning of it");
    let (done, again) = whole(&file);
    assert_eq!(done.contents.pictures, Some(90));
    assert!(again[places[0]..places[4]] == damaged[places[0]..]);
    assert_eq!(&again[places[4] + 4..places[4] + 8], &whole(growing()).1[places[4] + 4..places[4] + 8]);
    plays(&again);
}

/// A take in a folder of its own, with nothing beside it.
fn take() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(RECORDING);
    std::fs::write(&file, torn(fragments(growing())[4] - 300)).unwrap();
    (folder, file)
}

/// Stops the recovery where it writes the metadata, by a pipe in its place that holds less than that.
#[cfg(unix)]
#[test]
fn the_file_stays_locked_until_the_texts_are_written_and_the_reserve_is_gone_by_then() {
    let (folder, file) = take();
    std::fs::write(folder.path().join(RESERVE), [0; 100]).unwrap();
    let mut metadata = crate::metadata::tests::metadata();
    metadata.participants[0].name = "long".repeat(500_000);
    std::fs::write(folder.path().join(METADATA), metadata.to_json()).unwrap();
    let pipe = folder.path().join(format!(".{METADATA}.new"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::thread::scope(|scope| {
        let recovery = scope.spawn(|| recover(folder.path()));
        let mut text = File::open(&pipe).unwrap();
        assert!(!folder.path().join(RESERVE).exists());
        let locked = FileStore::open(&file).err().map(|error| error.kind());
        assert_eq!(locked, Some(io::ErrorKind::WouldBlock));
        let running = recover(folder.path());
        text.read_to_end(&mut Vec::new()).unwrap();
        // A pipe cannot be synced.
        let stopped = recovery.join().unwrap();
        assert!(matches!(running, Err(RecoverError::Running { .. })), "{running:?}");
        assert!(matches!(stopped, Err(RecoverError::Write { .. })), "{stopped:?}");
    });
    assert!(FileStore::open(&file).is_ok(), "the lock is let go of");
}

#[test]
fn two_recoveries_at_once_leave_one_whole_take() {
    let (expected, _) = whole(&torn(fragments(growing())[4] - 300));
    for _ in 0..10 {
        let (folder, file) = take();
        let both = std::thread::scope(|scope| {
            let both = [0, 1].map(|_| scope.spawn(|| recover(folder.path())));
            both.map(|it| it.join().unwrap())
        });
        assert!(both.iter().any(Result::is_ok), "{both:?}");
        for one in both {
            match one {
                Ok(done) => assert_eq!(Some(done.frames), expected.contents.pictures),
                Err(error) => assert!(matches!(error, RecoverError::Running { .. }), "{error}"),
            }
        }
        let metadata = texts::read(folder.path()).unwrap();
        assert!(metadata.recovered && Some(metadata.recording.video.written) == expected.contents.pictures);
        plays(&std::fs::read(file).unwrap());
    }
}

#[test]
fn a_take_that_ended_well_and_kept_its_journal_stays_complete() {
    let (folder, file) = take();
    recover(folder.path()).unwrap();
    let mut metadata = texts::read(folder.path()).unwrap();
    (metadata.complete, metadata.recovered, metadata.error) = (true, false, None);
    std::fs::write(folder.path().join(METADATA), metadata.to_json()).unwrap();
    std::fs::write(folder.path().join(JOURNAL), "").unwrap();
    std::fs::write(folder.path().join(RESERVE), "").unwrap();
    let before = std::fs::read(&file).unwrap();
    assert!(recover(folder.path()).unwrap().already_finished);
    assert_eq!(texts::read(folder.path()), Some(metadata));
    assert!(std::fs::read(&file).unwrap() == before);
    assert!(!folder.path().join(JOURNAL).exists() && !folder.path().join(RESERVE).exists());
}

#[test]
fn what_a_failed_disk_left_counted_stays_counted() {
    let (folder, _) = take();
    let mut journal = crate::metadata::tests::metadata();
    journal.recording = crate::metadata::RecordingMetadata::new(None, true);
    let mut metadata = journal.clone();
    metadata.error = Some("The recording has stopped".into());
    metadata.recording.video.captured = 150;
    metadata.recording.video.written = 90;
    metadata.recording.video.dropped = 60;
    metadata.recording.total_frames_dropped = 60;
    metadata.recording.microphone_drift_ppm = Some(12.5);
    std::fs::write(folder.path().join(METADATA), metadata.to_json()).unwrap();
    let mut written = journal::Journal::create(folder.path(), &journal).unwrap();
    let (video, audio) = (metadata.recording.video, metadata.recording.audio);
    let video = crate::ledger::VideoCounts { captured: 30, written: 30, dropped: 0, ..video };
    written.progress(journal::Progress { ticks: 30, video, audio, ..journal::Progress::default() }).unwrap();
    let done = recover(folder.path()).unwrap();
    let after = texts::read(folder.path()).unwrap();
    let counted = (after.recording.video.captured, after.recording.video.dropped);
    assert_eq!((counted, after.recording.total_frames_dropped), ((150, 60), 60));
    assert_eq!(after.recording.microphone_drift_ppm, Some(12.5));
    assert_eq!((after.recording.video.written, after.recording.container.as_str()), (done.frames, "MP4"));
    assert!(after.recovered && after.error == metadata.error);
}

#[test]
fn what_is_no_recording_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(RECORDING);
    for bytes in [&b""[..], b"no MP4 at all", b"\0\0\0\x10ftypisom\0\0\0\0", &growing()[..200]] {
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(recover(folder.path()), Err(RecoverError::Damaged { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(recover(folder.path()), Err(RecoverError::Read { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_damage_makes_it_panic_or_lose_what_lies_before_it(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        near_a_box in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let places = fragments(growing());
        let mut file = growing().to_vec();
        for (at, byte) in hits {
            // Boxes lie at the beginning of fragments.
            let at = if near_a_box { places[at.index(4)] + at.index(400) } else { at.index(file.len()) };
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let same = |place: std::ops::Range<usize>| file.get(place.clone()) == growing().get(place);
        let whole: Vec<bool> = places.windows(2).map(|pair| same(pair[0]..pair[1])).collect();
        let unharmed = whole.iter().take_while(|it| **it).count();
        let (done, after) = attempt(&file, usize::MAX);
        match done {
            Ok(done) => {
                let pictures = done.contents.pictures.unwrap_or(0);
                prop_assert!(pictures >= unharmed as u64 * 30, "{:?} of {:?}", done, whole);
                if unharmed > 0 {
                    let kept = places[0]..places[unharmed];
                    prop_assert_eq!(&after[kept.clone()], &file[kept]);
                }
                // Whole fragments behind a harmed one are in the list too.
                if whole[unharmed..].contains(&true) {
                    prop_assert!(pictures >= unharmed as u64 * 30 + 60, "{:?} of {:?}", done, whole);
                }
            }
            Err(_) => prop_assert_eq!(after, file),
        }
    }
}
