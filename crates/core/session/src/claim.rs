//! A peer that seems to be elsewhere.
//!
//! What comes from another address than before is no proof that the peer is there: whoever holds datagrams back can send them on from any
//! address, and an insider can pretend to be where a third person is, who would be sent a call's worth of datagrams. So the peer is
//! asked there first (as RFC 9000 §8.2), with a number that only who receives at that address can know.

use std::net::SocketAddr;
use std::time::Duration;

use hyperzoom_protocol::{Control, unguessable};

use crate::config::CLAIM_HOLDS;
use crate::peer::Peer;
use crate::relay::Route;
use crate::{Event, Session};

/// Datagrams that must have come for each question. The shortest sealed one has 28 bytes and a question at most 35, so that nobody is
/// sent more than came from there.
const DATAGRAMS_FOR_A_QUESTION: u8 = 2;

/// Where a peer seems to be, until it answers there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    addr: SocketAddr,
    /// The question's.
    token: u32,
    since: Duration,
    /// What came from there since it was last asked.
    datagrams: u8,
}

impl Session {
    /// The newest datagram of a peer came from an address that is not its own.
    pub(crate) fn consider_claim(&mut self, now: Duration, id: u8, from: SocketAddr) {
        let Some(link) = self.peer_mut(id).and_then(Peer::live_mut) else { return };
        let claim = match &mut link.claim {
            Some(claim) if claim.addr == from => claim,
            Some(claim) if now.saturating_sub(claim.since) < CLAIM_HOLDS => return,
            other => {
                // Without randomness it stays where it was.
                let Some(token) = unguessable() else { return };
                other.insert(Claim { addr: from, token, since: now, datagrams: 0 })
            }
        };
        claim.datagrams = claim.datagrams.saturating_add(1);
        if claim.datagrams >= DATAGRAMS_FOR_A_QUESTION && link.moves.pass(now) {
            claim.datagrams = 0;
            let token = claim.token;
            self.send_by(now, id, Route::Direct(from), &Control::TimePing { token });
        }
    }

    /// A question was answered. Whether it was one that asked a peer where it is, and that is settled.
    pub(crate) fn settle_claim(&mut self, now: Duration, id: u8, token: u32) -> bool {
        let Some(link) = self.peer_mut(id).and_then(Peer::live_mut) else { return false };
        let Some(claim) = link.claim.take_if(|claim| claim.token == token) else { return false };
        let (addr, relayed) = (claim.addr, link.relayed);
        link.addr = addr;
        if !relayed {
            self.event(Event::PeerMoved { id, addr });
        }
        // It is open in both directions.
        self.take_direct_path(now, id);
        true
    }
}
