//! What the audio engine holds for each speaker.

use std::time::Duration;

use hyperzoom_media::{AudioPacket, SAMPLE_RATE};

use crate::config::{FrameDecoder, PlayoutConfig, PlayoutStats};
use crate::stretch::{MAX_BLOCK, Stretch};
use crate::voice::Voice;

/// Calls that follow each other within this are one callback's, or those of a sound server that asks several times at
/// once: less than any period lasts.
const AT_ONCE: f64 = 0.001;

/// What the device takes at once, in one call or several.
#[derive(Debug, Clone, Copy)]
struct Take {
    /// The moment of the first call and of the last.
    first: f64,
    last: f64,
    /// All told, and in the last call.
    samples: usize,
    last_samples: usize,
}

impl Take {
    const NONE: Self =
        Self { first: f64::NEG_INFINITY, last: f64::NEG_INFINITY, samples: 0, last_samples: 0 };

    /// One call more. Returns how many samples the device took before it at the same moment.
    fn add(&mut self, now: f64, samples: usize) -> usize {
        let quarter = self.last_samples as f64 / f64::from(SAMPLE_RATE) / 4.0;
        if !(0.0..AT_ONCE.min(quarter)).contains(&(now - self.last)) {
            *self = Self { first: now, ..Self::NONE };
        }
        let before = self.samples;
        *self = Self { last: now, samples: before + samples, last_samples: samples, ..*self };
        before
    }
}

/// The listener's side of one speaker. See the [crate's documentation](crate).
pub struct Playout {
    voice: Voice,
    stretch: Stretch,
    take: Take,
}

impl Playout {
    /// A playout that waits for its first packet. This allocates all that it will ever need, about 140 kB.
    ///
    /// # Panics
    /// Where `frame_samples` is 0 or above [`PlayoutConfig::MAX_FRAME_SAMPLES`].
    #[must_use]
    pub fn new(config: PlayoutConfig) -> Self {
        Self { voice: Voice::new(&config), stretch: Stretch::new(), take: Take::NONE }
    }

    /// Samples of one packet.
    #[must_use]
    pub fn frame_samples(&self) -> usize {
        self.voice.frame_samples()
    }

    /// The speaker's packets have this length from here on. Where that is a change, it is a [`reset`](Self::reset) too.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn set_frame_samples(&mut self, frame_samples: usize) {
        if frame_samples != self.frame_samples() {
            self.voice.set_frame_samples(frame_samples);
        }
    }

    /// Forgets the speaker: the next packet, whatever its number, is the first. The statistics go on.
    ///
    /// For one who comes back with a new key, and so with new numbers. The decoder is the caller's to reset.
    pub fn reset(&mut self) {
        self.voice.reset();
        self.stretch.reset();
    }

    /// The target is not below `depth` until this is called again, nor above the greatest depth: for copies, which come later
    /// than the frames they are of. It is reached as ever, without anybody hearing it.
    pub fn hold_at_least(&mut self, depth: Duration) {
        self.voice.hold(depth.as_secs_f64());
    }

    /// Whether a voice is being played: not before the first packet, nor in a silence.
    #[must_use]
    pub fn is_playing(&self) -> bool {
        self.voice.is_playing()
    }

    /// What became of the packets so far.
    #[must_use]
    pub fn stats(&self) -> PlayoutStats {
        self.voice.stats()
    }

    /// Takes a packet that arrived, in whatever order, as often as it likes.
    pub fn insert(&mut self, packet: &AudioPacket) {
        self.voice.insert(packet);
    }

    /// Writes the next `out.len()` samples, any number of them; silence where there is nothing to play.
    ///
    /// `now` is the moment of the playback callback, on the clock of [`AudioPacket::arrived`]. `decoder` is this
    /// speaker's, the same one in every call. Insert what has arrived first.
    pub fn pull(&mut self, now: Duration, out: &mut [f32], decoder: &mut dyn FrameDecoder) {
        let Self { voice, stretch, take } = self;
        let before = take.add(now.as_secs_f64(), out.len());
        voice.begin_if_due(take.first, before, take.samples, decoder);
        for (n, block) in out.chunks_mut(MAX_BLOCK).enumerate() {
            let by = voice.steer(block.len());
            let ahead = before + n * MAX_BLOCK;
            stretch.process(by, block, |input| voice.fill(take.first, ahead, input, decoder));
        }
    }
}
