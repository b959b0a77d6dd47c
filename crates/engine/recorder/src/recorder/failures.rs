//! Takes whose encoders, threads or disk fail: what was written plays, it is said once, and nobody waits for ever.

use std::sync::Mutex;
use std::sync::mpsc::Sender;

use hyperzoom_media::{FramePool, MicFeed, mic_tap};
use ringbuf::HeapRb;
use ringbuf::traits::{Producer, Split};

use super::*;

mod disks;

use crate::encode::{EncodedPicture, ParameterSets};
use crate::error::EncodeError;
use crate::journal::JOURNAL;
use crate::metadata::SessionMetadata;
use crate::pressure::{PressureSource, PressureStage};
use crate::verify::{Verdict, verify};

const SHAPE: I420 = I420 { width: 160, height: 96 };
const LONG: Duration = Duration::from_secs(60);

/// How a part fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Error,
    Panic,
}

impl How {
    fn fail(self) -> Result<(), EncodeError> {
        assert!(self != Self::Panic, "this panic is part of a test");
        Err(EncodeError { encoder: "brittle", step: "a test", code: 7 })
    }
}

/// An H.264 encoder that fails at a picture (the last one: when it is told to finish), and whose pictures are as large as asked for.
struct BrittleVideo {
    inner: H264Encoder,
    breaks: Option<(u64, How)>,
    breaks_at_finish: bool,
    filler: usize,
}

impl BrittleVideo {
    fn new() -> Self {
        let format = VideoFormat { shape: SHAPE, bitrate_kbps: 500, max_bitrate_kbps: 600 };
        let inner = H264Encoder::new(format, 1).unwrap();
        Self { inner, breaks: None, breaks_at_finish: false, filler: 0 }
    }
}

impl VideoEncoder for BrittleVideo {
    fn parameter_sets(&self) -> &ParameterSets {
        self.inner.parameter_sets()
    }

    fn submit(&mut self, position: u64, picture: &[u8]) -> Result<(), EncodeError> {
        match self.breaks {
            Some((at, how)) if at == position => how.fail(),
            _ => self.inner.submit(position, picture),
        }
    }

    fn poll(&mut self) -> Result<Option<EncodedPicture>, EncodeError> {
        let mut picture = self.inner.poll()?;
        if let Some(picture) = &mut picture
            && self.filler > 0
        {
            // Filler data (ITU-T H.264 §7.3.2.7), which every decoder passes over.
            picture.data.extend_from_slice(&(self.filler as u32).to_be_bytes());
            picture.data.push(12);
            picture.data.resize(picture.data.len() + self.filler - 2, 0xff);
            picture.data.push(0x80);
        }
        Ok(picture)
    }

    fn finish(&mut self) -> Result<(), EncodeError> {
        if self.breaks_at_finish { How::Error.fail() } else { self.inner.finish() }
    }

    fn name(&self) -> String {
        "brittle".to_owned()
    }
}

/// An AAC encoder that fails once it was given so many samples.
struct BrittleAudio {
    inner: AacEncoder,
    breaks: Option<(usize, How)>,
    given: usize,
}

impl BrittleAudio {
    fn new(breaks: Option<(usize, How)>) -> Self {
        Self { inner: AacEncoder::new().unwrap(), breaks, given: 0 }
    }
}

impl AudioEncoder for BrittleAudio {
    fn delay(&self) -> u32 {
        self.inner.delay()
    }

    fn config(&self) -> &[u8] {
        self.inner.config()
    }

    fn encode(&mut self, samples: &[f32], unit: &mut dyn FnMut(Vec<u8>)) -> Result<(), EncodeError> {
        // In blocks, so that it fails in the middle of what came at once.
        for block in samples.chunks(480) {
            self.given += block.len();
            match self.breaks {
                Some((at, how)) if self.given > at => how.fail()?,
                _ => self.inner.encode(block, unit)?,
            }
        }
        Ok(())
    }

