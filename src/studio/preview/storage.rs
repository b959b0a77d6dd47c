//! Where recordings go: how much room is there, what an hour takes, and takes that were cut off.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyperzoom_media::I420;
use hyperzoom_recorder::{RecorderConfig, RecoverError, find_unfinished, recover};

use super::super::pending::Pending;
use super::super::words::sentence;
use crate::console::clock;

/// How often the disk is asked for its room.
const EVERY: Duration = Duration::from_secs(5);

/// The sound beside the pictures (spec §4.3.1), in kbit/s.
const SOUND_KBPS: u64 = 192;

/// The microphone as it came takes about so much: 24 bits at 48 kHz, losslessly packed, in kbit/s.
const UNTOUCHED_KBPS: u64 = 800;

/// A folder for recordings, as far as it is known.
pub(super) struct Storage {
    folder: PathBuf,
    free: Option<u64>,
    asking: Option<Pending<Option<u64>>>,
    asked_at: Instant,
    recovering: Option<Pending<Vec<String>>>,
    recovered: Vec<String>,
}

impl Storage {
    /// Begins to look at a folder, and finishes the takes in it that were cut off.
    pub(super) fn start(folder: PathBuf) -> Self {
        let looked_through = folder.clone();
        Self {
            free: None,
            asking: Some(ask(&folder)),
            asked_at: Instant::now(),
            recovering: Some(Pending::start("hz-recover", move || finish_takes(&looked_through))),
            recovered: Vec::new(),
            folder,
        }
    }

    /// Goes on.
    pub(super) fn turn(&mut self, now: Instant) {
        if let Some(answer) = self.asking.as_ref().and_then(Pending::poll) {
            self.asking = None;
            self.free = answer.unwrap_or(None);
        }
        if self.asking.is_none() && now.saturating_duration_since(self.asked_at) >= EVERY {
            self.asked_at = now;
            self.asking = Some(ask(&self.folder));
        }
        if let Some(answer) = self.recovering.as_ref().and_then(Pending::poll) {
            self.recovering = None;
            self.recovered = answer.unwrap_or_default();
        }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes that are free there; none where the system would not say.
    pub(super) fn free(&self) -> Option<u64> {
        self.free
    }

    /// Takes that were cut off, and what of them was saved.
    pub(super) fn recovered(&self) -> &[String] {
        &self.recovered
    }
}

fn ask(folder: &Path) -> Pending<Option<u64>> {
    let folder = folder.to_owned();
    Pending::start("hz-disk", move || free(&folder))
}

/// Bytes that are free where a folder is, or will be.
fn free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    fs4::available_space(there).ok()
}

/// Finishes what was cut off; a line of each take.
fn finish_takes(folder: &Path) -> Vec<String> {
    let line = |take: PathBuf| {
        let name = take.file_name().unwrap_or(take.as_os_str()).to_string_lossy().into_owned();
        match recover(&take) {
            Ok(done) if done.already_finished => None,
            Ok(done) => {
                let length = clock(Duration::from_secs_f64(done.seconds));
                Some(format!("{name} was cut off; {length} of it is whole again."))
            }
            Err(error @ RecoverError::Running { .. }) => {
                tracing::debug!("{error}");
                None
            }
            Err(error) => Some(format!("{name} was cut off. {}", sentence(&error.to_string()))),
        }
    };
    find_unfinished(folder).into_iter().filter_map(line).collect()
}

/// What an hour takes, in bytes: with pictures or without, with a microphone, and with that as it came as well.
pub(super) fn hour(pictures: bool, sound: bool, flac: bool) -> u64 {
    let kbps = |wanted: bool, kbps: u64| if wanted { kbps } else { 0 };
    let pictures = kbps(pictures, u64::from(RecorderConfig::BITRATE_KBPS));
    (pictures + kbps(sound, SOUND_KBPS) + kbps(sound && flac, UNTOUCHED_KBPS)) * 1000 / 8 * 3600
}

/// How large a picture is, by its lines: "1080p".
pub(in super::super) fn lines(shape: I420) -> String {
    format!("{}p", shape.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_takes_what_its_bitrates_say() {
        assert_eq!(hour(true, true, false), 8_186_400_000);
        assert_eq!(hour(false, true, true), 446_400_000);
        assert_eq!(hour(false, false, true), 0);
        assert_eq!(lines(I420 { width: 1920, height: 1080 }), "1080p");
    }

    #[test]
    fn a_folder_that_is_still_to_be_made_has_the_room_of_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        let mut storage = Storage::start(folder.path().join("not/there"));
        let patience = Instant::now() + Duration::from_secs(20);
        while storage.free().is_none() {
            storage.turn(Instant::now());
            std::thread::sleep(Duration::from_millis(5));
            assert!(Instant::now() < patience);
        }
        assert!(storage.recovered().is_empty() && storage.folder().ends_with("not/there"));
        assert!(!folder.path().join("not").exists());
    }

    #[test]
    fn what_cannot_be_saved_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(finish_takes(folder.path()).is_empty());
        assert!(finish_takes(&folder.path().join("nowhere")).is_empty());
    }
}
