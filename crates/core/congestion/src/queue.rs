//! The receiver's side: what a path does to a voice's packets.

use std::time::Duration;

/// A queue this long is worth telling at once: a path that is probed has just become full.
pub const NOTICE: Duration = Duration::from_millis(6);

/// A queue this long is the first sign of a path that has become narrow: the datagrams of a frame wait until there is better news, and not
/// [long](PAUSE).
pub const WARNING: Duration = Duration::from_millis(12);

/// Video that waits for better news of the path waits so long at the most: until then there is news.
pub const PAUSE: Duration = Duration::from_millis(50);

/// A queue this long makes a voice late: video stops until it is [gone](CLEAR).
pub const ALARM: Duration = Duration::from_millis(25);

/// A queue shorter than this is none that matters.
pub const CLEAR: Duration = Duration::from_millis(10);

/// A report is due after so long, whatever there is to tell.
const INTERVAL: Duration = Duration::from_secs(1);

/// And so often while there is a queue.
const SPACING: Duration = Duration::from_millis(50);

/// A queue delays every packet, and they come one by one; what a scheduler has held back comes all at once, the last of it on time. So the
/// least late of those that came within this tells the two apart.
const RUN: Duration = Duration::from_millis(5);

/// A packet that has not come while it should have may be in a queue. One that is missing for longer than this was never sent: the
/// speaker was muted. A frame that was on its way as the path became narrow holds it up for less.
const OVERDUE: Duration = Duration::from_millis(100);

/// So many packets at most are looked at for that.
const KEPT: usize = 16;

/// The earliest packet of about the last half minute is one that met no queue. It is kept in spans of this, so that clocks may drift and
/// routes may change.
const SPAN: Duration = Duration::from_secs(5);
const SPANS: usize = 6;

/// The length of a frame is taken over so many.
const LENGTHS: usize = 8;

/// A timestamp that is further than this from where the one before it says is one of a clock that was set.
const JUMP_US: i64 = 10_000;

/// After so long without a packet the last one says nothing any more.
const STALE: Duration = Duration::from_millis(500);

/// What comes out of a full queue says how fast the path is; in less time than this the scheduler says it as well.
const RATE_SPAN: Duration = Duration::from_millis(20);

/// What the voice takes is counted over so long: in less time, and out of a queue, a packet more or less makes much of a difference.
const VOICE_SPAN: Duration = Duration::from_millis(500);

/// How a path served a stream of packets since the last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathReport {
    /// How long packets queue now.
    pub queue: Duration,
    /// The longest that they queued since the last report.
    pub most_queue: Duration,
    /// What the path lets through, in kbit/s, where it was full: that is when it shows.
    pub rate_kbps: Option<u32>,
    /// What the voice takes of it, in kbit/s.
    pub audio_kbps: u32,
    /// Datagrams of voice and video that should have come since the last report.
    pub expected: u32,
    /// How many of them never came.
    pub lost: u32,
}

/// Sees a queue grow on the way from one peer, by the delay of its voice.
///
/// A voice's packets are stamped when they are captured and sent as they come, so what varies of the time until they arrive is the network.
/// Video's stamps say nothing of the kind: encoding takes a frame as long as it takes.
#[derive(Debug, Clone, Default)]
pub struct QueueMeter {
    /// The earliest offset of each span, the latest first.
    earliest: [Option<i64>; SPANS],
    span: u64,
    /// When the last packets came, and their offsets.
    recent: [(Duration, i64); KEPT],
    seen: usize,
    /// The last sequence numbers and timestamps, in microseconds.
    stamps: [(u64, i64); LENGTHS],
    stamped: usize,
    queue: Duration,
    most_queue: Duration,
    /// How long it may be, as a packet that has not come says.
    sign: Duration,
    /// Since when the path is full, and the bytes since.
    full: Option<(Duration, u64)>,
    rate_kbps: Option<u32>,
    /// Since when the bytes of the voice are counted, how many there were, and what that came to the last time.
    voice_since: Option<Duration>,
    voice_bytes: u64,
    voice_kbps: Option<u32>,
    packets: u64,
    last_audio: Duration,
    last_report: Duration,
    is_alarmed: bool,
    is_warned: bool,
    is_noticed: bool,
}

