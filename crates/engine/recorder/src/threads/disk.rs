//! The disk: all reading and writing of files while a take runs, so that no encoder ever waits for it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use hyperzoom_timing::tick_time_ns;

use crate::error::advice;
use crate::folder::{METADATA, TIMECODES, write_whole};
use crate::metadata::SessionMetadata;
use crate::mux::{Muxer, Store};
use crate::shared::{DiskTimes, Shared, ToDisk, lock};
use crate::space::{self, Reserve, RoomWatch};

pub(crate) struct Disk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: Receiver<ToDisk>,
    pub(crate) muxer: Muxer,
    pub(crate) metadata: SessionMetadata,
    pub(crate) file: Form,
    pub(crate) reserve: Reserve,
    pub(crate) room: RoomWatch,
}

/// What has become of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// It takes pictures and sound.
    Growing,
    /// It is closed, as a plain MP4.
    Plain,
    /// It is closed as it grew, since the disk did not take the conversion.
    Fragmented,
}

impl Disk {
    /// Runs until both encoders have handed over all they will, and the files are closed.
    pub(crate) fn run(mut self) {
        while let Ok(message) = self.queue.recv() {
            let written = match message {
                ToDisk::Picture(picture) => {
                    self.shared.taken(picture.data.len());
                    if self.file != Form::Growing {
                        continue;
                    }
                    self.muxer.picture(picture)
                }
                ToDisk::Unit(unit) => {
                    self.shared.taken(unit.len());
                    if self.file != Form::Growing {
                        continue;
                    }
                    self.muxer.unit(unit)
                }
            };
            match written {
                Ok(false) => (),
                Ok(true) => self.note_fragment(),
                Err(error) => self.close_early(&error),
            }
        }
        self.end();
    }

    fn note_fragment(&mut self) {
        self.note_size();
        self.keep_room();
        tracing::debug!(number = self.muxer.fragments(), bytes = self.muxer.bytes(), "fragment on disk");
        if self.shared.participants_changed.swap(false, Ordering::AcqRel) {
            self.write_metadata();
        }
    }

    /// Sees to it that the take can be ended well on a disk that fills up, and says in time that it does.
    fn keep_room(&mut self) {
        // An access unit has 1024 samples, a picture 1600: no take has more than three of both for each picture.
        if let Err(error) = self.reserve.grow_for(3 * self.muxer.ticks_on_disk()) {
            // The next fragment will not fit either, and what there is of the reserve is for its sake.
            tracing::debug!("no room is left for the reserve: {error}");
        }
        // Nothing more comes after a failure.
        if self.shared.has_failed() || !self.room.is_due(self.shared.epoch.elapsed()) {
            return;
        }
        let age = Duration::from_nanos(tick_time_ns(self.muxer.ticks_on_disk()) as u64);
        let left =
            space::free(&self.shared.folder).map(|free| self.room.check(age, self.muxer.bytes(), free));
        match left {
            Ok(Some(left)) => {
                let left = match left.as_secs() {
                    ..60 => format!("{} seconds", left.as_secs()),
                    60..120 => "one minute".to_owned(),
                    seconds => format!("{} minutes", seconds / 60),
                };
                self.shared.warn(format!(
                    "THE DISK IS FILLING UP: there is room for {left} more. Free some space on the disk of {}.",
                    self.shared.folder.display()
                ));
            }
            Ok(None) => (),
            Err(error) => tracing::debug!("how full the disk is cannot be known: {error}"),
        }
    }

    fn note_size(&self) {
        self.shared.bytes.store(self.muxer.bytes(), Ordering::Relaxed);
        self.shared.fragments.store(self.muxer.fragments().into(), Ordering::Relaxed);
        self.shared.ticks_on_disk.store(self.muxer.ticks_on_disk(), Ordering::Relaxed);
    }

    /// The disk failed: what is there becomes as good a file as it can.
    fn close_early(&mut self, error: &io::Error) {
        self.shared.fail(format!(
            "The recording has stopped: {error}. {}. What was written until then is in {} and plays.",
            advice(error),
            self.shared.folder.display()
        ));
        self.reserve.release();
        self.file = match self.muxer.salvage() {
            Ok(()) => Form::Plain,
            Err(error) => {
                tracing::warn!("the cut-off recording stays a fragmented file: {error}");
                Form::Fragmented
            }
        };
    }

    fn end(mut self) {
        let shared = self.shared.clone();
        let mut asked = shared.end_tick().map_or(u64::MAX, |end| end - shared.start_tick);
        let mut ticks = self.muxer.ticks_on_disk();
        // What it was kept for comes now.
        self.reserve.release();
        if self.file == Form::Growing {
            // An encoder that failed leaves less than was asked for; that much becomes a whole file.
            let whole = asked.min(self.muxer.ticks());
            match self.muxer.finish(whole) {
                Ok(()) => (self.file, ticks) = (Form::Plain, whole),
                Err(error) => {
                    self.close_early(&error);
                    ticks = self.muxer.ticks_on_disk();
                }
            }
        }
        self.note_size();
        // A file that a failure closed is not cut any more.
        asked = asked.max(ticks);
        let counts = shared.counts(asked, ticks);
        let complete = self.file == Form::Plain && !shared.has_failed();
        let report = shared.describe(ticks, &counts, complete, shared.error());

        self.metadata.duration_seconds = report.seconds();
        self.metadata.complete = complete;
        self.metadata.error.clone_from(&report.error);
        let recording = &mut self.metadata.recording;
        recording.video = counts.video;
        recording.audio = counts.audio;
        recording.microphone_drift_ppm = counts.drift_ppm;
        recording.pressure = report.pressure;
        recording.total_frames_captured = counts.video.captured;
        recording.total_frames_dropped = counts.video.dropped;
        if self.file == Form::Plain {
            recording.container = "MP4".to_owned();
        }
        self.write_metadata();
        shared.publish(report);
    }

    fn write_metadata(&mut self) {
        self.metadata.participants = lock(&self.shared.participants).clone();
        if let Err(error) = write_texts(&self.shared.folder, &self.metadata) {
            // Where the disk has failed, that has been said.
            if !self.shared.has_failed() {
                self.shared.warn(format!("The files beside the recording could not be written: {error}."));
            }
        }
    }
}

impl Drop for Disk {
    /// Whoever waits for the report gets one even where this thread dies.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.fail(
                "The thread that writes the recording died. The recording has ended; what was written stays playable."
                    .to_owned(),
            );
            self.shared.publish(self.shared.describe_unclosed("the file was not closed"));
        }
    }
}

/// A store that notes how long it takes.
pub(crate) struct TimedStore {
    inner: Box<dyn Store>,
    times: Arc<DiskTimes>,
}

impl TimedStore {
    pub(crate) fn new(inner: Box<dyn Store>, times: Arc<DiskTimes>) -> Self {
        Self { inner, times }
    }
}

fn timed<T>(longest_us: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    longest_us.fetch_max(began.elapsed().as_micros() as u64, Ordering::Relaxed);
    done
}

impl Store for TimedStore {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        timed(&self.times.write_us, || self.inner.write_at(offset, data))
    }

    fn sync(&mut self) -> io::Result<()> {
        timed(&self.times.sync_us, || self.inner.sync())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.inner.truncate(len)
    }
}

/// Writes the files beside the recording.
pub(crate) fn write_texts(folder: &Path, metadata: &SessionMetadata) -> io::Result<()> {
    write_whole(folder, METADATA, &metadata.to_json())?;
    write_whole(folder, TIMECODES, &metadata.to_timecodes())
}
