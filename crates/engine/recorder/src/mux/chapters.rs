//! Chapters, in both forms that players read: a text track that the pictures point to (QuickTime File Format Specification,
//! "Chapter lists"), which is exact to the sample, and Nero's `chpl` box, which has no specification but every reader.

use shiguredo_mp4::FixedPointNumber;
use shiguredo_mp4::boxes::{
    EdtsBox, ElstBox, ElstEntry, SampleEntry, StscEntry, SttsEntry, TrakBox, UnknownBox,
};

use super::Movie;
use super::boxes::{child, raw};
use super::timecode::media_header;
use super::tracks::{self, CHAPTER_TRACK, Length, Look, MOVIE_TIMESCALE, Media, Samples, nonzero};

/// The longest title, in bytes of UTF-8: what `chpl` has room for.
const TITLE_BYTES: usize = 255;

/// The most chapters that `chpl` has room for. The track has all.
const NERO_CHAPTERS: usize = 255;

/// Units a second of `chpl`.
const NERO_TIMESCALE: u128 = 10_000_000;

/// Says behind a text sample that it is in UTF-8; without it QuickTime takes it for Mac Roman.
const UTF8: [u8; 12] = [0, 0, 0, 12, b'e', b'n', b'c', b'd', 0, 0, 1, 0];

/// A place in the take that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chapter {
    /// Where it begins, in samples (1/48000 s) from the first picture.
    pub(crate) at: u64,
    /// What it is called; more than 255 bytes are cut off.
    pub(crate) title: String,
}

/// The chapters of a take of `length` samples as the file has them: in their order, without those that lie behind its end, and
/// with titles as long as fit.
pub(crate) fn fitting(chapters: &[Chapter], length: u64) -> Vec<Chapter> {
    let mut fitting: Vec<_> = chapters.iter().filter(|chapter| chapter.at < length).cloned().collect();
    fitting.sort_by_key(|chapter| chapter.at);
    for chapter in &mut fitting {
        chapter.title.truncate(chapter.title.floor_char_boundary(TITLE_BYTES));
    }
    fitting
}

/// The titles as the track's samples.
pub(super) fn texts(chapters: &[Chapter]) -> Vec<Vec<u8>> {
    let text = |chapter: &Chapter| {
        let len = (chapter.title.len() as u16).to_be_bytes();
        [&len, chapter.title.as_bytes(), &UTF8].concat()
    };
    chapters.iter().map(text).collect()
}

/// The track of these chapters (at least one), whose `texts` lie one behind the other from byte `at` on, in a take of `length`
/// samples.
pub(super) fn chapter_track(
    movie: &Movie,
    chapters: &[Chapter],
    texts: &[Vec<u8>],
    at: u64,
    length: u64,
) -> TrakBox {
    let first = chapters.first().map_or(0, |chapter| chapter.at);
    let ends = chapters.iter().skip(1).map(|chapter| chapter.at).chain([length]);
    let times = chapters.iter().zip(ends).map(|(chapter, end)| SttsEntry {
        sample_count: 1,
        sample_delta: u32::try_from(end - chapter.at).unwrap_or(u32::MAX),
    });
    let samples = Samples {
        times: times.collect(),
        chunks: vec![StscEntry {
            first_chunk: nonzero(1),
            sample_per_chunk: texts.len() as u32,
            sample_description_index: nonzero(1),
        }],
        sizes: texts.iter().map(|text| text.len() as u32).collect(),
        offsets: vec![at],
        keyframes: None,
    };
    let look = Look {
        handler: *b"text",
        name: "HyperZoom chapters",
        media: Media::General(media_header(&[raw(*b"text", &[&MATRIX])])),
        ..Look::hidden(CHAPTER_TRACK, MOVIE_TIMESCALE)
    };
    let edit = |edit_duration, media_time| ElstEntry {
        edit_duration,
        media_time,
        media_rate: FixedPointNumber::new(1, 0),
    };
    // What lies before the first chapter is an empty edit (ISO/IEC 14496-12 §8.6.6).
    let edits = (first > 0).then(|| EdtsBox {
        elst_box: Some(ElstBox { entries: vec![edit(first, -1), edit(length - first, 0)] }),
        unknown_boxes: vec![],
    });
    let duration = Length { shown: length, stored: length - first };
    tracks::track(movie, look, &SampleEntry::Unknown(entry()), edits, duration, samples)
}

/// Nero's list of chapters.
pub(super) fn nero(chapters: &[Chapter]) -> Vec<u8> {
    let chapters = &chapters[..chapters.len().min(NERO_CHAPTERS)];
    // Version 1, no flags, something reserved.
    let mut payload = vec![1, 0, 0, 0, 0, 0, 0, 0, chapters.len() as u8];
    for chapter in chapters {
        let scale = u128::from(MOVIE_TIMESCALE);
        let start = (u128::from(chapter.at) * NERO_TIMESCALE + scale / 2) / scale;
        payload.extend_from_slice(&u64::try_from(start).unwrap_or(u64::MAX).to_be_bytes());
        payload.push(chapter.title.len() as u8);
        payload.extend_from_slice(chapter.title.as_bytes());
    }
    raw(*b"chpl", &[&payload])
}

/// The text's header: an identity matrix behind its version, as QuickTime writes it.
const MATRIX: [u8; 36] = {
    let mut header = [0; 36];
    (header[1], header[17], header[32]) = (1, 1, 0x40);
    header
};

/// The plainest text: justified in the middle, as QuickTime asks of chapters; no box, no font, black.
fn entry() -> UnknownBox {
    let mut payload = vec![0; 8 + 44];
    // One data reference, and the justification.
    (payload[7], payload[15]) = (1, 1);
    child(*b"text", payload)
}