    fn finish(&mut self, unit: &mut dyn FnMut(Vec<u8>)) -> Result<(), EncodeError> {
        self.inner.finish(unit)
    }
}

/// A file whose `troubled` write and all after it stall until the gate is opened, or panic.
struct TroubledStore {
    inner: FileStore,
    writes: usize,
    troubled: usize,
    trouble: Trouble,
}

enum Trouble {
    None,
    /// Says that it has begun, and ends when the gate is dropped.
    Stall(Sender<()>, Mutex<Receiver<()>>),
    Panic,
}

/// Keeps the disk stalled until it is dropped.
struct Gate {
    #[expect(dead_code, reason = "its drop is what counts")]
    open: Sender<()>,
    stalled: Receiver<()>,
}

fn stall() -> (Gate, Trouble) {
    let (open, receiver) = mpsc::channel();
    let (says, stalled) = mpsc::channel();
    (Gate { open, stalled }, Trouble::Stall(says, Mutex::new(receiver)))
}

/// The number of the write that begins the fragment of this number, from 0: the head is one, each fragment is two.
fn write_of_fragment(number: usize) -> usize {
    1 + 2 * number
}

impl Store for TroubledStore {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let number = self.writes;
        self.writes += 1;
        if number >= self.troubled {
            match &self.trouble {
                Trouble::None => (),
                Trouble::Stall(says, gate) => {
                    let _ = says.send(());
                    let _ = lock(gate).recv();
                }
                Trouble::Panic => panic!("this panic is part of a test"),
            }
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

/// A take whose camera and microphone have delivered four seconds, all at once.
struct Rig {
    recorder: Recorder,
    told: RecorderEvents,
    folder: tempfile::TempDir,
    shedding: Shedding,
    _mic: MicFeed,
}

fn rig(video: BrittleVideo, audio: BrittleAudio, troubled: usize, trouble: Trouble) -> Rig {
    rig_on(video, audio, |inner| Box::new(TroubledStore { inner, writes: 0, troubled, trouble })).unwrap()
}

fn rig_on(
    video: BrittleVideo,
    audio: BrittleAudio,
    store: impl FnOnce(FileStore) -> Box<dyn Store>,
) -> Result<Rig, RecordError> {
    let folder = tempfile::tempdir().unwrap();
    let (mut frames, frames_out) = HeapRb::new(200).split();
    let (mut mic, tap) = mic_tap(10.0);
    let shedding = Shedding::default();
    let config = RecorderConfig {
        session_id: 1,
        video_bitrate_kbps: 500,
        flac: false,
        shedding: shedding.clone(),
        ..RecorderConfig::new(folder.path(), Participant::new(0, "Alice"))
    };
    let format = VideoFormat { shape: SHAPE, bitrate_kbps: 500, max_bitrate_kbps: 600 };
    let inner = FileStore::create(&folder.path().join(RECORDING)).unwrap();
    let (recorder, told) = begin(
        folder.path(),
        store(inner),
        None,
        config,
        Some((format, frames_out, Box::new(video))),
        Some((tap, Box::new(audio))),
    )?;
    let first = recorder.start_tick();
    let pool = FramePool::new(SHAPE, 130);
    for i in 0..122 {
        let at = Duration::from_nanos(tick_time_ns(first + i) as u64);
        let frame = pool.frame(at, i, |data| data.fill(40 + i as u8)).unwrap();
        assert!(frames.try_push(frame).is_ok());
    }
    for i in 0..410 {
        let at = Duration::from_nanos(tick_time_ns(first) as u64) + Duration::from_millis(i * 10);
        assert_eq!(mic.push(&[0.1; 480], at), 0);
    }
    Ok(Rig { recorder, told, folder, shedding, _mic: mic })
}

fn healthy() -> (BrittleVideo, BrittleAudio) {
    (BrittleVideo::new(), BrittleAudio::new(None))
}

impl Rig {
    /// Ends the take after three seconds, and waits for what comes of it.
    fn finish(mut self) -> (TakeReport, Verdict, String) {
        let end = tick_time_ns(self.recorder.start_tick() + 90);
        self.recorder.stop_at(Some(end));
        let report = self.recorder.finish(LONG);
        let told: Vec<_> = std::iter::from_fn(|| self.told.poll()).collect();
        let failures: Vec<_> = told
            .iter()
            .filter_map(|it| if let RecorderEvent::Failed(text) = it { Some(text.clone()) } else { None })
            .collect();
        assert_eq!(failures.len(), 1, "{told:?}");
        assert_eq!(told.last(), Some(&RecorderEvent::Finished(Box::new(report.clone()))));
        assert!(!report.complete);
        assert_eq!(report.error.as_ref(), Some(&failures[0]));
        adds_up(&report);
        let verdict = verify(self.folder.path()).unwrap();
        // Where one encoder fails before the other has begun there is nothing to play.
        if report.ticks > 0 {
            plays(self.folder.path());
        }
        (report, verdict, noted(self.folder.path()))
    }
}

fn adds_up(report: &TakeReport) {
    let (video, audio) = (report.video, report.audio);
    assert_eq!(
        video.captured + video.duplicated,
        video.written + video.decimated + video.dropped,
        "{report:?}"
    );
    assert_eq!(audio.captured + audio.silence, audio.written + audio.late, "{report:?}");
}

/// Decodes all of the file, which nothing may be wrong with.
fn plays(folder: &Path) {
    assert_eq!(hyperzoom_testkit::media::decode_errors(&folder.join(RECORDING)), "");
}

/// The error in the metadata; empty where there is none.
fn noted(folder: &Path) -> String {
    let metadata = std::fs::read(folder.join(folder::METADATA)).unwrap();
    let metadata: SessionMetadata = serde_json::from_slice(&metadata).unwrap();
    metadata.error.unwrap_or_default()
}

#[test]
fn a_video_encoder_that_fails_or_panics_ends_the_take_where_it_did() {
    for (how, word) in [(How::Error, "brittle"), (How::Panic, "died")] {
        let (mut video, audio) = healthy();
        video.breaks = Some((45, how));
        let (report, verdict, noted) = rig(video, audio, usize::MAX, Trouble::None).finish();
        assert_eq!((report.ticks, report.video.written, report.video.dropped), (45, 45, 1), "{report:?}");
        assert!(!verdict.unfinished && verdict.pictures == 45, "{verdict:#?}");
        assert!(noted.contains(word), "{noted}");
    }
}

#[test]
fn an_audio_encoder_that_fails_or_panics_ends_the_take_and_what_there_is_plays() {
    for (how, word) in [(How::Error, "brittle"), (How::Panic, "died")] {
        let audio = BrittleAudio::new(Some((48_000, how)));
        let (report, verdict, noted) = rig(BrittleVideo::new(), audio, usize::MAX, Trouble::None).finish();
        assert!(!verdict.unfinished && verdict.pictures == report.ticks, "{verdict:#?}");
        assert!(noted.contains(word), "{noted}");
    }
}

#[test]
fn an_encoder_that_cannot_finish_loses_nothing_that_it_gave() {
    let (mut video, audio) = healthy();
    video.breaks_at_finish = true;
    let (report, verdict, noted) = rig(video, audio, usize::MAX, Trouble::None).finish();
    assert_eq!((report.ticks, verdict.pictures, verdict.unfinished), (90, 90, false));
    assert!(noted.contains("last pictures"), "{noted}");
}

#[test]
fn encoders_that_fail_together_are_said_once() {
    let mut video = BrittleVideo::new();
    video.breaks = Some((5, How::Panic));
    let audio = BrittleAudio::new(Some((8_000, How::Error)));
    rig(video, audio, usize::MAX, Trouble::None).finish();
}

#[test]
fn a_disk_that_stalls_until_64_mib_wait_ends_the_take_and_is_given_all_of_them() {
    let (mut video, audio) = healthy();
    video.filler = 1 << 20;
    let (gate, trouble) = stall();
    let mut rig = rig(video, audio, write_of_fragment(0), trouble);
    rig.recorder.stop_at(Some(tick_time_ns(rig.recorder.start_tick() + 120)));
    let mut events = std::iter::from_fn(|| rig.told.wait(LONG));
    assert!(matches!(events.next(), Some(RecorderEvent::Started { .. })));
    let mut failed = None;
    let mut stages = Vec::new();
    for event in events.by_ref() {
        match event {
            RecorderEvent::Pressure(change) => stages.push((change.stage, change.source)),
            other => {
                failed = Some(other);
                break;
            }
        }
    }
    let slow = (PressureStage::Hurry, PressureSource::Disk);
    assert!(stages.contains(&slow), "{stages:?}");
    assert!(matches!(&failed, Some(RecorderEvent::Failed(text)) if text.contains("64 MB")), "{failed:?}");
    assert!(!rig.shedding.is_on(), "a recording that has ended needs nothing any more");
    let progress = rig.recorder.progress();
    assert!(
        progress.failed && progress.queued_bytes <= 64 << 20 && progress.video.written == 0,
        "{progress:?}"
    );

    drop(gate);
    let report = rig.recorder.finish(LONG);
    assert!(!report.complete && report.error.as_ref().is_some_and(|it| it.contains("64 MB")), "{report:?}");
    adds_up(&report);
    // Those of the queue, and those that the disk's thread had already taken.
    assert!(report.ticks >= 63, "{report:?}");
    assert_eq!(rig.told.poll(), Some(RecorderEvent::Finished(Box::new(report.clone()))));
    let verdict = verify(rig.folder.path()).unwrap();
    assert_eq!((verdict.pictures, verdict.unfinished), (report.ticks, false));
    plays(rig.folder.path());
    assert!(noted(rig.folder.path()).contains("64 MB"));
}

#[test]
fn a_disk_that_never_comes_back_holds_nobody_up() {
    let (video, audio) = healthy();
    let (gate, trouble) = stall();
    let mut rig = rig(video, audio, write_of_fragment(1), trouble);
    rig.recorder.stop_at(Some(tick_time_ns(rig.recorder.start_tick() + 75)));
    while rig.recorder.progress().fragments == 0 {
        std::thread::yield_now();
    }
    let report = rig.recorder.finish(Duration::from_millis(1));
    assert!(!report.complete && report.error.as_ref().is_some_and(|it| it.contains("in time")), "{report:?}");
    assert_eq!((report.ticks, report.video.written), (30, 30), "what is safe is said");
    adds_up(&report);
    plays(rig.folder.path());

    drop(gate);
    let last = std::iter::from_fn(|| rig.told.wait(LONG)).find(|it| matches!(it, RecorderEvent::Finished(_)));
    // The end was made up to lie ahead; letting go of the recorder has brought it forward.
    assert!(
        matches!(&last, Some(RecorderEvent::Finished(report)) if report.complete && report.ticks <= 75),
        "the disk came back all the same: {last:?}"
    );
}

#[test]
fn a_disk_thread_that_panics_leaves_the_fragments_and_a_report() {
    let (video, audio) = healthy();
    let rig = rig(video, audio, write_of_fragment(1), Trouble::Panic);
    let (report, verdict, _) = rig.finish();
    assert_eq!((report.ticks, report.video.written), (30, 30), "{report:?}");
    assert!(verdict.unfinished && verdict.pictures == 30, "{verdict:#?}");
    assert!(report.error.is_some_and(|it| it.contains("died")));
}

#[test]
fn a_failed_recorder_that_is_dropped_waits_for_no_one() {
    for trouble in [Trouble::None, Trouble::Panic] {
        let (mut video, audio) = healthy();
        video.breaks = Some((70, How::Panic));
        let mut rig = rig(video, audio, write_of_fragment(0), trouble);
        let failed =
            std::iter::from_fn(|| rig.told.wait(LONG)).find(|it| matches!(it, RecorderEvent::Failed(_)));
        assert!(failed.is_some());
        drop(rig.recorder);
        let rest: Vec<_> = std::iter::from_fn(|| rig.told.poll()).collect();
        assert!(matches!(&rest[..], [RecorderEvent::Finished(report)] if report.error.is_some()), "{rest:?}");
    }
}

#[test]
fn a_journal_that_cannot_be_written_is_a_warning_and_markers_are_kept_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(JOURNAL)).unwrap();
    let (mut mic, tap) = mic_tap(10.0);
    let config = RecorderConfig {
        session_id: 1,
        video_bitrate_kbps: 500,
        flac: false,
        ..RecorderConfig::new(folder.path(), Participant::new(0, "Alice"))
    };
    let store = FileStore::create(&folder.path().join(RECORDING)).unwrap();
    let audio: Audio = (tap, Box::new(AacEncoder::new().unwrap()));
    let (recorder, mut told) =
        begin(folder.path(), Box::new(store), None, config, None, Some(audio)).unwrap();
    let first = tick_time_ns(recorder.start_tick());
    recorder.stop_at(Some(first + 1_000_000_000));
    recorder.mark_at(first, "here");
    for i in 0..110 {
        mic.push(&[0.1; 480], Duration::from_nanos(first as u64) + Duration::from_millis(i * 10));
    }
    let report = recorder.finish(LONG);
    assert!(report.complete, "{report:?}");
    let told: Vec<_> = std::iter::from_fn(|| told.poll()).collect();
    let warnings: Vec<_> = told.iter().filter(|it| matches!(it, RecorderEvent::Warning(_))).collect();
    assert!(matches!(warnings[..], [RecorderEvent::Warning(text)] if text.contains("journal")), "{told:?}");
    assert!(told.iter().any(|it| matches!(it, RecorderEvent::Marked(marker) if marker.name == "here")));
    let metadata = std::fs::read_to_string(folder.path().join(folder::METADATA)).unwrap();
    assert!(metadata.contains("\"here\""), "{metadata}");
}

