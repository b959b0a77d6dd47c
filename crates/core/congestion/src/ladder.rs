//! All peers together: one encoding for everybody.

use std::time::Duration;

use crate::{PathReport, PeerLadder, Rung};

/// Participants of a session.
pub const PEERS: usize = 4;

/// What is sent to all the others together, in kbit/s, headers included (spec §5.4, "Bandwidth Budget": 1.65 Mbit/s to three).
pub const UPLOAD_KBPS: u32 = 1650;

/// What of it the voice takes in each link, in frames of 5 ms and with its headers, and the little that is neither voice nor picture:
/// `hyperzoom demo --people 4` prints what a call takes.
const BESIDE_KBPS: u32 = 175;

/// Every peer's ladder, and what they come to.
///
/// Video is encoded once. So the lowest rung of those who get any decides what is encoded, and only "off" is each
/// peer's own. One whose path is full gets none for the moment, and the others need not see what it would get.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    peers: [Option<PeerLadder>; PEERS],
}

impl Ladder {
    /// One without peers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A peer is here, for the first time or under a new link: nothing is known of the way to it.
    pub fn add(&mut self, now: Duration, peer: u8) {
        if let Some(place) = self.peers.get_mut(usize::from(peer)) {
            *place = Some(PeerLadder::new(now));
        }
    }

    /// A peer has left.
    pub fn remove(&mut self, peer: u8) {
        if let Some(place) = self.peers.get_mut(usize::from(peer)) {
            *place = None;
        }
    }

    /// What a peer says of the path to it.
    pub fn handle_report(&mut self, now: Duration, peer: u8, report: &PathReport) {
        if let Some(ladder) = self.get_mut(peer) {
            ladder.handle_report(now, report);
        }
    }

    /// A round trip to a peer.
    pub fn handle_round_trip(&mut self, now: Duration, peer: u8, trip: Duration) {
        if let Some(ladder) = self.get_mut(peer) {
            ladder.handle_round_trip(now, trip);
        }
    }

    /// Goes on to `now`; to be called several times a second.
    pub fn advance(&mut self, now: Duration) {
        for ladder in self.peers.iter_mut().flatten() {
            ladder.advance(now);
        }
    }

    /// A peer's own ladder, while it is here.
    #[must_use]
    pub fn peer(&self, peer: u8) -> Option<&PeerLadder> {
        self.peers.get(usize::from(peer))?.as_ref()
    }

    /// What is encoded: the lowest rung of those who get video, and of those whose path is full where nobody else gets any;
    /// [`Rung::Off`] where nobody does, and the top where nobody is here.
    #[must_use]
    pub fn encoded(&self) -> Rung {
        let here = || self.peers.iter().flatten();
        let lowest = |full: bool| {
            here()
                .filter(|peer| full || !peer.is_full())
                .map(PeerLadder::rung)
                .filter(|rung| *rung != Rung::Off)
                .max()
        };
        let nobody = if here().next().is_none() { Rung::Full } else { Rung::Off };
        lowest(false).or_else(|| lowest(true)).unwrap_or(nobody)
    }

    /// The bit rate of what is [encoded](Self::encoded), in kbit/s: the rung's, or less where so many are here that they would take more
    /// than [`UPLOAD_KBPS`].
    #[must_use]
    pub fn kbps(&self) -> u32 {
        let here = self.peers.iter().flatten().count().max(1) as u32;
        // A 16th is headers, and what is sent again.
        let share = (UPLOAD_KBPS / here).saturating_sub(BESIDE_KBPS) * 15 / 16;
        self.encoded().kbps().min(share)
    }

    /// How fast a frame's datagrams may follow one another, in kbit/s: as the slowest path of those who get video takes them.
    #[must_use]
    pub fn pace_kbps(&self) -> u32 {
        let seeing = self.peers.iter().flatten().filter(|peer| peer.rung() != Rung::Off);
        seeing.map(PeerLadder::pace_kbps).min().unwrap_or(Rung::Full.pace_kbps())
    }

    fn get_mut(&mut self, peer: u8) -> Option<&mut PeerLadder> {
        self.peers.get_mut(usize::from(peer))?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of a path that let so much through while it was full, beside a voice of 100 kbit/s.
    fn full(rate_kbps: u32) -> PathReport {
        let queue = Duration::from_millis(40);
        PathReport {
            queue,
            most_queue: queue,
            rate_kbps: Some(rate_kbps),
            audio_kbps: 100,
            expected: 20,
            lost: 0,
        }
    }

    #[test]
    fn three_others_get_a_little_less_each_so_that_all_fits_the_upload() {
        let mut ladder = Ladder::new();
        let rates = [0, 1, 2].map(|peer| {
            ladder.add(Duration::ZERO, peer);
            ladder.kbps()
        });
        assert_eq!(rates, [400, 400, 351]);
        ladder.remove(1);
        assert_eq!(ladder.kbps(), 400);
    }

    #[test]
    fn the_lowest_of_those_who_get_any_decides_and_off_is_each_ones_own() {
        let mut ladder = Ladder::new();
        assert_eq!(ladder.encoded(), Rung::Full, "nobody is here");
        for peer in 0..3 {
            ladder.add(Duration::ZERO, peer);
        }
        ladder.add(Duration::ZERO, 200);
        assert_eq!(ladder.encoded(), Rung::Full);
        let later = Duration::from_secs(1);
        ladder.handle_report(later, 1, &full(150));
        // It walks, and while its path is full it gets nothing: the others see all.
        for tenth in 0..4 {
            assert_eq!(ladder.encoded(), Rung::Full);
            ladder.advance(later + tenth * Duration::from_millis(100));
        }
        assert_eq!(ladder.peer(1).map(PeerLadder::rung), Some(Rung::Off));
        assert_eq!(ladder.encoded(), Rung::Full, "the others see all");
        ladder.handle_report(later, 2, &full(480));
        assert_eq!(ladder.encoded(), Rung::Full, "its path is full");
        ladder.handle_report(later, 2, &PathReport::default());
        assert_eq!(ladder.encoded(), Rung::LowRate);
        assert_eq!(ladder.peer(0).map(PeerLadder::rung), Some(Rung::Full));
        assert_eq!(ladder.pace_kbps(), Rung::LowRate.pace_kbps());
        ladder.handle_report(later, 0, &full(150));
        for tenth in 0..4 {
            ladder.advance(later + tenth * Duration::from_millis(100));
        }
        ladder.remove(2);
        assert_eq!(ladder.encoded(), Rung::Off, "nobody gets any");
        ladder.add(later, 0);
        assert_eq!(ladder.encoded(), Rung::Full, "who comes back begins anew");
    }
}
