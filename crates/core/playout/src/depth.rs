//! How deep the buffer should be, and how to get there without anybody hearing it.
//!
//! All that the policy knows is how long each packet **waited**, from its arrival until its first sample's place in
//! the sound that the device takes; less than nothing for one that was late. That is measured in the playback
//! callback, so it holds the network's jitter, the sender's, and that of this very callback, at once. The packet that
//! met no queue waits longest: its wait is the *depth*. How much less the others wait says what the depth must be;
//! and since a callback takes a whole period at once, the last sample's packet must be there a period before its
//! place.
//!
//! They are compared over eight seconds, while the depth changes under them. So they are kept with the depth that the
//! policy itself added since subtracted, and the clocks' drift, which the resampler balances, does not count.
//!
//! A policy that simulates several depths side by side would take the same [`observe`](DepthPolicy::observe) and
//! answer the same [`target`](DepthPolicy::target).

use crate::config::PlayoutConfig;

/// Of each span, the shortest and the longest wait are kept.
const SPAN: f64 = 0.5;
/// Spans kept: eight seconds, for which a bad moment keeps the buffer deep.
const SPANS: usize = 16;
/// The depth is read from so many spans, the current one included.
const RECENT: u64 = 3;
/// What the shortest wait should be beyond that: a scheduler's whim that was not seen yet.
const GUARD: f64 = 0.000_5;
/// How much of a depth error is corrected in a second, and how quickly a lasting one is taken for drift, per second
/// squared: a critically damped loop of 10 s, which a card that is 300 ppm off moves by 1.1 ms before it is learnt.
const ERROR_GAIN: f64 = 0.2;
/// See [`ERROR_GAIN`]: its square over four.
const DRIFT_GAIN: f64 = 0.01;
/// The depth is led to its target at so much a second. Being led is not drift, and must not be learnt as such.
const LEAD: f64 = 500e-6;
/// A depth so far from where it is led to is not drift but another path: it is led on from there.
const ANOTHER_PATH: f64 = 0.003;
/// The most drift that two working sound cards have, with room: 500 ppm.
const DRIFT_LIMIT: f64 = 500e-6;
/// The most that the sound is stretched: 1000 ppm, under two cents.
const STRETCH_LIMIT: f64 = 1000e-6;

/// One span of time.
#[derive(Debug, Clone, Copy)]
struct Span {
    number: u64,
    shortest_wait: f64,
    longest_wait: f64,
}

impl Span {
    const EMPTY: Self =
        Self { number: u64::MAX, shortest_wait: f64::INFINITY, longest_wait: f64::NEG_INFINITY };
}

/// The depth as it is and as it should be. Seconds throughout.
#[derive(Debug, Clone)]
pub(crate) struct DepthPolicy {
    least: f64,
    most: f64,
    start: f64,
    /// What the device takes at once. Its first sample waits for its last, so limits are beyond it.
    period: f64,
    spans: [Span; SPANS],
    current: u64,
    /// Depth that the policy added since the last [`restart`](Self::restart).
    added: f64,
    drift: f64,
    stretch: f64,
    depth: f64,
    /// Where the depth should be by now, on its way to `target`.
    led: f64,
    target: f64,
}

impl DepthPolicy {
    pub(crate) fn new(config: &PlayoutConfig) -> Self {
        let least = config.min_depth.as_secs_f64();
        let most = config.max_depth.as_secs_f64().max(least);
        let start = config.start_depth.as_secs_f64().clamp(least, most);
        Self {
            least,
            most,
            start,
            period: 0.0,
            spans: [Span::EMPTY; SPANS],
            current: 0,
            added: 0.0,
            drift: 0.0,
            stretch: 0.0,
            depth: 0.0,
            led: start,
            target: start,
        }
    }

    /// What a packet that meets no queue waits now.
    pub(crate) fn depth(&self) -> f64 {
        self.depth
    }

    /// What it should wait.
    pub(crate) fn target(&self) -> f64 {
        self.target
    }

    /// The depth beyond which a packet is given up.
    pub(crate) fn most(&self) -> f64 {
        self.most + self.period
    }

