//! Frames of video: at the pace of the path, and not at all where it is full.

use std::time::{Duration, Instant};

use hyperzoom_congestion::fragment_len;
use hyperzoom_protocol::{HEADER_LEN, MAX_PAYLOAD, PacketType, TAG_LEN, fragments_of};

use super::StreamSender;

/// Bytes of a datagram that are no payload.
const OVERHEAD: usize = HEADER_LEN + TAG_LEN;

/// How often it is looked whether there is better news of a path.
const NEWS: Duration = Duration::from_millis(1);

/// For how long at most all wait for news of one path, in a frame: the receive thread lets go a little sooner. The others' picture is late
/// by that.
pub(super) const PATIENCE: Duration = Duration::from_millis(60);

/// And where nobody's path is clear, and no queue is known but on the ways here: waiting costs nobody anything then, and keeps the voice free of
/// what a path that has become narrow both ways would have to carry.
const SUSPENSE: Duration = Duration::from_millis(400);

impl StreamSender {
    /// Waits while a path that gets the frame may have become narrow. All wait for one: it is not for long, and each is sent the same. One that
    /// is only suspected of it is not waited for while another is clear: the frame is given up for it. `waited` is for how long the
    /// frame has waited so far.
    pub(super) fn wait_for_news(&mut self, waited: &mut Duration) {
        loop {
            let gate = &self.gate;
            let getting =
                || self.links.iter().flatten().filter(move |link| link.gets_frame && gate.is_open(link.id));
            let is_suspected = getting().any(|link| gate.is_suspected(link.id));
            let is_paused = getting().any(|link| gate.is_paused(link.id) && !gate.is_suspected(link.id));
            if is_suspected && getting().any(|link| !gate.is_paused(link.id)) {
                self.give_up_suspected();
                continue;
            }
            let limit = match (is_paused, is_suspected) {
                (true, _) => PATIENCE,
                (false, true) => SUSPENSE,
                (false, false) => return,
            };
            if *waited >= limit {
                return;
            }
            let since = Instant::now();
            std::thread::sleep(NEWS);
            *waited += since.elapsed();
            self.apply_commands();
        }
    }

    fn give_up_suspected(&mut self) {
        for link in self.links.iter_mut().flatten() {
            if link.gets_frame && self.gate.is_suspected(link.id) {
                link.gets_frame = false;
                link.lacks_keyframe = true;
                // The receive thread has one made when the suspicion is gone: the peer cannot see that it misses anything.
                self.gate.set_lacking(link.id, true);
            }
        }
    }

    /// Sends a frame of video to everybody whose path is not full, at the pace.
    pub(super) fn send_frame(&mut self, kind: PacketType, timestamp_ms: u32, payload: &[u8]) {
        let is_keyframe = kind == PacketType::VideoKeyframe;
        let mut anybody = false;
        for link in self.links.iter_mut().flatten() {
            link.gets_frame = self.gate.is_open(link.id) && (is_keyframe || !link.lacks_keyframe);
            link.lacks_keyframe = !link.gets_frame;
            if link.gets_frame && is_keyframe {
                self.gate.set_lacking(link.id, false);
            }
            anybody |= link.gets_frame;
        }
        if !anybody {
            return;
        }
        let len = fragment_len(self.gate.pace_kbps(), payload.len(), MAX_PAYLOAD);
        // A frame that no number of fragments holds is none that a working encoder makes; it is lost like any other.
        let Ok(parts) = fragments_of(payload, len) else { return };
        let epoch = self.gate.epoch();
        self.gate.begin(epoch.elapsed());
        let mut waited = Duration::ZERO;
        for part in parts {
            let wait = self.gate.place(epoch.elapsed(), part.2.len() + OVERHEAD);
            if wait > Duration::ZERO {
                std::thread::sleep(wait);
                self.apply_commands();
            }
            let before = waited;
            self.wait_for_news(&mut waited);
            if waited > before {
                // What was waited for on purpose is not caught up, and what waited takes its place from now on.
                let now = epoch.elapsed();
                self.gate.begin(now);
                let _ = self.gate.place(now, part.2.len() + OVERHEAD);
            }
            for place in 0..self.links.len() {
                let Some(link) = self.links[place].as_mut().filter(|link| link.gets_frame) else { continue };
                if self.gate.is_open(link.id) {
                    self.turn.wait_for_audio();
                    self.write(place, kind, timestamp_ms, part);
                } else {
                    // Its path has become full. What was begun is of no use any more.
                    link.gets_frame = false;
                    link.lacks_keyframe = true;
                }
            }
            if !self.links.iter().flatten().any(|link| link.gets_frame) {
                return;
            }
        }
    }
}
