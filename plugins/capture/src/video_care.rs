//! How the picture gets through without being in the voice's way: each peer says what the path to it holds, and the picture goes
//! down and up the ladder.
#![allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]

use std::time::{Duration, Instant};

use bevy_ecs::message::MessageReader;
use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Query, ResMut};
use hyperzoom_congestion::{ALARM, CLEAR, Ladder, PEERS, PathReport, PeerLadder, Rung};
use hyperzoom_net_plugin::{Link, Net, NetMessage, Peer, Presence};

use crate::Pictures;

/// Round trips are looked at this often: as often as there are new ones.
const TRIPS: Duration = Duration::from_secs(1);

/// How our picture is sent: the ladder that the peers' reports go to, and what it came to.
#[derive(Resource, Debug)]
pub struct VideoCare {
    began: Instant,
    ladder: Ladder,
    encoded: Rung,
    /// Its bit rate, in kbit/s.
    kbps: u32,
    off: [bool; PEERS],
    /// Since when.
    off_since: [Duration; PEERS],
    /// Whose path was full when it last reported: it has missed frames, and needs a keyframe when it is free.
    full: [bool; PEERS],
    next_trips: Duration,
    /// The round trips that were looked at last.
    trips: [Option<Duration>; PEERS],
}

impl Default for VideoCare {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            ladder: Ladder::new(),
            encoded: Rung::Full,
            kbps: Rung::Full.kbps(),
            off: [false; PEERS],
            off_since: [Duration::ZERO; PEERS],
            full: [false; PEERS],
            next_trips: TRIPS,
            trips: [None; PEERS],
        }
    }
}

impl VideoCare {
    /// What is encoded for all who get video.
    #[must_use]
    pub fn encoded(&self) -> Rung {
        self.encoded
    }

    /// What the path to a peer holds: [`Rung::Off`] where it is sent no video. `None` for who is not here.
    #[must_use]
    pub fn rung(&self, peer: u8) -> Option<Rung> {
        self.ladder.peer(peer).map(PeerLadder::rung)
    }

    /// For how long a peer has been sent no video since its path holds none; `None` where it is sent some.
    pub(crate) fn off_for(&self, peer: u8) -> Option<Duration> {
        let at = usize::from(peer);
        (*self.off.get(at)?).then(|| self.now().saturating_sub(self.off_since[at]))
    }

    /// Whether a round trip was not looked at before: where an answer is lost, the one before it stays what is known.
    fn is_new(&mut self, id: u8, trip: Duration) -> bool {
        self.trips.get_mut(usize::from(id)).is_some_and(|last| last.replace(trip) != Some(trip))
    }

    /// Nothing is known of the path to a newcomer.
    fn forget_path(&mut self, id: u8) {
        if let Some(full) = self.full.get_mut(usize::from(id)) {
            *full = false;
        }
    }

    /// Whether a path is full, or so narrow that it holds no video: copies of the voice would only make it fuller.
    pub(crate) fn is_congested(&self) -> bool {
        let here = (0..).zip(self.full).filter(|(id, _)| self.ladder.peer(*id).is_some());
        here.into_iter().any(|(id, full)| full || self.off[usize::from(id)])
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

#[cfg(test)]
impl VideoCare {
    /// One that sends video to a peer.
    pub(crate) fn talking_to(peer: u8) -> Self {
        let mut care = Self::default();
        care.ladder.add(Duration::ZERO, peer);
        care
    }

    /// Video to a peer has been off for at least this long; for zero, it has not begun to be.
    pub(crate) fn turn_off(&mut self, peer: u8, span: Duration) {
        let begins = if span.is_zero() { Duration::MAX } else { Duration::ZERO };
        self.began = Instant::now() - span;
        self.off[usize::from(peer)] = true;
        self.off_since[usize::from(peer)] = begins;
    }

    /// The path to a peer becomes full, or free.
    pub(crate) fn fill(&mut self, peer: u8, full: bool) {
        self.full[usize::from(peer)] = full;
    }
}

/// Puts what peers say of their paths into the ladder, and sends video as it says.
pub(crate) fn heed(
    net: Option<ResMut<'_, Net>>,
    pictures: Option<ResMut<'_, Pictures>>,
    mut care: ResMut<'_, VideoCare>,
    mut messages: MessageReader<'_, '_, NetMessage>,
    links: Query<'_, '_, (&Peer, &Presence, &Link)>,
) {
    let (Some(mut net), Some(mut pictures)) = (net, pictures) else { return };
    let now = care.now();
    let mut wants_keyframe = false;
    for message in messages.read() {
        match message {
            NetMessage::PathReported { by, report } => {
                let report = PathReport::from(report);
                care.ladder.handle_report(now, *by, &report);
                let at = usize::from(*by);
                let is_off = care.off.get(at).is_some_and(|off| *off);
                if let Some(full) = care.full.get_mut(at) {
                    // As the transport holds video back, and lets it go.
                    let still = *full && report.queue >= CLEAR;
                    let was = std::mem::replace(full, still || report.queue >= ALARM);
                    wants_keyframe |= was && !*full && !is_off;
                }
            }
            NetMessage::PeerConnected { id, .. } => {
                care.ladder.add(now, *id);
                care.forget_path(*id);
            }
            NetMessage::PeerLeft { id, .. } => {
                care.ladder.remove(*id);
                care.forget_path(*id);
            }
            _ => {}
        }
    }
    if now >= care.next_trips {
        care.next_trips = now + TRIPS;
        for (peer, presence, link) in &links {
            if let (Presence::Here, Some(trip)) = (presence, link.0.round_trip)
                && care.is_new(peer.id, trip)
            {
                care.ladder.handle_round_trip(now, peer.id, trip);
            }
        }
    }
    care.ladder.advance(now);
    let transport = net.transport();
    for (id, at) in (0..).zip(0..PEERS) {
        let peer = care.ladder.peer(id);
        let off = peer.is_some_and(|peer| peer.rung() == Rung::Off);
        if let Some(peer) = peer {
            transport.set_filling(id, peer.filling_kbps(now));
        }
        if off != care.off[at] {
            tracing::info!(peer = id, off, "video to a peer");
            care.off[at] = off;
            care.off_since[at] = now;
            transport.set_video(id, !off);
            wants_keyframe |= !off;
        }
    }
    transport.set_pace(care.ladder.pace_kbps());
    let live = pictures.live();
    let (encoded, kbps) = (care.ladder.encoded(), care.ladder.kbps());
    if encoded != Rung::Off && kbps != care.kbps {
        care.kbps = kbps;
        live.set_bitrate(kbps);
    }
    if encoded != care.encoded {
        tracing::info!(from = ?care.encoded, to = ?encoded, "the live picture changes");
        care.encoded = encoded;
        if encoded != Rung::Off {
            let (width, height) = encoded.size();
            live.set_size(width, height);
            live.set_fps(encoded.fps());
        }
        // Last, so that the first picture after a pause is not as large as the path was wide before it.
        live.set_wanted(encoded != Rung::Off);
    }
    if wants_keyframe {
        live.request_keyframe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_is_looked_at_once() {
        let mut care = VideoCare::default();
        let trips = [20, 20, 21, 20].map(|trip| care.is_new(1, Duration::from_millis(trip)));
        assert_eq!(trips, [true, false, true, true]);
        assert!(care.is_new(2, Duration::from_millis(20)));
        assert!(!care.is_new(200, Duration::from_millis(20)));
    }
}
