//! The camera's thread: asks its source for pictures on an absolute schedule and hands them to whoever listens.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_media::{FramePool, FrameRef, I420};
use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::source::{self, PictureSource};
use crate::spec::{CameraSpec, FrameRate};
use crate::thread::Precedence;
use crate::{VideoError, thread};

/// What pictures may take of the memory at most: 43 of 1920x1080, of which only those in use are ever made.
pub const PICTURE_POOL_BYTES: usize = 128 << 20;

/// Pictures that the live path holds at most: two in its ring. It only ever wants the newest.
const LIVE_RING: usize = 2;

/// How far the thread may lag and still deliver every picture. Beyond it, the oldest are passed over.
const CATCH_UP: Duration = Duration::from_millis(250);

/// How to start a camera.
#[derive(Debug, Clone)]
pub struct CameraConfig {
    /// The moment that all others are counted from.
    pub epoch: Instant,
    /// Which camera.
    pub spec: CameraSpec,
}

/// Something that happened to a camera.
#[derive(Debug)]
pub enum CameraEvent {
    /// The file ends within a picture. It plays up to there, again and again.
    CutShort {
        /// The file.
        path: PathBuf,
    },
    /// No more pictures will come.
    Failed(VideoError),
}

/// What happened to a camera, in order.
pub struct CameraEvents(HeapCons<CameraEvent>);

impl CameraEvents {
    /// The next event, if one is there. Never blocks.
    pub fn try_next(&mut self) -> Option<CameraEvent> {
        self.0.try_pop()
    }
}

/// What became of a camera's pictures so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CameraCounts {
    /// Pictures that were captured and offered to every tap.
    pub captured: u64,
    /// Pictures that came and went while the machine was too busy to take them (over 250 ms late).
    pub missed: u64,
    /// Pictures that a full recording tap, or a pool without a free buffer, lost. In a good recording it is 0.
    pub dropped: u64,
    /// Pictures that the live path did not get: it was busy, or the recording came first.
    pub live_skipped: u64,
}

#[derive(Default)]
struct Counters {
    captured: AtomicU64,
    missed: AtomicU64,
    dropped: AtomicU64,
    live_skipped: AtomicU64,
}

/// A running camera. Dropping it stops the camera.
pub struct Camera {
    shape: I420,
    rate: FrameRate,
    describe: String,
    counters: Arc<Counters>,
    taps: Option<mpsc::Sender<Tap>>,
    thread: Option<JoinHandle<()>>,
}

enum Tap {
    Live(HeapProd<FrameRef>),
    Record(HeapProd<FrameRef>),
}

/// Starts a camera. Its pictures go nowhere until a tap is taken.
///
/// A picture is stamped with the moment it was due on the source's own schedule: the start plus its number times the
/// frame interval, exactly. That does not move with the machine's load.
///
/// # Errors
/// [`VideoError::NoCamera`] for [`CameraSpec::None`], else what is wrong with the source.
pub fn start_camera(config: CameraConfig) -> Result<(Camera, CameraEvents), VideoError> {
    let CameraConfig { epoch, spec } = config;
    start(source::open(&spec)?, epoch)
}

fn start(source: Box<dyn PictureSource>, epoch: Instant) -> Result<(Camera, CameraEvents), VideoError> {
    let (shape, rate, describe) = (source.shape(), source.rate(), source.describe());
    let counters = Arc::new(Counters::default());
    let (taps, new_taps) = mpsc::channel();
    // One warning of a file and one failure are all that a camera has to say.
    let (events, events_out) = HeapRb::new(4).split();
    let worker = Worker {
        source,
        epoch,
        pool: FramePool::new(shape, (PICTURE_POOL_BYTES / shape.len()).clamp(8, 240)),
        live: Vec::new(),
        record: Vec::new(),
        counters: counters.clone(),
        events,
    };
    tracing::debug!(camera = %describe, "camera starts");
    let thread = thread::spawn("camera", Precedence::High, move || worker.run(new_taps))?;
    let camera = Camera { shape, rate, describe, counters, taps: Some(taps), thread: Some(thread) };
    Ok((camera, CameraEvents(events_out)))
}