impl QueueMeter {
    /// One that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A packet of the voice with its extended sequence number and the sender's time at which its first sample was captured, of so many
    /// bytes with its headers.
    pub fn audio(&mut self, arrived: Duration, sequence: u64, timestamp_ms: u32, bytes: usize) {
        if self.packets == 0 {
            self.last_report = arrived;
        }
        if self.voice_since.is_none() || arrived.saturating_sub(self.last_audio) > STALE {
            (self.voice_since, self.voice_bytes) = (Some(arrived), 0);
        }
        self.packets += 1;
        self.last_audio = arrived;
        self.voice_bytes += bytes as u64;
        self.other(arrived, bytes);
        let stamp = i64::from(timestamp_ms) * 1000;
        let Some(length) = self.length(sequence, stamp) else { return };
        // A frame leaves when its last sample has come.
        let offset = micros(arrived) - stamp - length;
        let base = self.base(arrived, offset);
        self.recent[self.seen % KEPT] = (arrived, offset);
        self.seen += 1;
        self.look(arrived);
        if offset - base < micros(NOTICE) {
            self.full = None;
        } else if self.full.is_none() {
            self.full = Some((arrived, 0));
        }
    }

    /// Another datagram on the same path, of so many bytes with its headers.
    pub fn other(&mut self, arrived: Duration, bytes: usize) {
        let Some((since, sum)) = &mut self.full else { return };
        *sum += bytes as u64;
        let span = arrived.saturating_sub(*since);
        if span >= RATE_SPAN {
            self.rate_kbps = Some(kbps(*sum, span));
        }
    }

    /// What is to be told `now`, if anything; `losses` are the datagrams expected and lost since the last report.
    pub fn poll(&mut self, now: Duration, losses: impl FnOnce() -> (u32, u32)) -> Option<PathReport> {
        if now.saturating_sub(self.last_audio) > STALE {
            // Muted: nothing is known of the path any more.
            (self.queue, self.sign) = (Duration::ZERO, Duration::ZERO);
            self.full = None;
        } else {
            // The next packet of a full path comes late too, and there is no need to wait for it.
            self.look(now);
        }
        let queue = self.queue.max(self.sign);
        let since = now.saturating_sub(self.last_report);
        let grew = (queue >= NOTICE && !self.is_noticed)
            || (queue >= WARNING && !self.is_warned)
            || (queue >= ALARM && !self.is_alarmed);
        let is_over = (self.is_alarmed && queue < CLEAR) || (self.is_warned && queue < NOTICE);
        let goes_on = self.is_noticed && since >= SPACING;
        if !(grew || self.packets > 0 && (since >= INTERVAL || is_over || goes_on)) {
            return None;
        }
        let (expected, lost) = losses();
        let report = PathReport {
            queue,
            most_queue: self.most_queue,
            rate_kbps: self.rate_kbps,
            audio_kbps: self.voice_kbps(now),
            expected,
            lost,
        };
        self.is_alarmed = queue >= ALARM || (self.is_alarmed && queue >= CLEAR);
        self.is_warned = queue >= WARNING || (self.is_warned && queue >= NOTICE);
        self.is_noticed = queue >= NOTICE;
        self.last_report = now;
        self.most_queue = self.queue;
        self.rate_kbps = None;
        self.packets = u64::from(self.is_noticed);
        Some(report)
    }

    /// How long the queue is, as far as it shows.
    fn look(&mut self, now: Duration) {
        let Some(base) = self.earliest.iter().flatten().copied().min() else { return };
        self.queue_of_run(now, base);
        // It is no more than that.
        self.sign = self.sign(now, base).min(ALARM - Duration::from_millis(1));
    }

