//! What the threads of one take share. None of them is a real-time thread, so that a lock held for a copy is all right.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, SyncSender};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyperzoom_timing::{SharedClock, tick_time_ns};

use crate::audio_track::AudioCounts;
use crate::cfr::CfrCounts;
use crate::encode::EncodedPicture;
use crate::metadata::Participant;
use crate::report::{RecorderEvent, TakeProgress, TakeReport, VideoCounts};

/// Encoded bytes that may wait for a disk that stalls: 25 s of the highest bitrate.
const QUEUE_LIMIT: u64 = 64 << 20;

/// Share of a ring or queue, in percent, from which on a warning is due.
pub(crate) const ALARM_PERCENT: u64 = 80;

/// State of one take.
pub(crate) struct Shared {
    pub(crate) epoch: Instant,
    pub(crate) clock: SharedClock,
    pub(crate) start_tick: u64,
    /// The first tick that is not part of the take; `u64::MAX` while nobody has said.
    end_tick: AtomicU64,
    pub(crate) video: Mutex<CfrCounts>,
    pub(crate) audio: Mutex<AudioCounts>,
    /// Pictures lost between the camera and the file.
    pub(crate) dropped: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) fragments: AtomicU64,
    queued: AtomicU64,
    pub(crate) picture_ring: Gauge,
    pub(crate) sound_ring: Gauge,
    pub(crate) slowest_picture_us: AtomicU64,
    error: Mutex<Option<String>>,
    failed: AtomicBool,
    pub(crate) participants: Mutex<Vec<Participant>>,
    pub(crate) participants_changed: AtomicBool,
    events: SyncSender<RecorderEvent>,
    pub(crate) events_lost: AtomicU64,
    report: Mutex<Option<TakeReport>>,
    reported: Condvar,
}

impl Shared {
    pub(crate) fn new(
        epoch: Instant,
        clock: SharedClock,
        start_tick: u64,
        participants: Vec<Participant>,
        events: SyncSender<RecorderEvent>,
    ) -> Self {
        Self {
            epoch,
            clock,
            start_tick,
            end_tick: AtomicU64::new(u64::MAX),
            video: Mutex::default(),
            audio: Mutex::default(),
            dropped: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            fragments: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            picture_ring: Gauge::default(),
            sound_ring: Gauge::default(),
            slowest_picture_us: AtomicU64::new(0),
            error: Mutex::default(),
            failed: AtomicBool::new(false),
            participants: Mutex::new(participants),
            participants_changed: AtomicBool::new(false),
            events,
            events_lost: AtomicU64::new(0),
            report: Mutex::default(),
            reported: Condvar::new(),
        }
    }

    /// Session time now, in nanoseconds.
    pub(crate) fn now_ns(&self) -> i64 {
        self.session_ns(self.epoch.elapsed())
    }

    /// Session time of a local moment, in nanoseconds.
    pub(crate) fn session_ns(&self, at: Duration) -> i64 {
        self.clock.get().session_ns(at)
    }

    pub(crate) fn start_ns(&self) -> i64 {
        tick_time_ns(self.start_tick)
    }

    /// The first tick that is not part of the take, once it is known.
    pub(crate) fn end_tick(&self) -> Option<u64> {
        Some(self.end_tick.load(Ordering::Acquire)).filter(|tick| *tick != u64::MAX)
    }

    /// Ends the take at `tick`, or earlier where an earlier end was given before; a take lasts one tick at least.
    pub(crate) fn stop_at(&self, tick: u64) {
        self.end_tick.fetch_min(tick.max(self.start_tick + 1), Ordering::AcqRel);
    }

