//! The map between a machine's own clock and the session's.

use std::time::Duration;

const PPB: i128 = 1_000_000_000;

/// For so long after its anchor a clock's bound holds as it is.
const FRESH: Duration = Duration::from_secs(1);

/// What two crystals' difference is uncertain by however well it was measured: 1 ppm, since no straight line foresees how they warm and
/// cool.
const WANDER_PPB: u64 = 1000;

/// The line that maps a local moment to session time:
/// `session = local + offset + (local − anchor) · skew`.
///
/// All arithmetic is in integers, so that an hour in a nanosecond is still a nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionClock {
    /// Session time less local time, at [`anchor`](Self::anchor), in nanoseconds.
    pub offset_ns: i64,
    /// The local moment at which `offset_ns` holds.
    pub anchor: Duration,
    /// How much faster the session clock runs than the local one, in parts per billion.
    pub skew_ppb: i64,
    /// How far from the truth session time may be in the second after `anchor`, in nanoseconds: half of the least round trip (all of
    /// the path's delay might be in one direction), and what the skew may yet turn out to be. 0 on the host.
    pub bound_ns: u64,
    /// How far from the truth `skew_ppb` may be, either way.
    pub skew_bound_ppb: u64,
}

impl Default for SessionClock {
    fn default() -> Self {
        Self::IDENTITY
    }
}

impl SessionClock {
    /// Session time is local time.
    pub const IDENTITY: Self =
        Self { offset_ns: 0, anchor: Duration::ZERO, skew_ppb: 0, bound_ns: 0, skew_bound_ppb: 0 };

    /// The clock of the host whose session began at `started`.
    #[must_use]
    pub fn host(started: Duration) -> Self {
        Self { offset_ns: saturate(-nanos(started)), ..Self::IDENTITY }
    }

    /// The session time of a local moment, in nanoseconds. Negative before the session began.
    #[must_use]
    pub fn session_ns(&self, local: Duration) -> i64 {
        let local = nanos(local);
        // Both factors are below 2^94 and 2^64 only for absurd moments; saturating keeps a hostile clock from
        // panicking.
        let drift = (local - nanos(self.anchor)).saturating_mul(i128::from(self.skew_ppb)) / PPB;
        saturate(local + i128::from(self.offset_ns) + drift)
    }

    /// For how long the clock has run by itself at a local moment: since the last exchange with the host. Zero on the host.
    #[must_use]
    pub fn alone_at(&self, local: Duration) -> Duration {
        // What was measured is never known exactly.
        if self.bound_ns == 0 { Duration::ZERO } else { local.saturating_sub(self.anchor) }
    }

    /// How far from the truth the session time of a local moment may be, in nanoseconds: [`bound_ns`](Self::bound_ns), and after its
    /// second what the skew may be wrong by, 1 ppm at least, of the time since. 0 on the host.
    #[must_use]
    pub fn bound_at(&self, local: Duration) -> u64 {
        let since = self.alone_at(local).saturating_sub(FRESH);
        let drift = nanos(since).saturating_mul(self.skew_bound_ppb.max(WANDER_PPB).into()) / PPB;
        u64::try_from(drift.saturating_add(self.bound_ns.into())).unwrap_or(u64::MAX)
    }

    /// The session time of a local moment, in whole milliseconds modulo 2^32, as packet headers carry it (spec §5.4).
    /// 0 before the session began.
    #[must_use]
    pub fn session_ms(&self, local: Duration) -> u32 {
        // Wrapping is the header's own rule.
        (self.session_ns(local).max(0) / 1_000_000) as u32
    }

    /// The local moment of a session time, or none where it lies before the process's epoch.
    #[must_use]
    pub fn local_at(&self, session_ns: i64) -> Option<Duration> {
        let rate = PPB + i128::from(self.skew_ppb);
        if rate <= 0 {
            return None;
        }
        let anchor = nanos(self.anchor);
        let since_anchor = i128::from(session_ns) - anchor - i128::from(self.offset_ns);
        let local = anchor + (since_anchor * PPB).div_euclid(rate);
        u64::try_from(local).ok().map(Duration::from_nanos)
    }
}

fn nanos(moment: Duration) -> i128 {
    // A `Duration` is at most 2^64 s, which is below 2^94 ns.
    moment.as_nanos() as i128
}

fn saturate(ns: i128) -> i64 {
    ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hosts_session_begins_at_zero() {
        let clock = SessionClock::host(Duration::from_secs(5));
        assert_eq!(clock.session_ns(Duration::from_secs(5)), 0);
        assert_eq!(clock.session_ns(Duration::from_secs(8)), 3_000_000_000);
        assert_eq!(clock.session_ns(Duration::from_secs(4)), -1_000_000_000);
        assert_eq!(clock.local_at(-5_000_000_001), None);
        assert_eq!(clock.local_at(-5_000_000_000), Some(Duration::ZERO));
        assert_eq!(clock.session_ms(Duration::from_secs(4)), 0);
        assert_eq!(clock.session_ms(Duration::from_millis(5_040)), 40);
    }

    #[test]
    fn an_hour_at_100_ppm_is_360_ms() {
        let clock = SessionClock { skew_ppb: 100_000, ..SessionClock::IDENTITY };
        assert_eq!(clock.session_ns(Duration::from_secs(3600)), 3_600_360_000_000);
    }

    #[test]
    fn a_clock_that_runs_by_itself_is_less_and_less_certain_and_the_hosts_is_not() {
        let seconds = Duration::from_secs;
        let clock = SessionClock { anchor: seconds(100), bound_ns: 500, ..SessionClock::IDENTITY };
        assert_eq!([0, 100, 101].map(|at| clock.bound_at(seconds(at))), [500; 3]);
        // A microsecond each second.
        assert_eq!(clock.bound_at(seconds(701)), 600_500);
        assert_eq!(clock.alone_at(seconds(701)), seconds(601));
        let unsure = SessionClock { skew_bound_ppb: 20_000, ..clock };
        assert_eq!(unsure.bound_at(seconds(701)), 12_000_500);
        let host = SessionClock::host(seconds(5));
        assert_eq!((host.bound_at(seconds(9000)), host.alone_at(seconds(9000))), (0, Duration::ZERO));
    }

    proptest! {
        #[test]
        fn local_time_comes_back_within_two_nanoseconds(
            offset_ns in -1i64 << 50..1i64 << 50,
            anchor in 0u64..1 << 45,
            skew_ppb in -1_000_000i64..1_000_000,
            local in 0u64..1 << 47,
        ) {
            let clock = SessionClock { offset_ns, anchor: Duration::from_nanos(anchor), skew_ppb, ..SessionClock::IDENTITY };
            let there = clock.session_ns(Duration::from_nanos(local));
            if let Some(back) = clock.local_at(there) {
                prop_assert!((back.as_nanos() as i128 - i128::from(local)).abs() <= 2);
            } else {
                prop_assert!(local <= 2);
            }
        }

        #[test]
        fn no_numbers_panic(
            offset_ns: i64,
            skew_ppb: i64,
            bounds: (u64, u64),
            anchor: Duration,
            local: Duration,
            session: i64,
        ) {
            let clock = SessionClock { offset_ns, anchor, skew_ppb, bound_ns: bounds.0, skew_bound_ppb: bounds.1 };
            prop_assert!(clock.bound_at(local) >= clock.bound_ns);
            let _ = (clock.session_ns(local), clock.session_ms(local), clock.local_at(session));
        }
    }
}
