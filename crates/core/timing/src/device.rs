//! The session time of a sound device's samples, out of the moments at which its callbacks came.

use std::collections::VecDeque;

use crate::line::{Cloud, SKEW_LIMIT, prior_spread};

/// One span of the device's time keeps its least late mark: scheduling makes callbacks late and never early.
const SPAN_NS: f64 = 1e9;
/// A device's first two seconds are cut into spans a quarter as long, so that its rate is seen before a millisecond has come of it.
const FIRST_NS: f64 = 2e9;
const FIRST_SPAN_NS: f64 = SPAN_NS / 4.0;
/// Spans kept: a minute tells the rate to a fraction of 1 ppm, and follows a crystal that warms up.
const SPANS: usize = 64;
/// What a mark that nothing has delayed is still uncertain by.
const FLOOR_NS: f64 = 50_000.0;
/// So much later than the line is no jitter where all of [`CONTRADICTIONS`] spans in a row say so: the session clock was
/// corrected.
const STEP_NS: f64 = 500_000.0;
/// Spans in a row that must come later than the line says before a new one begins with them. Fewer show no more than a delay.
const CONTRADICTIONS: usize = 4;
/// The map takes a new direction no more often than this.
const KNOT_NS: f64 = 50e6;
/// Turns of the map that are remembered, for who lags behind the newest mark: some 13 s.
const KNOTS: usize = 256;
/// So much of a sample before a turn the map behind it holds: half, and what rounding adds.
const NEAR: f64 = 0.51;
/// The time constant with which the map goes to the fitted line: half of the device's age, between these.
const FOLLOW_NS: (f64, f64) = (0.25e9, 2e9);
/// The most that it goes there by: 500 ppm, which is less than a hundredth of a semitone.
const SLEW: f64 = 500e-6;
/// Passes of reweighting; the fit before is nearly right already.
const PASSES: usize = 3;

/// Says which session time a device's samples have, from marks: this sample was captured at that session time, or a little
/// before.
///
/// Callbacks come late (the machine was busy), by anything from microseconds to the length of a stall after which several come
/// at once; none comes early. So of every second the least late mark is kept, and a line is fitted through those of the last
/// minute; marks weigh the less the later they are. Its slope starts from the assumption of 0 ± 100 ppm.
///
/// The fitted line moves a little with every good mark. The *map* that this type gives out follows it smoothly: it is
/// continuous, its rate is the fitted one and at most 500 ppm to either side of it, and it comes closer to the line with a time
/// constant of 2 s, or less while the device is new and its rate unknown (a correction of the session clock by 1 ms is made up in some 4 s). From one block of 5 ms to the next it so
/// never moves by more than 2.5 µs against that line, and by nanoseconds once it has settled. A resampler that follows it makes no
/// sound. A correction of the session clock by more than half a millisecond is taken for one when it lets samples come earlier, at
/// once, and when it lets them come later, after 4 s of it.
///
/// Only [`step`](Self::step) makes it jump: whoever lays the samples out knows when the device stood still.
#[derive(Debug, Clone)]
pub struct DeviceClock {
    /// A sample's length by the device's name-plate rate.
    sample_ns: f64,
    /// The first mark. `x` below is name-plate time since it, `y` the session time since it less `x`; both in nanoseconds.
    base: Option<(i64, i64)>,
    spans: VecDeque<Span>,
    /// Spans of one group share an offset; all share the slope.
    group: u32,
    fit: Fit,
    knots: VecDeque<Knot>,
    /// The longest time that one group has lasted.
    longest_ns: f64,
}

/// The least late mark of a span.
#[derive(Debug, Clone, Copy)]
struct Span {
    x: f64,
    y: f64,
    group: u32,
}

/// The number of the span that a mark at `x` falls into.
fn span_of(x: f64) -> f64 {
    if x < FIRST_NS {
        (x / FIRST_SPAN_NS).floor()
    } else {
        FIRST_NS / FIRST_SPAN_NS + ((x - FIRST_NS) / SPAN_NS).floor()
    }
}

/// The fitted line: `y + slope · (at − x)`.
#[derive(Debug, Clone, Copy, Default)]
struct Fit {
    x: f64,
    y: f64,
    slope: f64,
}

impl Fit {
    fn at(&self, x: f64) -> f64 {
        self.y + self.slope * (x - self.x)
    }
}

