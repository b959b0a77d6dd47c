//! What is known of a camera beside its pictures: whether they come, and what happened to it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringbuf::HeapCons;
use ringbuf::traits::Consumer;

use crate::VideoError;

/// How long a camera may deliver nothing before it counts as [silent](CameraHealth::Silent): four pictures at the slowest rate that
/// cameras take in the dark.
const SILENT_AFTER: Duration = Duration::from_secs(2);

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

    pub(super) fn health(&self) -> CameraHealth {
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
