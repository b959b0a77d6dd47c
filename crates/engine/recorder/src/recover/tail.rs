//! What is left of a fragment whose write was cut off.

use std::io::{Read, Seek};

use super::Problem;
use super::decoder::Decoder;
use super::fragment::{Fragment, Run};
use super::source::{Header, Source};
use crate::mux::{Parts, VideoConfig};

/// The largest sample: an uncompressed 4K picture is 12 MB.
const SAMPLE_LIMIT: u64 = 32 << 20;

/// The part of a torn fragment that is kept.
pub(super) struct Tail {
    pub(super) kept: Fragment,
    /// Where the header of its data lies.
    pub(super) data_at: u64,
    /// Where its data ends from now on.
    pub(super) end: u64,
}

impl Tail {
    /// Pictures that were kept.
    pub(super) fn pictures(&self) -> u64 {
        self.kept.video.as_ref().map_or(0, |run| run.samples.len() as u64)
    }

    /// The header of its data, so that it holds what was kept and no more.
    pub(super) fn data_header(&self) -> [u8; 8] {
        // It was cut, from a box whose size had 32 bits.
        let size = u32::try_from(self.end - self.data_at).unwrap_or(u32::MAX).to_be_bytes();
        [size[0], size[1], size[2], size[3], b'm', b'd', b'a', b't']
    }
}

/// Keeps the samples of `fragment`, with its data in `data`, that came to the disk whole: sound by its look, pictures if they
/// decode.
pub(super) fn salvage<R: Read + Seek>(
    source: &mut Source<R>,
    parts: &Parts,
    fragment: &Fragment,
    data: &Header,
) -> Result<Option<Tail>, Problem> {
    let limit = data.end().min(source.len);
    let audio = match &fragment.audio {
        Some(run) => Some(keep(run, sound(source, run, limit)?)),
        None => None,
    };
    let video = match &fragment.video {
        Some(run) => Some(keep(run, pictures(source, parts, run, limit)?)),
        None => None,
    };
    let kept = Fragment { video: video.filter(not_empty), audio: audio.filter(not_empty) };
    let Some(end) = kept.runs().map(Run::end).max() else { return Ok(None) };
    // Whatever follows begins at a multiple of eight, as all fragments do.
    Ok(Some(Tail { kept, data_at: data.at, end: end.next_multiple_of(8) }))
}

fn not_empty(run: &Run) -> bool {
    !run.samples.is_empty()
}

/// The first `count` samples.
fn keep(run: &Run, count: usize) -> Run {
    Run { samples: run.samples[..count].to_vec(), ..*run }
}

/// How many access units lie before `limit`. A file system may leave zeros where data never came. A unit ends with three ones and
/// less than a byte of padding (ISO/IEC 14496-3 §4.4.2.1, ID_END), so that one which ends in zeros has not come whole.
fn sound<R: Read + Seek>(source: &mut Source<R>, run: &Run, limit: u64) -> Result<usize, Problem> {
    for (number, (at, size)) in run.places().enumerate() {
        let whole = at.saturating_add(size.into()) <= limit;
        let bytes = if whole { source.bytes(at, size.into(), SAMPLE_LIMIT)? } else { None };
        if bytes.is_none_or(|bytes| bytes.last().is_none_or(|last| *last == 0)) {
            return Ok(number);
        }
    }
    Ok(run.samples.len())
}

/// How many pictures lie before `limit` and decode one after the other.
fn pictures<R: Read + Seek>(
    source: &mut Source<R>,
    parts: &Parts,
    run: &Run,
    limit: u64,
) -> Result<usize, Problem> {
    let Some(sets) = parts.movie.video.as_ref().and_then(VideoConfig::parameter_sets) else {
        return Ok(0);
    };
    let Ok(mut decoder) = Decoder::new(&sets) else { return Ok(0) };
    // A fragment begins with a keyframe, where the encoder kept to its grid.
    let begins_anew = run.samples.first().is_some_and(|(_, keyframe)| *keyframe);
    for (at, size) in if begins_anew { Vec::new() } else { parts.video.since_keyframe() } {
        let bytes = source.bytes(at, size.into(), SAMPLE_LIMIT)?;
        if !bytes.is_some_and(|bytes| decoder.decodes(&bytes)) {
            return Ok(0);
        }
    }
    for (number, (at, size)) in run.places().enumerate() {
        let whole = at.saturating_add(size.into()) <= limit;
        let bytes = if whole { source.bytes(at, size.into(), SAMPLE_LIMIT)? } else { None };
        if !bytes.is_some_and(|bytes| decoder.decodes(&bytes)) {
            return Ok(number);
        }
    }
    Ok(run.samples.len())
}
