//! Moves rings to decoders, and counts to components.

use bevy_ecs::change_detection::DetectChangesMut;
use bevy_ecs::entity::Entity;
use bevy_ecs::message::{MessageReader, MessageWriter};
use bevy_ecs::query::Changed;
use bevy_ecs::system::{Commands, Local, Query, ResMut};
use hyperzoom_net_plugin::{Incoming, Net, NetMessage, Peer, PeerCamera, Presence};
use hyperzoom_protocol::CameraState;
use hyperzoom_video::{CameraEvent, CameraHealth};

use crate::care::Watch;
use crate::{CaptureMessage, MouthToEar, MouthToNetwork, NewestPicture, Picture, Pictures, Sound, Voice};

/// A newly connected peer gets a voice in the mixer and a decoder for its pictures.
pub(crate) fn connect(
    sound: Option<ResMut<'_, Sound>>,
    mut arrivals: Query<'_, '_, (Entity, &Peer, &mut Incoming), Changed<Incoming>>,
    mut messages: MessageWriter<'_, CaptureMessage>,
    mut commands: Commands<'_, '_>,
) {
    let Some(mut sound) = sound else { return };
    for (entity, peer, mut incoming) in &mut arrivals {
        let Some(inbox) = incoming.bypass_change_detection().take() else { continue };
        if let Err(error) = sound.engine().add_peer(peer.id, inbox.audio) {
            messages.write(CaptureMessage::Stream(format!("{} cannot be heard: {error}", peer.name)));
        }
        let decoder = hyperzoom_video::start_decoder(inbox.video)
            .map_err(|error| {
                messages.write(CaptureMessage::Stream(format!("{} cannot be seen: {error}", peer.name)));
            })
            .ok();
        let picture = Picture::new(decoder);
        let (voice, latency) = (Voice::default(), MouthToEar::default());
        commands.entity(entity).insert((voice, latency, Watch::default(), picture, NewestPicture::default()));
    }
}

/// A peer that has gone gives its voice and its decoder back.
pub(crate) fn disconnect(
    sound: Option<ResMut<'_, Sound>>,
    mut leavers: Query<'_, '_, (&Peer, &Presence, &mut Picture, &mut NewestPicture), Changed<Presence>>,
) {
    let Some(mut sound) = sound else { return };
    for (peer, presence, mut picture, mut newest) in &mut leavers {
        if let Presence::Gone(_) = presence {
            // Where the mixer's ring is full the voice stays, silent; a rejoining peer replaces it.
            if let Err(error) = sound.engine().remove_peer(peer.id) {
                tracing::warn!(%error, peer = peer.id, "a voice was not removed");
            }
            picture.end();
            newest.0 = None;
        }
    }
}

pub(crate) fn mirror_voices(
    sound: Option<ResMut<'_, Sound>>,
    mut voices: Query<'_, '_, (&Peer, &Presence, &mut Voice, &mut MouthToEar)>,
    mut mouth_to_network: ResMut<'_, MouthToNetwork>,
) {
    let Some(mut sound) = sound else { return };
    let mut heard = false;
    for (peer, presence, mut voice, mut mouth_to_ear) in &mut voices {
        // The number of one who has left may be another's by now.
        if !matches!(presence, Presence::Gone(_))
            && let Some(stats) = sound.engine().stats(peer.id)
        {
            voice.0 = stats;
            mouth_to_ear.note(sound.engine().latency(peer.id));
            heard = true;
        }
    }
    if heard {
        mouth_to_network.note(&sound.engine().live_stats().latency);
    }
}

/// Mirrors the decoders and their newest pictures, and passes on that one of them needs a keyframe.
pub(crate) fn mirror_pictures(
    net: Option<ResMut<'_, Net>>,
    mut pictures: Query<'_, '_, (&Peer, &PeerCamera, &mut Picture, &mut NewestPicture)>,
) {
    let Some(mut net) = net else { return };
    for (peer, camera, mut picture, mut newest) in &mut pictures {
        let Some(decoder) = picture.decoder() else { continue };
        // What was on its way when the camera went off is taken, and not shown, neither now nor when it is on again.
        let shown = matches!(camera.0, None | Some(CameraState::On));
        if decoder.newest.has_new() {
            let latest = decoder.newest.latest();
            if shown {
                newest.0 = latest.cloned();
            }
        }
        if !shown && newest.0.is_some() {
            newest.0 = None;
        }
        let (stats, wants_keyframe) = (decoder.stats(), decoder.wants_keyframe());
        picture.stats = stats;
        if wants_keyframe {
            net.transport().request_keyframe(peer.id);
        }
    }
}

/// A peer that cannot decode our pictures gets a keyframe.
pub(crate) fn keyframes(
    mut pictures: Option<ResMut<'_, Pictures>>,
    mut messages: MessageReader<'_, '_, NetMessage>,
) {
    for message in messages.read() {
        // A newcomer has no keyframe yet, and need not ask.
        let wanted =
            matches!(message, NetMessage::KeyframeRequested { .. } | NetMessage::PeerConnected { .. });
        if let (true, Some(pictures)) = (wanted, pictures.as_mut()) {
            pictures.live().request_keyframe();
        }
    }
}

pub(crate) fn devices(
    sound: Option<ResMut<'_, Sound>>,
    pictures: Option<ResMut<'_, Pictures>>,
    mut messages: MessageWriter<'_, CaptureMessage>,
) {
    if let Some(mut sound) = sound {
        while let Some(event) = sound.events().poll() {
            messages.write(CaptureMessage::Sound(event));
        }
    }
    if let Some(mut pictures) = pictures {
        while let Some(event) = pictures.events().try_next() {
            let message = match event {
                CameraEvent::Compromise { camera, lacks } => {
                    CaptureMessage::Camera(format!("camera: {camera}; {lacks}"))
                }
                CameraEvent::Lost(error) => {
                    let why = error.to_string();
                    pictures.set_fault(Some(why.clone()));
                    CaptureMessage::Camera(format!("{why}. The recording goes on without it"))
                }
                CameraEvent::Back { camera } => {
                    pictures.set_fault(None);
                    CaptureMessage::Camera(format!("the camera is back: {camera}"))
                }
                CameraEvent::CutShort { path } => CaptureMessage::Camera(format!(
                    "{} ends within a picture; it plays up to there, again and again",
                    path.display()
                )),
                CameraEvent::Failed(error) => {
                    let why = format!("the camera has stopped: {error}");
                    pictures.set_fault(Some(why.clone()));
                    CaptureMessage::CameraFailed(why)
                }
            };
            messages.write(message);
        }
    }
}

/// Tells the others what has become of our pictures, and the user of a camera that stands still.
pub(crate) fn camera(
    net: Option<ResMut<'_, Net>>,
    pictures: Option<ResMut<'_, Pictures>>,
    mut messages: MessageWriter<'_, CaptureMessage>,
    mut silent: Local<'_, bool>,
) {
    let state = match pictures {
        None => CameraState::None,
        Some(mut pictures) => {
            let (health, state) = pictures.look();
            let is_silent = health == CameraHealth::Silent;
            if *silent != is_silent && health != CameraHealth::Lost {
                *silent = is_silent;
                let describe = pictures.camera().describe().to_owned();
                let text = if is_silent {
                    format!("no pictures come from the camera {describe}; the recording goes on without it")
                } else {
                    format!("pictures come again from the camera {describe}")
                };
                pictures.set_fault(is_silent.then(|| text.clone()));
                messages.write(CaptureMessage::Camera(text));
            }
            state
        }
    };
    if let Some(mut net) = net {
        net.transport().set_camera(state);
    }
}
