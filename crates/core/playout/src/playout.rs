//! What the audio engine holds for each speaker.

use std::time::Duration;

use hyperzoom_media::AudioPacket;

use crate::config::{FrameDecoder, PlayoutConfig, PlayoutStats};
use crate::stretch::{MAX_BLOCK, Stretch};
use crate::voice::Voice;

/// The listener's side of one speaker. See the [crate's documentation](crate).
pub struct Playout {
    voice: Voice,
    stretch: Stretch,
}

impl Playout {
    /// A playout that waits for its first packet. This allocates all that it will ever need, about 70 kB.
    ///
    /// # Panics
    /// Where `frame_samples` is 0 or above [`PlayoutConfig::MAX_FRAME_SAMPLES`].
    #[must_use]
    pub fn new(config: PlayoutConfig) -> Self {
        Self { voice: Voice::new(&config), stretch: Stretch::new() }
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
        let Self { voice, stretch } = self;
        let now = now.as_secs_f64();
        voice.begin_if_due(now, out.len(), decoder);
        for (n, block) in out.chunks_mut(MAX_BLOCK).enumerate() {
            let by = voice.steer(block.len());
            stretch.process(by, block, |input| voice.fill(now, n * MAX_BLOCK, input, decoder));
        }
    }
}
