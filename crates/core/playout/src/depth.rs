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
//! Resampling is for drift and for small steps. Two things are too large for it, and are **skipped**, in one cut under a
//! crossfade: what lies beyond the greatest depth after an outage (the callback stood still, or the path became much
//! shorter), and once, at the beginning, what the first packets' luck made too deep. Whether a depth beyond the
//! greatest is an outage shows in a tenth of a second: a sound server that delivers in bursts, or one that catches up
//! with what it missed, has short waits in between. Until then such waits are set aside, and nothing is learnt of them.
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

/// Where the depth is no further from its target than this times [`LEAD`], it is led more slowly. In seconds.
const LEAD_EASES: f64 = 5.0;
/// So far beyond the greatest depth, packets that wait are a surplus and no jitter.
const HYSTERESIS: f64 = 0.005;
/// If they do so for this long without a break: longer than any period or burst of a device that can be used.
const SUSTAINED: f64 = 0.1;
/// And are no fewer.
const SUSTAINED_PACKETS: u32 = 16;
/// Packets beyond the limit that are further apart than this are single ones.
const LAPSE: f64 = 0.05;
/// A device that catches up takes all that it missed within this.
const AT_ONCE: f64 = 0.01;
/// Less is not worth a cut after an outage.
const LEAST_SKIP: f64 = 0.01;
/// Playing begins with what a packet or two say of the path. For so long nothing is learnt of the clocks, and what the
/// first half second says is forgotten. Then the surplus is trimmed, in a quiet moment.
const SETTLING: f64 = 1.5;
/// Or, if there is none so soon, in any.
const IMPATIENCE: f64 = 2.5;
/// Less is not worth a cut at the beginning.
const LEAST_TRIM: f64 = 0.001;
/// What is left above the worst that was seen: a second shows less than eight.
const TRIM_GUARD: f64 = 0.001;

/// How things were when a span began: the target, and the longest wait, kept like a [`Span`]'s.
#[derive(Debug, Clone, Copy)]
struct Before {
    target: f64,
    longest_wait: f64,
}

/// Packets that wait longer than the greatest depth allows, from the first of them.
#[derive(Debug, Clone, Copy)]
struct Surplus {
    since: f64,
    /// The last that was beyond the limit.
    last: f64,
    packets: u32,
    shortest_wait: f64,
    longest_wait: f64,
}

impl Surplus {
    /// Whether it is no burst.
    fn is_sustained(&self, now: f64) -> bool {
        now - self.since >= SUSTAINED && self.packets >= SUSTAINED_PACKETS
    }
}

/// The first moments.
#[derive(Debug, Clone, Copy)]
struct Settling {
    since: f64,
    /// What was known to be needed before is not trimmed.
    least: f64,
}

/// How much the device took at once, at most, in each of the last spans.
#[derive(Debug, Clone)]
struct Pulls([(u64, f64); SPANS]);

impl Pulls {
    const NONE: Self = Self([(u64::MAX, 0.0); SPANS]);

    /// Takes one more, and says what is usual: the second longest, since a device that catches up once needs no depth
    /// for that. The longest while there is only one span.
    fn usual(&mut self, now: f64, seconds: f64) -> f64 {
        let current = (now / SPAN) as u64;
        let slot = &mut self.0[(current % SPANS as u64) as usize];
        if slot.0 != current {
            *slot = (current, 0.0);
        }
        slot.1 = slot.1.max(seconds);
        let (mut first, mut second) = (0.0f64, None::<f64>);
        for (number, longest) in &self.0 {
            if current.checked_sub(*number).is_some_and(|age| age < SPANS as u64) {
                if first > 0.0 {
                    second = Some(second.unwrap_or(0.0).max(first.min(*longest)));
                }
                first = first.max(*longest);
            }
        }
        second.unwrap_or(first)
    }
}

/// The depth as it is and as it should be. Seconds throughout.
#[derive(Debug, Clone)]
pub(crate) struct DepthPolicy {
    least: f64,
    /// Not less than this either, for as long as somebody wants it.
    held: f64,
    most: f64,
    start: f64,
    /// What the device takes at once. Its first sample waits for its last, so limits are beyond it.
    period: f64,
    pulls: Pulls,
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
    /// At the beginning of the last span, and of the one before it. An outage is younger.
    before: [Before; 2],
    surplus: Option<Surplus>,
    /// When a wait was last beyond the limit.
    surplus_seen: f64,
    settling: Option<Settling>,
}

