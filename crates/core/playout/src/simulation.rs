//! Many depths, simulated side by side: how deep must the buffer be, for how many packets?
//!
//! All that is known of a packet is how long it **waited**, from its arrival until its first sample's
//! [place](crate::device); less than nothing for one that was late. At another depth it would have waited so much
//! longer or shorter. So one count of waits says for every depth how many packets would have been late at it: those
//! whose wait is shorter than the longest by more than that depth. That is Jamulus's policy (`CNetBufWithStats` in its
//! `buffer.cpp` runs buffers of 2 to 11 blocks in parallel and takes the smallest that keeps an error bound) in steps of
//! a quarter of a millisecond, without buffers.
//!
//! The smallest depth wins at which no more than [`BOUND`] of the packets of the last eight seconds would have been
//! late. One bad [moment](MOMENT) in that time does not count: it costs a few concealed frames once, and is no reason for all
//! that is said in the next seconds to come later. So the depth grows as soon as a handful of packets is late for a
//! second time, at once where many are, and falls only when nothing has needed it for a while.

/// The share of packets that may be late: one in two hundred.
const BOUND: f64 = 0.005;
/// A bad moment makes so large a share of a span's packets late at most: the machine stood still for 50 ms.
const MOMENT: f64 = 0.1;
/// Of each span the waits are counted, and the longest is kept. In seconds.
const SPAN: f64 = 0.5;
/// Spans kept: eight seconds.
const SPANS: usize = 16;
/// For so long a wait is remembered, in seconds.
pub(crate) const MEMORY: f64 = SPAN * SPANS as f64;
/// The longest wait is that of so many spans, the current one included.
const RECENT: u64 = 3;
/// The simulated depths are so far apart, in seconds, at least.
const STEP: f64 = 0.000_25;
/// So many waits apart are told from each other.
const BINS: usize = 256;
/// Of them, so many must reach from the longest wait to that which needs the greatest depth.
const REACH: usize = 128;
/// Where the longest wait is put among them.
const LONGEST: i64 = 192;

/// How many packets waited how long.
type Counts = [u16; BINS];

#[derive(Debug, Clone)]
struct Span {
    number: u64,
    longest: f64,
    counts: Counts,
}

impl Span {
    const EMPTY: Self = Self { number: u64::MAX, longest: f64::NEG_INFINITY, counts: [0; BINS] };
}

/// The simulated depths. Waits are in seconds, with the depth that the policy added since subtracted.
#[derive(Debug, Clone)]
pub(crate) struct Simulation {
    most: f64,
    step: f64,
    spans: Box<[Span; SPANS]>,
    /// Their sum.
    sum: Box<Counts>,
    /// The number of the wait that is counted first, in steps.
    base: i64,
    is_empty: bool,
    current: u64,
}

impl Simulation {
    /// Of depths up to `most` seconds.
    pub(crate) fn new(most: f64) -> Self {
        Self {
            most,
            step: STEP.max(most / REACH as f64),
            spans: Box::new([const { Span::EMPTY }; SPANS]),
            sum: Box::new([0; BINS]),
            base: 0,
            is_empty: true,
            current: 0,
        }
    }

    /// Forgets all waits.
    pub(crate) fn clear(&mut self) {
        self.spans.fill(Span::EMPTY);
        self.is_empty = true;
        self.sum_up();
    }

    /// Forgets all but the last second.
    pub(crate) fn keep_recent(&mut self) {
        for n in 0..SPANS {
            if self.age(&self.spans[n]).is_none_or(|age| age >= RECENT) {
                self.spans[n] = Span::EMPTY;
            }
        }
        self.sum_up();
    }

