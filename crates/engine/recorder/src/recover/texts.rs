//! The files beside a recovered recording.

use std::io;
use std::path::Path;

use hyperzoom_media::{MASTER_FPS, SAMPLE_RATE};
use hyperzoom_timing::{SAMPLES_PER_TICK, Timecode};
use jiff::Timestamp;

use crate::encode::AAC_FRAME;
use crate::folder::METADATA;
use crate::journal::Journalled;
use crate::marker::Marker;
use crate::metadata::{MicrophoneFlac, Participant, RecordingMetadata, SessionMetadata};
use crate::mux::{Movie, Parts};
use crate::threads::disk::write_texts;

/// What the metadata says of a take that was cut off.
pub(super) const CUT_OFF: &str =
    "The program was cut off while it recorded. What was on the disk by then was recovered.";

/// What the file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contents {
    /// Pictures, where it has a track of them.
    pub(super) pictures: Option<u64>,
    /// Samples of sound, where it has a track of it.
    pub(super) samples: Option<u64>,
}

impl Contents {
    /// Of a file with these parts.
    pub(super) fn of(parts: &Parts) -> Self {
        let pictures = parts.movie.video.as_ref().map(|_| parts.video.len());
        let samples = parts.movie.audio.as_ref().map(|_| parts.audio.len() * AAC_FRAME as u64);
        Self { pictures, samples }
    }

    /// Ticks of the take: its pictures, or its sound where it has none.
    pub(super) fn ticks(self) -> u64 {
        self.pictures.unwrap_or_else(|| self.samples.unwrap_or(0) / SAMPLES_PER_TICK)
    }

    /// Its length, in seconds.
    pub(super) fn seconds(self) -> f64 {
        match self.pictures {
            Some(pictures) => pictures as f64 / f64::from(MASTER_FPS),
            None => self.samples.unwrap_or(0) as f64 / f64::from(SAMPLE_RATE),
        }
    }
}

/// The metadata in `folder`, where it can be read.
pub(super) fn read(folder: &Path) -> Option<SessionMetadata> {
    serde_json::from_slice(&std::fs::read(folder.join(METADATA)).ok()?).ok()
}

/// Whether this is the metadata of a take that nobody has ended.
pub(super) fn is_running(metadata: &SessionMetadata) -> bool {
    !metadata.complete && !metadata.recovered && metadata.error.is_none()
}

/// The markers of a take: those that the metadata has, and those that only the journal has.
pub(super) fn markers(metadata: Option<&SessionMetadata>, journal: &Journalled) -> Vec<Marker> {
    let mut markers = metadata.map_or_else(Vec::new, |it| it.markers.clone());
    for marker in &journal.markers {
        if !markers.contains(marker) {
            markers.push(marker.clone());
        }
    }
    markers
}

/// Writes the files beside a recording that was recovered, and with it `microphone` samples of untouched sound.
pub(super) fn write(
    folder: &Path,
    movie: &Movie,
    contents: Contents,
    microphone: Option<u64>,
    journal: &Journalled,
) -> io::Result<SessionMetadata> {
    let found = read(folder);
    // A disk that failed ended the take in order but for its file: what was counted then is all that there was.
    let counted = found.as_ref().is_some_and(|metadata| !is_running(metadata));
    let found = found.or_else(|| journal.metadata.clone());
    let mut metadata = found.unwrap_or_else(|| from_movie(movie));
    metadata.markers = markers(Some(&metadata), journal);
    metadata.duration_seconds = contents.seconds();
    metadata.complete = false;
    metadata.recovered = true;
    metadata.error.get_or_insert_with(|| CUT_OFF.to_owned());
    "MP4".clone_into(&mut metadata.recording.container);
    if !counted {
        count(&mut metadata.recording, contents, journal);
    }
    written(&mut metadata.recording, contents);
    if let Some(samples) = microphone {
        metadata.recording.microphone_flac.get_or_insert_with(MicrophoneFlac::new).samples = samples;
    }
    write_texts(folder, &metadata, None)?;
    Ok(metadata)
}

/// The journal's counts as far as they go. Of what came to the file after them nobody knows more than that it is there: it
/// counts as captured.
fn count(recording: &mut RecordingMetadata, contents: Contents, journal: &Journalled) {
    if let Some(progress) = journal.progress_within(contents.ticks()) {
        recording.video = progress.video;
        recording.audio = progress.audio;
        recording.picture_gaps = progress.picture_gaps;
        recording.gaps = progress.gaps;
        recording.microphone_drift_ppm = progress.microphone_drift_ppm;
    }
    let pictures = contents.pictures.unwrap_or(0);
    recording.video.captured += pictures.saturating_sub(recording.video.written);
    let samples = contents.samples.unwrap_or(0);
    recording.audio.captured += samples.saturating_sub(recording.audio.written);
    recording.total_frames_captured = recording.video.captured;
    recording.total_frames_dropped = recording.video.dropped;
}

/// What the file holds. Of the last unit of sound it may lack what the ledger has.
fn written(recording: &mut RecordingMetadata, contents: Contents) {
    recording.video.written = contents.pictures.unwrap_or(0);
    recording.audio.written = contents.samples.unwrap_or(0).max(recording.audio.written);
}

/// What the file says of itself.
fn from_movie(movie: &Movie) -> SessionMetadata {
    let created = Timestamp::new(movie.created.as_secs() as i64, 0).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut recording = RecordingMetadata::new(None, movie.audio.is_some());
    if let Some(video) = &movie.video {
        let shape = video.shape();
        let level = video.parameter_sets().and_then(|sets| sets.sps.get(3).copied());
        recording.video_codec = level.map(RecordingMetadata::video_codec);
        recording.video_resolution = Some(format!("{}x{}", shape.width, shape.height));
        recording.video_fps = Some(MASTER_FPS);
    }
    SessionMetadata {
        session_id: movie.about.session_id.clone(),
        started_at_utc: movie.about.started_at.parse().unwrap_or(created),
        duration_seconds: 0.0,
        participants: vec![Participant::new(0, movie.about.name.clone())],
        recording,
        recorded_by: 0,
        start_timecode: Timecode::from_tick(movie.start_tick).to_string(),
        start_tick: movie.start_tick,
        markers: Vec::new(),
        sync_tones: Vec::new(),
        complete: false,
        recovered: true,
        error: None,
    }
}
