//! What the audio engine holds for each speaker.

use std::time::Duration;

use hyperzoom_media::AudioPacket;

use crate::config::{FrameDecoder, PlayoutConfig, PlayoutStats};
use crate::device::Device;
use crate::stretch::{MAX_BLOCK, Stretch};
use crate::voice::{Voice, seconds};

/// The listener's side of one speaker. See the [crate's documentation](crate).
pub struct Playout {
    voice: Voice,
    stretch: Stretch,
    device: Device,
}

impl Playout {
    /// A playout that waits for its first packet. This allocates all that it will ever need, about 150 kB.
    ///
    /// # Panics
    /// Where `frame_samples` is 0 or above [`PlayoutConfig::MAX_FRAME_SAMPLES`].
    #[must_use]
    pub fn new(config: PlayoutConfig) -> Self {
        Self { voice: Voice::new(&config), stretch: Stretch::new(), device: Device::new() }
    }

    /// Samples of the packets that are inserted next.
    #[must_use]
    pub fn frame_samples(&self) -> usize {
        self.voice.frame_samples()
    }

    /// The packets that are inserted from here on have this length. Those that are held keep theirs, so that a speaker
    /// may change it from one packet to the next without a seam.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn set_frame_samples(&mut self, frame_samples: usize) {
        self.voice.set_frame_samples(frame_samples);
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
        let behind = self.device.behind(packet.arrived.as_secs_f64());
        self.voice.insert(packet, self.device.next_place(), behind);
    }

    /// Writes the next `out.len()` samples, any number of them; silence where there is nothing to play.
    ///
    /// `now` is the moment of the playback callback, on the clock of [`AudioPacket::arrived`]. `decoder` is this
    /// speaker's, the same one in every call. Insert what has arrived first.
    pub fn pull(&mut self, now: Duration, out: &mut [f32], decoder: &mut dyn FrameDecoder) {
        let Self { voice, stretch, device } = self;
        if out.is_empty() {
            return;
        }
        let now = now.as_secs_f64();
        let moved = device.take(now, out.len());
        voice.device(device.usual_take(), moved, device.stood_still_until());
        voice.begin_if_due(now, device.place(), decoder);
        for (n, block) in out.chunks_mut(MAX_BLOCK).enumerate() {
            let by = voice.steer(block.len());
            let place = device.place() + seconds(n * MAX_BLOCK);
            stretch.process(by, block, |input| voice.fill(now, place, input, decoder));
        }
    }
}
