//! Which earlier frames a speaker's packets should carry copies of.
//!
//! A lost packet is not sent again: that would take a round trip. Instead packets carry copies of earlier frames, and whoever
//! misses a frame decodes the copy out of a later packet. A copy costs the frame's bitrate once more, so there is none
//! until somebody loses packets; and it is of use only if the packet that carries it is there when the frame is due, so how
//! far apart frame and copy may be follows from how deep the listener's buffer is.
//!
//! Packets are lost in bursts, so the further apart the better. With two copies, in a burst that ends at any moment with the
//! same chance (the Gilbert–Elliott model), the residual loss is least where frame, first and second copy are equally far
//! apart.

use std::time::Duration;

use crate::report::{LossWindow, ReceiverReport, smooth};

/// The furthest back that a copy may be, in frames: what three bits hold.
pub const FURTHEST_COPY: u32 = 7;

/// Peers are told apart by their participant id, which is below this (spec §4.1).
pub(crate) const PEERS: usize = 4;

/// A peer that has not reported for so long says nothing any more: five reports have been lost, or it has left.
const REPORT_HOLDS: Duration = Duration::from_secs(5);

/// So much is lost before copies are worth what they cost, in permille over the ten seconds of a [`LossWindow`]: about four
/// packets in ten seconds of 5 ms frames. One that is lost now and then is concealed.
const WORTH_COPIES: u32 = 2;

/// Where runs of lost packets are shorter than this, in frames, packets are lost one by one, and any distance is as good as
/// another. One in ten lost by chance makes runs of 1.1.
const SINGLE_RUN: f64 = 1.25;

/// Up to this loss, in permille, a single copy leaves less than one in a thousand missing where packets are lost one by one.
const ONE_COPY_DOES: u32 = 30;

/// Which earlier frames a packet carries copies of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repair {
    /// How many frames before the packet's own, at most [`FURTHEST_COPY`]; 0 is no copy.
    pub distances: [u8; 2],
}

impl Repair {
    /// No copies.
    pub const NONE: Self = Self { distances: [0; 2] };

    /// Copies for somebody who loses `permille` of the frames, in runs that last `burst` on average, and has packets up to
    /// `reach` later than a frame at hand when it is due. There is always one: a reach that is less than a frame on average is
    /// enough for the next packet now and then.
    fn against(permille: u32, burst: Duration, reach: Duration, frame: Duration) -> Self {
        let frames = |span: Duration| span.as_secs_f64() / frame.as_secs_f64();
        let far = (frames(reach).round() as u32).clamp(1, FURTHEST_COPY) as u8;
        let distances = if frames(burst) < SINGLE_RUN {
            // Nearest first: it needs the least depth.
            [1, if permille < ONE_COPY_DOES || far < 2 { 0 } else { 2 }]
        } else if far < 2 {
            [far, 0]
        } else {
            [far / 2, far]
        };
        Self { distances }
    }
}

/// What one peer last said.
#[derive(Debug, Clone, Copy)]
struct Listener {
    at: Duration,
    report: ReceiverReport,
    losses: LossWindow,
    burst: Duration,
}

impl Listener {
    fn is_heard(&self, now: Duration) -> bool {
        now.saturating_sub(self.at) < REPORT_HOLDS
    }
}

/// The speaker's choice of [`Repair`], made from what the listeners report.
///
/// All listeners get the same packets, so the worst off decides: the copies are for those who lose packets, and the one of
/// them with the least depth says how far back they may be. One whose buffer has no room even for the next packet has no say in
/// that while another has: what is too late for it in any case is of use to the others.
#[derive(Debug, Clone, Default)]
pub struct RepairPolicy {
    listeners: [Option<Listener>; PEERS],
}

impl RepairPolicy {
    /// A policy that has heard of nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Listener `peer` reported this `now`.
    pub fn handle_report(&mut self, now: Duration, peer: u8, report: ReceiverReport) {
        let Some(slot) = self.listeners.get_mut(usize::from(peer)) else { return };
        let before = slot.filter(|before| before.is_heard(now));
        let (mut losses, burst) = before
            .map_or((LossWindow::new(WORTH_COPIES), Duration::ZERO), |before| (before.losses, before.burst));
        losses.push(report.lost_permille);
        *slot = Some(Listener { at: now, report, losses, burst: smooth(burst, report.burst()) });
    }

    /// Listener `peer` has left.
    pub fn forget(&mut self, peer: u8) {
        if let Some(slot) = self.listeners.get_mut(usize::from(peer)) {
            *slot = None;
        }
    }

    /// What the packets should carry from `now` on, where each holds a `frame` of sound. [`Repair::NONE`] while nobody loses
    /// anything: ten seconds after the last loss.
    #[must_use]
    pub fn repair(&self, now: Duration, frame: Duration) -> Repair {
        let losing = || self.heard(now).filter(|listener| listener.losses.is_losing());
        let worst = losing().map(|listener| (listener.losses.level(), listener.burst)).reduce(
            |(loss, burst), (other_loss, other_burst)| (loss.max(other_loss), burst.max(other_burst)),
        );
        let Some((loss, burst)) = worst else { return Repair::NONE };
        let reaches = losing().map(|listener| listener.report.reach()).filter(|reach| *reach >= frame / 2);
        Repair::against(loss, burst, reaches.min().unwrap_or_default(), frame)
    }

    /// The share of frames that each listener missed lately, by participant id, in permille; `None` where it has not reported
    /// lately.
    #[must_use]
    pub fn losses(&self, now: Duration) -> [Option<u32>; PEERS] {
        self.listeners.map(|listener| {
            let heard = listener.filter(|listener| listener.is_heard(now));
            heard.map(|listener| listener.report.lost_permille.into())
        })
    }

