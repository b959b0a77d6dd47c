//! How the depth gets to where it should be: by resampling, for drift and for small steps.

/// How much of a depth error is corrected in a second. A lasting one is taken for drift, at its square over four a second
/// squared: a critically damped loop of 10 s.
const ERROR_GAIN: f64 = 0.2;
/// The same while nothing is known of the clocks: a loop of 5 s, which a card that is 300 ppm off moves by
/// 300e-6 · 5 s / e = 0.55 ms before it is learnt. Quicker ones are blind: what the depth is shows in a second.
const ERROR_GAIN_AT_FIRST: f64 = 0.4;
/// How long that is, in seconds.
const AT_FIRST: f64 = 20.0;
/// So much more depth there should be at first, until the clocks are known: with it, what the loop is moved by makes
/// nothing late. In seconds.
const UNKNOWN_DRIFT: f64 = 0.000_75;
/// It is down to a third after so long, in seconds.
const UNKNOWN_FADES: f64 = 12.0;
/// The depth is led to its target at so much a second. Being led is not drift, and must not be learnt as such.
const LEAD: f64 = 1000e-6;
/// Where the depth is no further from its target than this times [`LEAD`], it is led more slowly. In seconds.
const LEAD_EASES: f64 = 5.0;
/// The most drift that two working sound cards have, with room: 500 ppm.
const DRIFT_LIMIT: f64 = 500e-6;
/// The most that the sound is stretched: 1500 ppm, 2.6 cents. What is heard begins at about twice that.
const STRETCH_LIMIT: f64 = 1500e-6;

/// The resampler's ratio, and what was learnt of the clocks. Seconds throughout.
#[derive(Debug, Clone)]
pub(crate) struct Steer {
    drift: f64,
    stretch: f64,
    /// Where the depth should be by now, on its way to the target.
    pub(crate) led: f64,
    /// How long it was learnt.
    learnt: f64,
}

impl Steer {
    pub(crate) fn new(led: f64) -> Self {
        Self { drift: 0.0, stretch: 0.0, led, learnt: 0.0 }
    }

    /// How much more depth there should be for what is not yet known of the clocks.
    pub(crate) fn unknown_drift(&self) -> f64 {
        UNKNOWN_DRIFT * (-self.learnt / UNKNOWN_FADES).exp()
    }

    /// By how much the sound was stretched last.
    pub(crate) fn stretch(&self) -> f64 {
        self.stretch
    }

    /// The next sound is stretched by what balances the clocks, and nothing is learnt: what the depth is shows only
    /// in a moment.
    pub(crate) fn coast(&mut self) -> f64 {
        self.stretch = self.drift;
        self.stretch
    }

    /// The stretch of the next `seconds` of sound, which has this depth, and the depth that they gain by it. The
    /// target fell by `fallen` meanwhile, as far as the depth is to follow at once.
    pub(crate) fn steer(&mut self, seconds: f64, depth: f64, target: f64, fallen: f64) -> (f64, f64) {
        let pace = ((target - self.led) / LEAD_EASES).clamp(-LEAD, LEAD) - fallen / seconds.max(1e-6);
        let pace = pace.clamp(-LEAD, LEAD);
        self.led += pace * seconds;
        let error = self.led - depth;
        self.learnt += seconds;
        let gain = if self.learnt < AT_FIRST { ERROR_GAIN_AT_FIRST } else { ERROR_GAIN };
        let wanted = self.drift + gain * error + pace;
        self.stretch = wanted.clamp(-STRETCH_LIMIT, STRETCH_LIMIT);
        // At the limit an error lasts since no more can be done about it, and says nothing about the clocks.
        if self.stretch == wanted || (wanted - self.stretch) * error < 0.0 {
            self.drift += gain * gain / 4.0 * error * seconds;
            self.drift = self.drift.clamp(-DRIFT_LIMIT, DRIFT_LIMIT);
        }
        (self.stretch, (self.stretch - self.drift) * seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_limit_of_the_stretch_nothing_is_learnt_of_the_clocks() {
        let mut steer = Steer { drift: 300e-6, stretch: 0.0, led: 0.01, learnt: 100.0 };
        assert_eq!(steer.steer(0.005, 0.0075, 0.025, 0.0).0, STRETCH_LIMIT);
        assert_eq!(steer.drift, 300e-6);
        // The way back is learnt from as ever.
        steer.steer(0.005, steer.led + 0.001, 0.025, 0.0);
        assert!(steer.drift < 300e-6);
    }
}
