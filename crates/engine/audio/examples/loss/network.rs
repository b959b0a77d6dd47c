//! The networks of the table.

use std::time::Duration;

use hyperzoom_netem::Conditions;

/// A path, and whether it breaks in the middle of the call.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) name: String,
    pub(crate) conditions: Conditions,
    /// Nothing arrives for so long, from the middle of the call on.
    pub(crate) outage: Option<Duration>,
}

/// What every path of the table takes one way.
const DELAY: Duration = Duration::from_millis(20);

/// Nothing is wrong.
const STILL: Conditions = Conditions { delay: DELAY, ..Conditions::PERFECT };

/// What a packet in 5 ms sees as runs of two on average: the chain that stays bad from one packet to the next with a
/// chance of one half, 0.05 + 0.95 · exp(−5 ms / (0.95 · b)) = 0.5.
const RUNS_OF_TWO: Conditions = Conditions { loss: 0.05, burst_mean: Duration::from_micros(7_044), ..STILL };

impl Network {
    fn new(name: impl Into<String>, conditions: Conditions) -> Self {
        Self { name: name.into(), conditions, outage: None }
    }

    fn lossy(percent: u32, burst_ms: u64) -> Self {
        let burst = if burst_ms == 0 { "single".to_owned() } else { format!("bursts of {burst_ms} ms") };
        let loss = f64::from(percent) / 100.0;
        let burst_mean = Duration::from_millis(burst_ms);
        Self::new(format!("{percent} % lost, {burst}"), Conditions { loss, burst_mean, ..STILL })
    }

    fn jittery(ms: u64) -> Self {
        Self::new(format!("jitter of {ms} ms"), Conditions { jitter: Duration::from_millis(ms), ..STILL })
    }

    /// All of them, in the table's order.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::new("none", STILL)];
        for burst_ms in [0, 10, 20] {
            all.extend([1, 3, 5, 10].map(|percent| Self::lossy(percent, burst_ms)));
        }
        all.push(Self::new("5 % lost, runs of 10 ms", RUNS_OF_TWO));
        all.extend([5, 10, 20].map(Self::jittery));
        let reorder_by = Duration::from_millis(10);
        all.push(Self::new("5 % reordered by 10 ms", Conditions { reorder: 0.05, reorder_by, ..STILL }));
        all.push(Self { outage: Some(Duration::from_secs(2)), ..Self::new("an outage of 2 s", STILL) });
        all
    }

    /// Those that are tried in real time, beside another program.
    pub(crate) fn of_the_duel() -> Vec<Self> {
        vec![Self::new("none", STILL), Self::lossy(5, 10), Self::jittery(10)]
    }
}
