//! How deep the buffer should be, and how to get there without anybody hearing it.
//!
//! All that the policy knows is how long each packet **waited**, from its arrival until its first sample's
//! [place](crate::device) in the sound that the device takes; less than nothing for one that was late. So it holds the
//! network's jitter and the sender's at once; the device's own is in the places. The packet that met no queue waits
//! longest: its wait is the *depth*. What it should be, [`simulation`](crate::simulation) says: there, waits are kept with
//! the depth that the policy itself added since subtracted, so that they can be compared while it changes, and the
//! clocks' drift, which the resampler balances, does not count.
//!
//! It grows at once and shrinks slowly. Quick growth is a frame that is invented on top, where one is missing anyway;
//! all else is done by resampling ([`steer`](crate::steer)). Four things are too large for that, and are **skipped**, in
//! one cut under a crossfade: the sound that the device lost when it stood still, the [surplus](crate::surplus) of a path
//! that became much shorter, once, at the beginning, what the first packets' luck made too deep, and in a pause, where nobody
//! hears it, what has not been needed for a while.
//!
//! After a break (the device lost sound, or nothing that came was in time) waits cannot be compared with those before it. What they
//! are now is [measured](crate::realign); nothing else is learnt until then.
//!
//! Inside, depths are counted to a frame's place, the latest moment at which the device may take it. What is told of
//! them, and what a [`PlayoutConfig`] says, is counted to the end of what the device takes at once: a take more.

mod breaks;
mod cuts;

use crate::config::PlayoutConfig;
use crate::realign::Realign;
use crate::simulation::{MEMORY, Simulation};
use crate::steer::Steer;
use crate::surplus::{Before, Settling, Surplus};

/// What the shortest wait should be: a scheduler's whim that was not seen yet.
const GUARD: f64 = 0.000_25;
/// The target falls by so much in a second at most.
const FALL: f64 = 1000e-6;
/// Within this times [`FALL`] of what is wanted it falls more slowly, so that it does not follow every whim. In seconds.
const FALL_EASES: f64 = 2.5;
/// How many packets may come before it is looked whether less is needed.
const LOOK_EVERY: u32 = 16;
/// A depth so far from where it is led to is not drift but another path: it is led on from there.
const ANOTHER_PATH: f64 = 0.003;

/// How a packet arrived. Seconds throughout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// The place of its frame's first sample in the sound; before its arrival where it was late.
    pub(crate) place: f64,
    /// When it arrived.
    pub(crate) at: f64,
    /// By how much the device was [`behind`](crate::device) then.
    pub(crate) behind: f64,
}

