//! What a playout is made with, what it calls, and what it reports.

use std::time::Duration;

/// How a [`Playout`](crate::Playout) is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutConfig {
    /// Samples of the first packets at 48 kHz: 120, 240 or 480 for frames of 2.5, 5 or 10 ms.
    pub frame_samples: usize,
    /// The least depth: 2.5 ms, half of the spec's 5 (§4.2), for which there is no need where nothing jitters and the
    /// device takes little at once. It is never less than what the device takes at once.
    pub min_depth: Duration,
    /// The greatest depth: 30 ms. A packet that would need more is given up.
    pub max_depth: Duration,
    /// The depth at which the first talk begins, before anything is known of the network.
    pub start_depth: Duration,
}

impl PlayoutConfig {
    /// The longest frame, in samples: 10 ms.
    pub const MAX_FRAME_SAMPLES: usize = 480;

    /// 2.5 to 30 ms, beginning at 10 ms, for frames of `frame_samples`.
    #[must_use]
    pub const fn for_frames_of(frame_samples: usize) -> Self {
        Self {
            frame_samples,
            min_depth: Duration::from_micros(2500),
            max_depth: Duration::from_millis(30),
            start_depth: Duration::from_millis(10),
        }
    }
}

impl Default for PlayoutConfig {
    /// Frames of 5 ms.
    fn default() -> Self {
        Self::for_frames_of(240)
    }
}

/// The codec, as a playout needs it. Every `out` is one frame long, and a call writes all of it.
///
/// Called from the playback callback, so no method may allocate, block or log.
pub trait FrameDecoder {
    /// Decodes a packet's payload. False where the payload is damaged; the frame is then concealed.
    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> bool;

    /// Invents a frame in place of one that is missing.
    fn conceal(&mut self, out: &mut [f32]);

    /// Forgets the past: what comes next does not follow what came before.
    fn reset(&mut self);

    /// Decodes a missing frame out of a later packet that carries a copy of it: `distance` frames after the missing
    /// one. False where that packet has no such copy, as is so without redundancy, or where the frame does not have the
    /// length of `out`: a playout that does not know the length of a frame that is missing asks for more than one.
    fn recover(&mut self, later_payload: &[u8], distance: u32, out: &mut [f32]) -> bool {
        let _ = (later_payload, distance, out);
        false
    }

    /// Whether [`recover`](Self::recover) has what it needs in that packet. A playout asks it of packets that came too
    /// late for that: where copies would come in time at a greater depth, the depth grows.
    fn carries(&self, later_payload: &[u8], distance: u32) -> bool {
        let _ = (later_payload, distance);
        false
    }
}

/// What became of a speaker's packets.
///
/// Frames that were deliberately not sent (a muted microphone) look just like an outage. So what is missing before a
/// silence of [120 ms](PlayoutStats::resets) or more is in `concealed_frames`, but not in `lost`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PlayoutStats {
    /// Packets that were inserted, all told.
    pub received: u64,
    /// Packets that came after their frame had to be played.
    pub late: u64,
    /// Frames whose packet never came (or has not come yet), without those at the start of an outage.
    pub lost: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets that the decoder refused.
    pub damaged: u64,
    /// Missing frames that were decoded out of a later packet's copy. They are in `lost` or, if their packet came after
    /// all, in `late`; not in `concealed_frames`.
    pub repaired: u64,
    /// Frames that the decoder had to invent, or that had faded to silence.
    pub concealed_frames: u64,
    /// Those of `concealed_frames` that were played on top, to gain depth quickly.
    pub stretched_frames: u64,
    /// Frames that were left out, all of them or a part: what the device lost when it stood still, what is beyond the
    /// greatest depth after an outage of the network, once in the first three seconds, to get to the target, and in a
    /// pause what has not been needed for a while. The
    /// seam is a crossfade.
    pub skipped_frames: u64,
    /// In how many cuts.
    pub skips: u64,
    /// How long a packet that met no queue waits from its arrival until its place in the sound, when the device begins
    /// to play what it takes as soon as it has it. Zero before the first.
    pub depth: Duration,
    /// How long it should.
    pub target: Duration,
    /// How much longer the sound is made by resampling, in parts per million: negative where the speaker's card is
    /// the faster.
    pub resample_ppm: f32,
    /// How often playing began anew, after 120 ms without a packet or after a jump; the first beginning is not counted.
    pub resets: u64,
    /// In how many runs `lost` came.
    pub lost_runs: u64,
    /// Frames whose packet was there when they were due.
    pub played_frames: u64,
    /// How many frames ahead the newest packet was at each of those, added up: so far may a copy be.
    pub ahead_frames: u64,
    /// The speaker's frame.
    pub frame: Duration,
    /// How long packets waited, from their arrival until their place in the sound that the device takes at once: the
    /// mean of the last hundred or so. It is less than `depth`, which is the wait of those that met no queue.
    pub wait: Duration,
}
