//! What of the microphone belongs to the file: from its blocks to chunks for the disk.

use hyperzoom_media::SAMPLE_RATE;

use super::BLOCK;
use super::encode::{FlacEncoder, Summary};
use super::map::ClockMap;
use crate::audio_track::AudioTrack;
use crate::error::EncodeError;

/// Frames that are handed to the disk at once: 0.94 s.
const CHUNK_FRAMES: u64 = SAMPLE_RATE as u64 / BLOCK as u64;

/// How long before the take the file may begin: the first callbacks' moments are uncertain by some milliseconds, and nothing that
/// belongs to the take may be missing.
const LEAD_NS: i64 = 10_000_000;

/// Whole frames for the end of the file, and the rows of the map that belong to them.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) frames: Vec<u8>,
    pub(crate) rows: String,
    /// What the file holds with these.
    pub(crate) summary: Summary,
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        self.frames.len() + self.rows.len()
    }
}

/// Takes the microphone's blocks beside the timeline, and makes chunks of them.
pub(crate) struct FlacTap {
    start_ns: i64,
    encoder: FlacEncoder,
    map: ClockMap,
    /// Samples in the chunks so far.
    handed_over: u64,
}

impl FlacTap {
    /// For a take that begins at `start_ns` of session time.
    pub(crate) fn new(start_ns: i64) -> Self {
        Self { start_ns, encoder: FlacEncoder::new(), map: ClockMap::default(), handed_over: 0 }
    }

    /// Takes one block, which `track` has been given: `index` is its first sample's, counted by the device, captured at `at_ns` of
    /// session time by its own mark. Only what lies before `end_ns` is taken, once that is known.
    ///
    /// # Errors
    /// [`EncodeError`] when the encoder fails; it will not take another block.
    pub(crate) fn push(
        &mut self,
        track: &AudioTrack,
        index: u64,
        at_ns: i64,
        block: &[f32],
        end_ns: Option<i64>,
    ) -> Result<(), EncodeError> {
        // A block that is held back as evidence of a gap has no place yet; its mark says enough.
        let begins = track.session_ns_of(index).unwrap_or(at_ns);
        if self.encoder.given() == 0 && begins + span_ns(block.len()) <= self.start_ns - LEAD_NS {
            return Ok(());
        }
        let len = end_ns.map_or(block.len(), |end| block.len().min(samples_in(end - begins)));
        if len > 0 {
            self.map.note(self.encoder.given(), index, len as u64);
            self.encoder.push(&block[..len])?;
        }
        Ok(())
    }

    /// The next chunk, once it is full.
    pub(crate) fn poll(&mut self, track: &AudioTrack) -> Option<Chunk> {
        self.map.settle(|index| track.session_ns_of(index));
        let ready = self.encoder.frames_end() - self.handed_over >= CHUNK_FRAMES * BLOCK as u64;
        ready.then(|| self.chunk(track))
    }

    /// The last chunk: all that is left.
    ///
    /// # Errors
    /// [`EncodeError`] when the encoder fails; what was handed over before is whole without it.
    pub(crate) fn finish(mut self, track: &AudioTrack) -> Result<Chunk, EncodeError> {
        self.encoder.finish()?;
        self.map.finish(self.encoder.given(), |index| track.session_ns_of(index));
        Ok(self.chunk(track))
    }

    fn chunk(&mut self, track: &AudioTrack) -> Chunk {
        self.handed_over = self.encoder.frames_end();
        Chunk {
            frames: self.encoder.take(),
            rows: self.map.take(|index| track.session_ns_of(index)),
            summary: self.encoder.summary(),
        }
    }
}

fn span_ns(samples: usize) -> i64 {
    samples as i64 * 1_000_000_000 / i64::from(SAMPLE_RATE)
}

/// Samples in a span of time; none in one that is over.
fn samples_in(span_ns: i64) -> usize {
    (i128::from(span_ns.max(0)) * i128::from(SAMPLE_RATE) / 1_000_000_000) as usize
}