#[test]
fn a_look_at_the_closed_file_that_panics_costs_the_certificate_and_nothing_else() {
    const SEEN: &str = "seen.json";
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::create(&folder.path().join(RECORDING)).unwrap();
    let config =
        RecorderConfig { flac: false, ..RecorderConfig::new(folder.path(), Participant::new(0, "Alice")) };
    let (mut mic, tap) = mic_tap(10.0);
    let audio: Audio = (tap, Box::new(BrittleAudio::new(None)));
    let (recorder, mut told) =
        begin_certified(folder.path(), Box::new(store), None, config, None, Some(audio), |folder, _| {
            // As whoever pulled the plug at this moment would find it.
            std::fs::copy(folder.join(folder::METADATA), folder.join(SEEN)).unwrap();
            panic!("this panic is part of a test")
        })
        .unwrap();
    let first = tick_time_ns(recorder.start_tick());
    recorder.stop_at(Some(first + 1_000_000_000));
    for i in 0..110 {
        mic.push(&[0.1; 480], Duration::from_nanos(first as u64) + Duration::from_millis(i * 10));
    }
    let report = recorder.finish(LONG);
    assert!(report.complete && report.certificate.is_none(), "{report:?}");
    for name in [SEEN, folder::METADATA] {
        let metadata = std::fs::read(folder.path().join(name)).unwrap();
        let metadata: SessionMetadata = serde_json::from_slice(&metadata).unwrap();
        assert!(metadata.complete && metadata.duration_seconds == 1.0, "{name}: {metadata:?}");
    }
    assert!(!folder.path().join(JOURNAL).exists());
    let told: Vec<_> = std::iter::from_fn(|| told.poll()).collect();
    let warned =
        |it: &RecorderEvent| matches!(it, RecorderEvent::Warning(text) if text.contains("certificate"));
    assert_eq!(told.iter().filter(|it| warned(it)).count(), 1, "{told:?}");
}
