//! Room on the disk: a warning before it runs out, and a reserve so that a take ends well where it has.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the disk is asked for its room.
const EVERY: Duration = Duration::from_secs(10);

/// Whoever records is told when the room lasts no longer than these, each once, the shorter ones last.
const WARNINGS: [Duration; 2] = [Duration::from_secs(600), Duration::from_secs(60)];

/// Bytes a picture or an access unit takes in the `moov` box of the finished file: four for its size, and a share of its chunk,
/// its keyframe and what the allocation rounds up.
const BYTES_A_SAMPLE: u64 = 6;

/// What the end of a take needs beside that: boxes, metadata, blocks that begin.
const BYTES_FOR_TEXTS: u64 = 256 << 10;

/// Bytes by which the reserve grows.
const CHUNK: usize = 64 << 10;

/// The reserve's file name. One that is found beside a take was left by a program that was cut off, and may go.
pub(crate) const RESERVE: &str = ".reserve";

/// When to say that the disk is filling up: a pure machine.
#[derive(Debug, Default)]
pub(crate) struct RoomWatch {
    asked: Option<Duration>,
    said: usize,
}

impl RoomWatch {
    /// Whether it is time to ask for the room again.
    pub(crate) fn is_due(&mut self, now: Duration) -> bool {
        let due = self.asked.is_none_or(|asked| now.saturating_sub(asked) >= EVERY);
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// How long `free` bytes last for a take that has grown to `bytes` in `age`, where that is short and has not been said.
    pub(crate) fn check(&mut self, age: Duration, bytes: u64, free: u64) -> Option<Duration> {
        if bytes == 0 || age.is_zero() {
            return None;
        }
        let left = Duration::try_from_secs_f64(free as f64 / bytes as f64 * age.as_secs_f64()).ok()?;
        let due = WARNINGS.iter().take_while(|limit| left < **limit).count();
        (due > self.said).then(|| {
            self.said = due;
            left
        })
    }
}

/// Bytes that are free for us on the disk of `folder`.
pub(crate) fn free(folder: &Path) -> io::Result<u64> {
    fs4::available_space(folder)
}

/// A file that holds room for the take's end: index and metadata. It is given back just before they are written.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    file: Option<File>,
    len: u64,
}

impl Reserve {
    /// Without room yet.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { path: folder.join(RESERVE), file: None, len: 0 }
    }

    /// Makes it as large as a take of so many pictures and access units needs.
    pub(crate) fn grow_for(&mut self, samples: u64) -> io::Result<()> {
        let wanted = BYTES_FOR_TEXTS + samples.saturating_mul(BYTES_A_SAMPLE);
        while self.len < wanted {
            let mut file = match self.file.take() {
                Some(file) => file,
                None => File::options().write(true).create(true).truncate(true).open(&self.path)?,
            };
            // Noise: a file system that compresses, or leaves holes, would keep no room for zeros.
            let mut state = self.len | 1;
            let noise: Vec<u8> = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .take(CHUNK)
            .collect();
            let written = file.write_all(&noise);
            self.file = Some(file);
            written?;
            self.len += CHUNK as u64;
        }
        Ok(())
    }

    /// Gives the room back.
    pub(crate) fn release(&mut self) {
        if self.file.take().is_some() {
            self.len = 0;
            // A folder that is gone has no reserve in it.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ten_minutes_and_one_are_each_said_once() {
        let mut watch = RoomWatch::default();
        // 2 MB a second.
        let mut check = |age: u32, free: u64| watch.check(SECOND * age, 2_000_000 * u64::from(age), free);
        assert_eq!(check(10, 2_000_000 * 600), None);
        assert_eq!(check(20, 2_000_000 * 599), Some(SECOND * 599));
        assert_eq!(check(30, 2_000_000 * 300), None);
        assert_eq!(check(40, 2_000_000 * 59), Some(SECOND * 59));
        assert_eq!(check(50, 2_000_000), None);
        assert_eq!(check(60, 0), None);
    }

    #[test]
    fn a_disk_that_is_nearly_full_from_the_start_is_said_at_once_and_once() {
        let mut watch = RoomWatch::default();
        assert_eq!(watch.check(Duration::ZERO, 0, 0), None, "nothing is known of the rate");
        assert_eq!(watch.check(SECOND, 1_000, 5_000), Some(SECOND * 5));
        assert_eq!(watch.check(SECOND * 2, 2_000, 4_000), None);
    }

    #[test]
    fn it_asks_every_ten_seconds() {
        let mut watch = RoomWatch::default();
        let asked: Vec<_> = (0..35).filter(|second| watch.is_due(SECOND * *second)).collect();
        assert_eq!(asked, [0, 10, 20, 30]);
    }

    #[test]
    fn the_reserve_takes_room_grows_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::new(folder.path());
        let len = || std::fs::metadata(folder.path().join(RESERVE)).map(|it| it.len()).ok();
        assert_eq!(len(), None);
        reserve.grow_for(0).unwrap();
        assert_eq!(len(), Some(BYTES_FOR_TEXTS));
        // An hour.
        reserve.grow_for(3600 * (30 + 47)).unwrap();
        assert!(len() >= Some(BYTES_FOR_TEXTS + 3600 * 77 * BYTES_A_SAMPLE));
        reserve.release();
        assert_eq!(len(), None);
        reserve.release();
    }
}
