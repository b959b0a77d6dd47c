//! What a shorter path left over, and what the beginning did: too much for resampling.
//!
//! Packets that wait longer than the greatest depth are a surplus, if they all do for a tenth of a second. Until that
//! shows, such waits are set aside, and nothing is learnt of them.

/// So far beyond the greatest depth, packets that wait are a surplus and no jitter.
const HYSTERESIS: f64 = 0.005;
/// If they do so for this long without a break: longer than any burst of a network that can be used.
const SUSTAINED: f64 = 0.1;
/// And are no fewer.
const SUSTAINED_PACKETS: u32 = 16;
/// Packets beyond the limit that are further apart than this are single ones.
const LAPSE: f64 = 0.05;
/// Less is not worth a cut.
const LEAST_SKIP: f64 = 0.01;

/// Packets that wait longer than the greatest depth allows, from the first of them. Seconds throughout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surplus {
    since: f64,
    /// The last that was beyond the limit.
    last: f64,
    packets: u32,
    shortest_wait: f64,
    pub(crate) longest_wait: f64,
}

/// How things were when a span began: the target, and the longest wait, as the simulation keeps it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    pub(crate) target: f64,
    pub(crate) longest_wait: f64,
}

impl Surplus {
    /// Takes a packet's wait. `guard` is what the shortest wait should be, and `most` the greatest depth.
    pub(crate) fn follow(surplus: &mut Option<Self>, now: f64, wait: f64, guard: f64, most: f64) {
        if wait > most + HYSTERESIS {
            let begins = Self { since: now, last: now, packets: 0, shortest_wait: wait, longest_wait: wait };
            surplus.get_or_insert(begins).last = now;
        }
        if surplus.is_some_and(|surplus| now - surplus.last > LAPSE) {
            *surplus = None;
        }
        // A straggler that no depth would have saved says nothing.
        if let Some(followed) = surplus.as_mut().filter(|_| wait > -most) {
            followed.packets += 1;
            followed.shortest_wait = followed.shortest_wait.min(wait);
            followed.longest_wait = followed.longest_wait.max(wait);
            if wait < guard + LEAST_SKIP {
                // With so little to spare it is no surplus.
                *surplus = None;
            }
        }
    }

    /// Whether it is no burst.
    fn is_sustained(self, now: f64) -> bool {
        now - self.since >= SUSTAINED && self.packets >= SUSTAINED_PACKETS
    }

    /// Whether nothing is to be learnt of waits like these yet.
    pub(crate) fn is_undecided(self, now: f64, guard: f64, before: Before) -> bool {
        !self.is_sustained(now)
            || (self.skip(now, guard, before).is_some() && now - self.since < 3.0 * SUSTAINED)
    }

    /// So much sound is to be skipped, now.
    pub(crate) fn skip(self, now: f64, guard: f64, before: Before) -> Option<f64> {
        if !self.is_sustained(now) {
            return None;
        }
        // Never so much that one of these packets would have been late.
        let spare = self.shortest_wait - guard;
        Some((self.longest_wait - before.target).min(spare)).filter(|skip| *skip >= LEAST_SKIP)
    }
}

/// Playing begins with what a packet or two say of the path. For so long nothing is learnt of the clocks, and what the
/// first half second says is forgotten. Then the surplus is trimmed, in a quiet moment.
const SETTLING: f64 = 1.5;
/// Or, if there is none so soon, in any.
const IMPATIENCE: f64 = 2.5;

/// The first moments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settling {
    pub(crate) since: f64,
    /// What was known to be needed before is not trimmed. Nothing, where nothing was known.
    pub(crate) least: f64,
}

impl Settling {
    /// Whether the path is known by now.
    pub(crate) fn is_over(&self, now: f64) -> bool {
        now - self.since >= SETTLING
    }

    /// Whether what is too much is to be cut now.
    pub(crate) fn may_cut(&self, now: f64, is_quiet: bool) -> bool {
        is_quiet || now - self.since >= IMPATIENCE
    }
}
