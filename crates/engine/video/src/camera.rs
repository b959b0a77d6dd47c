//! A camera as those see it who want its pictures. Its thread is in [`scheduled`] for the pattern and files, and in
//! [`device`] for what is plugged in.

mod health;
mod scheduled;

pub(crate) use health::Pulse;
pub use health::{CameraEvent, CameraEvents, CameraHealth};

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_media::{FramePool, FrameRef, I420};
use ringbuf::traits::Split;
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::source;
use crate::spec::{CameraSpec, FrameRate};
use crate::taps::{CameraCounts, Counters, Tap};
use crate::thread::Precedence;
use crate::{VideoError, device, thread};

/// What pictures may take of the memory at most: 43 of 1920x1080, of which only those in use are ever made.
pub const PICTURE_POOL_BYTES: usize = 128 << 20;

/// Pictures that the live path holds at most: two in its ring. It only ever wants the newest.
const LIVE_RING: usize = 2;

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
/// [`VideoError::NoCamera`] for [`CameraSpec::None`], else what is wrong with the source. Where the system first asks the user whether this
/// program may use cameras, it returns when that is answered, or after a minute.
pub fn start_camera(config: CameraConfig) -> Result<(Camera, CameraEvents), VideoError> {
    let CameraConfig { epoch, spec } = config;
    match spec {
        CameraSpec::Device { name, wish } => device::start(source::system(), name, wish, epoch),
        _ => scheduled::start(source::open(&spec)?, epoch),
    }
}

/// Buffers for pictures of a shape.
pub(crate) fn pool(shape: I420) -> FramePool {
    FramePool::new(shape, (PICTURE_POOL_BYTES / shape.len()).clamp(8, 240))
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
