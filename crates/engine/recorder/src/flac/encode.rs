//! From samples to frames.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use flac_codec::encode::{FlacStreamWriter, Options};
use hyperzoom_media::SAMPLE_RATE;

use super::{BITS, BLOCK};
use crate::error::EncodeError;
use crate::shared::lock;

/// The highest of the numbers that 24 bits hold; the lowest is one further from 0.
const HIGHEST: i32 = (1 << (BITS - 1)) - 1;

/// What STREAMINFO tells of all frames so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) samples: u64,
    /// The smallest frame in bytes.
    pub(crate) least_frame: u32,
    /// The largest frame in bytes.
    pub(crate) largest_frame: u32,
    /// MD5 of the samples, each as three bytes in little-endian (RFC 9639 §8.2); zeros: unknown.
    pub(crate) md5: [u8; 16],
}

/// Turns samples into FLAC frames of [`BLOCK`] samples.
pub(super) struct FlacEncoder {
    writer: FlacStreamWriter<Bytes>,
    bytes: Bytes,
    block: Vec<i32>,
    raw: Vec<u8>,
    md5: md5::Context,
    summary: Summary,
}

/// Where the frames go. The writer keeps its end to itself, so that this is the way to what it wrote.
#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Write for Bytes {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sample from [-1, 1) as a number of 24 bits. Exact for what came from 16 or 24 bits; what is no number becomes 0.
pub(super) fn quantised(sample: f32) -> i32 {
    const SCALE: f32 = (1 << (BITS - 1)) as f32;
    ((sample * SCALE).round_ties_even() as i32).clamp(-HIGHEST - 1, HIGHEST)
}

impl FlacEncoder {
    pub(super) fn new() -> Self {
        let bytes = Bytes::default();
        Self {
            writer: FlacStreamWriter::new(bytes.clone(), Options::default()),
            bytes,
            block: Vec::with_capacity(BLOCK),
            raw: Vec::with_capacity(BLOCK * BITS as usize / 8),
            md5: md5::Context::new(),
            summary: Summary::default(),
        }
    }

    /// Samples taken so far, those that do not fill a frame yet included.
    pub(super) fn given(&self) -> u64 {
        self.summary.samples + self.block.len() as u64
    }

    /// Samples in the frames made so far.
    pub(super) fn frames_end(&self) -> u64 {
        self.summary.samples
    }

    /// What the frames hold that were made so far.
    pub(super) fn summary(&self) -> Summary {
        Summary {
            md5: if self.summary.samples > 0 { self.md5.clone().finalize().0 } else { [0; 16] },
            ..self.summary
        }
    }

    /// Encodes `samples`; what does not fill a frame waits.
    pub(super) fn push(&mut self, samples: &[f32]) -> Result<(), EncodeError> {
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK - self.block.len()));
            self.block.extend(now.iter().map(|sample| quantised(*sample)));
            if self.block.len() == BLOCK {
                self.encode()?;
            }
            rest = later;
        }
        Ok(())
    }

    /// Encodes what waits as a last, shorter frame.
    pub(super) fn finish(&mut self) -> Result<(), EncodeError> {
        if self.block.is_empty() { Ok(()) } else { self.encode() }
    }

    /// Takes the frames made since the last time.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut lock(&self.bytes.0))
    }

    fn encode(&mut self) -> Result<(), EncodeError> {
        let before = lock(&self.bytes.0).len();
        // A panic in there must not take the master recording along.
        let written = catch_unwind(AssertUnwindSafe(|| self.writer.write(SAMPLE_RATE, 1, BITS, &self.block)));
        let step = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                tracing::error!("FLAC: {error}");
                Some("a frame")
            }
            Err(_) => Some("a frame, by a panic"),
        };
        if let Some(step) = step {
            lock(&self.bytes.0).truncate(before);
            return Err(EncodeError { encoder: "FLAC (flac-codec)", step, code: -1 });
        }
        let size = (lock(&self.bytes.0).len() - before) as u32;
        self.raw.clear();
        self.raw.extend(self.block.iter().flat_map(|sample| sample.to_le_bytes().into_iter().take(3)));
        self.md5.consume(&self.raw);
        let summary = &mut self.summary;
        summary.least_frame = if summary.samples == 0 { size } else { summary.least_frame.min(size) };
        summary.largest_frame = summary.largest_frame.max(size);
        summary.samples += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }
}
