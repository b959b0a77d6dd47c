//! What the threads of one take share. None of them is a real-time thread, so that a lock held for a copy is all right.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyperzoom_media::{Ears, Shedding};
use hyperzoom_timing::{SAMPLES_PER_TICK, tick_time_ns};

use crate::encode::{Effort, EncodedPicture};
use crate::flac;
use crate::folder::RECORDING;
use crate::ledger::{AudioCounts, Gap, PictureGap, PictureLedger, SoundLedger, VideoCounts};
use crate::marker::Marker;
use crate::metadata::Participant;
use crate::pressure::{Fills, Pressure, PressureReport, PressureStage};
use crate::recorder::RecorderConfig;
use crate::report::{RecorderEvent, TakeProgress, TakeReport};
use crate::steady::{Reading, SteadyClock};
use crate::sync::Kept;
use crate::tone::Tones;

/// Encoded bytes that may wait for a disk that stalls: 25 s of the highest bitrate.
pub const DISK_QUEUE_BYTES: u64 = 64 << 20;

/// State of one take.
pub(crate) struct Shared {
    pub(crate) epoch: Instant,
    clock: SteadyClock,
    pub(crate) folder: PathBuf,
    pub(crate) start_tick: u64,
    /// The first tick that is not part of the take; `u64::MAX` while nobody has said.
    end_tick: AtomicU64,
    pub(crate) pictures: Mutex<PictureLedger>,
    pub(crate) sound: Mutex<SoundSoFar>,
    pub(crate) tones: Mutex<Tones>,
    /// Seconds of the microphone, as it came.
    pub(crate) kept: Mutex<Kept>,
    /// Whoever listens to the others.
    pub(crate) ears: Mutex<Option<Arc<dyn Ears>>>,
    /// The furthest that the session clock may have been off so far, in nanoseconds.
    pub(crate) clock_bound_ns: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) fragments: AtomicU64,
    /// Ticks of the take that are safe on the disk.
    pub(crate) ticks_on_disk: AtomicU64,
    queued: AtomicU64,
    pub(crate) picture_ring: Gauge,
    pub(crate) sound_ring: Gauge,
    disk_queue: Gauge,
    pressure: Mutex<Pressure>,
    shedding: Shedding,
    pub(crate) disk_times: Arc<DiskTimes>,
    pub(crate) slowest_picture_us: AtomicU64,
    error: Mutex<Option<String>>,
    failed: AtomicBool,
    pub(crate) participants: Mutex<Vec<Participant>>,
    pub(crate) participants_changed: AtomicBool,
    /// All but the warnings are said once, and a warning only where things have got better since the last: there are few.
    events: Sender<RecorderEvent>,
    report: Mutex<Option<TakeReport>>,
    reported: Condvar,
}

/// The sound that is settled.
#[derive(Default)]
pub(crate) struct SoundSoFar {
    pub(crate) ledger: SoundLedger,
    pub(crate) drift_ppm: Option<f64>,
}

/// What became of pictures and sound, up to some end.
pub(crate) struct Counts {
    pub(crate) video: VideoCounts,
    pub(crate) picture_gaps: Vec<PictureGap>,
    pub(crate) audio: AudioCounts,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) drift_ppm: Option<f64>,
}

