//! The disk: all reading and writing of files while a take runs, so that no encoder ever waits for it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use hyperzoom_timing::SAMPLES_PER_TICK;

use crate::error::advice;
use crate::folder::{METADATA, RECORDING, TIMECODES, write_whole};
use crate::metadata::SessionMetadata;
use crate::mux::Muxer;
use crate::report::TakeReport;
use crate::shared::{Shared, ToDisk, lock};

pub(crate) struct Disk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: Receiver<ToDisk>,
    pub(crate) muxer: Muxer,
    pub(crate) folder: PathBuf,
    pub(crate) metadata: SessionMetadata,
    /// Encoders that have not yet said that they are done.
    pub(crate) encoders: usize,
}

impl Disk {
    /// Runs until the take is over and its files are closed.
    pub(crate) fn run(mut self) {
        let mut open = true;
        while self.encoders > 0 {
            let Ok(message) = self.queue.recv() else {
                self.shared
                    .fail("A thread of the recording died; what it had written stays playable.".to_owned());
                break;
            };
            let written = match message {
                ToDisk::Picture(picture) => {
                    self.shared.taken(picture.data.len());
                    if !open {
                        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    self.muxer.picture(picture)
                }
                ToDisk::Unit(unit) => {
                    self.shared.taken(unit.len());
                    if !open {
                        continue;
                    }
                    self.muxer.unit(unit)
                }
                ToDisk::Done => {
                    self.encoders -= 1;
                    continue;
                }
                ToDisk::Overrun => {
                    self.close_early(&mut open);
                    continue;
                }
            };
            match written {
                Ok(false) => (),
                Ok(true) => self.note_fragment(),
                Err(error) => {
                    self.say_disk_failed(&error);
                    self.close_early(&mut open);
                }
            }
        }
        self.end(open);
    }

    fn note_fragment(&mut self) {
        self.shared.bytes.store(self.muxer.bytes(), Ordering::Relaxed);
        self.shared.fragments.store(self.muxer.fragments().into(), Ordering::Relaxed);
        tracing::debug!(number = self.muxer.fragments(), bytes = self.muxer.bytes(), "fragment on disk");
        if self.shared.participants_changed.swap(false, Ordering::AcqRel) {
            self.write_metadata();
        }
    }

    fn say_disk_failed(&self, error: &io::Error) {
        self.shared.fail(format!(
            "The recording has stopped: {error}. {}. What was written until then is in {} and plays.",
            advice(error),
            self.folder.display()
        ));
    }

    /// The disk or an encoder failed: what is there becomes as good a file as it can.
    fn close_early(&mut self, open: &mut bool) {
        if std::mem::replace(open, false) {
            let waiting = self.muxer.waiting_pictures();
            self.shared.dropped.fetch_add(waiting, Ordering::Relaxed);
            if let Err(error) = self.muxer.salvage() {
                tracing::warn!("the cut-off recording stays a fragmented file: {error}");
            }
        }
    }

    fn end(mut self, mut open: bool) {
        let shared = self.shared.clone();
        let asked = shared.end_tick().unwrap_or(u64::MAX).saturating_sub(shared.start_tick);
        // An encoder that failed leaves less than was asked for; that much becomes a whole file.
        let ticks = asked.min(self.muxer.ticks());
        if open && let Err(error) = self.muxer.finish(ticks) {
            self.say_disk_failed(&error);
            self.close_early(&mut open);
        }
        let complete = open && !shared.has_failed();
        let ticks = if open { ticks } else { self.ticks_on_disk() };
        let mut video = shared.video_counts();
        let mut audio = *lock(&shared.audio);
        if self.metadata.recording.video_codec.is_some() {
            // Encoded is not yet written.
            let on_disk = self.muxer.pictures_on_disk().min(ticks);
            video.written = video.written.min(on_disk);
        }
        audio.written = audio.written.min(self.muxer.samples_on_disk()).min(ticks * SAMPLES_PER_TICK);

        self.metadata.duration_seconds = ticks as f64 / f64::from(hyperzoom_media::MASTER_FPS);
        self.metadata.complete = complete;
        self.metadata.error = shared.error();
        self.metadata.recording.video = video;
        self.metadata.recording.audio = audio;
        self.metadata.recording.total_frames_captured = video.captured;
        self.metadata.recording.total_frames_dropped = video.dropped;
        if complete {
            self.metadata.recording.container = "MP4".to_owned();
        }
        self.write_metadata();
        shared.bytes.store(self.muxer.bytes(), Ordering::Relaxed);
        shared.fragments.store(self.muxer.fragments().into(), Ordering::Relaxed);
        shared.publish(TakeReport {
            file: self.folder.join(RECORDING),
            folder: self.folder,
            start_tick: shared.start_tick,
            ticks,
            video,
            audio,
            bytes: self.muxer.bytes(),
            slowest_picture_ms: shared.slowest_picture_us.load(Ordering::Relaxed) as f64 / 1000.0,
            picture_ring_peak_percent: shared.picture_ring.peak.load(Ordering::Relaxed),
            complete,
            error: shared.error(),
        });
    }

    fn ticks_on_disk(&self) -> u64 {
        if self.metadata.recording.video_codec.is_some() {
            self.muxer.pictures_on_disk()
        } else {
            self.muxer.samples_on_disk() / SAMPLES_PER_TICK
        }
    }

    fn write_metadata(&mut self) {
        self.metadata.participants = lock(&self.shared.participants).clone();
        if let Err(error) = write_texts(&self.folder, &self.metadata) {
            // Where the disk has failed, that has been said.
            if !self.shared.has_failed() {
                self.shared.warn(format!("The files beside the recording could not be written: {error}."));
            }
        }
    }
}

/// Writes the files beside the recording.
pub(crate) fn write_texts(folder: &std::path::Path, metadata: &SessionMetadata) -> io::Result<()> {
    write_whole(folder, METADATA, &metadata.to_json())?;
    write_whole(folder, TIMECODES, &metadata.to_timecodes())
}
