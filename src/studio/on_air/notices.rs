//! What happens in a call, in sentences: what it is, and what it means for the recording.

use std::collections::VecDeque;

use bevy_ecs::message::{Message, MessageCursor, Messages};
use bevy_ecs::world::World;
use hyperzoom_audio::{AudioEvent, Direction};
use hyperzoom_capture_plugin::CaptureMessage;
use hyperzoom_net_plugin::{JoinFailure, NetMessage, Peer, Presence};
use hyperzoom_protocol::CameraState;
use hyperzoom_record_plugin::{RecordMessage, Take, TakeState};
use hyperzoom_recorder::PressureStage;
use hyperzoom_session::LeaveReason;
use hyperzoom_ui_plugin::model::{Notice, Weight};

use super::super::words::sentence;
use crate::call::Call;

/// Notices that are kept: more than anybody reads.
const KEPT: usize = 30;

/// All that was noticed in a call.
#[derive(Default)]
pub(super) struct Notices {
    net: MessageCursor<NetMessage>,
    capture: MessageCursor<CaptureMessage>,
    record: MessageCursor<RecordMessage>,
    kept: VecDeque<Notice>,
    count: u64,
    markers: usize,
    /// What the recorder said when it ended before its time.
    failure: Option<String>,
    /// What was said of a recording that did not begin.
    error: Option<String>,
    /// The invite that was shown first, or was told of last.
    invite: Option<String>,
}

impl Notices {
    /// Takes note of what has happened since the last turn.
    pub(super) fn read(&mut self, world: &mut World) {
        let is_recording =
            matches!(world.resource::<Take>().state(), TakeState::Starting | TakeState::Recording { .. });
        for message in news(world, &mut self.net) {
            let name = |id: u8| name_of(world, id);
            if let Some((weight, text)) = of_net(&message, name, is_recording) {
                self.add(weight, text);
            }
        }
        for message in news(world, &mut self.capture) {
            let (weight, text) = of_device(&message, is_recording);
            self.add(weight, text);
        }
        for message in news(world, &mut self.record) {
            match &message {
                RecordMessage::Marked(_) => self.markers += 1,
                RecordMessage::Failed(text) => self.failure = Some(text.clone()),
                _ => {}
            }
            if let Some((weight, text)) = of_recording(&message) {
                self.add(weight, text);
            }
        }
        let error = world.resource::<Call>().recording_error.clone();
        if error != self.error {
            if let Some(error) = &error {
                self.add(Weight::Alarm, format!("NOT RECORDING. {}", sentence(error)));
            }
            self.error = error;
        }
    }

    /// A host's invite as of now: where it changes, those who are still to come need the new one.
    pub(super) fn note_invite(&mut self, line: &str) {
        let before = self.invite.replace(line.to_owned());
        if before.is_some_and(|before| before != line) {
            self.add(Weight::Note, "Your invite has changed: who is still to come needs the new one.".into());
        }
    }

    /// Says something.
    pub(super) fn add(&mut self, weight: Weight, text: String) {
        self.count += 1;
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Notice { id: self.count, weight, text });
    }

    /// The newest last.
    pub(super) fn all(&self) -> Vec<Notice> {
        self.kept.iter().cloned().collect()
    }

    /// Markers that no crash takes away any more.
    pub(super) fn markers(&self) -> usize {
        self.markers
    }

    /// Why the recording ended before its time.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

/// What was written since the last look.
fn news<M: Message + Clone>(world: &World, cursor: &mut MessageCursor<M>) -> Vec<M> {
    cursor.read(world.resource::<Messages<M>>()).cloned().collect()
}

/// A number is given anew after its first owner has left: the one who is here is meant, or who left last.
fn name_of(world: &mut World, id: u8) -> String {
    let mut people = world.query::<(&Peer, &Presence)>();
    let named = people.iter(world).filter(|(peer, _)| peer.id == id);
    let found = named.max_by_key(|(_, presence)| !matches!(presence, Presence::Gone(_)));
    found.map_or_else(|| "Somebody".to_owned(), |(peer, _)| peer.name.clone())
}