/// The map from `x` on to the next knot.
type Knot = Fit;

impl DeviceClock {
    /// The clock of a device that counts `rate` samples a second, more or less.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self {
            sample_ns: 1e9 / f64::from(rate.max(1)),
            base: None,
            spans: VecDeque::with_capacity(SPANS),
            group: 0,
            fit: Fit::default(),
            knots: VecDeque::with_capacity(KNOTS),
            longest_ns: 0.0,
        }
    }

    /// Takes a mark: the device's sample `index` was captured at `session_ns` or a little before. Marks come in order.
    ///
    /// The map goes through the first one. Where the device's first callbacks are known when the map is first needed, begin with
    /// the least late of them.
    pub fn mark(&mut self, index: i64, session_ns: i64) {
        let (base, base_ns) = *self.base.get_or_insert((index, session_ns));
        let x = (i128::from(index) - i128::from(base)) as f64 * self.sample_ns;
        let y = (i128::from(session_ns) - i128::from(base_ns)) as f64 - x;
        if self.knots.is_empty() {
            self.knots.push_back(Knot { x, y, slope: 0.0 });
        }
        if self.keep(x, y) {
            self.refit();
        }
        self.steer(x);
    }

    /// From sample `index` on, all lies `by_ns` later than the map says: the device stood still for so long. Negative where the
    /// session clock was set back. The rate stays, and the marks from here on say how long it was to the microsecond.
    ///
    /// Samples before `index` keep their times.
    pub fn step(&mut self, index: i64, by_ns: i64) {
        let Some(x) = self.x_of(index) else { return };
        let y = self.map_at(x) + by_ns as f64;
        let slope = self.fit.slope;
        self.group += 1;
        self.fit = Fit { x, y, slope };
        // Turns after that sample would bring the old times back.
        while self.knots.back().is_some_and(|knot| knot.x >= x) {
            self.knots.pop_back();
        }
        self.turn(Knot { x, y, slope });
    }

    /// Whether there was a mark, so that samples have times.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.base.is_some()
    }

    /// The session time of the device's sample `index`, in nanoseconds; `None` before the first mark. Exact for samples of the last
    /// ten seconds, a forecast for those to come.
    #[must_use]
    pub fn session_ns_of(&self, index: i64) -> Option<i64> {
        let (_, base_ns) = self.base?;
        let x = self.x_of(index)?;
        Some(base_ns.saturating_add((x + self.map_at(x)).round() as i64))
    }

    /// Which of the device's samples has a session time, with the fraction between two samples; `None` before the first mark.
    ///
    /// Takes the time in nanoseconds, and with fractions, since a nanosecond's rounding could be heard as noise by instruments: an
    /// `f64` holds ten hours to a hundredth of one. Where a [`step`](Self::step) has left out times, it counts the samples before on.
    #[must_use]
    pub fn index_at(&self, session_ns: f64) -> Option<f64> {
        let (base, base_ns) = self.base?;
        let since = session_ns - base_ns as f64;
        // Who asks for the nearest sample of a grid may ask for half a sample before a step, and means what is behind it: before it the
        // count would go on as if nothing had been left out.
        let near = since + NEAR * self.sample_ns;
        let knot = self.knots.iter().rev().find(|it| it.x + it.y <= near).or(self.knots.front())?;
        // x + y + slope · (at − x) = since, with at in place of the knot's x.
        let at = (since - knot.y + knot.slope * knot.x) / (1.0 + knot.slope);
        Some(base as f64 + at / self.sample_ns)
    }

    /// How much faster the device counts than its name-plate rate says, on the session clock, in parts per billion, by the fit over
    /// the last minute. `None` until there were 10 s without a step: a lateness of half a millisecond would be 50 ppm of 10 s.
    #[must_use]
    pub fn rate_ppb(&self) -> Option<i64> {
        // A device whose samples take longer counts more slowly.
        (self.longest_ns >= 10.0 * SPAN_NS)
            .then(|| ((1.0 / (1.0 + self.fit.slope) - 1.0) * 1e9).round() as i64)
    }

    fn x_of(&self, index: i64) -> Option<f64> {
        let (base, _) = self.base?;
        Some((i128::from(index) - i128::from(base)) as f64 * self.sample_ns)
    }

    fn map_at(&self, x: f64) -> f64 {
        let knot = self.knots.iter().rev().find(|it| it.x <= x).or(self.knots.front());
        knot.map_or(0.0, |it| it.at(x))
    }

    /// Keeps the mark if it is the least late of its span; says whether the fit changes.
    fn keep(&mut self, x: f64, y: f64) -> bool {
        let slope = self.fit.slope;
        // Nothing comes early: the session clock was set back. That is no news of the rate.
        if y - self.fit.at(x) < -STEP_NS && self.of_group() > CONTRADICTIONS {
            self.group += 1;
        }
        let span = Span { x, y, group: self.group };
        match self.spans.back_mut() {
            Some(newest) if newest.group == self.group && span_of(x) <= span_of(newest.x) => {
                let less_late = y - slope * x < newest.y - slope * newest.x;
                if less_late {
                    *newest = span;
                }
                less_late
            }
            _ => {
                self.notice_a_correction();
                if self.spans.len() == SPANS {
                    self.spans.pop_front();
                }
                self.spans.push_back(Span { group: self.group, ..span });
                true
            }
        }
    }

    /// Several spans in a row whose best marks all came late: the session clock was set forward, or the device lost samples that it
    /// does not tell of. What was before says something about the rate still, and no more about the offset.
    fn notice_a_correction(&mut self) {
        if self.of_group() <= CONTRADICTIONS {
            return;
        }
        let first = self.spans.len() - CONTRADICTIONS;
        if self.spans[first].x < FIRST_NS {
            return;
        }
        let late = |span: &Span| span.y - self.fit.at(span.x) > STEP_NS;
        if self.spans.range(first..).all(late) {
            self.group += 1;
            let group = self.group;
            self.spans.range_mut(first..).for_each(|span| span.group = group);
        }
    }

    fn of_group(&self) -> usize {
        self.spans.iter().rev().take_while(|it| it.group == self.group).count()
    }

    /// The weighted least-squares line with a normal prior on its slope: one slope for all, an offset for each group.
    fn refit(&mut self) {
        for pass in 0..PASSES {
            let slope = self.fit.slope;
            let (mut spread, mut product) = (prior_spread(), 0.0);
            let mut newest = None;
            let mut rest = self.spans.as_slices();
            if !rest.1.is_empty() {
                self.spans.make_contiguous();
                rest = self.spans.as_slices();
            }
            for group in rest.0.chunk_by(|a, b| a.group == b.group) {
                let height = |span: &Span| span.y - slope * span.x;
                let least = group.iter().map(height).fold(f64::INFINITY, f64::min);
                // The first pass lets late ones pull, or a device that is slow would be taken for one that is late more and more.
                let weight = |span: &Span| {
                    let deviation = FLOOR_NS + height(span) - least;
                    1.0 / (deviation * if pass == 0 { FLOOR_NS } else { deviation })
                };
                let cloud = Cloud::of(group.iter().map(|span| (span.x, span.y, weight(span))));
                spread += cloud.spread;
                product += cloud.product;
                newest = Some(cloud);
                if let (Some(first), Some(last)) = (group.first(), group.last()) {
                    self.longest_ns = self.longest_ns.max(last.x - first.x);
                }
            }
            let slope = (product / spread).clamp(-SKEW_LIMIT, SKEW_LIMIT);
            if let Some(cloud) = newest {
                self.fit = Fit { x: cloud.x, y: cloud.y, slope };
            }
        }
    }

    /// Lets the map go towards the fitted line.
    fn steer(&mut self, x: f64) {
        let due = self.knots.back().is_some_and(|knot| x - knot.x >= KNOT_NS || knot.x == x);
        if due {
            let y = self.map_at(x);
            let follow = (x / 2.0).clamp(FOLLOW_NS.0, FOLLOW_NS.1);
            let towards = ((self.fit.at(x) - y) / follow).clamp(-SLEW, SLEW);
            self.turn(Knot { x, y, slope: self.fit.slope + towards });
        }
    }

    fn turn(&mut self, knot: Knot) {
        if self.knots.back().is_some_and(|last| last.x == knot.x) {
            self.knots.pop_back();
        }
        if self.knots.len() == KNOTS {
            self.knots.pop_front();
        }
        self.knots.push_back(knot);
    }
}
