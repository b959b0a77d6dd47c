//! Audio before video at the socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whose turn it is to write to the socket: audio's whenever it wants it.
///
/// The spec's invariant (§8.3) is that audio leaves first when both are ready. The audio thread announces itself before it
/// seals its frame, and the video thread asks before every datagram, so at most the one datagram that is being
/// written already goes ahead of a frame of audio.
#[derive(Debug, Clone)]
pub struct Turn {
    audio: Arc<AtomicBool>,
    patience: Duration,
}

/// Audio has the turn until this is dropped.
#[derive(Debug)]
pub struct AudioTurn<'a>(&'a AtomicBool);

impl Default for Turn {
    /// Video waits for 2 ms at the longest: an audio thread that the system has stopped in mid-send must not stop the
    /// picture for good.
    fn default() -> Self {
        Self::new(Duration::from_millis(2))
    }
}

impl Turn {
    /// A turn for which video waits no longer than `patience`.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { audio: Arc::default(), patience }
    }

    /// Takes the turn for audio. Never waits.
    pub fn audio(&self) -> AudioTurn<'_> {
        self.audio.store(true, Ordering::Release);
        AudioTurn(&self.audio)
    }

    /// Whether video may write a datagram now.
    #[must_use]
    pub fn is_videos(&self) -> bool {
        !self.audio.load(Ordering::Acquire)
    }

    /// Waits until audio has written what it has; audio's turn is a few tens of microseconds.
    pub(crate) fn wait_for_audio(&self) {
        if self.is_videos() {
            return;
        }
        let since = Instant::now();
        while !self.is_videos() && since.elapsed() < self.patience {
            std::thread::yield_now();
        }
    }
}

impl Drop for AudioTurn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn video_waits_while_audio_has_the_turn() {
        let turn = Turn::default();
        assert!(turn.is_videos());
        let audio = turn.audio();
        assert!(!turn.clone().is_videos());
        drop(audio);
        assert!(turn.is_videos());
    }
}