    /// A packet for the sound at `place` waited so long, and could have come so much later, `spare` seconds, since its frame was
    /// not taken then either. True where a span begins with it.
    pub(crate) fn observe(&mut self, place: f64, wait: f64, spare: f64) -> bool {
        let before = self.current;
        self.current = self.current.max((place / SPAN) as u64);
        let slot = (self.current % SPANS as u64) as usize;
        let is_new = self.spans[slot].number != self.current;
        if is_new {
            self.spans[slot] = Span { number: self.current, ..Span::EMPTY };
        }
        if is_new || before != self.current {
            self.sum_up();
        }
        self.spans[slot].longest = self.spans[slot].longest.max(wait);
        let Some(longest) = self.longest() else { return is_new };
        let wait = (wait + spare).min(longest);
        // One that even the greatest depth would not have saved is no reason to be deep.
        if longest - wait <= self.most {
            let bin = self.bin(wait);
            for counts in [&mut self.spans[slot].counts, &mut *self.sum] {
                counts[bin] = counts[bin].saturating_add(1);
            }
        }
        is_new
    }

    /// The longest wait of the last second: that of a packet that met no queue.
    pub(crate) fn longest(&self) -> Option<f64> {
        let recent = self.spans.iter().filter(|span| self.age(span).is_some_and(|age| age < RECENT));
        recent.map(|span| span.longest).reduce(f64::max)
    }

    /// No wait is taken for longer than this.
    pub(crate) fn limit_longest(&mut self, longest: f64) {
        for span in self.spans.iter_mut() {
            span.longest = span.longest.min(longest);
        }
    }

    /// The smallest depth that keeps the bound, in seconds.
    pub(crate) fn needed(&self) -> Option<f64> {
        let all: u32 = self.sum.iter().map(|count| u32::from(*count)).sum();
        let spans = self.spans.iter().filter(|span| self.age(span).is_some()).count();
        let moment = f64::from(all) / spans.max(1) as f64 * MOMENT;
        self.depth_for((f64::from(all) * BOUND).max(1.0) as u32, moment.ceil() as u32)
    }

    /// The smallest depth at which none of all those packets would have been late, in seconds.
    pub(crate) fn needed_by_all(&self) -> Option<f64> {
        self.depth_for(0, 0)
    }

    /// The smallest depth at which no more than so many would have been late, without those of the worst span where
    /// they are no more than `moment`.
    fn depth_for(&self, allowed: u32, moment: u32) -> Option<f64> {
        let longest = self.longest()?;
        let mut late = 0;
        let mut late_of = [0; SPANS];
        for (bin, count) in self.sum.iter().enumerate() {
            let shortest = (self.base + bin as i64) as f64 * self.step;
            // Those that no depth saves were counted when the longest wait was another.
            if *count > 0 && longest - shortest <= self.most + self.step {
                late += u32::from(*count);
                let mut worst = 0;
                for (late, span) in late_of.iter_mut().zip(self.spans.iter()) {
                    if self.age(span).is_some() {
                        *late += u32::from(span.counts[bin]);
                        worst = worst.max(*late);
                    }
                }
                let excused = if worst <= moment { worst } else { 0 };
                if late - excused.min(late) > allowed {
                    return Some((longest - shortest).max(0.0));
                }
            }
        }
        Some(0.0)
    }

    /// Where a wait is counted. The counts are moved if it is beyond them.
    fn bin(&mut self, wait: f64) -> usize {
        let number = (wait / self.step).floor() as i64;
        if self.is_empty {
            self.is_empty = false;
            self.base = number.saturating_sub(LONGEST);
        }
        if !(0..BINS as i64).contains(&number.saturating_sub(self.base)) {
            let longest = self.longest().unwrap_or(wait).max(wait);
            let base = ((longest / self.step).floor() as i64).saturating_sub(LONGEST);
            let by = base.saturating_sub(self.base);
            for span in self.spans.iter_mut() {
                span.counts = moved(&span.counts, by);
            }
            self.base = base;
            self.sum_up();
        }
        number.saturating_sub(self.base).clamp(0, BINS as i64 - 1) as usize
    }

    fn sum_up(&mut self) {
        let mut sums = [0; BINS];
        for span in self.spans.iter().filter(|span| self.age(span).is_some()) {
            for (sum, count) in sums.iter_mut().zip(&span.counts) {
                *sum = u16::saturating_add(*sum, *count);
            }
        }
        *self.sum = sums;
    }

