//! What a break leaves: a device that stood still, or packets of which none came in time.

use super::DepthPolicy;
use crate::realign::Realign;

impl DepthPolicy {
    /// Nothing was held, and nothing that came was in time: so much was played on top.
    pub(crate) fn ran_empty(&mut self, now: f64, seconds: f64) {
        self.stretched_by(seconds);
        self.break_over(now, 0.0);
    }

    /// After a break it shows only with time what packets wait.
    pub(crate) fn is_unsure(&self) -> bool {
        self.realign.is_some()
    }

    /// Whether so many seconds more are not beyond the greatest depth.
    pub(crate) fn has_room_for(&self, more: f64) -> bool {
        self.depth + more <= self.most
    }

    /// A break was over at the moment `since`. Packets may wait longer by `moved` from there on.
    pub(super) fn break_over(&mut self, since: f64, moved: f64) {
        let mut realign = Realign::new(since, moved);
        match self.realign {
            // What the one before has shown must do.
            Some(before) if before.shows_something() => self.realigned(),
            Some(before) => realign.follow(before),
            None => (),
        }
        self.known_since = self.known_since.max(since);
        self.realign = Some(realign);
        self.surplus = None;
        self.coasts = false;
    }

    /// How much longer packets wait since a break, as far as is known.
    pub(super) fn longer_by_break(&self) -> f64 {
        let Some(realign) = self.realign else { return 0.0 };
        realign.longer_by(self.depth, self.simulation.needed().unwrap_or(0.0))
    }

    /// A packet arrived, and will have waited so long if nothing is left out or played on top.
    pub(crate) fn arrives(&mut self, arrived: f64, wait: f64) {
        self.last_wait = wait;
        if let Some(realign) = &mut self.realign
            && realign.observe(arrived, wait)
        {
            self.realigned();
        }
    }

    /// It is known how much longer packets wait since the break.
    fn realigned(&mut self) {
        let longer = self.longer_by_break();
        self.realign = None;
        self.added += longer;
        self.depth += longer;
        self.steer.led = self.depth;
        // Of what the device lost, more is not queued.
        self.left_over = self.left_over.min((self.depth - self.target).max(0.0));
    }
}
