//! What the control plane wants of the receive thread.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use hyperzoom_protocol::{AudioReport, CameraState, MAX_PARTICIPANTS};

/// Wishes that the receive thread looks at every turn.
///
/// Flags, not a queue: to wish twice is to wish once, so none is ever lost for want of room, and whoever waits for the
/// thread to end waits for a wish that has arrived.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    stop: AtomicBool,
    leave: AtomicBool,
    /// Bit n: participant n is to be asked for a keyframe.
    keyframes: AtomicU8,
    /// There is a report.
    reports_wait: AtomicBool,
    /// How each participant is heard; the newest takes the place of one that was not told yet.
    reports: Mutex<[Option<AudioReport>; MAX_PARTICIPANTS]>,
    /// What became of our pictures: a place in [`CAMERAS`], and 1; 0 while nothing was said.
    camera: AtomicU8,
    /// Where our router lets others in.
    reachable: Mutex<Option<SocketAddr>>,
    /// How much filling each participant is sent, in kbit/s.
    filling: [AtomicU32; MAX_PARTICIPANTS],
}

const CAMERAS: [CameraState; 4] = [CameraState::On, CameraState::Off, CameraState::Lost, CameraState::None];

impl Orders {
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub(crate) fn leave(&self) {
        self.leave.store(true, Ordering::Release);
    }

    pub(crate) fn request_keyframe(&self, peer: u8) {
        if let Some(bit) = 1_u8.checked_shl(peer.into()) {
            self.keyframes.fetch_or(bit, Ordering::Release);
        }
    }

    pub(crate) fn report_audio(&self, peer: u8, report: AudioReport) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = reports.get_mut(usize::from(peer)) {
            *place = Some(report);
            self.reports_wait.store(true, Ordering::Release);
        }
    }

    pub(crate) fn set_camera(&self, camera: CameraState) {
        let place = CAMERAS.iter().position(|it| *it == camera).map_or(0, |place| place + 1);
        self.camera.store(place as u8, Ordering::Release);
    }

    /// What became of our pictures, as it was last said.
    pub(crate) fn camera(&self) -> Option<CameraState> {
        let place = usize::from(self.camera.load(Ordering::Acquire));
        place.checked_sub(1).and_then(|place| CAMERAS.get(place)).copied()
    }

    pub(crate) fn set_reachable(&self, addr: Option<SocketAddr>) {
        *self.reachable.lock().unwrap_or_else(PoisonError::into_inner) = addr;
    }

    /// Where our router lets others in. Never waits: where that is just being written, it is none this time.
    pub(crate) fn reachable(&self) -> Option<SocketAddr> {
        self.reachable.try_lock().ok().and_then(|addr| *addr)
    }

    pub(crate) fn set_filling(&self, peer: u8, kbps: u32) {
        if let Some(place) = self.filling.get(usize::from(peer)) {
            place.store(kbps, Ordering::Relaxed);
        }
    }

    pub(crate) fn filling_kbps(&self, peer: u8) -> u32 {
        self.filling.get(usize::from(peer)).map_or(0, |kbps| kbps.load(Ordering::Relaxed))
    }

    pub(crate) fn is_to_stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether to leave; true once a wish.
    pub(crate) fn take_leave(&self) -> bool {
        self.leave.swap(false, Ordering::AcqRel)
    }

    /// Whom to ask for a keyframe; each once a wish.
    pub(crate) fn take_keyframes(&self) -> impl Iterator<Item = u8> + use<> {
        let bits = self.keyframes.swap(0, Ordering::AcqRel);
        (0..8).filter(move |peer| bits & 1 << peer != 0)
    }

    /// Whom to tell how it is heard; each report once. Never waits: where one is just being written, they are there next time.
    pub(crate) fn take_reports(&self) -> [Option<AudioReport>; MAX_PARTICIPANTS] {
        if self.reports_wait.load(Ordering::Acquire)
            && let Ok(mut reports) = self.reports.try_lock()
        {
            self.reports_wait.store(false, Ordering::Release);
            return std::mem::take(&mut *reports);
        }
        [None; MAX_PARTICIPANTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_our_pictures_is_as_it_was_last_said() {
        let orders = Orders::default();
        assert_eq!(orders.camera(), None);
        for camera in CAMERAS {
            orders.set_camera(camera);
            assert_eq!(orders.camera(), Some(camera));
        }
    }

    #[test]
    fn the_newest_report_for_a_peer_is_told_once() {
        let orders = Orders::default();
        assert_eq!(orders.take_reports(), [None; MAX_PARTICIPANTS]);
        let report = |lost_permille| AudioReport { lost_permille, ..AudioReport::default() };
        orders.report_audio(1, report(1));
        orders.report_audio(1, report(2));
        orders.report_audio(3, report(3));
        orders.report_audio(200, report(4));
        assert_eq!(orders.take_reports(), [None, Some(report(2)), None, Some(report(3))]);
        assert_eq!(orders.take_reports(), [None; MAX_PARTICIPANTS]);
    }
}
