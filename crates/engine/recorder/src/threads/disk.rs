//! The disk: all reading and writing of files while a take runs, so that no encoder ever waits for it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use hyperzoom_timing::{SAMPLES_PER_TICK, tick_time_ns};

use crate::error::advice;
use crate::flac::{self, FlacFile};
use crate::folder::{CERTIFICATE, HEARD, METADATA, MICROPHONE, TIMECODES, write_whole};
use crate::journal::{Journal, Progress};
use crate::marker::{self, Marker};
use crate::metadata::SessionMetadata;
use crate::mux::{Chapter, Muxer, Store};
use crate::report::{RecorderEvent, TakeReport};
use crate::shared::{Counts, DiskTimes, Shared, ToDisk, lock};
use crate::space::{self, Reserve, RoomWatch};
use crate::sync::{self, Facts, HeardVoice, SyncCertificate};

/// How long a marker waits for others, while the disk has other things to do: a flood of them must not cost a sync each.
const MARKER_PATIENCE: Duration = Duration::from_millis(250);

pub(crate) struct Disk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: Receiver<ToDisk>,
    pub(crate) muxer: Muxer,
    pub(crate) flac: Option<FlacFile>,
    pub(crate) metadata: SessionMetadata,
    /// Once the file is closed.
    pub(crate) certificate: Option<SyncCertificate>,
    /// Looks at the closed file.
    pub(crate) certifier: Certifier,
    /// None where it cannot be written.
    pub(crate) journal: Option<Journal>,
    /// Whether it has been said that the journal cannot be written.
    pub(crate) journal_failed: bool,
    /// Markers that nobody has been told of, since they are not on the disk yet, and since when.
    pub(crate) unsaid: Vec<(Marker, Instant)>,
    pub(crate) file: Form,
    pub(crate) reserve: Reserve,
    pub(crate) room: RoomWatch,
}

