//! Takes of a microphone, where one of the two files fails: the other does not care.

use hyperzoom_media::{MicFeed, mic_tap};

use super::*;
use crate::flac::recover;
use crate::folder::MICROPHONE_CLOCK;
use crate::verify::verify;

const LONG: Duration = Duration::from_secs(60);

/// A file on a disk that is full after `good` writes: nothing more fits behind its end, and what lies before can be written anew.
struct FullStore {
    inner: FileStore,
    good: usize,
    len: u64,
}

impl FullStore {
    fn boxed(path: &Path, good: usize) -> Box<dyn Store> {
        Box::new(Self { inner: FileStore::create(path).unwrap(), good, len: 0 })
    }
}

impl Store for FullStore {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset + data.len() as u64;
        if end > self.len {
            if self.good == 0 {
                // Half of it still comes through.
                self.inner.write_at(offset, &data[..data.len() / 2])?;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.good -= 1;
            self.len = end;
        }
        self.inner.write_at(offset, data)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.inner.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.inner.truncate(len)
    }
}

/// Three seconds of a take whose files take so many writes each.
struct Outcome {
    report: TakeReport,
    warnings: Vec<String>,
    folder: tempfile::TempDir,
}

fn take(main: usize, flac: usize, map: usize) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let config = RecorderConfig {
        session_id: 1,
        video_bitrate_kbps: 500,
        ..RecorderConfig::new(path, Participant::new(0, "Alice"))
    };
    let stores = Stores {
        flac: FullStore::boxed(&path.join(MICROPHONE), flac),
        map: FullStore::boxed(&path.join(MICROPHONE_CLOCK), map),
    };
    let (feed, tap) = mic_tap(10.0);
    let encoder: Box<dyn AudioEncoder> = Box::new(AacEncoder::new().unwrap());
    let main = FullStore::boxed(&path.join(RECORDING), main);
    let (recorder, mut told) =
        begin(path, main, Some(Ok(stores)), config, None, Some((tap, encoder))).unwrap();
    let first = recorder.start_tick();
    recorder.stop_at(Some(tick_time_ns(first + 90)));
    talk(feed, tick_time_ns(first));
    let report = recorder.finish(LONG);
    let warnings = std::iter::from_fn(|| told.poll())
        .filter_map(|it| if let RecorderEvent::Warning(text) = it { Some(text) } else { None })
        .collect();
    Outcome { report, warnings, folder }
}

fn talk(mut feed: MicFeed, from_ns: i64) {
    for block in 0..310 {
        let samples: Vec<f32> = (0..480).map(|n| (n as f32 / 77.0).sin() * 0.3).collect();
        let at = Duration::from_nanos(from_ns as u64) + Duration::from_millis(block * 10);
        assert_eq!(feed.push(&samples, at), 0);
    }
}

impl Outcome {
    /// The check of the microphone's file, and whether all others passed.
    fn verdict(&self) -> (bool, bool) {
        let verdict = verify(self.folder.path()).unwrap();
        let (of, others): (Vec<_>, Vec<_>) =
            verdict.checks.iter().partition(|it| it.name == "microphone flac");
        (of.iter().all(|it| it.ok) && of.len() == 1, others.iter().all(|it| it.ok))
    }
}

#[test]
fn a_take_without_trouble_has_all_of_both() {
    let outcome = take(usize::MAX, usize::MAX, usize::MAX);
    assert!(outcome.report.complete && outcome.warnings.is_empty(), "{:?}", outcome.warnings);
    assert_eq!(outcome.report.flac_samples, Some(144_000));
    assert_eq!(outcome.verdict(), (true, true));
}

#[test]
fn a_full_disk_for_the_microphones_file_ends_that_file_only() {
    // The head, two chunks, and in the third it is full.
    let outcome = take(usize::MAX, 3, usize::MAX);
    assert!(outcome.report.complete && outcome.report.ticks == 90, "{:?}", outcome.report);
    assert_eq!(outcome.warnings.len(), 1, "{:?}", outcome.warnings);
    assert!(outcome.warnings[0].contains(MICROPHONE) && outcome.warnings[0].contains("goes on"));
    assert_eq!(outcome.report.flac_samples, Some(2 * 45_056));
    assert_eq!(outcome.verdict(), (true, true));
}

#[test]
fn a_full_disk_for_the_map_leaves_the_microphones_file_whole_so_far() {
    // Its head, and one chunk's rows.
    let outcome = take(usize::MAX, usize::MAX, 2);
    assert!(outcome.report.complete);
    assert_eq!(outcome.warnings.len(), 1, "{:?}", outcome.warnings);
    assert_eq!(outcome.report.flac_samples, Some(2 * 45_056));
    assert_eq!(outcome.verdict(), (true, true));
    let map = std::fs::read_to_string(outcome.folder.path().join(MICROPHONE_CLOCK)).unwrap();
    assert!(map.ends_with('\n') && map.contains(",start\n"), "{map}");
}

#[test]
fn a_head_that_cannot_be_written_leaves_a_take_without_the_microphones_file() {
    let outcome = take(usize::MAX, 0, usize::MAX);
    assert!(outcome.report.complete);
    assert_eq!((outcome.report.flac_samples, outcome.warnings.len()), (None, 1), "{:?}", outcome.warnings);
    let verdict = verify(outcome.folder.path()).unwrap();
    assert!(verdict.ok() && verdict.metadata.unwrap().recording.microphone_flac.is_none());
}

#[test]
fn a_recording_that_fails_leaves_the_microphones_file_as_far_as_it_got() {
    // Its head and one fragment.
    let outcome = take(3, usize::MAX, usize::MAX);
    assert!(!outcome.report.complete && outcome.report.error.is_some(), "{:?}", outcome.report);
    assert!(outcome.warnings.is_empty(), "{:?}", outcome.warnings);
    let samples = outcome.report.flac_samples.unwrap();
    assert!(samples >= 48_000, "{samples}");
    assert!(outcome.verdict().0, "{:?}", verify(outcome.folder.path()));
    let path = outcome.folder.path().join(MICROPHONE);
    let before = std::fs::read(&path).unwrap();
    assert_eq!(recover(&path).unwrap(), samples);
    assert_eq!(std::fs::read(&path).unwrap(), before, "it was whole");
}
