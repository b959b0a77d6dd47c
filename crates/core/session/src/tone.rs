//! When the sync tone is due: the host says so whenever somebody has come, so that every two recordings have one in common. Whoever comes
//! back from a drop-out with the recording that it had needs none, and nobody is beeped at in mid-sentence for it.

use std::time::Duration;

use hyperzoom_protocol::Control;

use crate::peer::Peer;
use crate::session::HOST;
use crate::timers::EVERYBODY;
use crate::{Event, Session, TONE_LEAD};

const SECOND_NS: i64 = 1_000_000_000;

/// A tone this close ahead is too soon for who has just come: another follows it.
const SOON_NS: i64 = 2 * SECOND_NS;

/// Nothing further ahead is believed of a host: 30 s.
const FURTHEST_NS: i64 = 30 * SECOND_NS;

impl Session {
    /// Somebody has come whose recording will begin within moments. One tone serves all who come together.
    pub(crate) fn schedule_tone(&mut self, now: Duration, newcomer: u8) {
        let now_ns = self.clock.now.session_ns(now);
        let ahead = self.tone.filter(|tone| *tone >= now_ns.saturating_add(SOON_NS));
        let at_ns = ahead.unwrap_or_else(|| {
            // At a whole second, which is a sample, a picture and something that people can read.
            let lead = now_ns.saturating_add(TONE_LEAD.as_nanos() as i64);
            let second = lead.div_euclid(SECOND_NS) + i64::from(lead.rem_euclid(SECOND_NS) > 0);
            let after_last = self.tone.map_or(i64::MIN, |tone| tone.saturating_add(SOON_NS));
            second.saturating_mul(SECOND_NS).max(after_last)
        });
        if self.tone.replace(at_ns) == Some(at_ns) {
            self.send(now, newcomer, &Control::SyncTone { at_ns });
            return;
        }
        self.event(Event::SyncTone { at_ns });
        for id in EVERYBODY {
            self.tell_tone(now, id);
        }
    }

    /// Whether a participant that comes back may have no tone in common with another: it is not known, or one sounded after it was heard
    /// last, for it or for who came while it was away.
    pub(crate) fn may_lack_tone(&self, id: u8, instance: u128) -> bool {
        let peer = self.peers[usize::from(id)].as_ref().filter(|peer| peer.instance == instance);
        let heard =
            peer.and_then(|peer| peer.link.as_ref()).map(|link| self.clock.now.session_ns(link.last_heard));
        heard.zip(self.tone).is_none_or(|(heard_ns, tone_ns)| tone_ns > heard_ns)
    }

    /// Tells a peer of the tone that is ahead, where there is one. It goes out with each heartbeat, so that a lost one does not matter.
    pub(crate) fn tell_tone(&mut self, now: Duration, id: u8) {
        let now_ns = self.clock.now.session_ns(now);
        if let Some(at_ns) = self.tone.filter(|tone| self.is_host() && *tone > now_ns)
            && self.peer_mut(id).and_then(Peer::live_mut).is_some()
        {
            self.send(now, id, &Control::SyncTone { at_ns });
        }
    }

    /// The host has said when the tone is. Whoever does not know the session's time yet hears it again within a second.
    pub(crate) fn handle_tone(&mut self, now: Duration, from: u8, at_ns: i64) {
        let ahead_ns = at_ns.saturating_sub(self.clock.now.session_ns(now));
        if from == HOST && !self.clock.is_ready() {
            return;
        }
        if from != HOST || !(0..=FURTHEST_NS).contains(&ahead_ns) {
            self.stats.ignored += 1;
        } else if self.tone.is_none_or(|last| at_ns >= last.saturating_add(SOON_NS)) {
            self.tone = Some(at_ns);
            self.event(Event::SyncTone { at_ns });
        }
    }
}
