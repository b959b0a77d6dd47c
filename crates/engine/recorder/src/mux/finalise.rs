//! From a fragmented file to a plain one, in place.

use std::io;

use hyperzoom_timing::SAMPLES_PER_TICK;
use shiguredo_mp4::Encode;
use shiguredo_mp4::boxes::{MoovBox, StscEntry, StssBox, SttsEntry};

use super::tracks::{self, Length, Samples, TICK_DURATION, nonzero};
use super::{Muxer, Table, invalid};
use crate::encode::AAC_FRAME;

impl Muxer {
    /// Appends the `moov` box of a take of at most `ticks` ticks, and turns the placeholder into the header of an `mdat` box.
    pub(super) fn finalise(&mut self, ticks: u64) -> io::Result<()> {
        let moov = self.moov(ticks).encode_to_vec().map_err(invalid)?;
        self.store.write_at(self.end, &moov)?;
        self.store.sync()?;
        // A size of 1 says that the true one follows in 64 bits (ISO/IEC 14496-12 §4.2.2).
        let mut header = [0, 0, 0, 1, b'm', b'd', b'a', b't', 0, 0, 0, 0, 0, 0, 0, 0];
        header[8..].copy_from_slice(&(self.end - self.placeholder_at).to_be_bytes());
        self.store.write_at(self.placeholder_at, &header)?;
        self.converted = true;
        self.store.sync()?;
        self.end += moov.len() as u64;
        Ok(())
    }

    fn moov(&self, ticks: u64) -> MoovBox {
        let pictures = (self.video.sizes.len() as u64).min(ticks);
        let delay = self.movie.audio.as_ref().map_or(0, |audio| u64::from(audio.delay));
        let sound = ticks.saturating_mul(SAMPLES_PER_TICK).min(self.samples_on_disk());

        let mut boxes = Vec::new();
        let mut duration = 0;
        if let Some(video) = &self.movie.video {
            let table = self.video.first(pictures as usize);
            let length =
                Length { shown: pictures * SAMPLES_PER_TICK, stored: pictures * u64::from(TICK_DURATION) };
            boxes.push(tracks::video_track(&self.movie, video, length, table.samples(TICK_DURATION)));
            duration = length.shown;
        }
        if let Some(audio) = &self.movie.audio {
            let units = (sound + delay).div_ceil(AAC_FRAME as u64) as usize;
            let table = self.audio.first(units);
            let length = Length { shown: sound, stored: table.sizes.len() as u64 * AAC_FRAME as u64 };
            boxes.push(tracks::audio_track(&self.movie, audio, length, table.samples(AAC_FRAME as u32)));
            duration = duration.max(length.shown);
        }
        tracks::moov(&self.movie, duration, boxes, None)
    }
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