    /// How late the next packet is, or was the one that had been waited for, where that may be a queue.
    fn sign(&self, now: Duration, base: i64) -> Duration {
        let kept = self.stamped.min(LENGTHS);
        if kept < LENGTHS || self.seen == 0 {
            return Duration::ZERO;
        }
        let (at, offset) = self.recent[(self.seen - 1) % KEPT];
        let span = |late: i64| Duration::from_micros(late.max(0).unsigned_abs());
        if now.saturating_sub(at) < WARNING {
            // What was held back comes all at once, and the last of it on time.
            return if self.is_warned { span(offset - base) } else { Duration::ZERO };
        }
        let (last, last_stamp) = self.stamps[(self.stamped - 1) % LENGTHS];
        let (first, first_stamp) = self.stamps[(self.stamped - kept) % LENGTHS];
        let length = (last_stamp - first_stamp) / (last - first).max(1) as i64;
        let late = span(micros(now) - (micros(at) - (offset - base) + length));
        if late >= WARNING && late < OVERDUE { late } else { Duration::ZERO }
    }

    fn voice_kbps(&mut self, now: Duration) -> u32 {
        let span = now.saturating_sub(self.voice_since.unwrap_or(now));
        let rate = kbps(self.voice_bytes, span);
        if span < VOICE_SPAN {
            return self.voice_kbps.unwrap_or(rate);
        }
        (self.voice_since, self.voice_bytes) = (Some(now), 0);
        self.voice_kbps = Some(rate);
        rate
    }

    /// The queue is that of the least late of the packets of the last [`RUN`], and of the one before them.
    fn queue_of_run(&mut self, now: Duration, base: i64) {
        let mut least = i64::MAX;
        for back in 1..=self.seen.min(KEPT) {
            let (at, offset) = self.recent[(self.seen - back) % KEPT];
            least = least.min(offset);
            if now.saturating_sub(at) >= RUN {
                self.queue = Duration::from_micros((least - base).max(0).unsigned_abs());
                self.most_queue = self.most_queue.max(self.queue);
                return;
            }
        }
    }

    /// How long the voice's frames are, in microseconds; `None` where it is not known, or the packet is out of order.
    fn length(&mut self, sequence: u64, stamp: i64) -> Option<i64> {
        let kept = self.stamped.min(LENGTHS);
        if kept > 0 {
            let (last, last_stamp) = self.stamps[(self.stamped - 1) % LENGTHS];
            let (first, first_stamp) = self.stamps[(self.stamped - kept) % LENGTHS];
            let ahead = sequence.checked_sub(last).filter(|ahead| *ahead > 0)? as i64;
            if kept > 1 {
                let length = (last_stamp - first_stamp) / (last - first) as i64;
                let is_jump = (stamp - last_stamp - length * ahead).abs() > JUMP_US;
                if is_jump || !(0..=100_000).contains(&length) {
                    self.begin_anew();
                }
            }
        }
        self.stamps[self.stamped % LENGTHS] = (sequence, stamp);
        self.stamped += 1;
        let kept = self.stamped.min(LENGTHS);
        let (first, first_stamp) = self.stamps[(self.stamped - kept) % LENGTHS];
        (kept == LENGTHS).then(|| (stamp - first_stamp) / (sequence - first) as i64)
    }

    /// The earliest offset lately, this one included.
    fn base(&mut self, arrived: Duration, offset: i64) -> i64 {
        let span = (arrived.as_nanos() / SPAN.as_nanos()) as u64;
        for _ in 0..span.saturating_sub(self.span).min(SPANS as u64) {
            self.earliest.rotate_right(1);
            self.earliest[0] = None;
        }
        self.span = span;
        self.earliest[0] = Some(self.earliest[0].map_or(offset, |earliest| earliest.min(offset)));
        self.earliest.iter().flatten().copied().min().unwrap_or(offset)
    }

    /// The sender's clock was set: what was learnt of it no longer holds.
    fn begin_anew(&mut self) {
        (self.stamped, self.seen) = (0, 0);
        self.earliest = [None; SPANS];
        (self.queue, self.sign) = (Duration::ZERO, Duration::ZERO);
        self.full = None;
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn kbps(bytes: u64, span: Duration) -> u32 {
    let bits_per_ms = bytes.saturating_mul(8_000) / (span.as_micros() as u64).max(1);
    u32::try_from(bits_per_ms).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
