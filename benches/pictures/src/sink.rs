//! What the sender's own decoder makes of each frame: what the receiver must show, bit for bit.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyperzoom_media::{MediaKind, PacketSink};
use hyperzoom_video::VideoError;
use hyperzoom_video::vp8::Decoder;

/// A frame that the sender has not decoded for so long is none of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pictures by their timestamps, as hashes of their pixels.
#[derive(Clone, Default)]
pub(crate) struct Truth(Arc<Mutex<HashMap<u32, u64>>>);

impl Truth {
    fn tell(&self, timestamp_ms: u32, pixels: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(timestamp_ms, hash(pixels));
    }

    /// Whether the frame with this timestamp has pixels of this [`hash`]. The sender may be decoding it just now.
    pub(crate) fn is(&self, timestamp_ms: u32, hash: u64) -> bool {
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            let truth = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&timestamp_ms).copied();
            if let Some(truth) = truth {
                return truth == hash;
            }
            std::thread::yield_now();
        }
        false
    }
}

/// A picture's pixels in one number.
pub(crate) fn hash(pixels: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(pixels);
    hasher.finish()
}

/// Decodes what it sends.
pub(crate) struct DecodingSink<S> {
    inner: S,
    decoder: Decoder,
    truth: Truth,
    picture: Vec<u8>,
}

impl<S: PacketSink> DecodingSink<S> {
    pub(crate) fn new(inner: S, truth: Truth) -> Result<Self, VideoError> {
        Ok(Self { inner, decoder: Decoder::new()?, truth, picture: Vec::new() })
    }
}

impl<S: PacketSink> PacketSink for DecodingSink<S> {
    fn send(&mut self, kind: MediaKind, timestamp_ms: u32, payload: &[u8]) {
        let Self { inner, decoder, truth, picture } = self;
        // Sent before it is decoded here, so that this adds nothing to its age.
        inner.send(kind, timestamp_ms, payload);
        let decoded = decoder.decode(payload, |decoded| {
            picture.resize(decoded.shape().len(), 0);
            decoded.copy_to(picture);
            truth.tell(timestamp_ms, picture);
        });
        decoded.expect("the encoder's frames decode");
    }

    fn skip(&mut self) {
        self.inner.skip();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pixel_that_is_off_is_seen() {
        let truth = Truth::default();
        let mut pixels = vec![7; 1000];
        truth.tell(41, &pixels);
        assert!(truth.is(41, hash(&pixels)));
        pixels[999] = 8;
        assert!(!truth.is(41, hash(&pixels)));
    }
}
