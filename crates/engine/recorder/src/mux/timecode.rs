//! The timecode track: one sample, the tick of the first picture, that holds for the whole take.
//!
//! After the QuickTime File Format Specification ("Timecode media") and Apple's technical note TN2162. ISO/IEC 14496-12 has no
//! such track; every editor reads this one in an MP4 too.

use hyperzoom_media::MASTER_FPS;
use hyperzoom_timing::SAMPLES_PER_TICK;
use shiguredo_mp4::boxes::{SampleEntry, StscEntry, SttsEntry, TrakBox, UnknownBox};

use super::Movie;
use super::boxes::{child, raw};
use super::tracks::{
    self, Length, Look, Media, Samples, TICK_DURATION, TIMECODE_TRACK, VIDEO_TIMESCALE, nonzero,
};

/// Size of the track's one sample: a frame number in 32 bits.
pub(super) const SAMPLE: usize = 4;

const DAY: u64 = 24 * 3600 * MASTER_FPS as u64;

/// Where the number begins anew: the most whole days that fit in 31 bits (readers take it as signed), more than two years.
const WRAP: u64 = (1 << 31) / DAY * DAY;

/// The sample's value: the timecode of the first picture as a number of frames.
pub(crate) fn frame_number(start_tick: u64) -> u32 {
    (start_tick % WRAP) as u32
}

/// The track: its sample lies at byte `at`, and holds for `ticks` ticks.
pub(super) fn timecode_track(movie: &Movie, ticks: u64, at: u64) -> TrakBox {
    // A duration in 32 bits is 39 hours of 1/30000 s; the sample that lasts longest is as good as one that lasts longer.
    let duration = u32::try_from(ticks * u64::from(TICK_DURATION)).unwrap_or(u32::MAX);
    let samples = Samples {
        times: vec![SttsEntry { sample_count: 1, sample_delta: duration }],
        chunks: vec![StscEntry {
            first_chunk: nonzero(1),
            sample_per_chunk: 1,
            sample_description_index: nonzero(1),
        }],
        sizes: vec![SAMPLE as u32],
        offsets: vec![at],
        keyframes: None,
    };
    let look = Look {
        handler: *b"tmcd",
        name: "HyperZoom timecode",
        media: Media::General(media_header(&[raw(*b"tmcd", &[&information()])])),
        ..Look::hidden(TIMECODE_TRACK, VIDEO_TIMESCALE)
    };
    let length = Length { shown: ticks * SAMPLES_PER_TICK, stored: u64::from(duration) };
    tracks::track(movie, look, &SampleEntry::Unknown(entry()), None, length, samples)
}

/// How a player may show it (there has to be something): no version, no flags, font 0, plain, 12 points, black on white, and
/// the font's name with its length in front.
fn information() -> Vec<u8> {
    raw(*b"tcmi", &[&[0; 9], &[12], &[0; 8], &[0xff; 6], b"\x0dLucida Grande"])
}

/// 30 frames a second, non-drop, counting on past 24 hours (no flag is set).
fn entry() -> UnknownBox {
    let mut payload = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    payload.extend_from_slice(&VIDEO_TIMESCALE.to_be_bytes());
    payload.extend_from_slice(&TICK_DURATION.to_be_bytes());
    payload.extend_from_slice(&[MASTER_FPS as u8, 0]);
    child(*b"tmcd", payload)
}

/// The header of media that are neither pictures nor sound, which QuickTime asks for: copied with dithering, in grey.
pub(super) fn media_header(parts: &[Vec<u8>]) -> UnknownBox {
    let general = raw(*b"gmin", &[&[0, 0, 0, 0, 0, 0x40, 0x80, 0, 0x80, 0, 0x80, 0, 0, 0, 0, 0]]);
    child(*b"gmhd", [general, parts.concat()].concat())
}
