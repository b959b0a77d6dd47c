//! One second of the take as a `moof` and an `mdat` box.

use std::io;
use std::ops::Range;

use shiguredo_mp4::boxes::{MfhdBox, MoofBox, TfdtBox, TfhdBox, TrafBox, TrunBox, TrunSample};
use shiguredo_mp4::{Encode, SampleFlags};

use super::tracks::{AUDIO_TRACK, TICK_DURATION, VIDEO_TRACK};
use super::{Muxer, Table, invalid};
use crate::encode::{AAC_FRAME, EncodedPicture};

/// ISO/IEC 14496-12 §8.8.3.1: depends on no other sample.
const KEYFRAME: SampleFlags = SampleFlags::from_fields(0, 2, 0, 0, 0, false, 0);
/// Depends on others, is no sync sample.
const DELTA: SampleFlags = SampleFlags::from_fields(0, 1, 0, 0, 0, true, 0);

/// Where a box says its type.
const TYPE: Range<usize> = 4..8;

/// Fragments begin at multiples of this, so that the four bytes of a type never straddle two pages or sectors.
pub(super) const ALIGNMENT: usize = 8;

impl Muxer {
    /// Writes the first `pictures` pictures and `units` access units that wait, and returns when they are on the disk.
    pub(super) fn write_fragment(&mut self, pictures: usize, units: usize) -> io::Result<()> {
        let pictures = &self.pictures.make_contiguous()[..pictures];
        let units = &self.units.make_contiguous()[..units];
        let video_bytes: usize = pictures.iter().map(|picture| picture.data.len()).sum();
        let audio_bytes: usize = units.iter().map(Vec::len).sum();

        let mut tracks = Vec::new();
        // The sound is small and comes first: a fragment that is torn has it, and as many pictures as came.
        if !units.is_empty() {
            let samples = units.iter().map(|unit| unit_sample(unit)).collect();
            let start = self.audio.sizes.len() as u64 * AAC_FRAME as u64;
            tracks.push(track(AUDIO_TRACK, start, AAC_FRAME as u32, samples));
        }
        if !pictures.is_empty() {
            let samples = pictures.iter().map(picture_sample).collect();
            let start = self.video.sizes.len() as u64 * u64::from(TICK_DURATION);
            tracks.push(track(VIDEO_TRACK, start, TICK_DURATION, samples));
        }
        let mut moof = MoofBox {
            mfhd_box: MfhdBox { sequence_number: self.fragments + 1 },
            traf_boxes: tracks,
            unknown_boxes: vec![],
        };
        // The offsets have a fixed width, so that the box's size is known before them.
        let head = moof.encode_to_vec().map_err(invalid)?.len() + 8;
        let too_big = || io::Error::new(io::ErrorKind::FileTooLarge, "a second of the recording is too big");
        let padding = (video_bytes + audio_bytes + head).wrapping_neg() % ALIGNMENT;
        let mdat = u32::try_from(8 + video_bytes + audio_bytes + padding).map_err(|_| too_big())?;
        let mut offset = head;
        for traf in &mut moof.traf_boxes {
            traf.trun_boxes[0].data_offset = Some(i32::try_from(offset).map_err(|_| too_big())?);
            offset += audio_bytes;
        }

        let mut bytes = Vec::with_capacity(head + video_bytes + audio_bytes);
        bytes.extend_from_slice(&moof.encode_to_vec().map_err(invalid)?);
        bytes.extend_from_slice(&mdat.to_be_bytes());
        bytes.extend_from_slice(b"mdat");
        units.iter().for_each(|unit| bytes.extend_from_slice(unit));
        pictures.iter().for_each(|picture| bytes.extend_from_slice(&picture.data));
        bytes.resize(bytes.len() + padding, 0);
        // A `moof` box that is torn makes readers give the whole file up, a torn `free` box is passed over. So the box is called
        // `free` until all of it is there: on the disk, since what was not synced is lost in any order when the power fails.
        let kind = bytes[TYPE].to_vec();
        bytes[TYPE].copy_from_slice(b"free");
        self.store.write_at(self.end, &bytes)?;
        self.store.sync()?;
        self.store.write_at(self.end + TYPE.start as u64, &kind)?;
        self.store.sync()?;

        // Only now is it part of the take.
        let at = self.end + head as u64;
        self.end += bytes.len() as u64;
        self.fragments += 1;
        let (picture_count, unit_count) = (pictures.len(), units.len());
        self.video.add(
            at + audio_bytes as u64,
            self.pictures.drain(..picture_count).map(|it| (it.data.len(), it.keyframe)),
        );
        self.audio.add(at, self.units.drain(..unit_count).map(|it| (it.len(), true)));
        Ok(())
    }
}

impl Table {
    /// Enters one chunk of samples, each given by its size and whether it is a keyframe.
    pub(crate) fn add(&mut self, at: u64, samples: impl Iterator<Item = (usize, bool)>) {
        let first = self.sizes.len();
        for (size, keyframe) in samples {
            if keyframe {
                self.keyframes.push(self.sizes.len() as u32);
            }
            self.sizes.push(size as u32);
        }
        if self.sizes.len() > first {
            self.chunks.push((at, (self.sizes.len() - first) as u32));
        }
    }
}

fn picture_sample(picture: &EncodedPicture) -> TrunSample {
    TrunSample {
        duration: None,
        size: Some(picture.data.len() as u32),
        flags: Some(if picture.keyframe { KEYFRAME } else { DELTA }),
        composition_time_offset: None,
    }
}

fn unit_sample(unit: &[u8]) -> TrunSample {
    TrunSample { duration: None, size: Some(unit.len() as u32), flags: None, composition_time_offset: None }
}

fn track(track_id: u32, start: u64, duration: u32, samples: Vec<TrunSample>) -> TrafBox {
    TrafBox {
        tfhd_box: TfhdBox {
            track_id,
            base_data_offset: None,
            sample_description_index: None,
            default_sample_duration: Some(duration),
            default_sample_size: None,
            default_sample_flags: Some(KEYFRAME),
            duration_is_empty: false,
            default_base_is_moof: true,
        },
        tfdt_box: Some(TfdtBox { version: 1, base_media_decode_time: start }),
        trun_boxes: vec![TrunBox { data_offset: Some(0), first_sample_flags: None, samples }],
        unknown_boxes: vec![],
    }
}