impl Shared {
    pub(crate) fn new(
        config: RecorderConfig,
        clock: SteadyClock,
        folder: PathBuf,
        start_tick: u64,
        events: Sender<RecorderEvent>,
        disk_times: Arc<DiskTimes>,
    ) -> Self {
        let RecorderConfig { epoch, me, shedding, .. } = config;
        Self {
            epoch,
            clock,
            folder,
            start_tick,
            end_tick: AtomicU64::new(u64::MAX),
            pictures: Mutex::default(),
            sound: Mutex::default(),
            tones: Mutex::default(),
            kept: Mutex::default(),
            ears: Mutex::default(),
            clock_bound_ns: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            fragments: AtomicU64::new(0),
            ticks_on_disk: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            picture_ring: Gauge::default(),
            sound_ring: Gauge::default(),
            disk_queue: Gauge::default(),
            pressure: Mutex::default(),
            shedding,
            disk_times,
            slowest_picture_us: AtomicU64::new(0),
            error: Mutex::default(),
            failed: AtomicBool::new(false),
            participants: Mutex::new(vec![me]),
            participants_changed: AtomicBool::new(false),
            events,
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
        self.read_clock(at).ns
    }

    /// What somebody else's session time is in this take, which does not follow a clock that jumps.
    pub(crate) fn take_ns(&self, session_ns: i64) -> i64 {
        session_ns.saturating_add(self.read_clock(self.epoch.elapsed()).ahead_ns)
    }

    fn read_clock(&self, at: Duration) -> Reading {
        let reading = self.clock.read(at);
        self.clock_bound_ns.fetch_max(reading.bound_ns, Ordering::Relaxed);
        if let Some(by_ns) = reading.jumped_ns {
            self.warn(format!(
                "The session's clock has jumped by {:.0} s (a computer slept). This recording keeps its own time from here on; \
                 line it up by its sound.",
                by_ns as f64 / 1e9
            ));
        }
        reading
    }

    /// Whether the session's clock has jumped, so that the take goes on by its own.
    pub(crate) fn clock_jumped(&self) -> bool {
        self.clock.has_jumped()
    }

    /// For how long the session's clock had run by itself at the take's session time `ns`, since the host was gone.
    pub(crate) fn clock_alone_at(&self, ns: i64) -> Duration {
        self.clock.alone_at(ns)
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
        // Nobody has to listen.
        drop(self.events.send(event));
    }

    pub(crate) fn warn(&self, text: String) {
        tracing::debug!("{text}");
        self.say(RecorderEvent::Warning(text));
    }

    /// Ends the recording with an error. The first is said, and the others follow from it.
    pub(crate) fn fail(&self, text: String) {
        let mut error = lock(&self.error);
        if error.is_none() {
            tracing::debug!("{text}");
            *error = Some(text.clone());
            self.failed.store(true, Ordering::Release);
            {
                // Nothing more comes that would be worth the live pictures, and nobody else gives them back.
                let _pressure = lock(&self.pressure);
                self.shedding.set(false);
            }
            self.say(RecorderEvent::Failed(text));
        }
    }

    /// Acts on the fills as they are now; returns how hard the video encoder may try.
    ///
    /// Every thread that notes a fill calls it, so that one that hangs does not keep the others from acting.
    pub(crate) fn press(&self) -> Effort {
        let fills = Fills {
            pictures: self.picture_ring.percent(),
            sound: self.sound_ring.percent(),
            disk: self.disk_queue.percent(),
        };
        let mut pressure = lock(&self.pressure);
        if self.has_failed() {
            return pressure.effort();
        }
        if let Some(change) = pressure.update(self.epoch.elapsed(), fills) {
            self.shedding.set(pressure.is_shedding());
            if change.stage >= PressureStage::Hurry && change.stage > change.before {
                tracing::warn!(stage = ?change.stage, percent = change.percent, "{change}");
            } else {
                tracing::info!(stage = ?change.stage, percent = change.percent, "{change}");
            }
            self.say(RecorderEvent::Pressure(change));
        }
        pressure.effort()
    }

    /// What pressure the take has been under.
    pub(crate) fn pressure(&self) -> PressureReport {
        let (shed, hurried) = lock(&self.pressure).times();
        let peak = |gauge: &Gauge| gauge.peak.load(Ordering::Relaxed);
        let ms = |us: &AtomicU64| us.load(Ordering::Relaxed) as f64 / 1000.0;
        let seconds = |time: Duration| time.as_millis() as f64 / 1000.0;
        PressureReport {
            live_video_shed_seconds: seconds(shed),
            encoder_hurried_seconds: seconds(hurried),
            picture_ring_peak_percent: peak(&self.picture_ring),
            sound_ring_peak_percent: peak(&self.sound_ring),
            disk_queue_peak_percent: peak(&self.disk_queue),
            slowest_write_ms: ms(&self.disk_times.write_us),
            slowest_sync_ms: ms(&self.disk_times.sync_us),
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn error(&self) -> Option<String> {
        lock(&self.error).clone()
    }

    /// The counts of a take that ends after `asked` ticks, of which the first `on_disk` are in its file.
    pub(crate) fn counts(&self, asked: u64, on_disk: u64) -> Counts {
        let pictures = lock(&self.pictures);
        let sound = lock(&self.sound);
        let total = asked.min(on_disk).saturating_mul(SAMPLES_PER_TICK);
        Counts {
            video: pictures.counts(asked, on_disk),
            picture_gaps: pictures.gaps(asked.min(on_disk)),
            audio: sound.ledger.counts(total),
            gaps: sound.ledger.gaps(total),
            drift_ppm: sound.drift_ppm.map(|ppm| (ppm * 10.0).round() / 10.0),
        }
    }

    pub(crate) fn progress(&self) -> TakeProgress {
        // What has been settled will be written, but for a failure.
        let on_disk = if self.has_failed() { self.ticks_on_disk.load(Ordering::Relaxed) } else { u64::MAX };
        let counts = self.counts(u64::MAX, on_disk);
        TakeProgress {
            video: counts.video,
            audio: counts.audio,
            bytes: self.bytes.load(Ordering::Relaxed),
            fragments: self.fragments.load(Ordering::Relaxed),
            queued_bytes: self.queued.load(Ordering::Relaxed),
            picture_ring_percent: self.picture_ring.percent(),
            sound_ring_percent: self.sound_ring.percent(),
            failed: self.has_failed(),
        }
    }

    /// The report on a take whose file has the `ticks` of `counts`.
    pub(crate) fn describe(
        &self,
        ticks: u64,
        counts: &Counts,
        complete: bool,
        error: Option<String>,
    ) -> TakeReport {
        TakeReport {
            file: self.folder.join(RECORDING),
            folder: self.folder.clone(),
            start_tick: self.start_tick,
            ticks,
            video: counts.video,
            audio: counts.audio,
            microphone_drift_ppm: counts.drift_ppm,
            flac_samples: None,
            bytes: self.bytes.load(Ordering::Relaxed),
            slowest_picture_ms: self.slowest_picture_us.load(Ordering::Relaxed) as f64 / 1000.0,
            pressure: self.pressure(),
            certificate: None,
            complete,
            error,
        }
    }

    /// The report on a take whose file nobody has closed: what is safe on the disk by now.
    pub(crate) fn describe_unclosed(&self, reason: &str) -> TakeReport {
        let ticks = self.ticks_on_disk.load(Ordering::Relaxed);
        let asked = self.end_tick().map_or(u64::MAX, |end| end - self.start_tick);
        let error = self.error().unwrap_or_else(|| reason.to_owned());
        self.describe(ticks, &self.counts(asked.max(ticks), ticks), false, Some(error))
    }

    pub(crate) fn publish(&self, report: TakeReport) {
        // Nothing is being recorded that would need the computer.
        self.shedding.set(false);
        // The event first: whoever has waited for the report finds it said.
        self.say(RecorderEvent::Finished(Box::new(report.clone())));
        *lock(&self.report) = Some(report);
        self.reported.notify_all();
    }

    /// The report, once it is there, within `timeout`.
    pub(crate) fn report(&self, timeout: Duration) -> Option<TakeReport> {
        let report = lock(&self.report);
        let waited = self.reported.wait_timeout_while(report, timeout, |report| report.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.shedding.set(false);
    }
}

/// How full a ring or a queue is.
#[derive(Default)]
pub(crate) struct Gauge {
    percent: AtomicU64,
    peak: AtomicU64,
}

impl Gauge {
    /// Notes the fill.
    pub(crate) fn set(&self, fill: u64, capacity: u64) {
        let percent = fill * 100 / capacity.max(1);
        self.peak.fetch_max(percent, Ordering::Relaxed);
        self.percent.store(percent, Ordering::Relaxed);
    }

    /// The fill in percent, as last noted.
    fn percent(&self) -> u64 {
        self.percent.load(Ordering::Relaxed)
    }
}

/// The longest that the disk took, in microseconds.
#[derive(Default)]
pub(crate) struct DiskTimes {
    pub(crate) write_us: AtomicU64,
    pub(crate) sync_us: AtomicU64,
}

/// A lock that a panicking thread does not take away from the others.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the encoders hand to the disk's thread.
pub(crate) enum ToDisk {
    Picture(EncodedPicture),
    Unit(Vec<u8>),
    Marker(Marker),
    Flac(flac::Chunk),
}

/// One encoder's end of the queue to the disk: it never makes the encoder wait. The disk's thread ends with the last of them;
/// whoever sets markers holds the sender weakly.
pub(crate) struct DiskQueue {
    pub(crate) sender: Arc<Sender<ToDisk>>,
    pub(crate) shared: Arc<Shared>,
}

impl DiskQueue {
    pub(crate) fn picture(&self, picture: EncodedPicture) {
        self.send(picture.data.len(), ToDisk::Picture(picture));
    }

    pub(crate) fn unit(&self, unit: Vec<u8>) {
        self.send(unit.len(), ToDisk::Unit(unit));
    }

    /// A file of its own, which never ends the recording. What of it is settled when that fails is written all the same.
    pub(crate) fn flac(&self, chunk: flac::Chunk) {
        self.shared.queued.fetch_add(chunk.len() as u64, Ordering::AcqRel);
        drop(self.sender.send(ToDisk::Flac(chunk)));
    }

    /// After a failure nothing is taken any more, so that the file ends where it failed.
    fn send(&self, size: usize, message: ToDisk) {
        if self.shared.has_failed() {
            return;
        }
        let size = size as u64;
        let queued = self.shared.queued.fetch_add(size, Ordering::AcqRel) + size;
        if queued > DISK_QUEUE_BYTES {
            self.shared.queued.fetch_sub(size, Ordering::AcqRel);
            self.shared.disk_queue.set(DISK_QUEUE_BYTES, DISK_QUEUE_BYTES);
            self.shared.fail(format!(
                "The disk has not kept up: {} MB of recording wait for it. The recording has ended; what was written stays playable.",
                DISK_QUEUE_BYTES >> 20
            ));
            return;
        }
        self.shared.disk_queue.set(queued, DISK_QUEUE_BYTES);
        self.shared.press();
        // Where the disk's thread has died it has said so.
        drop(self.sender.send(message));
    }
}

impl Drop for DiskQueue {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.fail(
                "A thread of the recording died. The recording has ended; what was written stays playable."
                    .to_owned(),
            );
        }
    }
}

impl Shared {
    /// The disk's thread has taken `size` bytes out of the queue.
    pub(crate) fn taken(&self, size: usize) {
        let queued = self.queued.fetch_sub(size as u64, Ordering::AcqRel) - size as u64;
        self.disk_queue.set(queued, DISK_QUEUE_BYTES);
    }
}
