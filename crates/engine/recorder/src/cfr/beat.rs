//! A camera's own beat, fitted through its jittery stamps.

use hyperzoom_media::MASTER_FPS;

/// The period that a camera is taken to have until it shows another: one tick.
const FIRST_PERIOD: f64 = 1e9 / MASTER_FPS as f64;

/// Periods beyond these are no camera's: 240 and 2 pictures a second.
const PERIODS: (f64, f64) = (1e9 / 240.0, 1e9 / 2.0);

/// Pictures that the fit remembers, once it has seen as many: 17 s at 30 a second. Jitter of ±20 ms then moves it by 1 ms.
const MEMORY: u32 = 512;

/// Pictures after which the fit knows the period well enough to say that a stamp is off, and when the next picture comes.
const SETTLED: u32 = 8;

/// How far a picture's fitted time may lie from its stamp: the jitter that is taken out, in ns.
const LEEWAY: i64 = 20_000_000;

/// A stamp is off when it is off by more than four times the mean jitter, within these bounds in ns: a camera without jitter
/// that leaves a picture out is noticed at once, and 20 ms of jitter are never taken for it.
const GATE: (f64, f64) = (6e6, 30e6);

/// While the fit knows little, only a pause that no camera makes between two pictures begins it anew, in ns.
const PAUSE: f64 = 5e8;

/// Follows phase and period of a camera with the gains of a least-squares line through its last [`MEMORY`] stamps.
///
/// The gains of the line through `n` points are `2(2n − 1) / n(n + 1)` and `6 / n(n + 1)` (a growing-memory α-β filter); `n` stops
/// growing at [`MEMORY`], and begins again where the camera has stalled, restarted or changed its rate.
#[derive(Debug)]
pub(super) struct Beat {
    /// The last picture by the fit; none before the first.
    last: Option<i64>,
    period: f64,
    points: u32,
    /// Mean distance of the stamps from the fit.
    jitter: f64,
    /// The last stamp was off to this side.
    off: Option<bool>,
}

impl Beat {
    pub(super) fn new() -> Self {
        Self { last: None, period: FIRST_PERIOD, points: 0, jitter: 0.0, off: None }
    }

    /// The time between two pictures, in ns.
    pub(super) fn period_ns(&self) -> i64 {
        self.period as i64
    }

    /// When the next picture is due, where that is known.
    pub(super) fn next_ns(&self) -> Option<i64> {
        self.last
            .filter(|_| self.points >= SETTLED && self.off.is_none())
            .map(|last| last + self.period as i64)
    }

    /// The moment of a picture stamped `stamp`, before which `lost` are missing: at most [`LEEWAY`] from its stamp.
    pub(super) fn fit(&mut self, stamp: i64, lost: u64) -> i64 {
        let Some(last) = self.last else {
            self.begin(stamp);
            return stamp;
        };
        let steps = (lost + 1) as f64;
        let expected = last + (self.period * steps) as i64;
        let error = (stamp - expected) as f64;
        let settled = self.points >= SETTLED;
        // A fit through few points is off itself.
        let trust = 1.0 + f64::from(SETTLED) / f64::from(self.points.max(1));
        let gate = if settled { (4.0 * self.jitter).clamp(GATE.0, GATE.1) * trust } else { PAUSE };
        let mut fitted = expected;
        if error.abs() <= gate {
            self.off = None;
            self.points = (self.points + 1).min(MEMORY);
            let n = f64::from(self.points);
            fitted += (error * 2.0 * (2.0 * n - 1.0) / (n * (n + 1.0))) as i64;
            let slope = error / steps * 6.0 / (n * (n + 1.0));
            self.period = (self.period + slope).clamp(PERIODS.0, PERIODS.1);
            self.jitter += (error.abs() - self.jitter) / n.min(32.0);
        } else if !settled || self.off.replace(error > 0.0) == Some(error > 0.0) {
            // One stamp that is off may be a hiccup on its way; two to the same side are another beat.
            self.begin(stamp);
            return stamp;
        }
        self.last = Some(fitted);
        fitted.clamp(stamp - LEEWAY, stamp + LEEWAY)
    }

    /// Begins anew at a picture. The period is kept, as if one picture had been seen before.
    fn begin(&mut self, stamp: i64) {
        (self.last, self.points, self.off) = (Some(stamp), 2, None);
    }
}
