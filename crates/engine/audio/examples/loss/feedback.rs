//! The way back: the listener's reports to the talker, who chooses copies by them.

use std::time::Duration;

use hyperzoom_netem::Link;
use hyperzoom_playout::{Playout, ReceiverReport, Repair, RepairPolicy, Reporter};

/// Once a second a report over a network as bad as the one there.
pub(crate) struct Feedback {
    reporter: Reporter,
    back: Link,
    /// What the datagrams on the way back stand for, by number.
    reports: Vec<ReceiverReport>,
    policy: RepairPolicy,
    frame: Duration,
}

impl Feedback {
    pub(crate) fn new(back: Link, frame: Duration) -> Self {
        Self { reporter: Reporter::new(), back, reports: Vec::new(), policy: RepairPolicy::new(), frame }
    }

    /// The listener's share of a moment.
    pub(crate) fn listen(&mut self, now: Duration, playout: &mut Playout) {
        if let Some(report) = self.reporter.observe(now, &playout.stats()) {
            playout.hold_at_least(self.reporter.hold());
            self.back.send(now, self.reports.len().to_be_bytes().to_vec());
            self.reports.push(report);
        }
    }

    /// What the talker's next packet is to carry.
    pub(crate) fn repair(&mut self, now: Duration) -> Repair {
        while let Some(datagram) = self.back.poll(now) {
            let number = datagram.try_into().map_or(usize::MAX, usize::from_be_bytes);
            if let Some(report) = self.reports.get(number) {
                self.policy.handle_report(now, 0, *report);
            }
        }
        self.policy.repair(now, self.frame)
    }
}
