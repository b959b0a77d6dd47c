//! The camera's thread: asks its source for pictures on an absolute schedule and hands them to whoever listens.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_media::{FramePool, FrameRef, I420};
use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::source::{self, PictureSource};
use crate::spec::{CameraSpec, FrameRate};
use crate::taps::{CameraCounts, Counters, Stopped, Tap, Taps};
use crate::thread::Precedence;
use crate::{VideoError, device, thread};

/// What pictures may take of the memory at most: 43 of 1920x1080, of which only those in use are ever made.
pub const PICTURE_POOL_BYTES: usize = 128 << 20;

/// Pictures that the live path holds at most: two in its ring. It only ever wants the newest.
const LIVE_RING: usize = 2;

/// How far the thread may lag and still deliver every picture. Beyond it, the oldest are passed over.
const CATCH_UP: Duration = Duration::from_millis(250);

/// How long a camera may deliver nothing before it counts as [silent](CameraHealth::Silent): four pictures at the slowest rate that
/// cameras take in the dark.
const SILENT_AFTER: Duration = Duration::from_secs(2);

/// How long a camera's thread has to end.
const END_LIMIT: Duration = Duration::from_secs(2);

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
    /// The camera has nothing better than this.
    Compromise {
        /// What it is and what it delivers.
        camera: String,
        /// What it lacks.
        lacks: String,
    },
    /// The camera is gone. It is looked for, and its pictures go on when it is found.
    Lost(VideoError),
    /// The camera is there again.
    Back {
        /// What it is and what it delivers.
        camera: String,
    },
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
    pub(crate) fn new(ring: HeapCons<CameraEvent>) -> Self {
        Self(ring)
    }

    /// The next event, if one is there. Never blocks.
    pub fn try_next(&mut self) -> Option<CameraEvent> {
        self.0.try_pop()
    }
}

/// How a camera does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameraHealth {
    /// Pictures come.
    Delivering,
    /// It is there, and for over two seconds no picture has come.
    Silent,
    /// It is gone.
    Lost,
}

/// A running camera. Dropping it stops the camera.
pub struct Camera {
    pub(crate) shape: I420,
    pub(crate) rate: FrameRate,
    pub(crate) describe: String,
    pub(crate) counters: Arc<Counters>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) taps: Option<mpsc::Sender<Tap>>,
    pub(crate) thread: Option<CameraThread>,
}

/// Signs of life of a camera's thread.
pub(crate) struct Pulse {
    epoch: Instant,
    lost: AtomicBool,
    /// When the last picture came, in microseconds since the epoch.
    picture_us: AtomicU64,
}

impl Pulse {
    pub(crate) fn new(epoch: Instant) -> Self {
        let now = epoch.elapsed().as_micros() as u64;
        Self { epoch, lost: AtomicBool::new(false), picture_us: AtomicU64::new(now) }
    }

