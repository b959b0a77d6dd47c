//! A fragment's list of samples, as `mux::fragment` writes it, and as little of ISO/IEC 14496-12 §8.8 as that takes.
//!
//! The general reader would allocate for as many samples as a damaged box claims; this one takes no sample without its size.

use crate::mux::TRACK_IDS;

/// The samples of one track in one fragment, back to back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// Offset of the first in the file.
    pub(super) at: u64,
    /// Decode time of the first, in units of the track's timescale.
    pub(super) start: u64,
    /// Size of each, and whether it is a keyframe.
    pub(super) samples: Vec<(u32, bool)>,
}

impl Run {
    /// Each sample's offset in the file and size.
    pub(super) fn places(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.samples.iter().scan(self.at, |at, (size, _)| {
            let place = (*at, *size);
            *at = at.saturating_add(u64::from(*size));
            Some(place)
        })
    }

    /// Where the last sample ends.
    pub(super) fn end(&self) -> u64 {
        self.places().last().map_or(self.at, |(at, size)| at.saturating_add(u64::from(size)))
    }
}

/// One fragment's samples.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) video: Option<Run>,
    pub(super) audio: Option<Run>,
}

impl Fragment {
    /// Reads a `moof` box that lies at `at`, whatever it is called; nothing where it is none of ours.
    pub(super) fn parse(bytes: &[u8], at: u64) -> Option<Self> {
        let mut fragment = Self::default();
        let mut numbered = false;
        for child in children(bytes.get(8..)?) {
            match child? {
                (b"mfhd", _) => numbered = true,
                (b"traf", payload) => {
                    let (track, run) = track(payload, at)?;
                    let (video, audio) = TRACK_IDS;
                    let place = match track {
                        id if id == video => &mut fragment.video,
                        id if id == audio => &mut fragment.audio,
                        _ => return None,
                    };
                    if place.replace(run).is_some() {
                        return None;
                    }
                }
                _ => (),
            }
        }
        (numbered && (fragment.video.is_some() || fragment.audio.is_some())).then_some(fragment)
    }

    /// The runs that there are.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.video.iter().chain(&self.audio)
    }
}

/// A `traf` box: its track's number and its one run.
fn track(payload: &[u8], moof_at: u64) -> Option<(u32, Run)> {
    let (mut id, mut start, mut run) = (None, None, None);
    // Where nobody says otherwise a sample is a keyframe: sound.
    let mut default_flags = 0;
    for child in children(payload) {
        match child? {
            (b"tfhd", mut rest) => {
                let flags = u32_from(&mut rest)?;
                id = Some(u32_from(&mut rest)?);
                // Base data offset, sample description, duration, size; the offsets must count from the moof.
                for (flag, width) in [(0x1, 8), (0x2, 4), (0x8, 4), (0x10, 4)] {
                    if flags & flag != 0 {
                        rest = rest.get(width..)?;
                    }
                }
                if flags & 0x20 != 0 {
                    default_flags = u32_from(&mut rest)?;
                }
                if flags & 0x2_0000 == 0 || flags & 0x1 != 0 {
                    return None;
                }
            }
            (b"tfdt", mut rest) => {
                let version = u32_from(&mut rest)? >> 24;
                let first = u64::from(u32_from(&mut rest)?);
                start = Some(match version {
                    0 => first,
                    _ => first << 32 | u64::from(u32_from(&mut rest)?),
                });
            }
            (b"trun", rest) if run.is_none() => run = Some(samples(rest, moof_at, default_flags)?),
            (b"trun", _) => return None,
            _ => (),
        }
    }
    let (at, samples) = run?;
    Some((id?, Run { at, start: start?, samples }))
}

/// A `trun` box: where the samples begin, and their sizes.
fn samples(mut rest: &[u8], moof_at: u64, default_flags: u32) -> Option<(u64, Vec<(u32, bool)>)> {
    let flags = u32_from(&mut rest)?;
    let count = u32_from(&mut rest)?;
    let own = |flag| flags & flag != 0;
    // Without an offset or sizes it is none of ours.
    if !own(0x1) || !own(0x200) {
        return None;
    }
    let at = moof_at.checked_add(u64::from(u32_from(&mut rest)?))?;
    if own(0x4) {
        u32_from(&mut rest)?;
    }
    let mut samples = Vec::new();
    for _ in 0..count {
        if own(0x100) {
            u32_from(&mut rest)?;
        }
        let size = u32_from(&mut rest)?;
        let flags = if own(0x400) { u32_from(&mut rest)? } else { default_flags };
        if own(0x800) {
            u32_from(&mut rest)?;
        }
        // Bit 16: sample_is_non_sync_sample (§8.8.3.1).
        samples.push((size, flags & 0x1_0000 == 0));
    }
    Some((at, samples))
}

/// The boxes in `bytes`, each by its type and contents; a `None` where one is damaged.
pub(crate) fn children(mut bytes: &[u8]) -> impl Iterator<Item = Option<(&[u8; 4], &[u8])>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let child = (|| {
            let size = usize::try_from(u32_from(&mut &*bytes)?).ok()?;
            let (child, rest) = bytes.split_at_checked(size)?;
            let kind = child.get(4..)?.first_chunk()?;
            Some((kind, &child[8..], rest))
        })();
        bytes = child.map_or(&[], |(_, _, rest)| rest);
        Some(child.map(|(kind, payload, _)| (kind, payload)))
    })
}

pub(crate) fn u32_from(bytes: &mut &[u8]) -> Option<u32> {
    let (first, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_be_bytes(*first))
}