    /// The device takes so much at once. The longest counts, since devices alternate.
    pub(crate) fn takes_at_once(&mut self, seconds: f64) {
        self.period = self.period.max(seconds);
        self.target = self.target.max((self.period + GUARD).min(self.most()));
    }

    /// By how much the depth is too small.
    pub(crate) fn error(&self) -> f64 {
        self.target - self.depth
    }

    /// By how much the sound was stretched last.
    pub(crate) fn stretch(&self) -> f64 {
        self.stretch
    }

    /// Playing begins, or begins anew, with a depth of [`target`](Self::target). What was learnt of the clocks stays.
    pub(crate) fn restart(&mut self) {
        self.spans = [Span::EMPTY; SPANS];
        self.added = 0.0;
        self.depth = self.target;
        self.led = self.target;
    }

    /// Another speaker: nothing that was learnt holds.
    pub(crate) fn forget(&mut self) {
        self.target = self.start;
        self.drift = 0.0;
        self.stretch = 0.0;
        self.restart();
        self.depth = 0.0;
    }

    /// A packet waited so long for its place; less than nothing where it was late.
    pub(crate) fn observe(&mut self, now: f64, wait: f64) {
        let wait = wait - self.added;
        self.current = self.current.max((now / SPAN) as u64);
        let longest = self.longest_wait();
        let span = &mut self.spans[(self.current % SPANS as u64) as usize];
        if span.number != self.current {
            *span = Span { number: self.current, ..Span::EMPTY };
        }
        span.longest_wait = span.longest_wait.max(wait);
        // One that even the greatest depth would not have saved is no reason to be deep.
        if longest.is_none_or(|longest| longest - wait <= self.most) {
            span.shortest_wait = span.shortest_wait.min(wait);
        }
        self.update();
    }

    /// A frame of `seconds` was played on top.
    pub(crate) fn stretched_by(&mut self, seconds: f64) {
        self.added += seconds;
        self.depth += seconds;
        self.led += seconds;
    }

    /// The stretch of the next `seconds` of sound.
    pub(crate) fn steer(&mut self, seconds: f64) -> f64 {
        let way = (self.target - self.led).clamp(-LEAD * seconds, LEAD * seconds);
        self.led += way;
        let error = self.led - self.depth;
        self.drift += DRIFT_GAIN * error * seconds;
        self.drift = self.drift.clamp(-DRIFT_LIMIT, DRIFT_LIMIT);
        let wanted = self.drift + ERROR_GAIN * error + way / seconds;
        self.stretch = wanted.clamp(-STRETCH_LIMIT, STRETCH_LIMIT);
        let gained = (self.stretch - self.drift) * seconds;
        self.added += gained;
        self.depth += gained;
        self.stretch
    }

    fn update(&mut self) {
        let Some(longest) = self.longest_wait() else { return };
        self.depth = longest + self.added;
        if (self.depth - self.led).abs() > ANOTHER_PATH {
            self.led = self.depth;
        }
        let spread = longest - self.usual_shortest();
        self.target = (spread + self.period + GUARD).clamp(self.least, self.most());
    }

    fn longest_wait(&self) -> Option<f64> {
        let recent = self.spans.iter().filter(|span| self.age(span).is_some_and(|age| age < RECENT));
        recent.map(|span| span.longest_wait).reduce(f64::max)
    }

    /// The second shortest of the spans' shortest waits: one bad moment in eight seconds costs a few concealed frames
    /// once, and is no reason for everything said in the next seconds to come later. The shortest while there is only
    /// one span.
    fn usual_shortest(&self) -> f64 {
        let (mut first, mut second) = (f64::INFINITY, f64::INFINITY);
        for span in self.spans.iter().filter(|span| self.age(span).is_some()) {
            if span.shortest_wait < first {
                (first, second) = (span.shortest_wait, first);
            } else if span.shortest_wait < second {
                second = span.shortest_wait;
            }
        }
        if second.is_finite() { second } else { first }
    }

    fn age(&self, span: &Span) -> Option<u64> {
        if span.number == u64::MAX {
            return None;
        }
        self.current.checked_sub(span.number).filter(|age| *age < SPANS as u64)
    }
}