    /// A picture has come.
    pub(crate) fn beat(&self) {
        self.picture_us.store(self.epoch.elapsed().as_micros() as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_lost(&self, lost: bool) {
        self.lost.store(lost, Ordering::Relaxed);
        // It has its time to deliver.
        self.beat();
    }

    fn health(&self) -> CameraHealth {
        let last = Duration::from_micros(self.picture_us.load(Ordering::Relaxed));
        if self.lost.load(Ordering::Relaxed) {
            CameraHealth::Lost
        } else if self.epoch.elapsed().saturating_sub(last) > SILENT_AFTER {
            CameraHealth::Silent
        } else {
            CameraHealth::Delivering
        }
    }
}

/// The thread of a camera, which may hang in the driver.
pub(crate) struct CameraThread {
    handle: JoinHandle<()>,
    /// Closed when the thread is done.
    done: mpsc::Receiver<()>,
}

impl CameraThread {
    pub(crate) fn spawn(body: impl FnOnce() + Send + 'static) -> Result<Self, VideoError> {
        let (alive, done) = mpsc::channel();
        let handle = thread::spawn("camera", Precedence::High, move || {
            // Moved in, so that it goes when the thread ends, however that is.
            let _alive: mpsc::Sender<()> = alive;
            body();
        })?;
        Ok(Self { handle, done })
    }

    /// Waits for the thread's end, but not for a driver that does not come back.
    fn join(self) {
        match self.done.recv_timeout(END_LIMIT) {
            Err(RecvTimeoutError::Timeout) => tracing::warn!("the camera's driver hangs; it is left behind"),
            _ => drop(self.handle.join()),
        }
    }
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
    match spec {
        CameraSpec::Device { name, wish } => device::start(source::system(), name, wish, epoch),
        _ => start(source::open(&spec)?, epoch),
    }
}

/// Buffers for pictures of a shape.
pub(crate) fn pool(shape: I420) -> FramePool {
    FramePool::new(shape, (PICTURE_POOL_BYTES / shape.len()).clamp(8, 240))
}

fn start(source: Box<dyn PictureSource>, epoch: Instant) -> Result<(Camera, CameraEvents), VideoError> {
    let (shape, rate, describe) = (source.shape(), source.rate(), source.describe());
    let (counters, pulse) = (Arc::new(Counters::default()), Arc::new(Pulse::new(epoch)));
    let (taps, new_taps) = mpsc::channel();
    // One warning of a file and one failure are all that a camera has to say.
    let (events, events_out) = HeapRb::new(4).split();
    let worker = Worker {
        source,
        epoch,
        pool: pool(shape),
        taps: Taps::new(new_taps, counters.clone()),
        counters: counters.clone(),
        pulse: pulse.clone(),
        events,
    };
    tracing::debug!(camera = %describe, "camera starts");
    let thread = CameraThread::spawn(move || worker.run())?;
    let camera = Camera { shape, rate, describe, counters, pulse, taps: Some(taps), thread: Some(thread) };
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
        self.counters.read()
    }

    /// Whether pictures come, as of now.
    #[must_use]
    pub fn health(&self) -> CameraHealth {
        self.pulse.health()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        // The thread ends when nobody can send it a tap any more.
        self.taps = None;
        if let Some(thread) = self.thread.take() {
            thread.join();
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
    taps: Taps,
    counters: Arc<Counters>,
    pulse: Arc<Pulse>,
    events: HeapProd<CameraEvent>,
}

impl Worker {
    fn run(mut self) {
        if let Err(error) = self.capture() {
            tracing::warn!(%error, "the camera has stopped");
            self.pulse.set_lost(true);
            // Whoever reads the event finds every tap closed, those taken from now on too.
            drop(self.taps);
            let _ = self.events.try_push(CameraEvent::Failed(error));
        }
    }

    fn capture(&mut self) -> Result<(), VideoError> {
        let mut schedule = Schedule { start: self.epoch.elapsed(), rate: self.source.rate(), next: 0 };
        let mut index = 0;
        loop {
            // Waiting for taps is the pause between pictures, so a tap is connected at once and a stop needs no flag.
            let wait = schedule.due().saturating_sub(self.epoch.elapsed());
            match self.taps.wait(wait) {
                Ok(true) => {}
                Err(Stopped) => return Ok(()),
                Ok(false) => {
                    let late = schedule.pass_over(self.epoch.elapsed());
                    for _ in 0..late {
                        self.source.skip()?;
                        Counters::count(&self.counters.missed);
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
                Counters::count(&self.counters.captured);
                self.pulse.beat();
                self.taps.offer(&frame);
            }
            Err(hyperzoom_media::PoolEmpty) => {
                self.source.skip()?;
                Counters::count(&self.counters.dropped);
            }
        }
        if let Some(event) = self.source.warning() {
            let _ = self.events.try_push(event);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::pattern::{Pattern, read_stamp};
    use crate::thread::wait_for;
    use proptest::prelude::*;
    use ringbuf::traits::Observer;

    const SHAPE: I420 = I420 { width: 320, height: 240 };

    fn camera(spec: &str) -> (Camera, CameraEvents) {
        start_camera(CameraConfig { epoch: Instant::now(), spec: spec.parse().unwrap() }).unwrap()
    }

    /// A worker that nobody runs, and who can take its taps.
    fn worker() -> (Worker, mpsc::Sender<Tap>) {
        let (taps, new_taps) = mpsc::channel();
        let (epoch, counters) = (Instant::now(), Arc::<Counters>::default());
        let worker = Worker {
            source: Box::new(Pattern::new(SHAPE, FrameRate::THIRTY)),
            epoch,
            pool: FramePool::new(SHAPE, 8),
            taps: Taps::new(new_taps, counters.clone()),
            counters,
            pulse: Arc::new(Pulse::new(epoch)),
            events: HeapRb::new(4).split().0,
        };
        (worker, taps)
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
        let (mut worker, taps) = worker();
        let (record, _recorder) = HeapRb::new(4).split();
        let (live, mut viewer) = HeapRb::new(LIVE_RING).split();
        taps.send(Tap::Record(record)).unwrap();
        worker.taps.connect().unwrap();
        taps.send(Tap::Live(live)).unwrap();
        worker.taps.connect().unwrap();
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
        let (mut worker, taps) = worker();
        let (record, mut recorder) = HeapRb::new(4).split();
        let (live, _stuck) = HeapRb::new(LIVE_RING).split();
        taps.send(Tap::Record(record)).unwrap();
        worker.taps.connect().unwrap();
        taps.send(Tap::Live(live)).unwrap();
        worker.taps.connect().unwrap();
        for n in 0..100 {
            worker.picture(n, n, Duration::ZERO).unwrap();
            assert_eq!(recorder.try_pop().unwrap().index, n);
        }
        assert_eq!(worker.counters.dropped.load(Ordering::Relaxed), 0);
        assert_eq!(worker.counters.live_skipped.load(Ordering::Relaxed), 98);
    }

    #[test]
    fn consumers_that_keep_everything_cost_pictures_and_not_memory() {
        let (mut worker, taps) = worker();
        let (record, recorder) = HeapRb::new(100).split();
        taps.send(Tap::Record(record)).unwrap();
        worker.taps.connect().unwrap();
        for n in 0..20 {
            worker.picture(n, n, Duration::ZERO).unwrap();
        }
        assert_eq!(recorder.occupied_len(), 8, "the pool's size");
        assert_eq!(worker.counters.dropped.load(Ordering::Relaxed), 12);
    }

    #[test]
    fn a_dropped_consumer_ends_its_tap() {
        let (mut worker, taps) = worker();
        let (record, recorder) = HeapRb::new(4).split();
        taps.send(Tap::Record(record)).unwrap();
        worker.taps.connect().unwrap();
        drop(recorder);
        worker.picture(0, 0, Duration::ZERO).unwrap();
        assert_eq!(worker.taps.consumers(), 0);
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
