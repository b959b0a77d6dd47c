//! How many samples a fragment claims to have.

use crate::recover::{children, u32_from};

/// The samples that all runs of a `moof` box claim; `None` where it is not laid out as fragments are.
///
/// A run whose samples have no fields of their own takes 20 bytes for millions of them (ISO/IEC 14496-12 §8.8.8), and so does the next: who
/// reads such a box makes a list of all that it claims. `bytes` is the whole box.
pub(super) fn claimed(bytes: &[u8]) -> Option<u64> {
    let mut claimed = 0_u64;
    for part in children(bytes.get(8..)?) {
        let (b"traf", track) = part? else { continue };
        for part in children(track) {
            if let (b"trun", mut run) = part? {
                u32_from(&mut run)?;
                claimed += u64::from(u32_from(&mut run)?);
            }
        }
    }
    Some(claimed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
        let payload = parts.concat();
        [&(payload.len() as u32 + 8).to_be_bytes()[..], kind, &payload].concat()
    }

    #[test]
    fn all_runs_of_all_tracks_count() {
        let run = |count: u32| boxed(b"trun", &[&[0; 4], &count.to_be_bytes()]);
        let track = boxed(b"traf", &[&boxed(b"tfhd", &[&[0; 8]]), &run(16 << 20), &run(3)]);
        let fragment = boxed(b"moof", &[&boxed(b"mfhd", &[&[0; 8]]), &track, &track]);
        assert_eq!(claimed(&fragment), Some(2 * ((16 << 20) + 3)));
        assert_eq!(claimed(&fragment[..fragment.len() - 1]), None, "cut off");
        assert_eq!(claimed(&[]), None);
    }
}
