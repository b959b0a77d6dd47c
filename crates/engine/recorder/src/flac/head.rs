//! What stands before the frames: `fLaC`, STREAMINFO, VORBIS_COMMENT (RFC 9639 §8).

use hyperzoom_media::SAMPLE_RATE;

use super::encode::Summary;
use super::{BITS, BLOCK};

const MARKER: &[u8; 4] = b"fLaC";

/// Where STREAMINFO's contents begin: behind the marker and its block's header.
pub(super) const INFO_AT: u64 = 8;

/// Size of STREAMINFO's contents.
pub(super) const INFO_LEN: usize = 34;

/// The head of a file with these tags, its totals unknown.
pub(super) fn head(tags: &[(&str, String)]) -> Vec<u8> {
    let mut comment = Vec::new();
    add_text(&mut comment, concat!("HyperZoom ", env!("CARGO_PKG_VERSION")));
    comment.extend_from_slice(&(tags.len() as u32).to_le_bytes());
    for (key, value) in tags {
        add_text(&mut comment, &format!("{key}={value}"));
    }

    let mut head = MARKER.to_vec();
    head.extend_from_slice(&block_header(0, false, INFO_LEN));
    head.extend_from_slice(&stream_info(&Summary::default()));
    head.extend_from_slice(&block_header(4, true, comment.len()));
    head.extend_from_slice(&comment);
    head
}

/// A text in VORBIS_COMMENT, whose lengths are little-endian (§8.6).
fn add_text(comment: &mut Vec<u8>, text: &str) {
    comment.extend_from_slice(&(text.len() as u32).to_le_bytes());
    comment.extend_from_slice(text.as_bytes());
}

/// A metadata block's header (§8.1).
fn block_header(kind: u8, last: bool, len: usize) -> [u8; 4] {
    let [_, a, b, c] = (len as u32).to_be_bytes();
    [kind | u8::from(last) << 7, a, b, c]
}

/// STREAMINFO (§8.2). A 0 says "unknown" of frame sizes, samples and MD5.
pub(super) fn stream_info(summary: &Summary) -> [u8; INFO_LEN] {
    let mut info = [0; INFO_LEN];
    let block = (BLOCK as u16).to_be_bytes();
    info[..2].copy_from_slice(&block);
    info[2..4].copy_from_slice(&block);
    info[4..7].copy_from_slice(&summary.least_frame.to_be_bytes()[1..]);
    info[7..10].copy_from_slice(&summary.largest_frame.to_be_bytes()[1..]);
    // 20 bits of sample rate, 3 of channels less one, 5 of bits less one, 36 of samples.
    let samples = if summary.samples < 1 << 36 { summary.samples } else { 0 };
    let packed = u64::from(SAMPLE_RATE) << 44 | u64::from(BITS - 1) << 36 | samples;
    info[10..18].copy_from_slice(&packed.to_be_bytes());
    info[18..].copy_from_slice(&summary.md5);
    info
}

/// What a file's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Where its frames begin.
    pub(super) len: u64,
    pub(super) summary: Summary,
}

/// Reads the head of one of our files.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence that begins with the file.
pub(super) fn parse(data: &[u8]) -> Result<Head, &'static str> {
    if !data.starts_with(MARKER) {
        return Err("is no FLAC file");
    }
    const TORN: &str = "ends within its head: it holds no sound";
    let mut at = MARKER.len();
    let mut summary = None;
    loop {
        let header: &[u8; 4] = data.get(at..).and_then(<[u8]>::first_chunk).ok_or(TORN)?;
        let len = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let contents = data.get(at + 4..at + 4 + len).ok_or(TORN)?;
        match (header[0] & 0x7f, summary.is_some()) {
            (0, false) => summary = Some(parse_info(contents)?),
            (1..=126, true) => (),
            _ => return Err("has a damaged head"),
        }
        at += 4 + len;
        if header[0] & 0x80 != 0 {
            break;
        }
    }
    let summary = summary.ok_or("has a damaged head")?;
    Ok(Head { len: at as u64, summary })
}

fn parse_info(info: &[u8]) -> Result<Summary, &'static str> {
    const FOREIGN: &str = "is not one that HyperZoom recorded (mono, 24 bit, 48 kHz)";
    let info: &[u8; INFO_LEN] = info.try_into().map_err(|_| "has a damaged head")?;
    let number =
        |range: std::ops::Range<usize>| info[range].iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let summary = Summary {
        least_frame: number(4..7) as u32,
        largest_frame: number(7..10) as u32,
        samples: number(10..18) & ((1 << 36) - 1),
        md5: *info.last_chunk().unwrap_or(&[0; 16]),
    };
    // All but these is the same in every file of ours.
    if stream_info(&summary) == *info { Ok(summary) } else { Err(FOREIGN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_was_put_into_it() {
        let mut data = head(&[("ARTIST", "Ada Lövelace".to_owned()), ("SESSION_ID", "00ff".to_owned())]);
        let read = parse(&data).unwrap();
        assert_eq!(read, Head { len: data.len() as u64, summary: Summary::default() });
        let summary =
            Summary { samples: 0xf_1234_5678, least_frame: 14, largest_frame: 12_345, md5: [7; 16] };
        data[INFO_AT as usize..][..INFO_LEN].copy_from_slice(&stream_info(&summary));
        assert_eq!(parse(&data).unwrap().summary, summary);
        for cut in 0..data.len() {
            assert!(parse(&data[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn another_programs_file_is_known_from_ours() {
        let mut data = head(&[]);
        // 16 bits instead of 24.
        data[INFO_AT as usize + 13] ^= 0x80;
        assert!(parse(&data).unwrap_err().contains("HyperZoom"));
        assert!(parse(b"RIFF").unwrap_err().contains("no FLAC"));
    }
}