    pub(crate) fn say(&self, event: RecorderEvent) {
        if self.events.try_send(event).is_err() {
            self.events_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn warn(&self, text: String) {
        tracing::debug!("{text}");
        self.say(RecorderEvent::Warning(text));
    }

    /// Ends the recording with an error, said once.
    pub(crate) fn fail(&self, text: String) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            tracing::debug!("{text}");
            *lock(&self.error) = Some(text.clone());
            self.say(RecorderEvent::Failed(text));
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn error(&self) -> Option<String> {
        lock(&self.error).clone()
    }

    pub(crate) fn video_counts(&self) -> VideoCounts {
        VideoCounts::of(*lock(&self.video), self.dropped.load(Ordering::Relaxed))
    }

    pub(crate) fn progress(&self) -> TakeProgress {
        TakeProgress {
            video: self.video_counts(),
            audio: *lock(&self.audio),
            bytes: self.bytes.load(Ordering::Relaxed),
            fragments: self.fragments.load(Ordering::Relaxed),
            queued_bytes: self.queued.load(Ordering::Relaxed),
            picture_ring_percent: self.picture_ring.percent.load(Ordering::Relaxed),
            sound_ring_percent: self.sound_ring.percent.load(Ordering::Relaxed),
            failed: self.has_failed(),
        }
    }

    pub(crate) fn publish(&self, report: TakeReport) {
        *lock(&self.report) = Some(report.clone());
        self.reported.notify_all();
        self.say(RecorderEvent::Finished(Box::new(report)));
    }

    /// The report, once it is there, within `timeout`.
    pub(crate) fn report(&self, timeout: Duration) -> Option<TakeReport> {
        let report = lock(&self.report);
        let waited = self.reported.wait_timeout_while(report, timeout, |report| report.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

/// How full a ring is.
#[derive(Default)]
pub(crate) struct Gauge {
    pub(crate) percent: AtomicU64,
    pub(crate) peak: AtomicU64,
}

impl Gauge {
    /// Notes the fill; returns the percentage where it has just passed [`ALARM_PERCENT`].
    pub(crate) fn set(&self, fill: usize, capacity: usize) -> Option<u64> {
        let percent = (fill * 100 / capacity.max(1)) as u64;
        self.peak.fetch_max(percent, Ordering::Relaxed);
        let before = self.percent.swap(percent, Ordering::Relaxed);
        (percent >= ALARM_PERCENT && before < ALARM_PERCENT).then_some(percent)
    }
}

/// A lock that a panicking thread does not take away from the others.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the encoders hand to the disk's thread.
pub(crate) enum ToDisk {
    Picture(EncodedPicture),
    Unit(Vec<u8>),
    /// An encoder has handed over all it will.
    Done,
    /// The queue is full: nothing is taken any more.
    Overrun,
}

/// The encoders' end of the queue to the disk: it never makes them wait.
#[derive(Clone)]
pub(crate) struct DiskQueue {
    pub(crate) sender: Sender<ToDisk>,
    pub(crate) shared: std::sync::Arc<Shared>,
}

impl DiskQueue {
    pub(crate) fn picture(&self, picture: EncodedPicture) {
        let size = picture.data.len();
        if !self.send(size, ToDisk::Picture(picture)) {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn unit(&self, unit: Vec<u8>) {
        self.send(unit.len(), ToDisk::Unit(unit));
    }

    pub(crate) fn done(&self) {
        self.send(0, ToDisk::Done);
    }

    fn send(&self, size: usize, message: ToDisk) -> bool {
        if size > 0 && self.shared.has_failed() {
            return false;
        }
        let size = size as u64;
        let queued = self.shared.queued.fetch_add(size, Ordering::AcqRel) + size;
        if queued > QUEUE_LIMIT {
            self.shared.queued.fetch_sub(size, Ordering::AcqRel);
            self.shared.fail(format!(
                "The disk has not kept up: {} MB of recording wait for it. What is on the disk stays playable.",
                QUEUE_LIMIT >> 20
            ));
            drop(self.sender.send(ToDisk::Overrun));
            return false;
        }
        let alarm = QUEUE_LIMIT * ALARM_PERCENT / 100;
        if queued >= alarm && queued - size < alarm {
            self.shared.warn(format!("The disk is slow: {} MB of recording wait for it.", queued >> 20));
        }
        self.sender.send(message).is_ok()
    }
}

impl Shared {
    /// The disk's thread has taken `size` bytes out of the queue.
    pub(crate) fn taken(&self, size: usize) {
        self.queued.fetch_sub(size as u64, Ordering::AcqRel);
    }
}
