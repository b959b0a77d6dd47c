//! The file: a fragmented MP4 while it grows, a plain MP4 once the take has ended well.
//!
//! ```text
//! growing:   ftyp | free (16) | moov, no samples | mdat, timecode | moof mdat | moof mdat | ...
//! finished:  ftyp | mdat ------------------------------------------------------- free, titles | moov, all samples
//! ```
//!
//! The sixteen bytes of the `free` box become the header of an `mdat` box that spans all up to the appended `moov`, and so the
//! chapters' titles too. They are written last, after the `moov` is on the disk, in steps of which each leaves one of the two forms,
//! so that the file is whole at every instant: before them it is the growing form with boxes too many at its end, after them
//! the finished one.
//!
//! Nothing that readers go by is written before what it speaks of has been synced. So the same holds where the power fails, and
//! of what was not synced yet any part may have come to the disk.

mod about;
mod boxes;
mod chapters;
mod finalise;
mod fragment;
mod movie;
mod resume;
mod store;
mod timecode;
mod tracks;

pub(crate) use about::About;
pub(crate) use chapters::{Chapter, title};
pub(crate) use movie::{AudioConfig, Movie, VideoConfig};
pub(crate) use resume::{Parts, TRACK_IDS};
pub(crate) use store::{FileStore, Store};
pub(crate) use timecode::frame_number;
pub(crate) use tracks::TICK_DURATION;

use std::collections::VecDeque;
use std::io;

use hyperzoom_media::{MASTER_FPS, SAMPLE_RATE};
use hyperzoom_timing::SAMPLES_PER_TICK;
use shiguredo_mp4::Encode;

use crate::encode::{AAC_FRAME, EncodedPicture};

/// Video pictures a fragment.
const FRAGMENT_PICTURES: usize = MASTER_FPS as usize;

/// Pictures that a fragment waits for sound which is late, before it is cut without: a quarter of a second.
const LATE_SOUND: usize = FRAGMENT_PICTURES / 4;

/// Access units after which sound that has no pictures beside it (an encoder far behind) is written alone: ten seconds.
const LATE_PICTURES: usize = 10 * SAMPLE_RATE as usize / AAC_FRAME;

/// Size of the placeholder after `ftyp`, which becomes the header of the `mdat` box with a 64-bit size.
const PLACEHOLDER: u64 = 16;

/// What a track's samples are and where they lie, gathered for the `moov` box of the finished file.
#[derive(Debug, Default, Clone)]
pub(crate) struct Table {
    /// Size of each sample.
    sizes: Vec<u32>,
    /// Numbers of the keyframes, from 0.
    keyframes: Vec<u32>,
    /// Offset in the file and samples of each chunk: one a fragment.
    chunks: Vec<(u64, u32)>,
}

/// Writes the file, sample by sample. It never reads it back and never seeks but for the placeholder.
pub(crate) struct Muxer {
    store: Box<dyn Store>,
    movie: Movie,
    /// Where the placeholder lies.
    placeholder_at: u64,
    /// Where the timecode track's one sample lies.
    timecode_at: u64,
    /// Whether the placeholder has become the header of an `mdat` box: the file needs its `moov` from then on.
    converted: bool,
    /// The end of the last fragment that is whole.
    end: u64,
    fragments: u32,
    pictures: VecDeque<EncodedPicture>,
    units: VecDeque<Vec<u8>>,
    video: Table,
    audio: Table,
}

impl Muxer {
    /// Starts the file: its head is on the disk when this returns.
    pub(crate) fn create(mut store: Box<dyn Store>, movie: Movie) -> io::Result<Self> {
        let mut head = tracks::file_type().encode_to_vec().map_err(invalid)?;
        let placeholder_at = head.len() as u64;
        head.extend_from_slice(&(PLACEHOLDER as u32).to_be_bytes());
        head.extend_from_slice(b"free");
        head.extend_from_slice(&[0; PLACEHOLDER as usize - 8]);
        // The timecode's offset has a fixed width, so that the box's size is known before it.
        let moov = tracks::head_moov(&movie, 0).encode_to_vec().map_err(invalid)?;
        let timecode_at = (head.len() + moov.len() + 8) as u64;
        head.extend_from_slice(&tracks::head_moov(&movie, timecode_at).encode_to_vec().map_err(invalid)?);
        let padding = (head.len() + 8 + timecode::SAMPLE).wrapping_neg() % fragment::ALIGNMENT;
        let sample = timecode::frame_number(movie.start_tick).to_be_bytes();
        head.extend_from_slice(&boxes::raw(*b"mdat", &[&sample, &[0; fragment::ALIGNMENT][..padding]]));
        store.write_at(0, &head)?;
        store.sync()?;
        Ok(Self {
            store,
            movie,
            placeholder_at,
            timecode_at,
            converted: false,
            end: head.len() as u64,
            fragments: 0,
            pictures: VecDeque::new(),
            units: VecDeque::new(),
            video: Table::default(),
            audio: Table::default(),
        })
    }