/// The depth as it is and as it should be. Seconds throughout.
#[derive(Debug, Clone)]
pub(crate) struct DepthPolicy {
    least: f64,
    /// Not less than this either, for as long as somebody wants it.
    held: f64,
    most: f64,
    start: f64,
    /// What the device usually takes at once.
    take: f64,
    simulation: Simulation,
    steer: Steer,
    /// Depth that came on top since the last [`restart`](Self::restart), by the policy or the device.
    added: f64,
    depth: f64,
    target: f64,
    /// What the simulation wants. The target falls to it slowly.
    wanted: f64,
    /// Packets since the last [`update`](Self::update).
    unseen: u32,
    /// The target is a guess: nothing was observed yet.
    is_guess: bool,
    /// When longer frames were last made room for.
    lengthened: f64,
    /// At the beginning of the last span, and of the one before it. An outage is younger.
    before: [Before; 2],
    surplus: Option<Surplus>,
    /// It may yet be skipped: what the depth is shows only then.
    coasts: bool,
    /// What the device lost and is not skipped yet.
    left_over: f64,
    /// Waits of packets that came before cannot be compared with those that are remembered.
    known_since: f64,
    /// After a break: how the waits from here on compare with those before.
    realign: Option<Realign>,
    /// Since when more is held than is needed.
    spare_since: f64,
    /// What the packet that arrived last will have waited.
    last_wait: f64,
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
            take: 0.0,
            simulation: Simulation::new(most),
            steer: Steer::new(start),
            added: 0.0,
            depth: 0.0,
            target: start,
            wanted: start,
            unseen: 0,
            is_guess: true,
            lengthened: f64::NEG_INFINITY,
            before: [Before { target: start, longest_wait: start }; 2],
            surplus: None,
            coasts: false,
            left_over: 0.0,
            known_since: f64::NEG_INFINITY,
            realign: None,
            spare_since: 0.0,
            last_wait: 0.0,
            settling: None,
        }
    }

    /// What a packet that meets no queue waits now, until the end of what the device takes at once.
    pub(crate) fn told_depth(&self) -> f64 {
        if self.depth == 0.0 { 0.0 } else { self.depth + self.longer_by_break() + self.take }
    }

    /// What the device usually takes at once.
    pub(crate) fn take(&self) -> f64 {
        self.take
    }

    /// What it should wait.
    pub(crate) fn told_target(&self) -> f64 {
        self.target + self.take
    }

    /// What a packet that meets no queue should wait until its place.
    pub(crate) fn target(&self) -> f64 {
        self.target
    }

    /// The depth beyond which a packet is given up.
    pub(crate) fn most(&self) -> f64 {
        self.most
    }

    /// The target is not below this from here on, nor above the greatest depth.
    pub(crate) fn hold(&mut self, seconds: f64) {
        // It is told in every callback, and what is needed takes a look at all that is remembered.
        if self.held != seconds {
            self.held = seconds;
            self.update();
        }
    }

    /// By how much the depth is too small: by nothing while packets wait beyond the greatest and may yet be skipped.
    pub(crate) fn error(&self) -> f64 {
        if self.coasts || self.realign.is_some() { 0.0 } else { self.target - self.depth }
    }

    /// By how much the sound was stretched last.
    pub(crate) fn stretch(&self) -> f64 {
        self.steer.stretch()
    }

    /// The device usually takes so much at once, and the places moved by so much: see [`Device`](crate::device::Device).
    ///
    /// If they did because it stood still, that was over at `stood_still_until`.
    pub(crate) fn device(&mut self, take: f64, moved: f64, stood_still_until: Option<f64>) {
        self.take = take;
        if self.is_guess {
            self.target = (self.start - take).max(GUARD);
            self.wanted = self.target;
        }
        match stood_still_until {
            Some(until) => {
                self.break_over(until, moved);
                self.left_over = (self.left_over + moved).max(0.0);
            }
            // It takes more at once, or less: that is between the device and its listener.
            None => self.shift(moved),
        }
    }

    /// Playing begins, or begins anew, with a depth of [`target`](Self::target). What was learnt of the clocks stays.
    ///
    /// `is_known` where it is the same speaker as before, so that the target is more than a guess.
    pub(crate) fn restart(&mut self, now: f64, is_known: bool) {
        self.clear();
        self.depth = self.target;
        self.spare_since = now + MEMORY;
        self.settling = Some(Settling { since: now, least: if is_known { self.target } else { 0.0 } });
    }

    /// Another speaker: nothing that was learnt holds.
    pub(crate) fn forget(&mut self) {
        self.target = (self.start - self.take).max(GUARD);
        self.is_guess = true;
        self.steer = Steer::new(self.target);
        self.clear();
        self.depth = 0.0;
    }

    fn clear(&mut self) {
        self.simulation.clear();
        self.added = 0.0;
        self.wanted = self.target;
        self.steer.led = self.target;
        self.before = [Before { target: self.target, longest_wait: self.target }; 2];
        self.surplus = None;
        self.coasts = false;
        self.left_over = 0.0;
        self.known_since = f64::NEG_INFINITY;
        self.realign = None;
        self.settling = None;
    }

    /// A frame was played, or came too late. `now` is the callback's moment.
    ///
    /// Where the device was behind when its packet arrived, the frame would not have been taken at its place, at any depth: that
    /// much longer the packet had, and so it is counted. But it is no longer queue.
    pub(crate) fn observe(&mut self, now: f64, arrival: Arrival) {
        let Arrival { place, at, behind } = arrival;
        if self.realign.is_some() || at < self.known_since {
            return;
        }
        let wait = place - at;
        Surplus::follow(&mut self.surplus, now, wait, GUARD, self.most);
        let undecided = self.surplus.is_some_and(|surplus| surplus.is_undecided(now, GUARD, self.before[1]));
        self.coasts = undecided || self.to_skip(now).is_some();
        if undecided && wait > self.depth {
            return;
        }
        let began = Before { target: self.target, longest_wait: self.depth - self.added };
        let is_new_span = self.simulation.observe(place, wait - self.added, behind);
        if is_new_span {
            self.before = [began, self.before[0]];
        }
        let before = self.depth;
        self.follow_longest();
        self.unseen += 1;
        // The need grows where this one waited too short, or longer than all others.
        let grows = self.depth - wait >= self.wanted - GUARD || self.depth > before;
        if is_new_span || self.is_guess || grows || self.unseen >= LOOK_EVERY {
            self.update();
        }
        self.is_guess = false;
    }

    fn follow_longest(&mut self) {
        let Some(longest) = self.simulation.longest() else { return };
        self.depth = longest + self.added;
        if self.settling.is_some() || (self.depth - self.steer.led).abs() > ANOTHER_PATH {
            self.steer.led = self.depth;
        }
    }

    /// Takes a look at all that is remembered.
    fn update(&mut self) {
        self.unseen = 0;
        self.follow_longest();
        let Some(needed) = self.simulation.needed() else { return };
        self.wanted = (needed + GUARD + self.steer.unknown_drift())
            .max(self.least.max(self.held) - self.take)
            .min(self.most);
        let is_new = self.settling.is_some_and(|settling| settling.least == 0.0);
        if self.wanted > self.target || is_new {
            self.target = self.wanted;
        }
    }

    /// The stretch of the next `seconds` of sound.
    pub(crate) fn steer(&mut self, seconds: f64) -> f64 {
        if self.settling.is_some() || self.coasts || self.realign.is_some() {
            return self.steer.coast();
        }
        let before = self.target;
        self.target -= ((self.target - self.wanted) / FALL_EASES).clamp(0.0, FALL) * seconds;
        let fallen = if self.depth >= before { before - self.target } else { 0.0 };
        let (stretch, gained) = self.steer.steer(seconds, self.depth, self.target, fallen);
        self.added += gained;
        self.depth += gained;
        stretch
    }

    /// A frame of `seconds` was played on top.
    pub(crate) fn stretched_by(&mut self, seconds: f64) {
        self.shift(seconds);
    }

    /// Frames are so many `seconds` longer from here on, and so is what each waits for its own last sample before it is
    /// sent. The depth makes room for that before packets are late; it is not made twice while the first is remembered.
    pub(crate) fn frames_are_longer(&mut self, now: f64, seconds: f64) {
        if now - self.lengthened >= MEMORY {
            self.lengthened = now;
            self.target = (self.target + seconds).min(self.most);
        }
    }

    /// All waits are longer by so much from here on.
    fn shift(&mut self, by: f64) {
        self.added += by;
        self.depth += by;
        self.last_wait += by;
        self.steer.led += by;
        if let Some(realign) = &mut self.realign {
            realign.shift(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_deep_and_too_little_for_a_cut_is_worked_off() {
        let mut policy = DepthPolicy::new(&PlayoutConfig::default());
        policy.restart(0.0, true);
        policy.settling = None;
        policy.target = 0.029;
        policy.before = [Before { target: 0.029, longest_wait: 0.037 }; 2];
        for packet in 0..6000 {
            let now = f64::from(packet) * 0.005;
            // The path became shorter by some milliseconds: deeper than allowed, and less than a cut is worth.
            policy.observe(now, Arrival { place: now, at: now - 0.037 - policy.added, behind: 0.0 });
            assert!(policy.surplus(now, false).is_none(), "{now}");
            policy.steer(0.005);
        }
        assert!(policy.depth < 0.02, "{}", policy.depth);
    }
}
