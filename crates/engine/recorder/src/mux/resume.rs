//! A muxer that takes up a file which another process began.

use std::collections::VecDeque;
use std::io;

use super::tracks::{AUDIO_TRACK, VIDEO_TRACK};
use super::{Chapter, Movie, Muxer, Store, Table};

/// The numbers of the tracks of pictures and sound.
pub(crate) const TRACK_IDS: (u32, u32) = (VIDEO_TRACK, AUDIO_TRACK);

/// What was read from a growing file.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) movie: Movie,
    /// Where the placeholder lies.
    pub(crate) placeholder_at: u64,
    /// Where the timecode track's one sample lies.
    pub(crate) timecode_at: u64,
    /// Where the `moov` of the finished file goes: nothing behind it is of use.
    pub(crate) end: u64,
    pub(crate) fragments: u32,
    pub(crate) video: Table,
    pub(crate) audio: Table,
}

impl Muxer {
    /// Takes up the file in `store`, which holds `parts`. Nothing is written yet.
    pub(crate) fn resume(store: Box<dyn Store>, parts: Parts) -> Self {
        let Parts { movie, placeholder_at, timecode_at, end, fragments, video, audio } = parts;
        let (pictures, units) = (VecDeque::new(), VecDeque::new());
        Self {
            store,
            movie,
            placeholder_at,
            timecode_at,
            converted: false,
            end,
            fragments,
            pictures,
            units,
            video,
            audio,
        }
    }

    /// Converts all that there is to a plain MP4 with these chapters.
    pub(crate) fn conclude(&mut self, chapters: &[Chapter]) -> io::Result<()> {
        // Of the placeholder's size only the lowest byte is written when it becomes another box. The others are 0, unless they are damaged,
        // and then players see nothing of the file as it is.
        self.store.write_at(self.placeholder_at, &[0; 3])?;
        self.finalise(u64::MAX, chapters)
    }

    /// Pictures in the file, where it has pictures; samples of sound, where it has sound.
    pub(crate) fn contents(&self) -> (Option<u64>, Option<u64>) {
        (
            self.movie.video.as_ref().map(|_| self.pictures_on_disk()),
            self.movie.audio.as_ref().map(|_| self.samples_on_disk()),
        )
    }
}

impl Table {
    /// Samples so far.
    pub(crate) fn len(&self) -> u64 {
        self.sizes.len() as u64
    }

    /// The samples from the last keyframe on, each by its offset in the file and its size.
    pub(crate) fn since_keyframe(&self) -> Vec<(u64, u32)> {
        let first = self.keyframes.last().map_or(0, |number| *number as usize);
        let mut chunks = Vec::new();
        let mut number = self.sizes.len();
        for (at, samples) in self.chunks.iter().rev() {
            let begin = number - (*samples as usize).min(number);
            let offsets = self.sizes[begin..number].iter().scan(*at, |at, size| {
                let sample = (*at, *size);
                *at += u64::from(*size);
                Some(sample)
            });
            let wanted: Vec<_> = offsets.skip(first.saturating_sub(begin)).collect();
            chunks.push(wanted);
            number = begin;
            if begin <= first {
                break;
            }
        }
        chunks.into_iter().rev().flatten().collect()
    }
}