    fn age(&self, span: &Span) -> Option<u64> {
        if span.number == u64::MAX {
            return None;
        }
        self.current.checked_sub(span.number).filter(|age| *age < SPANS as u64)
    }
}

/// The counts from `by` steps further on. Those below are beyond every depth; those above stay in time.
fn moved(counts: &Counts, by: i64) -> Counts {
    let mut result = [0u16; BINS];
    for (bin, count) in counts.iter().enumerate() {
        let to = (bin as i64).saturating_sub(by);
        if to >= 0 {
            let to = to.min(BINS as i64 - 1) as usize;
            result[to] = result[to].saturating_add(*count);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred packets a second for so long, from `begin`; each waits what `wait` says of its number.
    fn feed(simulation: &mut Simulation, begin: f64, seconds: f64, wait: impl Fn(u32) -> f64) {
        for n in 0..(seconds * 100.0) as u32 {
            simulation.observe(begin + f64::from(n) / 100.0, wait(n), 0.0);
        }
    }

    #[test]
    fn the_smallest_depth_under_the_bound_wins() {
        for (share, needed) in [(100, 0.02), (250, 0.01)] {
            let mut simulation = Simulation::new(0.03);
            // 4 % need 10 ms, and some, 1 % or 0.4 %, need 20.
            feed(&mut simulation, 0.0, 8.0, |n| match n {
                n if n % share == 50 => 0.005,
                n if n % 25 == 3 => 0.015,
                _ => 0.025,
            });
            let got = simulation.needed().unwrap();
            assert!((needed..=needed + STEP).contains(&got), "one in {share}: {got}");
            assert!((0.02..=0.02 + STEP).contains(&simulation.needed_by_all().unwrap()));
        }
    }

    #[test]
    fn it_grows_at_the_second_bad_moment_and_shrinks_eight_seconds_later() {
        let mut simulation = Simulation::new(0.03);
        feed(&mut simulation, 0.0, 8.0, |_| 0.01);
        assert!(simulation.needed().unwrap() <= STEP);
        feed(&mut simulation, 8.0, 0.051, |_| 0.0);
        feed(&mut simulation, 8.05, 0.55, |_| 0.01);
        assert!(simulation.needed().unwrap() <= STEP, "one bad moment");
        feed(&mut simulation, 8.6, 0.051, |_| 0.0);
        assert!(simulation.needed().unwrap() >= 0.01, "another one");
        feed(&mut simulation, 8.65, 7.3, |_| 0.01);
        assert!(simulation.needed().unwrap() >= 0.01, "not yet forgotten");
        feed(&mut simulation, 15.95, 1.0, |_| 0.01);
        assert!(simulation.needed().unwrap() <= STEP);
    }

    #[test]
    fn it_grows_at_once_where_more_is_late_than_in_a_bad_moment() {
        let mut simulation = Simulation::new(0.03);
        feed(&mut simulation, 0.0, 8.0, |_| 0.01);
        feed(&mut simulation, 8.0, 0.101, |_| 0.0);
        assert!(simulation.needed().unwrap() >= 0.01);
    }

    #[test]
    fn what_no_depth_saves_needs_none() {
        let mut simulation = Simulation::new(0.03);
        feed(&mut simulation, 0.0, 8.0, |n| if n % 10 == 5 { -0.05 } else { 0.01 });
        assert!(simulation.needed().unwrap() <= STEP);
    }

    #[test]
    fn waits_that_wander_far_are_still_compared() {
        for slope in [0.01, -0.01, 1.0, -1.0] {
            let mut simulation = Simulation::new(0.03);
            feed(&mut simulation, 0.0, 8.0, |_| 0.01);
            for n in 0..10 {
                let at = 8.0 + f64::from(n) * 10.0;
                feed(&mut simulation, at, 10.0, |k| slope * at + if k % 5 == 0 { 0.0 } else { 0.012 });
                let got = simulation.needed().unwrap();
                assert!((0.0119..=0.012 + STEP).contains(&got), "{slope}: {got}");
            }
        }
    }
}