/// Makes the certificate of the take in a folder.
pub(crate) type Certifier = fn(&Path, &Facts) -> SyncCertificate;

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
        while let Some(message) = self.next() {
            let written = match message {
                ToDisk::Marker(marker) => {
                    self.mark(marker);
                    continue;
                }
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
                ToDisk::Flac(chunk) => {
                    self.append_flac(&chunk);
                    continue;
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

    /// The next message; none when all who send them are gone.
    fn next(&mut self) -> Option<ToDisk> {
        if self.unsaid.first().is_some_and(|(_, since)| since.elapsed() >= MARKER_PATIENCE) {
            self.settle_markers();
        }
        match self.queue.try_recv() {
            Err(TryRecvError::Empty) => {
                self.settle_markers();
                self.queue.recv().ok()
            }
            message => message.ok(),
        }
    }

    fn append_flac(&mut self, chunk: &flac::Chunk) {
        self.shared.taken(chunk.len());
        let Some(flac) = &mut self.flac else { return };
        if let Err(error) = flac.append(chunk) {
            self.warn_of_flac(&error);
        }
    }

    fn finish_flac(&mut self) {
        if let Some(Err(error)) = self.flac.as_mut().map(FlacFile::finish) {
            self.warn_of_flac(&error);
        }
    }

    fn warn_of_flac(&self, error: &io::Error) {
        // Where the disk has failed, that has been said.
        if self.shared.has_failed() {
            tracing::warn!("{MICROPHONE} was not written to its end: {error}");
            return;
        }
        self.shared.warn(format!(
            "{MICROPHONE} has stopped: {error}. {}. What was written of it plays, and the recording itself goes on.",
            advice(error)
        ));
    }

    fn note_fragment(&mut self) {
        self.note_size();
        self.keep_room();
        tracing::debug!(number = self.muxer.fragments(), bytes = self.muxer.bytes(), "fragment on disk");
        let ticks = self.muxer.ticks_on_disk();
        let counts = self.shared.counts(ticks, ticks);
        self.journalled(|journal| {
            let Counts { video, picture_gaps, audio, gaps, drift_ppm: microphone_drift_ppm } = counts;
            journal.progress(Progress { ticks, video, picture_gaps, audio, gaps, microphone_drift_ppm })
        });
        if self.shared.participants_changed.swap(false, Ordering::AcqRel) {
            self.write_metadata();
        }
    }

    /// Keeps a marker.
    fn mark(&mut self, marker: Marker) {
        if self.shared.end_tick().is_some_and(|end| marker.tick >= end) {
            return;
        }
        self.journalled(|journal| journal.marker(&marker));
        self.metadata.markers.push(marker.clone());
        self.unsaid.push((marker, Instant::now()));
    }

    /// Brings the markers to the disk that are not on it yet, all at once, and says so.
    fn settle_markers(&mut self) {
        if self.unsaid.is_empty() {
            return;
        }
        let safe = self.journalled(Journal::sync) || self.write_metadata();
        for (marker, _) in std::mem::take(&mut self.unsaid) {
            if safe {
                self.shared.say(RecorderEvent::Marked(marker));
            } else {
                self.shared.warn(format!("The marker \"{}\" may not survive a crash.", marker.name));
            }
        }
    }

    /// The markers as chapters of a file of `ticks` ticks.
    fn chapters(&self, ticks: u64) -> Vec<Chapter> {
        marker::chapters(&self.metadata.markers, self.shared.start_tick, ticks)
    }

    /// Writes to the journal, and returns whether it did; where that fails it is said once, and the recording goes on.
    fn journalled(&mut self, write: impl FnOnce(&mut Journal) -> io::Result<()>) -> bool {
        let Some(journal) = &mut self.journal else { return false };
        let written = write(journal);
        if let Err(error) = &written
            && !std::mem::replace(&mut self.journal_failed, true)
            && !self.shared.has_failed()
        {
            self.shared
                .warn(format!("Markers may not survive a crash: the journal cannot be written ({error})."));
        }
        // A line that is missing is not brought back by a later one that is written.
        written.is_ok() && !self.journal_failed
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
        let flac = self.flac.as_ref().map_or(0, FlacFile::bytes);
        let age = Duration::from_nanos(tick_time_ns(self.muxer.ticks_on_disk()) as u64);
        let left = space::free(&self.shared.folder)
            .map(|free| self.room.check(age, self.muxer.bytes() + flac, free));
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
        self.file = match self.muxer.salvage(&self.chapters(self.muxer.ticks_on_disk())) {
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
        // Behind an end that was given late, or given again.
        let end = shared.start_tick.saturating_add(asked);
        self.metadata.markers.retain(|marker| marker.tick < end);
        // What it was kept for comes now.
        self.reserve.release();
        if self.file == Form::Growing {
            // An encoder that failed leaves less than was asked for; that much becomes a whole file.
            let whole = asked.min(self.muxer.ticks());
            let chapters = self.chapters(whole);
            match self.muxer.finish(whole, &chapters) {
                Ok(()) => (self.file, ticks) = (Form::Plain, whole),
                Err(error) => {
                    self.close_early(&error);
                    ticks = self.muxer.ticks_on_disk();
                }
            }
        }
        self.finish_flac();
        self.note_size();
        self.metadata.sync_tones = lock(&shared.tones).whole(ticks.saturating_mul(SAMPLES_PER_TICK));
        // A file that a failure closed is not cut any more.
        asked = asked.max(ticks);
        let counts = shared.counts(asked, ticks);
        let complete = self.file == Form::Plain && !shared.has_failed();
        let mut report = shared.describe(ticks, &counts, complete, shared.error());
        report.flac_samples = self.flac.as_ref().map(FlacFile::samples);

        self.metadata.duration_seconds = report.seconds();
        self.metadata.complete = complete;
        self.metadata.error.clone_from(&report.error);
        let recording = &mut self.metadata.recording;
        recording.video = counts.video;
        recording.audio = counts.audio;
        recording.picture_gaps = counts.picture_gaps;
        recording.gaps = counts.gaps;
        recording.microphone_drift_ppm = counts.drift_ppm;
        if let (Some(flac), Some(samples)) = (&mut recording.microphone_flac, report.flac_samples) {
            flac.samples = samples;
        }
        recording.pressure = report.pressure;
        recording.total_frames_captured = counts.video.captured;
        recording.total_frames_dropped = counts.video.dropped;
        if self.file == Form::Plain {
            recording.container = "MP4".to_owned();
        }
        let written = self.write_metadata();
        // What is still in fragments is finished another time, and the journal is needed then.
        if written
            && self.file == Form::Plain
            && let Some(journal) = self.journal.take()
            && let Err(error) = journal.remove()
        {
            tracing::warn!("the journal of the take stays: {error}");
        }
        // All of the take is safe by now: this reads what may be hours of a file, and decodes it.
        self.certificate = self.certify(&report);
        report.certificate.clone_from(&self.certificate);
        if written && self.certificate.is_some() {
            self.write_metadata();
        }
        shared.publish(report);
    }

    /// Looks for the take's time in its file; `None` where that panics, which is said.
    fn certify(&self, report: &TakeReport) -> Option<SyncCertificate> {
        let shared = &self.shared;
        let end_ns = tick_time_ns(shared.start_tick.saturating_add(report.ticks));
        let heard = self.keep_heard(end_ns);
        let facts = Facts {
            start_ns: shared.start_ns(),
            tones: self.metadata.sync_tones.clone(),
            pieces: lock(&shared.kept).chosen(shared.start_ns(), end_ns),
            heard,
            clock_bound_ns: shared.clock_bound_ns.load(Ordering::Relaxed),
            clock_alone: shared.clock_alone_at(end_ns),
            video: report.video,
            audio: report.audio,
            jumped: shared.clock_jumped(),
            complete: report.complete,
        };
        let (certifier, folder) = (self.certifier, shared.folder.as_path());
        let looked = catch_unwind(|| certifier(folder, &facts));
        if looked.is_err() {
            shared.warn(
                "The recording is complete, and looking at its time has failed: it has no sync certificate. `hyperzoom verify` checks it."
                    .to_owned(),
            );
        }
        looked.ok()
    }

    /// Keeps some of what was heard of the others in the folder. Where that fails it is said, and the take is none the worse.
    fn keep_heard(&self, end_ns: i64) -> Vec<HeardVoice> {
        let shared = &self.shared;
        let Some(ears) = lock(&shared.ears).clone().filter(|_| !shared.has_failed()) else {
            return Vec::new();
        };
        let participants = lock(&shared.participants).clone();
        let kept = catch_unwind(AssertUnwindSafe(|| {
            let heard = ears.heard(shared.start_ns(), end_ns);
            sync::keep(&shared.folder, &self.metadata.session_id, &participants, &heard)
        }));
        let why = match kept {
            Ok(Ok(kept)) => return kept,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "a panic".to_owned(),
        };
        shared.warn(format!(
            "The recording is complete; what was heard of the others is not in its folder ({HEARD}): {why}."
        ));
        Vec::new()
    }

    /// Returns whether it is written.
    fn write_metadata(&mut self) -> bool {
        self.metadata.participants = lock(&self.shared.participants).clone();
        let written = write_texts(&self.shared.folder, &self.metadata, self.certificate.as_ref());
        if let Err(error) = &written
            // Where the disk has failed, that has been said.
            && !self.shared.has_failed()
        {
            self.shared.warn(format!("The files beside the recording could not be written: {error}."));
        }
        written.is_ok()
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
pub(crate) fn write_texts(
    folder: &Path,
    metadata: &SessionMetadata,
    certificate: Option<&SyncCertificate>,
) -> io::Result<()> {
    write_whole(folder, METADATA, metadata.to_json())?;
    let mut timecodes = metadata.to_timecodes();
    if let Some(certificate) = certificate {
        timecodes.push_str(&certificate.to_text());
        write_whole(folder, CERTIFICATE, certificate.to_json())?;
    }
    write_whole(folder, TIMECODES, &timecodes)
}