    fn heard(&self, now: Duration) -> impl Iterator<Item = &Listener> {
        let listeners = self.listeners.iter().flatten();
        listeners.filter(move |listener| listener.is_heard(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(5);

    fn report(lost_permille: u16, burst_ms: f64, reach_ms: f64) -> ReceiverReport {
        ReceiverReport {
            lost_permille,
            late_permille: 0,
            burst_us: (burst_ms * 1e3) as u32,
            depth_us: (reach_ms * 1e3) as u32,
            reach_us: (reach_ms * 1e3) as u32,
        }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn copies_begin_with_loss_and_end_ten_seconds_after_it() {
        let mut policy = RepairPolicy::new();
        assert_eq!(policy.repair(secs(0), FRAME), Repair::NONE);
        for second in 0..5 {
            policy.handle_report(secs(second), 1, report(0, 0.0, 15.0));
        }
        assert_eq!(policy.repair(secs(4), FRAME), Repair::NONE);
        policy.handle_report(secs(5), 1, report(50, 10.0, 15.0));
        assert_eq!(policy.repair(secs(5), FRAME).distances, [1, 3]);
        let mut ended = None;
        for second in 6..30 {
            policy.handle_report(secs(second), 1, report(0, 0.0, 15.0));
            if policy.repair(secs(second), FRAME) == Repair::NONE {
                ended.get_or_insert(second);
            } else {
                assert_eq!(ended, None, "it does not flap");
            }
        }
        assert_eq!(ended, Some(15));
    }

    #[test]
    fn a_packet_lost_now_and_then_is_not_worth_a_copy_of_all() {
        let mut policy = RepairPolicy::new();
        for second in 0..60 {
            let lost = if second % 10 == 0 { 5 } else { 0 };
            policy.handle_report(secs(second), 1, report(lost, 5.0, 15.0));
            assert_eq!(policy.repair(secs(second), FRAME), Repair::NONE, "{second} s");
        }
    }

    #[test]
    fn the_reach_and_the_frame_decide_the_distances() {
        for (reach, frame, wanted) in [
            (15.0, 5.0, [1, 3]),
            (15.0, 2.5, [3, 6]),
            (12.0, 2.5, [2, 5]),
            (10.0, 5.0, [1, 2]),
            (6.0, 5.0, [1, 0]),
            (2.0, 5.0, [1, 0]),
            (10.0, 10.0, [1, 0]),
            (30.0, 2.5, [3, 7]),
        ] {
            let frame = Duration::from_secs_f64(frame * 1e-3);
            let mut policy = RepairPolicy::new();
            policy.handle_report(secs(0), 3, report(50, 20.0, reach));
            assert_eq!(policy.repair(secs(0), frame).distances, wanted, "{reach} ms, {frame:?}");
        }
    }

    #[test]
    fn packets_lost_one_by_one_need_no_distance() {
        for (lost, reach, wanted) in
            [(25, 20.0, [1, 0]), (100, 20.0, [1, 2]), (100, 5.0, [1, 0]), (100, 0.0, [1, 0])]
        {
            let mut policy = RepairPolicy::new();
            policy.handle_report(secs(0), 0, report(lost, 5.5, reach));
            assert_eq!(policy.repair(secs(0), FRAME).distances, wanted, "{lost} permille, {reach} ms");
        }
    }

    #[test]
    fn the_worst_of_those_who_lose_decides_until_it_leaves_or_falls_silent() {
        let mut policy = RepairPolicy::new();
        policy.handle_report(secs(0), 0, report(0, 0.0, 5.0));
        policy.handle_report(secs(0), 1, report(50, 10.0, 20.0));
        assert_eq!(policy.repair(secs(0), FRAME).distances, [2, 4], "who loses nothing does not count");
        policy.handle_report(secs(0), 2, report(30, 10.0, 10.0));
        assert_eq!(policy.repair(secs(0), FRAME).distances, [1, 2]);
        assert_eq!(policy.losses(secs(0)), [Some(0), Some(50), Some(30), None]);
        policy.forget(2);
        assert_eq!(policy.repair(secs(0), FRAME).distances, [2, 4]);
        assert_eq!(policy.repair(secs(5), FRAME), Repair::NONE, "nobody has reported for five seconds");
        assert_eq!(policy.losses(secs(5)), [None; PEERS]);
    }

    #[test]
    fn one_whose_buffer_has_no_room_does_not_take_the_copies_from_all() {
        let mut policy = RepairPolicy::new();
        policy.handle_report(secs(0), 0, report(50, 10.0, 2.0));
        assert_eq!(policy.repair(secs(0), FRAME).distances, [1, 0], "there is nobody else");
        policy.handle_report(secs(0), 1, report(50, 10.0, 15.0));
        assert_eq!(policy.repair(secs(0), FRAME).distances, [1, 3]);
        policy.handle_report(secs(0), 2, report(50, 10.0, 10.0));
        assert_eq!(policy.repair(secs(0), FRAME).distances, [1, 2], "of the others the least decides");
    }

    #[test]
    fn no_report_asks_for_more_than_the_format_has() {
        let mut policy = RepairPolicy::new();
        policy.handle_report(secs(0), 200, report(1000, 10.0, 10.0));
        assert_eq!(policy.repair(secs(0), FRAME), Repair::NONE, "there is no such participant");
        let lie = ReceiverReport {
            lost_permille: u16::MAX,
            late_permille: u16::MAX,
            burst_us: u32::MAX,
            depth_us: u32::MAX,
            reach_us: u32::MAX,
        };
        for second in 0..20 {
            policy.handle_report(secs(second), 1, lie);
        }
        assert_eq!(policy.repair(secs(19), FRAME).distances, [3, 7]);
    }
}
