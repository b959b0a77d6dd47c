//! Looks at what a decoder shows.

use std::time::{Duration, Instant};

use hyperzoom_video::{VideoDecoder, read_stamp};

use crate::sink::{Truth, hash};

/// What was seen.
pub(crate) struct Watched {
    /// Of each picture when it could be drawn, ascending.
    ages: Vec<Duration>,
    fresh: Duration,
    time: Duration,
    /// The longest time from one picture to the next.
    pub(crate) longest_still: Duration,
    /// Pictures that were not as they were sent.
    pub(crate) torn: u64,
}

impl Watched {
    /// Watches for `span` from the first picture on, and has the app's work done by `turn`. What is shown is fresh
    /// while it is not older than `fresh`.
    pub(crate) fn watch(
        epoch: Instant,
        decoder: &mut VideoDecoder,
        truth: &Truth,
        fresh: Duration,
        span: Duration,
        mut turn: impl FnMut(&VideoDecoder),
    ) -> Self {
        let mut seen = Self {
            ages: Vec::new(),
            fresh: Duration::ZERO,
            time: Duration::ZERO,
            longest_still: Duration::ZERO,
            torn: 0,
        };
        // When the picture that is shown was taken, when it could be drawn, and up to when its time is counted.
        let mut shown: Option<[Duration; 3]> = None;
        let mut until = None;
        // Compared at the end: the sender may be slower with its own than the receiver.
        let mut pixels = Vec::new();
        while until.is_none_or(|until| epoch.elapsed() < until) {
            turn(decoder);
            let now = epoch.elapsed();
            if let Some([taken, _, counted]) = &mut shown {
                seen.time += now - *counted;
                seen.fresh += (*taken + fresh).min(now).saturating_sub(*counted);
                *counted = now;
            }
            if !decoder.newest.has_new() {
                std::thread::sleep(Duration::from_micros(500));
                continue;
            }
            let Some(picture) = decoder.newest.latest() else { continue };
            pixels.push((picture.timestamp_ms, hash(picture.data())));
            match read_stamp(picture.shape(), picture.planes()[0]).map(|stamp| stamp.time) {
                Some(taken) => {
                    seen.ages.push(now.saturating_sub(taken));
                    if let Some([_, before, _]) = shown {
                        seen.longest_still = seen.longest_still.max(now - before);
                    }
                    shown = Some([taken, now, now]);
                    until.get_or_insert(now + span);
                }
                None => seen.torn += 1,
            }
        }
        seen.torn +=
            pixels.iter().filter(|(timestamp_ms, hash)| !truth.is(*timestamp_ms, *hash)).count() as u64;
        seen.ages.sort_unstable();
        seen
    }

    /// The age that this share of the pictures did not exceed when they could be drawn.
    pub(crate) fn age(&self, share: f64) -> Duration {
        let at = (self.ages.len() as f64 * share) as usize;
        self.ages.get(at).copied().unwrap_or_default()
    }

    pub(crate) fn pictures(&self) -> usize {
        self.ages.len()
    }

    pub(crate) fn fresh_percent(&self) -> f64 {
        100.0 * self.fresh.as_secs_f64() / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}
