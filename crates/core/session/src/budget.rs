//! How much work others may make.

use std::net::IpAddr;
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

/// Groups of addresses with a budget each.
const GROUPS: usize = 16;

/// A budget that one address uses up for itself and for the few that share its group, and not for all: a flood from one place, or from a few, leaves
/// the others theirs.
#[derive(Debug)]
pub(crate) struct Shares([Budget; GROUPS]);

impl Shares {
    /// `each` and `burst` are of each group.
    fn new(each: Duration, burst: u32) -> Self {
        Self(std::array::from_fn(|_| Budget::new(each, burst)))
    }

    /// `from` is none for what does not come straight.
    pub(crate) fn pass(&mut self, now: Duration, from: Option<IpAddr>) -> bool {
        self.0[from.map_or(0, group)].pass(now)
    }
}

/// An address's group, by FNV-1a: all that a home has of IPv6 is in one.
fn group(ip: IpAddr) -> usize {
    let (v4, v6);
    let octets: &[u8] = match ip.to_canonical() {
        IpAddr::V4(ip) => {
            v4 = ip.octets();
            &v4
        }
        IpAddr::V6(ip) => {
            v6 = ip.octets();
            &v6[..8]
        }
    };
    let step = |hash: u32, octet: &u8| (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193);
    let hash = octets.iter().fold(0x811c_9dc5, step);
    // Its last octets are to weigh as much as the others (MurmurHash3's finalizer).
    ((hash ^ hash >> 15).wrapping_mul(0x85eb_ca6b) >> 16) as usize % GROUPS
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
    pub(crate) inits: Shares,
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
            inits: Shares::new(Duration::from_micros(200) * GROUPS as u32, 32),
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

    #[test]
    fn one_address_uses_up_what_is_its_own_and_all_together_no_more_than_all_have() {
        let mut shares = Shares::new(Duration::from_millis(16), 4);
        let second = Duration::from_secs(1);
        let flooder: IpAddr = [192, 0, 2, 66].into();
        assert_eq!((0..1000).filter(|_| shares.pass(second, Some(flooder))).count(), 5);
        let others = (0..=255).map(|n| IpAddr::from([10, 0, 0, n])).filter(|ip| group(*ip) != group(flooder));
        assert!(others.clone().count() > 200, "few share its group");
        assert!(others.step_by(20).all(|ip| shares.pass(second, Some(ip))));
        let of_all = (0..=u16::MAX).map(|n| IpAddr::from([10, 1, (n >> 8) as u8, n as u8]));
        let passed = of_all.filter(|ip| shares.pass(2 * second, Some(*ip))).count();
        assert_eq!(passed, 5 * GROUPS, "each group is used");
        let home = |n: u16| IpAddr::from([0x2001, 0xdb8, 1, 2, n, n, n, n]);
        assert!((0..1000).all(|n| group(home(n)) == group(home(0))));
    }
}
