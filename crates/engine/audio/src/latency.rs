//! Where the time goes from one person's mouth to another's ear, stage by stage, each measured where it passes.
//!
//! The speaker's machine measures what it does itself ([`SendLatency`]). Every packet carries the session time at which its
//! first sample was captured, so that the listener's machine measures all of that and the network in one figure, the transit, and
//! adds what it does itself ([`Latency`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use hyperzoom_media::{AudioPacket, SAMPLE_RATE};
use hyperzoom_playout::PlayoutStats;
use hyperzoom_timing::SharedClock;

use crate::codec::LOOKAHEAD;

/// How late libopus is.
const CODEC: Duration = Duration::from_nanos(LOOKAHEAD as u64 * 1_000_000_000 / SAMPLE_RATE as u64);

/// How late the playout's resampler is: half of the 8 points of its polynomial.
const RESAMPLER: Duration = Duration::from_nanos(4 * 1_000_000_000 / 48_000);

/// A mean follows its samples with this time constant, in samples: one second of frames of 5 ms.
const MEAN_OVER: i64 = 200;

/// A packet that took longer than this either way does not say how long packets take: the clock was corrected, or it was held up with
/// the machine asleep.
const BELIEVED_MS: u32 = 2000;

/// From a peer's mouth to this ear: means over the last second or so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// From the capture of a frame's first sample to its packet's arrival here: what the peer tells as [`SendLatency`], and the
    /// network. By the session clock, so that it is wrong by what the clock is.
    pub transit: Duration,
    /// How far the session clock may be off, and `transit` with it; 0 on the host itself.
    pub clock_bound: Duration,
    /// From a packet's arrival to the place of its first sample in the sound that the loudspeaker's callback takes.
    pub jitter_buffer: Duration,
    /// Opus's lookahead, there and back.
    pub codec: Duration,
    /// The resamplers: the one that follows the peer's clock, and the device's, where it is not at 48 kHz.
    pub resampler: Duration,
    /// What the loudspeaker plays before what its callback takes now, as the sound system says.
    pub device: Duration,
}

impl Latency {
    /// This and another together, stage by stage; the greater of the clock's bounds.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            transit: self.transit + other.transit,
            clock_bound: self.clock_bound.max(other.clock_bound),
            jitter_buffer: self.jitter_buffer + other.jitter_buffer,
            codec: self.codec + other.codec,
            resampler: self.resampler + other.resampler,
            device: self.device + other.device,
        }
    }

    /// A part of it: with [`plus`](Self::plus), the mean of `count`, which is not 0.
    #[must_use]
    pub fn over(&self, count: u32) -> Self {
        Self {
            transit: self.transit / count,
            clock_bound: self.clock_bound,
            jitter_buffer: self.jitter_buffer / count,
            codec: self.codec / count,
            resampler: self.resampler / count,
            device: self.device / count,
        }
    }

    /// Mouth to ear.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.transit + self.jitter_buffer + self.codec + self.resampler + self.device
    }
}

/// What the speaker's own machine adds to each frame: means over the last second or so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendLatency {
    /// The age of a frame's first sample when the live thread takes the frame: the frame's length, what of the device's period
    /// comes after it, and how long the thread took to wake up.
    pub capture: Duration,
    /// Opus.
    pub encode: Duration,
    /// Sealing, and handing the datagram to the system.
    pub send: Duration,
}

impl SendLatency {
    /// This and another together, stage by stage.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            capture: self.capture + other.capture,
            encode: self.encode + other.encode,
            send: self.send + other.send,
        }
    }

    /// A part of it: with [`plus`](Self::plus), the mean of `count`, which is not 0.
    #[must_use]
    pub fn over(&self, count: u32) -> Self {
        Self { capture: self.capture / count, encode: self.encode / count, send: self.send / count }
    }
}

/// A mean that one thread keeps and any may read. `i64::MIN` before the first sample.
#[derive(Debug)]
pub(crate) struct Mean(AtomicI64);

impl Default for Mean {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl Mean {
    /// Takes one more. Never blocks or allocates.
    pub(crate) fn note(&self, ns: i64) {
        let mean = match self.0.load(Ordering::Relaxed) {
            i64::MIN => ns,
            mean => mean + (ns - mean) / MEAN_OVER,
        };
        self.0.store(mean, Ordering::Relaxed);
    }

    /// Takes a length of time.
    pub(crate) fn note_time(&self, time: Duration) {
        self.note(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 2));
    }

    /// The mean in nanoseconds; `None` before the first sample.
    pub(crate) fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|mean| *mean != i64::MIN)
    }

    /// The mean; nothing before the first sample, or where it is negative.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_nanos(self.get().and_then(|ns| u64::try_from(ns).ok()).unwrap_or(0))
    }
}

/// What the live thread measures of itself.
#[derive(Debug, Default)]
pub(crate) struct SendMeans {
    pub(crate) capture: Mean,
    pub(crate) encode: Mean,
    pub(crate) send: Mean,
}

impl SendMeans {
    pub(crate) fn get(&self) -> SendLatency {
        SendLatency { capture: self.capture.time(), encode: self.encode.time(), send: self.send.time() }
    }
}

/// What lies before the samples that the loudspeaker's callback is asked for, in nanoseconds; shared by the mixer and the engine.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeviceAhead(Arc<[AtomicU64; 2]>);

