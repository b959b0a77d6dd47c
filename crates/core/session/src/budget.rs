//! How much work others may make.

use std::time::Duration;

/// Lets so many things happen in a second, and a few of them at once.
#[derive(Debug)]
pub(crate) struct Budget {
    each: Duration,
    burst: Duration,
    /// When the budget is whole again. It is at the beginning, whenever that is.
    whole: Duration,
}

impl Budget {
    pub(crate) const fn new(each: Duration, burst: u32) -> Self {
        Self { each, burst: each.saturating_mul(burst), whole: Duration::ZERO }
    }

    pub(crate) fn pass(&mut self, now: Duration) -> bool {
        let whole = self.whole.max(now);
        let pass = whole <= now + self.burst;
        if pass {
            self.whole = whole + self.each;
        }
        pass
    }
}

/// Lets so many bytes pass in a second, and some more at once.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowance {
    /// Until when what has passed takes at the rate.
    paid_until: Duration,
}

impl Allowance {
    pub(crate) fn pass(
        &mut self,
        now: Duration,
        bytes: usize,
        bits_per_second: u64,
        burst: Duration,
    ) -> bool {
        let cost = Duration::from_nanos(bytes as u64 * 8_000_000_000 / bits_per_second);
        let paid_until = self.paid_until.max(now) + cost;
        let pass = paid_until <= now + burst;
        if pass {
            self.paid_until = paid_until;
        }
        pass
    }
}

/// The budgets of a session's handshakes. Each is below a tenth of a core.
#[derive(Debug)]
pub(crate) struct Budgets {
    /// First messages of handshakes: telling that one is a stranger's takes some 12 µs.
    pub(crate) inits: Budget,
    /// First messages from those who have the key: answering takes some 200 µs.
    pub(crate) answers: Budget,
    /// Second messages from the address that we greeted: telling that one is a stranger's takes some 120 µs.
    pub(crate) expected: Budget,
    /// Second messages from elsewhere, which one who has several addresses may send.
    pub(crate) unexpected: Budget,
    /// Links that come up because somebody else wants them: each is something to be told, reported and remembered to the call's end, and who
    /// comes and goes without end would fill memory and log with it.
    pub(crate) arrivals: Budget,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            inits: Budget::new(Duration::from_micros(200), 100),
            answers: Budget::new(Duration::from_millis(10), 16),
            expected: Budget::new(Duration::from_millis(5), 20),
            unexpected: Budget::new(Duration::from_millis(5), 20),
            arrivals: Budget::new(Duration::from_secs(2), 16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_whole_at_the_beginning_and_comes_back_piece_by_piece() {
        let second = Duration::from_secs(1);
        for start in [Duration::ZERO, 100 * second] {
            let mut budget = Budget::new(2 * second, 3);
            let passed = |budget: &mut Budget, at| (0..9).filter(|_| budget.pass(at)).count();
            assert_eq!(passed(&mut budget, start), 4);
            assert_eq!(passed(&mut budget, start + second), 0);
            assert_eq!(passed(&mut budget, start + 5 * second), 2);
        }
    }
}
