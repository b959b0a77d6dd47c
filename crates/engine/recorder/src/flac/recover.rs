//! Files that were cut off, and files that are looked at: where the last whole frame ends.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take, Write};
use std::path::Path;

use flac_codec::decode::FlacStreamReader;

use super::BLOCK;
use super::encode::Summary;
use super::frames::{self, MAX_FRAME, SYNC};
use super::head::{self, INFO_AT};

/// What is read at a time.
const WINDOW: usize = 1 << 20;

/// The most that a cut-off write can leave behind the last whole frame: a chunk is an eighth of it.
const TORN_LIMIT: u64 = 1 << 20;

/// The largest head that is looked for. Ours have some hundred bytes.
const HEAD_LIMIT: u64 = 1 << 20;

/// Mends a `microphone.flac` that was cut off: cuts it behind its last whole frame, fills in the number of its samples, and returns
/// that number. A file that is whole is left as it is.
///
/// A frame counts as whole where the CRC-8 of its header and the CRC-16 of all of it are right (RFC 9639 §9.1.8, §9.3). One that was
/// damaged in the middle of the file is not cut away: those behind it are still good. The MD5 of a file that was cut stays
/// unknown (zeros, as §8.2 allows), since what it was to be compared with is lost.
///
/// # Errors
/// Of the kind [`InvalidData`](io::ErrorKind::InvalidData) where the file is no FLAC, is another program's, or has more behind
/// its last whole frame than a torn write can leave; it is not touched then. Otherwise what the system said.
pub fn recover(path: &Path) -> io::Result<u64> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let found = inspect(&mut file).map_err(|error| named(path, &error))?;
    if found.is_finished() {
        return Ok(found.samples);
    }
    if found.torn > TORN_LIMIT {
        let reason = format!(
            "{} bytes behind its last whole frame cannot be read, which is more than a cut-off leaves: it is left as it is",
            found.torn
        );
        return Err(named(path, &io::Error::new(io::ErrorKind::InvalidData, reason)));
    }
    // Cut before the totals are filled in: between the two it is a file that was cut off less badly.
    file.set_len(found.end)?;
    file.sync_data()?;
    file.seek(SeekFrom::Start(INFO_AT))?;
    file.write_all(&head::stream_info(&Summary { samples: found.samples, ..Summary::default() }))?;
    file.sync_data()?;
    Ok(found.samples)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Samples up to its last whole frame.
    pub(crate) samples: u64,
    /// Samples, by its head.
    claimed: u64,
    /// Frames before the last whole one that are damaged or missing.
    pub(crate) damaged: u64,
    /// Where the frames begin.
    pub(super) begin: u64,
    /// Where the last whole frame ends.
    pub(super) end: u64,
    /// Bytes behind it, up to the last that is not 0.
    torn: u64,
    /// Size of the file.
    len: u64,
    md5: [u8; 16],
}

impl Found {
    /// Whether the file is as the recorder leaves it at the end of a take.
    pub(crate) fn is_finished(&self) -> bool {
        self.end == self.len && self.claimed == self.samples
    }
}

/// Goes through all of a file's frames.
///
/// # Errors
/// [`InvalidData`](io::ErrorKind::InvalidData), with the rest of a sentence that begins with the file's name, where it is none of
/// ours; otherwise what the system said.
pub(crate) fn inspect(file: &mut File) -> io::Result<Found> {
    let len = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut data = Vec::new();
    file.take(HEAD_LIMIT).read_to_end(&mut data)?;
    let head = head::parse(&data).map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))?;
    let mut found = Found {
        samples: 0,
        claimed: head.summary.samples,
        damaged: 0,
        begin: head.len,
        end: head.len,
        torn: 0,
        len,
        md5: head.summary.md5,
    };
    file.seek(SeekFrom::Start(head.len))?;
    let mut window = Window { file: file.take(len - head.len), data: Vec::new(), at: 0, offset: head.len };
    let mut next = 0;
    loop {
        window.fill()?;
        let rest = &window.data[window.at..];
        if rest.is_empty() {
            break;
        }
        // Numbers only grow, and the samples of a damaged frame still count.
        match frames::whole_frame(rest)
            .filter(|frame| frame.number >= next && (frame.number - next) < (1 << 31))
        {
            Some(frame) => {
                found.damaged += frame.number - next;
                next = frame.number + 1;
                found.samples = frame.number * BLOCK as u64 + frame.samples;
                window.at += frame.len;
                found.end = window.offset + window.at as u64;
                found.torn = 0;
            }
            None => {
                let skipped = rest[1..].windows(2).position(|it| it == SYNC).map_or(rest.len(), |at| at + 1);
                // A sync code may lie across the end of the window.
                let skipped = if skipped == rest.len() && rest.len() > 1 { skipped - 1 } else { skipped };
                if let Some(last) = rest[..skipped].iter().rposition(|byte| *byte != 0) {
                    found.torn = window.offset + (window.at + last) as u64 + 1 - found.end;
                }
                window.at += skipped;
            }
        }
    }
    Ok(found)
}

/// Whether the samples of a file without damage have the MD5 that its head claims; `None` where it claims none.
///
/// # Errors
/// What the system or the decoder said.
pub(crate) fn samples_match(file: &mut File, found: &Found) -> io::Result<Option<bool>> {
    if found.md5 == [0; 16] {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(found.begin))?;
    let mut reader = FlacStreamReader::new(BufReader::new(file.take(found.end - found.begin)));
    let mut md5 = md5::Context::new();
    let (mut samples, mut raw) = (0, Vec::new());
    while samples < found.samples {
        let frame =
            reader.read().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        samples += frame.samples.len() as u64;
        raw.clear();
        raw.extend(frame.samples.iter().flat_map(|sample| sample.to_le_bytes().into_iter().take(3)));
        md5.consume(&raw);
    }
    Ok(Some(samples == found.samples && md5.finalize().0 == found.md5))
}

/// A part of the file in memory: a whole frame at least, where there is one.
struct Window<'a> {
    file: Take<&'a mut File>,
    data: Vec<u8>,
    at: usize,
    /// Of `data` in the file.
    offset: u64,
}

impl Window<'_> {
    fn fill(&mut self) -> io::Result<()> {
        if self.data.len() - self.at < MAX_FRAME && self.file.limit() > 0 {
            self.data.drain(..self.at);
            self.offset += self.at as u64;
            self.at = 0;
            self.file.by_ref().take(WINDOW as u64).read_to_end(&mut self.data)?;
        }
        Ok(())
    }
}