impl Camera {
    /// The shape of every picture.
    #[must_use]
    pub fn shape(&self) -> I420 {
        self.shape
    }

    /// The rate that the camera runs at.
    #[must_use]
    pub fn fps(&self) -> FrameRate {
        self.rate
    }

    /// What it is, in a few words: "test pattern, 1280x720 at 30 fps".
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.describe
    }

    /// The pictures from now on, for a consumer that only wants the newest: the ring holds two, and under pressure it
    /// gets none. The tap is over when its consumer is dropped.
    #[must_use]
    pub fn live_tap(&self) -> HeapCons<FrameRef> {
        self.tap(LIVE_RING, Tap::Live)
    }

    /// All pictures from now on, for a consumer that wants every one; the ring holds `frames` of them. The tap is over
    /// when its consumer is dropped.
    #[must_use]
    pub fn record_tap(&self, frames: usize) -> HeapCons<FrameRef> {
        self.tap(frames.max(1), Tap::Record)
    }

    /// A tap of a camera that has failed is closed from the start.
    fn tap(&self, frames: usize, kind: fn(HeapProd<FrameRef>) -> Tap) -> HeapCons<FrameRef> {
        let (feed, tap) = HeapRb::new(frames).split();
        if let Some(taps) = &self.taps {
            let _ = taps.send(kind(feed));
        }
        tap
    }

    /// What became of the pictures so far.
    #[must_use]
    pub fn counts(&self) -> CameraCounts {
        let Counters { captured, missed, dropped, live_skipped } = &*self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CameraCounts {
            captured: read(captured),
            missed: read(missed),
            dropped: read(dropped),
            live_skipped: read(live_skipped),
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        // The thread ends when nobody can send it a tap any more.
        self.taps = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Which picture of a fixed rate is next, and how many are past hope.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    start: Duration,
    rate: FrameRate,
    next: u64,
}

impl Schedule {
    fn due(&self) -> Duration {
        self.start + self.rate.due(self.next)
    }

    /// How many pictures are so late that they are passed over. They are over afterwards.
    fn pass_over(&mut self, now: Duration) -> u64 {
        let Some(horizon) = now.checked_sub(self.start + CATCH_UP) else { return 0 };
        let late = (self.rate.latest_due(horizon) + 1).saturating_sub(self.next);
        self.next += late;
        late
    }
}

struct Worker {
    source: Box<dyn PictureSource>,
    epoch: Instant,
    pool: FramePool,
    live: Vec<HeapProd<FrameRef>>,
    record: Vec<HeapProd<FrameRef>>,
    counters: Arc<Counters>,
    events: HeapProd<CameraEvent>,
}

impl Worker {
    fn run(mut self, new_taps: mpsc::Receiver<Tap>) {
        if let Err(error) = self.capture(&new_taps) {
            tracing::warn!(%error, "the camera has stopped");
            // Whoever reads the event finds every tap closed, those taken from now on too.
            drop(new_taps);
            self.live.clear();
            self.record.clear();
            let _ = self.events.try_push(CameraEvent::Failed(error));
        }
    }

    fn capture(&mut self, new_taps: &mpsc::Receiver<Tap>) -> Result<(), VideoError> {
        let mut schedule = Schedule { start: self.epoch.elapsed(), rate: self.source.rate(), next: 0 };
        let mut index = 0;
        loop {
            // Waiting for taps is the pause between pictures, so a tap is connected at once and a stop needs no flag.
            let wait = schedule.due().saturating_sub(self.epoch.elapsed());
            match new_taps.recv_timeout(wait) {
                Ok(Tap::Live(feed)) => self.live.push(feed),
                Ok(Tap::Record(feed)) => self.record.push(feed),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    let late = schedule.pass_over(self.epoch.elapsed());
                    for _ in 0..late {
                        self.source.skip()?;
                        self.counters.missed.fetch_add(1, Ordering::Relaxed);
                    }
                    self.picture(index, schedule.next, schedule.due())?;
                    schedule.next += 1;
                    index += 1;
                }
            }
        }
    }

    fn picture(&mut self, index: u64, slot: u64, at: Duration) -> Result<(), VideoError> {
        let Self { source, pool, .. } = self;
        let mut filled = Ok(());
        let frame = pool.frame(at, index, |data| filled = source.fill(slot, at, data));
        filled?;
        match frame {
            Ok(frame) => {
                self.counters.captured.fetch_add(1, Ordering::Relaxed);
                self.offer(&frame);
            }
            Err(hyperzoom_media::PoolEmpty) => {
                self.source.skip()?;
                self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        if let Some(event) = self.source.warning() {
            let _ = self.events.try_push(event);
        }
        Ok(())
    }

    /// The recording comes first: a tap of it that is over half full means the machine cannot follow, and then the live
    /// path gets nothing until it is better.
    fn offer(&mut self, frame: &FrameRef) {
        self.record.retain(Observer::read_is_held);
        self.live.retain(Observer::read_is_held);
        let mut pressed = false;
        for tap in &mut self.record {
            if tap.try_push(frame.clone()).is_err() {
                self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            }
            // A ring of one or two is never half empty; it says nothing about pressure.
            pressed |= tap.capacity().get() > 2 && tap.occupied_len() * 2 > tap.capacity().get();
        }
        for tap in &mut self.live {
            if pressed || tap.try_push(frame.clone()).is_err() {
                self.counters.live_skipped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::pattern::{Pattern, read_stamp};
    use crate::thread::wait_for;
    use proptest::prelude::*;

    const SHAPE: I420 = I420 { width: 320, height: 240 };

    fn camera(spec: &str) -> (Camera, CameraEvents) {
        start_camera(CameraConfig { epoch: Instant::now(), spec: spec.parse().unwrap() }).unwrap()
    }

    fn worker() -> Worker {
        Worker {
            source: Box::new(Pattern::new(SHAPE, FrameRate::THIRTY)),
            epoch: Instant::now(),
            pool: FramePool::new(SHAPE, 8),
            live: Vec::new(),
            record: Vec::new(),
            counters: Arc::default(),
            events: HeapRb::new(4).split().0,
        }
    }

    #[test]
    fn pictures_are_stamped_by_an_absolute_schedule_at_30_fps() {
        let (camera, _events) = camera("pattern:320x240@30");
        let mut tap = camera.record_tap(200);
        let frames: Vec<FrameRef> = (0..12).map(|_| wait_for(|| tap.try_pop())).collect();
        let stamps: Vec<_> =
            frames.iter().map(|frame| read_stamp(frame.shape, frame.planes()[0]).unwrap()).collect();
        let slot = |n: usize| stamps[n].counter;
        let start = frames[0].captured_at - FrameRate::THIRTY.due(slot(0));
        for (n, frame) in frames.iter().enumerate() {
            assert_eq!(frame.captured_at, start + FrameRate::THIRTY.due(slot(n)), "picture {n}");
            assert_eq!(frame.index, frames[0].index + n as u64, "no picture is lost");
            assert_eq!(stamps[n].time.as_millis(), frame.captured_at.as_millis());
        }
        assert!(camera.counts().captured >= 12);
        assert_eq!(camera.counts().dropped, 0);
    }

    #[test]
    fn no_camera_is_an_error_that_says_so() {
        let error = start_camera(CameraConfig { epoch: Instant::now(), spec: CameraSpec::None });
        assert!(matches!(error, Err(VideoError::NoCamera)));
    }

    #[test]
    fn a_file_is_played_and_its_damage_reported() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = b"YUV4MPEG2 W64 H64 F60:1\n".to_vec();
        for n in 1..=2 {
            bytes.extend(b"FRAME\n");
            bytes.extend([n; 64 * 64 * 3 / 2]);
        }
        bytes.extend(b"GARBAGE\n");
        std::fs::write(file.path(), bytes).unwrap();
        let (camera, mut events) = camera(&format!("file:{}", file.path().display()));
        let event = wait_for(|| events.try_next());
        let CameraEvent::Failed(error) = event else { panic!("{event:?}") };
        assert!(error.to_string().contains("picture 3"), "{error}");
        let counts = camera.counts();
        assert_eq!(counts.captured + counts.missed, 2, "a busy machine may have passed over one");
        let tap = camera.live_tap();
        assert!(!tap.write_is_held(), "a tap of a camera that has failed is closed");
    }

    #[test]
    fn a_recording_that_falls_behind_takes_the_pictures_from_the_live_path() {
        let mut worker = worker();
        let (record, _recorder) = HeapRb::new(4).split();
        let (live, mut viewer) = HeapRb::new(LIVE_RING).split();
        worker.record.push(record);
        worker.live.push(live);
        for n in 0..5 {
            worker.picture(n, n, Duration::ZERO).unwrap();
            viewer.clear();
        }
        let counters = &worker.counters;
        assert_eq!(
            counters.live_skipped.load(Ordering::Relaxed),
            3,
            "from the third on the ring is over half full"
        );
        assert_eq!(counters.dropped.load(Ordering::Relaxed), 1, "the fifth found it full");
    }

    #[test]
    fn a_live_path_that_stands_still_costs_the_recording_nothing() {
        let mut worker = worker();
        let (record, mut recorder) = HeapRb::new(4).split();
        let (live, _stuck) = HeapRb::new(LIVE_RING).split();
        worker.record.push(record);
        worker.live.push(live);
        for n in 0..100 {
            worker.picture(n, n, Duration::ZERO).unwrap();
            assert_eq!(recorder.try_pop().unwrap().index, n);
        }
        assert_eq!(worker.counters.dropped.load(Ordering::Relaxed), 0);
        assert_eq!(worker.counters.live_skipped.load(Ordering::Relaxed), 98);
    }

    #[test]
    fn consumers_that_keep_everything_cost_pictures_and_not_memory() {
        let mut worker = worker();
        let (record, recorder) = HeapRb::new(100).split();
        worker.record.push(record);
        for n in 0..20 {
            worker.picture(n, n, Duration::ZERO).unwrap();
        }
        assert_eq!(recorder.occupied_len(), 8, "the pool's size");
        assert_eq!(worker.counters.dropped.load(Ordering::Relaxed), 12);
    }

    #[test]
    fn a_dropped_consumer_ends_its_tap() {
        let mut worker = worker();
        let (record, recorder) = HeapRb::new(4).split();
        worker.record.push(record);
        drop(recorder);
        worker.picture(0, 0, Duration::ZERO).unwrap();
        assert!(worker.record.is_empty());
        assert_eq!(worker.counters.dropped.load(Ordering::Relaxed), 0);
    }

    proptest! {
        #[test]
        fn a_late_thread_catches_up_and_a_very_late_one_passes_over(late_ms in 0u64..10_000, next in 0u64..1_000_000) {
            let start = Duration::from_millis(123);
            let mut schedule = Schedule { start, rate: FrameRate::THIRTY, next };
            let now = schedule.due() + Duration::from_millis(late_ms);
            let passed = schedule.pass_over(now);
            prop_assert_eq!(schedule.next, next + passed);
            prop_assert!(schedule.due() + CATCH_UP > now, "what is next is recent enough");
            if passed > 0 {
                schedule.next -= 1;
                prop_assert!(schedule.due() + CATCH_UP <= now, "no picture was passed over without need");
            }
        }
    }
}