impl DepthPolicy {
    pub(crate) fn new(config: &PlayoutConfig) -> Self {
        let least = config.min_depth.as_secs_f64();
        let most = config.max_depth.as_secs_f64().max(least);
        let start = config.start_depth.as_secs_f64().clamp(least, most);
        Self {
            least,
            held: 0.0,
            most,
            start,
            period: 0.0,
            pulls: Pulls::NONE,
            spans: [Span::EMPTY; SPANS],
            current: 0,
            added: 0.0,
            drift: 0.0,
            stretch: 0.0,
            depth: 0.0,
            led: start,
            target: start,
            before: [Before { target: start, longest_wait: start }; 2],
            surplus: None,
            surplus_seen: f64::NEG_INFINITY,
            settling: None,
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
    pub(crate) fn takes_at_once(&mut self, now: f64, seconds: f64) {
        self.period = self.pulls.usual(now, seconds);
        self.target = self.target.max((self.period + GUARD).min(self.most()));
    }

    /// The target is not below this from here on, nor above the greatest depth.
    pub(crate) fn hold(&mut self, seconds: f64) {
        self.held = seconds;
        self.update();
    }

    /// By how much the depth is too small: by nothing while packets wait beyond the greatest.
    pub(crate) fn error(&self) -> f64 {
        if self.surplus.is_some() { 0.0 } else { self.target - self.depth }
    }

    /// By how much the sound was stretched last.
    pub(crate) fn stretch(&self) -> f64 {
        self.stretch
    }

    /// Playing begins, or begins anew, with a depth of [`target`](Self::target). What was learnt of the clocks stays.
    ///
    /// `is_known` where it is the same speaker as before, so that the target is more than a guess.
    pub(crate) fn restart(&mut self, now: f64, is_known: bool) {
        self.clear();
        self.depth = self.target;
        self.settling = Some(Settling { since: now, least: if is_known { self.target } else { 0.0 } });
    }

    /// Another speaker: nothing that was learnt holds.
    pub(crate) fn forget(&mut self) {
        self.target = self.start;
        self.drift = 0.0;
        self.stretch = 0.0;
        self.clear();
        self.depth = 0.0;
    }

    fn clear(&mut self) {
        self.spans = [Span::EMPTY; SPANS];
        self.added = 0.0;
        self.led = self.target;
        self.before = [Before { target: self.target, longest_wait: self.target }; 2];
        self.surplus = None;
        self.surplus_seen = f64::NEG_INFINITY;
        self.settling = None;
    }

    /// A packet's first sample has its place in the sound at `place`, and waited so long for it; less than nothing
    /// where it was late. `now` is the callback's moment.
    pub(crate) fn observe(&mut self, now: f64, place: f64, wait: f64) {
        if self.is_set_aside(now, wait) {
            return;
        }
        let wait = wait - self.added;
        self.current = self.current.max((place / SPAN) as u64);
        let longest = self.longest_wait();
        let span = &mut self.spans[(self.current % SPANS as u64) as usize];
        if span.number != self.current {
            let now = Before { target: self.target, longest_wait: self.depth - self.added };
            self.before = [now, self.before[0]];
            *span = Span { number: self.current, ..Span::EMPTY };
        }
        span.longest_wait = span.longest_wait.max(wait);
        // One that even the greatest depth would not have saved is no reason to be deep.
        if longest.is_none_or(|longest| longest - wait <= self.most) {
            span.shortest_wait = span.shortest_wait.min(wait);
        }
        self.update();
    }

    /// Follows a surplus. True for a wait that may be part of one, of which nothing is to be learnt.
    fn is_set_aside(&mut self, now: f64, wait: f64) -> bool {
        if wait > self.most() + HYSTERESIS {
            self.surplus_seen = now;
            let begins =
                Surplus { since: now, last: now, packets: 0, shortest_wait: wait, longest_wait: wait };
            self.surplus.get_or_insert(begins).last = now;
        }
        if self.surplus.is_some_and(|surplus| now - surplus.last > LAPSE) {
            self.surplus = None;
        }
        // A straggler that no depth would have saved says nothing.
        if let Some(surplus) = self.surplus.as_mut().filter(|_| wait > -self.most) {
            surplus.packets += 1;
            surplus.shortest_wait = surplus.shortest_wait.min(wait);
            surplus.longest_wait = surplus.longest_wait.max(wait);
            if wait < self.period + GUARD + LEAST_SKIP {
                // With so little to spare it is no surplus.
                self.surplus = None;
            }
        }
        if wait <= self.depth {
            return false;
        }
        let undecided = self.surplus.is_some_and(|surplus| {
            !surplus.is_sustained(now)
                || (self.to_skip(now).is_some() && now - surplus.since < 3.0 * SUSTAINED)
        });
        undecided || now - self.surplus_seen < AT_ONCE
    }

    /// What an outage left over: so much sound is to be skipped, now.
    fn to_skip(&self, now: f64) -> Option<f64> {
        let surplus = self.surplus.filter(|surplus| surplus.is_sustained(now))?;
        // Never so much that one of these packets would have been late.
        let spare = surplus.shortest_wait - self.period - GUARD;
        Some((surplus.longest_wait - self.before[1].target).min(spare)).filter(|skip| *skip >= LEAST_SKIP)
    }

    /// What the beginning left over. Once there is nothing (any more), the depth has settled.
    fn trim(&mut self, now: f64, is_quiet: bool) -> Option<f64> {
        let settling = self.settling.filter(|settling| now - settling.since >= SETTLING)?;
        for n in 0..SPANS {
            if self.age(&self.spans[n]).is_none_or(|age| age >= RECENT) {
                self.spans[n] = Span::EMPTY;
            }
        }
        self.update();
        let shortest = self.live_spans().map(|span| span.shortest_wait).reduce(f64::min);
        let needed = shortest.map_or(self.most(), |shortest| {
            self.depth - (shortest + self.added) + self.period + GUARD + TRIM_GUARD
        });
        let trimmed = self.depth - needed.max(self.target).max(settling.least);
        if trimmed < LEAST_TRIM {
            self.settling = None;
            return None;
        }
        (is_quiet || now - settling.since >= IMPATIENCE).then_some(trimmed)
    }

    /// How much sound is to be left out, at once, before the place that was observed last. `is_quiet` where it would
    /// not be heard.
    pub(crate) fn surplus(&mut self, now: f64, is_quiet: bool) -> Option<f64> {
        self.to_skip(now).or_else(|| self.trim(now, is_quiet))
    }

    /// So much was left out.
    pub(crate) fn left_out(&mut self, now: f64, seconds: f64) {
        let is_skip = self.to_skip(now).is_some();
        let came = match self.surplus.take().filter(|_| is_skip) {
            // A surplus came from outside: had all of it been skipped, the waits would be what they were before. Those
            // on the way there belong to neither.
            Some(surplus) => {
                let before = self.before[1];
                for span in &mut self.spans {
                    span.longest_wait = span.longest_wait.min(before.longest_wait);
                }
                self.depth = before.longest_wait + self.added;
                surplus.longest_wait - self.depth
            }
            None => {
                self.settling = None;
                0.0
            }
        };
        let shift = came - seconds;
        self.added += shift;
        self.depth += shift;
        self.led = self.depth;
    }

    /// A frame of `seconds` was played on top.
    pub(crate) fn stretched_by(&mut self, seconds: f64) {
        self.added += seconds;
        self.depth += seconds;
        self.led += seconds;
    }

    /// The stretch of the next `seconds` of sound.
    pub(crate) fn steer(&mut self, seconds: f64) -> f64 {
        if self.settling.is_some() || self.surplus.is_some() {
            // What the depth is shows only in a moment.
            self.stretch = self.drift;
            return self.stretch;
        }
        let pace = ((self.target - self.led) / LEAD_EASES).clamp(-LEAD, LEAD);
        self.led += pace * seconds;
        let error = self.led - self.depth;
        let wanted = self.drift + ERROR_GAIN * error + pace;
        self.stretch = wanted.clamp(-STRETCH_LIMIT, STRETCH_LIMIT);
        // At the limit an error lasts since no more can be done about it, and says nothing about the clocks.
        if self.stretch == wanted || (wanted - self.stretch) * error < 0.0 {
            self.drift += DRIFT_GAIN * error * seconds;
            self.drift = self.drift.clamp(-DRIFT_LIMIT, DRIFT_LIMIT);
        }
        let gained = (self.stretch - self.drift) * seconds;
        self.added += gained;
        self.depth += gained;
        self.stretch
    }

    fn update(&mut self) {
        let Some(longest) = self.longest_wait() else { return };
        self.depth = longest + self.added;
        if self.settling.is_some() || (self.depth - self.led).abs() > ANOTHER_PATH {
            self.led = self.depth;
        }
        let spread = longest - self.usual_shortest();
        let most = self.most();
        self.target = (spread + self.period + GUARD).clamp(self.least.max(self.held).min(most), most);
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
        for span in self.live_spans() {
            if span.shortest_wait < first {
                (first, second) = (span.shortest_wait, first);
            } else if span.shortest_wait < second {
                second = span.shortest_wait;
            }
        }
        if second.is_finite() { second } else { first }
    }

    fn live_spans(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(|span| self.age(span).is_some())
    }

    fn age(&self, span: &Span) -> Option<u64> {
        if span.number == u64::MAX {
            return None;
        }
        self.current.checked_sub(span.number).filter(|age| *age < SPANS as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_limit_of_the_stretch_nothing_is_learnt_of_the_clocks() {
        let mut policy = DepthPolicy::new(&PlayoutConfig::default());
        policy.restart(0.0, true);
        policy.settling = None;
        policy.drift = 300e-6;
        policy.target = 0.025;
        policy.depth = policy.led - 0.0025;
        let limited = policy.clone().steer(0.005);
        assert_eq!(limited, STRETCH_LIMIT);
        policy.steer(0.005);
        assert_eq!(policy.drift, 300e-6);
        // The way back is learnt from as ever.
        policy.depth = policy.led + 0.001;
        policy.steer(0.005);
        assert!(policy.drift < 300e-6);
    }

    #[test]
    fn what_the_device_takes_once_is_not_what_it_usually_takes() {
        let mut pulls = Pulls::NONE;
        assert_eq!(pulls.usual(0.0, 0.010), 0.010, "nothing else is known");
        assert_eq!(pulls.usual(0.6, 0.0025), 0.0025);
        assert_eq!(pulls.usual(1.1, 0.0025), 0.0025);
        assert_eq!(pulls.usual(1.6, 0.0100), 0.010, "now it is usual");
        assert_eq!(pulls.usual(10.0, 0.0025), 0.0025, "and now forgotten");
    }
}