impl DeviceAhead {
    /// `ahead` in the device, and `resampler` in the conversion to its rate.
    pub(crate) fn tell(&self, ahead: Duration, resampler: Duration) {
        // A host that has stalled may tell of years.
        let ns = |time: Duration| time.as_nanos().min(u128::from(u64::MAX)) as u64;
        self.0[0].store(ns(ahead), Ordering::Relaxed);
        self.0[1].store(ns(resampler), Ordering::Relaxed);
    }

    fn get(&self) -> [Duration; 2] {
        [&self.0[0], &self.0[1]].map(|ns| Duration::from_nanos(ns.load(Ordering::Relaxed)))
    }
}

/// How long a peer's packets take, from the capture of their first sample.
#[derive(Debug, Default)]
pub(crate) struct Transit(Mean);

impl Transit {
    /// Takes note of a packet. Its timestamp has whole milliseconds only, but is dithered where it is made
    /// ([`dither`]), so that the mean is exact.
    pub(crate) fn note(&self, packet: &AudioPacket, clock: &SharedClock) {
        let Some(clock) = clock.known() else { return };
        let arrived = clock.session_ns(packet.arrived);
        let whole_ms = clock.session_ms(packet.arrived);
        // Timestamps wrap after 49 days.
        let ms = whole_ms.wrapping_sub(packet.timestamp_ms) as i32;
        if arrived > 0 && ms.unsigned_abs() < BELIEVED_MS {
            self.0.note(i64::from(ms) * 1_000_000 + arrived % 1_000_000);
        }
    }

    /// The link's figure, once a packet has come and the clock is known.
    pub(crate) fn latency(
        &self,
        stats: &PlayoutStats,
        device: &DeviceAhead,
        clock: &SharedClock,
    ) -> Option<Latency> {
        self.0.get()?;
        let [device, resampler] = device.get();
        Some(Latency {
            transit: self.0.time(),
            clock_bound: Duration::from_nanos(clock.known()?.bound_ns),
            jitter_buffer: stats.wait,
            codec: CODEC,
            resampler: RESAMPLER + resampler,
            device,
        })
    }
}

/// What is added to the moment of the `n`th frame before its timestamp is cut to whole milliseconds: evenly spread over one (a Weyl
/// sequence of the golden ratio), so that the mean of many timestamps is the mean of their moments. Without it frames of 5 ms
/// would all be cut by the same part of a millisecond.
pub(crate) fn dither(n: u64) -> Duration {
    // 2^64 over the golden ratio; the upper half of the product, of a millisecond.
    let part = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    Duration::from_nanos((part * 1_000_000) >> 32)
}

#[cfg(test)]
mod tests {
    use hyperzoom_timing::SessionClock;

    use super::*;

    fn packet(sequence: u64, arrived: Duration, timestamp_ms: u32) -> AudioPacket {
        AudioPacket::new(sequence, arrived, timestamp_ms, &[0]).unwrap()
    }

    /// Frames of 5 ms that are captured at odd moments and take 3.3 ms.
    fn transit_of(clock: &SharedClock, start: Duration) -> i64 {
        let transit = Transit::default();
        for n in 0..2000 {
            let captured = start + Duration::from_micros(n * 5000);
            let stamp = clock.get().session_ms(captured + dither(n));
            transit.note(&packet(n, captured + Duration::from_micros(3300), stamp), clock);
        }
        transit.0.get().unwrap()
    }

    #[test]
    fn whole_milliseconds_tell_a_transit_to_a_hundredth_of_one() {
        let clock = SharedClock::of(SessionClock::host(Duration::from_secs(1)));
        for odd in [0, 250, 770, 999] {
            let ns = transit_of(&clock, Duration::from_millis(2000) + Duration::from_micros(odd));
            assert!((ns - 3_300_000).abs() < 20_000, "{ns} ns at {odd} µs");
        }
    }

    #[test]
    fn a_transit_goes_on_where_timestamps_wrap() {
        let clock = SharedClock::of(SessionClock::IDENTITY);
        let ns = transit_of(&clock, Duration::from_millis(u64::from(u32::MAX) - 9_980));
        assert!((ns - 3_300_000).abs() < 20_000, "{ns} ns");
    }

    #[test]
    fn a_timestamp_of_another_time_is_not_believed() {
        let clock = SharedClock::of(SessionClock::IDENTITY);
        let transit = Transit::default();
        transit.note(&packet(0, Duration::from_secs(60), 1000), &clock);
        // As far off as there is, in either sense.
        transit.note(&packet(0, Duration::from_secs(60), 60_000 + (1 << 31)), &clock);
        transit.note(&packet(0, Duration::from_secs(60), 60_001 + (1 << 31)), &clock);
        let ahead = DeviceAhead::default();
        assert_eq!(transit.latency(&PlayoutStats::default(), &ahead, &clock), None);
        transit.note(&packet(1, Duration::from_secs(60), 59_990), &clock);
        let latency = transit.latency(&PlayoutStats::default(), &ahead, &clock).unwrap();
        assert_eq!(latency.transit, Duration::from_millis(10));
        assert_eq!(latency.total(), Duration::from_millis(10) + CODEC + RESAMPLER);
    }

    #[test]
    fn nothing_is_told_of_a_clock_that_is_not_known() {
        let transit = Transit::default();
        transit.note(&packet(0, Duration::from_secs(1), 1000), &SharedClock::new());
        assert_eq!(transit.0.get(), None);
    }
}
