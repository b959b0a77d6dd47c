//! From a fragmented file to a plain one, in place.

use std::io;

use hyperzoom_timing::SAMPLES_PER_TICK;
use shiguredo_mp4::Encode;
use shiguredo_mp4::boxes::{MoovBox, StscEntry, StssBox, SttsEntry};

use super::chapters::{self, Chapter};
use super::timecode::timecode_track;
use super::tracks::{self, CHAPTER_TRACK, Length, Samples, TICK_DURATION, TIMECODE_TRACK, nonzero};
use super::{Muxer, Table, boxes, invalid};
use crate::encode::AAC_FRAME;

impl Muxer {
    /// Appends the chapters' titles and the `moov` box of a take of at most `ticks` ticks, and turns the placeholder into the
    /// header of an `mdat` box.
    pub(super) fn finalise(&mut self, ticks: u64, chapters: &[Chapter]) -> io::Result<()> {
        let length = self.length(ticks);
        let chapters = chapters::fitting(chapters, length.samples());
        let texts = chapters::texts(&chapters);
        // A box that the growing form's readers pass over, until the `mdat` box spans it.
        let mut tail = if texts.is_empty() { vec![] } else { boxes::raw(*b"free", &[&texts.concat()]) };
        let moov_at = self.end + tail.len() as u64;
        let titles = Titles { chapters, texts, at: self.end + boxes::HEADER as u64 };
        tail.extend_from_slice(&self.moov(&length, &titles).encode_to_vec().map_err(invalid)?);
        self.store.write_at(self.end, &tail)?;
        // Every step from here on leaves one of the two forms, wherever a crash cuts it: first the size in 64 bits, in what is the
        // inside of an empty box as yet; once that and the `moov` are on the disk, the type, which makes it an empty `mdat`;
        // and last the one byte that says that the size is in those 64 bits (it is 1, ISO/IEC 14496-12 §4.2.2).
        let size = (moov_at - self.placeholder_at).to_be_bytes();
        self.store.write_at(self.placeholder_at + 8, &size)?;
        self.store.sync()?;
        self.store.write_at(self.placeholder_at + 4, b"mdat")?;
        self.store.write_at(self.placeholder_at + 3, &[1])?;
        self.converted = true;
        self.store.sync()?;
        self.end += tail.len() as u64;
        Ok(())
    }

    /// What of the take is shown where it has at most `ticks` ticks.
    fn length(&self, ticks: u64) -> Shown {
        let sound = ticks.saturating_mul(SAMPLES_PER_TICK).min(self.samples_on_disk());
        Shown {
            pictures: (self.video.sizes.len() as u64).min(ticks),
            sound: if self.movie.audio.is_some() { sound } else { 0 },
        }
    }

    fn moov(&self, length: &Shown, titles: &Titles) -> MoovBox {
        let delay = self.movie.audio.as_ref().map_or(0, |audio| u64::from(audio.delay));
        let samples = length.samples();
        let mut references = vec![(*b"tmcd", TIMECODE_TRACK)];
        if !titles.chapters.is_empty() {
            references.push((*b"chap", CHAPTER_TRACK));
        }

        let mut tracks = Vec::new();
        if let Some(video) = &self.movie.video {
            let table = self.video.first(length.pictures as usize);
            let length = Length {
                shown: length.pictures * SAMPLES_PER_TICK,
                stored: length.pictures * u64::from(TICK_DURATION),
            };
            let table = table.samples(TICK_DURATION);
            tracks.push(tracks::video_track(&self.movie, video, length, table, &references));
        }
        if let Some(audio) = &self.movie.audio {
            let units = (length.sound + delay).div_ceil(AAC_FRAME as u64) as usize;
            let table = self.audio.first(units);
            let length = Length { shown: length.sound, stored: table.sizes.len() as u64 * AAC_FRAME as u64 };
            let table = table.samples(AAC_FRAME as u32);
            // Where there are pictures, it is they that have a timecode.
            let references = if self.movie.video.is_some() { &[] } else { references.as_slice() };
            tracks.push(tracks::audio_track(&self.movie, audio, length, table, references));
        }
        let ticks = samples.div_ceil(SAMPLES_PER_TICK);
        tracks.push(timecode_track(&self.movie, ticks, self.timecode_at));
        let mut user_data = Vec::new();
        if !titles.chapters.is_empty() {
            let Titles { chapters, texts, at } = titles;
            tracks.push(chapters::chapter_track(&self.movie, chapters, texts, *at, samples));
            user_data.push(chapters::nero(chapters));
        }
        tracks::moov(&self.movie, samples, tracks, None, &user_data)
    }
}

/// How much of the take is shown.
struct Shown {
    pictures: u64,
    /// In samples.
    sound: u64,
}

impl Shown {
    /// The movie's length in samples.
    fn samples(&self) -> u64 {
        (self.pictures * SAMPLES_PER_TICK).max(self.sound)
    }
}

/// The chapters, and where their titles lie.
struct Titles {
    chapters: Vec<Chapter>,
    texts: Vec<Vec<u8>>,
    at: u64,
}

impl Table {
    /// The first `count` samples.
    fn first(&self, count: usize) -> Self {
        let mut table = self.clone();
        table.sizes.truncate(count);
        table.keyframes.retain(|number| (*number as usize) < count);
        let mut left = count as u32;
        table.chunks.retain_mut(|(_, samples)| {
            *samples = (*samples).min(left);
            left -= *samples;
            *samples > 0
        });
        table
    }

    /// As an MP4 says it, each sample lasting `duration`.
    fn samples(self, duration: u32) -> Samples {
        let count = self.sizes.len() as u32;
        let times =
            if count == 0 { vec![] } else { vec![SttsEntry { sample_count: count, sample_delta: duration }] };
        let mut chunks: Vec<StscEntry> = Vec::new();
        for (index, (_, samples)) in self.chunks.iter().enumerate() {
            // An entry holds from its chunk on until the next one.
            if chunks.last().is_none_or(|last| last.sample_per_chunk != *samples) {
                chunks.push(StscEntry {
                    first_chunk: nonzero(index as u32 + 1),
                    sample_per_chunk: *samples,
                    sample_description_index: nonzero(1),
                });
            }
        }
        let keyframes = (self.keyframes.len() < self.sizes.len()).then(|| StssBox {
            sample_numbers: self.keyframes.iter().map(|number| nonzero(number + 1)).collect(),
        });
        Samples {
            times,
            chunks,
            sizes: self.sizes,
            offsets: self.chunks.iter().map(|(at, _)| *at).collect(),
            keyframes,
        }
    }
}
