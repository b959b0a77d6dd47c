//! What packets wait after a break, compared with what they waited before.
//!
//! When the device lost sound, packets wait so much longer than before; unless the speaker's device stood still as well, as it
//! does where both hang on one machine: then they wait as long as before. And when nothing that comes is in time, they wait
//! less. So after such a break the longest wait is looked for anew, and what was learnt of the shorter ones counts from there.

/// It takes at least so many seconds until the longest wait shows,
const WINDOW: f64 = 0.05;
/// and so many packets; or four times as long.
const PACKETS: u32 = 12;
/// Fewer show nothing.
const LEAST_PACKETS: u32 = 4;

/// See [`Realign::longer_by`].
const TOLERANCE: f64 = 0.004;
/// And this.
const ACCURACY: f64 = 0.000_5;

/// The first waits after a break. In seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Realign {
    since: f64,
    /// How much longer packets wait if it was this device alone that stood still.
    moved: f64,
    packets: u32,
    /// The longest so far.
    longest: f64,
}

impl Realign {
    /// After a break that was over at the moment `since`.
    pub(crate) fn new(since: f64, moved: f64) -> Self {
        Self { since, moved, packets: 0, longest: f64::NEG_INFINITY }
    }

    /// All waits are longer by so much from here on, and no packet showed that yet.
    pub(crate) fn shift(&mut self, by: f64) {
        self.longest += by;
    }

    /// The break that this one followed on is not over yet.
    pub(crate) fn follow(&mut self, before: Self) {
        self.moved += before.moved;
    }

    /// Whether packets have shown anything yet.
    pub(crate) fn shows_something(&self) -> bool {
        self.packets >= LEAST_PACKETS
    }

    /// Takes a packet's arrival and what it will have waited. True where the longest is known by now. What came before the
    /// break was over waited through it, and says nothing.
    pub(crate) fn observe(&mut self, arrived: f64, wait: f64) -> bool {
        if arrived < self.since {
            return false;
        }
        self.packets += 1;
        self.longest = self.longest.max(wait);
        let took = arrived - self.since;
        (self.packets >= PACKETS && took >= WINDOW) || (self.shows_something() && took >= 4.0 * WINDOW)
    }

    /// How much longer packets wait than before, when the longest would have been `before` and nearly all were within `spread` of it.
    ///
    /// On a rough path a few packets wait less than the longest will: if they show a little less than the waits from before the
    /// break, or than those and all of it, it is that.
    pub(crate) fn longer_by(&self, before: f64, spread: f64) -> f64 {
        if !self.shows_something() {
            return 0.0;
        }
        let measured = self.longest - before;
        let tolerance = TOLERANCE.max(spread / 3.0);
        let is_near = |by: &f64| (-ACCURACY..tolerance).contains(&(by - measured));
        let (shorter, longer) = (self.moved.min(0.0), self.moved.max(0.0));
        [shorter, longer].into_iter().find(is_near).unwrap_or(measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of packets that waited between `longest` and 2 ms less, where the longest was 10 ms before.
    fn longer_by(moved: f64, longest: f64) -> f64 {
        let mut realign = Realign::new(1.0, moved);
        assert!(!realign.observe(0.9, 0.5), "it came before");
        let mut is_known = false;
        for n in 0..24 {
            assert!(!is_known || n >= 20);
            is_known = realign.observe(1.0 + f64::from(n) * 0.0025, longest - f64::from(n % 3) * 0.001);
        }
        assert!(is_known);
        realign.longer_by(0.01, 0.002)
    }

    #[test]
    fn a_little_less_than_before_or_than_all_of_the_break_is_that() {
        assert_eq!(longer_by(0.02, 0.0102), 0.0);
        assert_eq!(longer_by(0.02, 0.008), 0.0);
        assert_eq!(longer_by(0.02, 0.03), 0.02);
        assert_eq!(longer_by(0.02, 0.027), 0.02);
        assert_eq!(longer_by(-0.02, -0.01), -0.02);
    }

    #[test]
    fn what_lies_between_is_as_it_was_measured() {
        assert!((longer_by(0.02, 0.02) - 0.01).abs() < 1e-9);
        assert!((longer_by(0.0, 0.02) - 0.01).abs() < 1e-9);
        assert!((longer_by(0.0, 0.001) + 0.009).abs() < 1e-9);
    }
}