fn of_net(
    message: &NetMessage,
    mut name: impl FnMut(u8) -> String,
    is_recording: bool,
) -> Option<(Weight, String)> {
    let goes_on = if is_recording { " Your recording goes on." } else { "" };
    Some(match message {
        NetMessage::PeerConnected { name, rejoined, relayed, .. } => {
            let back = if *rejoined { "back" } else { "here" };
            let way =
                if *relayed { " You reach each other by way of the host, which takes longer." } else { "" };
            (Weight::Note, format!("{name} is {back}.{way}"))
        }
        NetMessage::PeerRelayed { id, relayed: true } => (
            Weight::Note,
            format!(
                "The direct way to {} has failed: it goes by way of the host now, which takes longer.",
                name(*id)
            ),
        ),
        NetMessage::PeerRelayed { id, relayed: false } => {
            (Weight::Note, format!("{} is reached directly now.", name(*id)))
        }
        NetMessage::PeerLeft { id, reason: LeaveReason::Bye } => {
            (Weight::Note, format!("{} has left.{goes_on}", name(*id)))
        }
        NetMessage::PeerLeft { id, reason: LeaveReason::TimedOut } => (
            Weight::Warning,
            format!("{} is cut off, and comes back when the network does.{goes_on}", name(*id)),
        ),
        NetMessage::PeerLeft { id, reason: LeaveReason::HostLeft } => (
            Weight::Warning,
            format!(
                "{} is gone: the host, who passed on what you said to each other, has left.{goes_on}",
                name(*id)
            ),
        ),
        NetMessage::CameraChanged { id, camera: CameraState::Lost } => {
            (Weight::Note, format!("No picture comes from {}'s camera.", name(*id)))
        }
        NetMessage::Failed(failure) => {
            let why = match failure {
                JoinFailure::Refused(reason) => sentence(reason),
                JoinFailure::Unreachable => "The host does not answer.".to_owned(),
            };
            (Weight::Warning, format!("You could not come back into the call. {why}{goes_on}"))
        }
        // What a tile shows is not said twice.
        NetMessage::PeerSilent { .. }
        | NetMessage::PeerBack { .. }
        | NetMessage::CameraChanged { .. }
        | NetMessage::Joined
        | NetMessage::ClockReady
        | NetMessage::KeyframeRequested { .. }
        | NetMessage::AudioReported { .. }
        | NetMessage::PathReported { .. }
        | NetMessage::SyncTone { .. }
        | NetMessage::Ended => return None,
    })
}

fn of_device(message: &CaptureMessage, is_recording: bool) -> (Weight, String) {
    // What is missing in a recording is no small thing; without one it is.
    let grave = if is_recording { Weight::Alarm } else { Weight::Warning };
    match message {
        CaptureMessage::Sound(event) => of_sound(event, is_recording, grave),
        CaptureMessage::Camera(text) => (Weight::Warning, sentence(text)),
        CaptureMessage::CameraFailed(text) => {
            let black = if is_recording {
                " Your picture is black from here on; your voice is recorded."
            } else {
                ""
            };
            (grave, format!("{}{black}", sentence(text)))
        }
        CaptureMessage::Stream(text) => (Weight::Warning, sentence(text)),
    }
}

fn of_sound(event: &AudioEvent, is_recording: bool, grave: Weight) -> (Weight, String) {
    let silence = |text: &str| if is_recording { format!(" {text}") } else { String::new() };
    match event {
        AudioEvent::DeviceLost { direction: Direction::Microphone, .. } => (
            grave,
            format!("The microphone is gone.{}", silence("Your recording has silence until it is back.")),
        ),
        AudioEvent::DeviceLost { direction: Direction::Loudspeaker, .. } => (
            Weight::Warning,
            format!(
                "The loudspeaker is gone: you hear nothing until it is back.{}",
                silence("Your recording has nothing to do with that.")
            ),
        ),
        AudioEvent::FellBack { direction: Direction::Microphone, wanted, shape } => (
            Weight::Warning,
            format!(
                "\"{wanted}\" is gone: you are heard{} through {} until it is back.",
                if is_recording { " and recorded" } else { "" },
                shape.device
            ),
        ),
        AudioEvent::MicSilent { delivers, .. } => {
            let why = if *delivers {
                "is it switched off by a key of its own, or muted in the system's settings?"
            } else {
                "is this program allowed to use it? Plug it in again, or choose another."
            };
            let lost = silence("Your recording has nothing of your voice.");
            (grave, format!("Your microphone is perfectly silent: {why}{lost}"))
        }
        AudioEvent::DeviceBack { .. } | AudioEvent::Switched { .. } => {
            (Weight::Note, sentence(&event.to_string()))
        }
        AudioEvent::FellBack { .. } | AudioEvent::NotSwitched { .. } | AudioEvent::Warning(_) => {
            (Weight::Warning, sentence(&event.to_string()))
        }
    }
}