    /// Takes one picture; returns whether a fragment went to the disk.
    pub(crate) fn picture(&mut self, picture: EncodedPicture) -> io::Result<bool> {
        self.pictures.push_back(picture);
        self.write_due()
    }

    /// Takes one access unit; returns whether a fragment went to the disk.
    pub(crate) fn unit(&mut self, unit: Vec<u8>) -> io::Result<bool> {
        self.units.push_back(unit);
        self.write_due()
    }

    /// Ticks that the file can have from what was handed over, on the disk or not.
    pub(crate) fn ticks(&self) -> u64 {
        if self.movie.video.is_some() {
            return self.pictures_on_disk() + self.pictures.len() as u64;
        }
        self.samples_on_disk().saturating_add((self.units.len() * AAC_FRAME) as u64) / SAMPLES_PER_TICK
    }

    /// Bytes of the file that are whole.
    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }

    /// Fragments on the disk.
    pub(crate) fn fragments(&self) -> u32 {
        self.fragments
    }

    /// Ticks in the fragments on the disk.
    pub(crate) fn ticks_on_disk(&self) -> u64 {
        if self.movie.video.is_some() {
            self.pictures_on_disk()
        } else {
            self.samples_on_disk() / SAMPLES_PER_TICK
        }
    }

    /// Pictures in the fragments on the disk.
    fn pictures_on_disk(&self) -> u64 {
        self.video.sizes.len() as u64
    }

    /// Samples of sound (after the encoder's delay) in the fragments on the disk.
    fn samples_on_disk(&self) -> u64 {
        let delay = self.movie.audio.as_ref().map_or(0, |audio| u64::from(audio.delay));
        (self.audio.sizes.len() as u64 * AAC_FRAME as u64).saturating_sub(delay)
    }

    /// Ends the take after `ticks` ticks: what is still waiting, then the conversion to a plain MP4 with these chapters.
    pub(crate) fn finish(&mut self, ticks: u64, chapters: &[Chapter]) -> io::Result<()> {
        self.pictures.truncate(ticks.saturating_sub(self.pictures_on_disk()) as usize);
        self.units.truncate((self.units_until(ticks) + 1).saturating_sub(self.audio.sizes.len()));
        if !self.pictures.is_empty() || !self.units.is_empty() {
            self.write_fragment(self.pictures.len(), self.units.len())?;
        }
        self.finalise(ticks, chapters)
    }

    /// After an error of the disk: cuts the file back to its last whole fragment and, where the disk still takes it, converts
    /// that to a plain MP4. Without that it stays a fragmented file, which plays as well.
    pub(crate) fn salvage(&mut self, chapters: &[Chapter]) -> io::Result<()> {
        self.pictures.clear();
        self.units.clear();
        if self.converted {
            // All is written, only its last sync has failed.
            return self.store.sync();
        }
        let cut = self.store.truncate(self.end);
        let ticks = if self.movie.video.is_some() { self.pictures_on_disk() } else { u64::MAX };
        let converted = self.finalise(ticks, chapters);
        if converted.is_err() {
            self.store.truncate(self.end)?;
        }
        if cut.is_err()
            && let Err(error) = self.store.truncate(self.end)
        {
            tracing::warn!("what was torn off stays behind the end of the recording: {error}");
        }
        converted
    }

    fn write_due(&mut self) -> io::Result<bool> {
        let ready = self.pictures.len();
        let second = u64::from(self.fragments + 1) * u64::from(MASTER_FPS);
        let (pictures, ticks) = match (&self.movie.video, &self.movie.audio) {
            (Some(_), _) => (FRAGMENT_PICTURES, self.pictures_on_disk() + FRAGMENT_PICTURES as u64),
            (None, _) => (0, second),
        };
        let units = self.units_until(ticks).saturating_sub(self.audio.sizes.len());
        let has_sound = self.movie.audio.is_none() || self.units.len() >= units;
        if ready >= pictures && (has_sound || (pictures > 0 && ready >= pictures + LATE_SOUND)) {
            self.write_fragment(pictures, units.min(self.units.len()))?;
        } else if pictures > 0 && ready < pictures && self.units.len() >= LATE_PICTURES {
            self.write_fragment(0, self.units.len())?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Access units that hold the sound of the first `ticks` ticks, the encoder's delay included, but for what does not fill one:
    /// a fragment's sound ends in its last picture, and never after it.
    fn units_until(&self, ticks: u64) -> usize {
        let Some(audio) = &self.movie.audio else { return 0 };
        let samples = ticks.saturating_mul(SAMPLES_PER_TICK).saturating_add(u64::from(audio.delay));
        usize::try_from(samples / AAC_FRAME as u64).unwrap_or(usize::MAX)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn invalid(error: shiguredo_mp4::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
pub(crate) mod tests;
