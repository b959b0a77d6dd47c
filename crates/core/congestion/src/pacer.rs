//! Pacing: the datagrams of a frame follow one another no faster than the path takes them.

use std::time::Duration;

/// How long a datagram may hold up a voice's packet behind it, at the pace: about a frame of it.
const BLOCKS: Duration = Duration::from_millis(5);

/// Shorter parts would be headers for the most part.
const SHORTEST: usize = 160;

/// What a thread overslept is made up for, but no more than this: two datagrams, as [`BLOCKS`] makes them.
const CATCH_UP: Duration = Duration::from_millis(10);

/// Spreads datagrams at a rate.
///
/// A keyframe is ten times as large as other frames. Sent at once it fills the queue of the path's narrowest link, and the voice
/// waits behind it (the same idea as WebRTC's paced sender, modules/pacing, and QUIC's, RFC 9002 §7.7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pacer {
    free_at: Duration,
}

impl Pacer {
    /// One whose next datagram may leave at `free_at`, so that two threads can take turns with it.
    #[must_use]
    pub fn free_at(free_at: Duration) -> Self {
        Self { free_at }
    }

    /// When the next datagram may leave.
    #[must_use]
    pub fn next_at(&self) -> Duration {
        self.free_at
    }

    /// A frame begins `now`. What was not used since the last one is not saved up.
    pub fn begin(&mut self, now: Duration) {
        self.free_at = self.free_at.max(now);
    }

    /// How long to wait `now` before sending a datagram of so many bytes at so many kbit/s; it is taken to be sent then. What was
    /// overslept since the frame began is caught up, up to 10 ms of it.
    pub fn wait(&mut self, now: Duration, bytes: usize, kbps: u32) -> Duration {
        let at = self.free_at.max(now.saturating_sub(CATCH_UP));
        let bits_per_ms = u64::from(kbps.max(1));
        self.free_at = at + Duration::from_micros(bytes as u64 * 8_000 / bits_per_ms);
        at.saturating_sub(now)
    }
}

/// How long a frame's parts should be at so many kbit/s, in bytes: short where a long one would hold up the voice. At most `longest`.
#[must_use]
pub fn fragment_len(kbps: u32, frame: usize, longest: usize) -> usize {
    let short = (u128::from(kbps) * BLOCKS.as_micros() / 8_000) as usize;
    // No more than 255 parts, for the number of parts is a byte.
    short.max(SHORTEST).max(frame.div_ceil(u8::MAX.into())).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn datagrams_are_spread_at_the_rate_and_a_pause_is_not_caught_up() {
        let mut pacer = Pacer::default();
        // 1000 bytes at 800 kbit/s are 10 ms.
        pacer.begin(ms(100));
        assert_eq!(pacer.wait(ms(100), 1000, 800), ms(0));
        assert_eq!(pacer.wait(ms(100), 1000, 800), ms(10));
        assert_eq!(pacer.wait(ms(104), 1000, 800), ms(16));
        pacer.begin(ms(500));
        assert_eq!(pacer.wait(ms(500), 1000, 800), ms(0));
        assert_eq!(pacer.wait(ms(500), 1000, 800), ms(10));
    }

    #[test]
    fn what_a_thread_oversleeps_within_a_frame_is_caught_up() {
        let mut pacer = Pacer::default();
        pacer.begin(ms(100));
        let mut now = ms(100);
        for _ in 0..100 {
            // 500 bytes at 800 kbit/s are 5 ms, and each sleep takes 2 ms too long.
            let wait = pacer.wait(now, 500, 800);
            now += if wait.is_zero() { wait } else { wait + ms(2) };
        }
        assert!(now >= ms(595) && now <= ms(597), "{now:?} for 495 ms");
        // After a long one it goes on at the pace, with two at once at the most.
        now += ms(200);
        let waits: Vec<Duration> = (0..4).map(|_| pacer.wait(now, 500, 800)).collect();
        assert_eq!(waits, [0, 0, 0, 5].map(ms));
    }

    #[test]
    fn parts_are_short_where_the_pace_is_slow() {
        assert_eq!(fragment_len(8_000, 20_000, 1172), 1172);
        assert_eq!(fragment_len(800, 20_000, 1172), 500);
        assert_eq!(fragment_len(20, 5_000, 1172), SHORTEST);
        assert_eq!(fragment_len(20, 255 * 1000, 1172), 1000, "a byte numbers them");
        assert_eq!(fragment_len(0, 0, 1172), SHORTEST);
    }
}