fn of_recording(message: &RecordMessage) -> Option<(Weight, String)> {
    Some(match message {
        RecordMessage::Marked(marker) => (Weight::Note, format!("{} is set.", marker.name)),
        RecordMessage::Warning(text) => (Weight::Warning, sentence(text)),
        RecordMessage::Pressure(change) => {
            let weight = match change.stage {
                PressureStage::Full => Weight::Alarm,
                PressureStage::Calm => Weight::Note,
                stage if stage < change.before => Weight::Note,
                PressureStage::Shed | PressureStage::Hurry => Weight::Warning,
            };
            (weight, sentence(&format!("{change}")))
        }
        RecordMessage::Failed(text) => (
            Weight::Alarm,
            format!("NOT RECORDING ANY MORE. {} What was recorded until now is safe.", sentence(text)),
        ),
        // The line of the recording says so.
        RecordMessage::Started { .. } | RecordMessage::Finished { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use hyperzoom_recorder::{PressureChange, PressureSource};

    use super::*;

    fn net(message: &NetMessage, is_recording: bool) -> Option<(Weight, String)> {
        of_net(message, |id| format!("Guest {id}"), is_recording)
    }

    #[test]
    fn who_is_cut_off_is_told_with_what_it_means_for_the_recording() {
        let cut_off = NetMessage::PeerLeft { id: 2, reason: LeaveReason::TimedOut };
        let (weight, text) = net(&cut_off, true).unwrap();
        assert_eq!(weight, Weight::Warning);
        assert_eq!(text, "Guest 2 is cut off, and comes back when the network does. Your recording goes on.");
        assert!(net(&cut_off, false).unwrap().1.ends_with("when the network does."));
        assert_eq!(net(&NetMessage::PeerSilent { id: 2 }, true), None);
        let failed = NetMessage::Failed(JoinFailure::Refused("the session is full".into()));
        assert!(net(&failed, true).unwrap().1.contains("The session is full. Your recording goes on."));
    }

    #[test]
    fn a_lost_microphone_is_an_alarm_where_it_is_recorded() {
        let lost = |direction| {
            CaptureMessage::Sound(AudioEvent::DeviceLost { direction, reason: "unplugged".into() })
        };
        let (weight, text) = of_device(&lost(Direction::Microphone), true);
        assert_eq!(
            (weight, text.as_str()),
            (Weight::Alarm, "The microphone is gone. Your recording has silence until it is back.")
        );
        assert_eq!(
            of_device(&lost(Direction::Microphone), false),
            (Weight::Warning, "The microphone is gone.".into())
        );
        assert_eq!(of_device(&lost(Direction::Loudspeaker), true).0, Weight::Warning);
        assert_eq!(
            of_device(&CaptureMessage::CameraFailed("the camera has stopped".into()), true).0,
            Weight::Alarm
        );
    }

    #[test]
    fn a_recording_that_loses_is_an_alarm_and_one_that_recovers_is_good_news() {
        let pressure = |before, stage| {
            let change = PressureChange { stage, before, source: PressureSource::Disk, percent: 90 };
            of_recording(&RecordMessage::Pressure(change)).unwrap().0
        };
        use PressureStage::{Calm, Full, Hurry, Shed};
        let changes = [(Calm, Shed), (Shed, Hurry), (Hurry, Full), (Full, Hurry), (Shed, Calm)];
        let weights = changes.map(|(before, stage)| pressure(before, stage));
        use Weight::{Alarm, Note, Warning};
        assert_eq!(weights, [Warning, Warning, Alarm, Note, Note]);
    }

    #[test]
    fn only_so_many_are_kept_and_none_has_the_number_of_another() {
        let mut notices = Notices::default();
        for n in 0..KEPT + 5 {
            notices.add(Weight::Note, n.to_string());
        }
        let all = notices.all();
        assert_eq!((all.len(), all[0].text.as_str()), (KEPT, "5"));
        assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id));
        notices.note_invite("a");
        notices.note_invite("a");
        assert_eq!(notices.all(), all);
        notices.note_invite("b");
        assert!(notices.all().last().unwrap().text.contains("invite"));
    }
}
