//! Mirrors the session clock, and hands each sync tone to the loudspeaker and to the recording.
//!
//! When a tone is, the host's session says a few seconds ahead ([`NetMessage::SyncTone`]); both of those keep to the session clock by
//! themselves, so that a late turn of the app moves nothing.
#![allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]

use std::time::Duration;

use bevy_app::{App, Plugin, PreUpdate};
use bevy_ecs::message::MessageReader;
use bevy_ecs::resource::Resource;
use bevy_ecs::schedule::{IntoScheduleConfigs, SystemSet};
use bevy_ecs::system::{Local, Res, ResMut};
use hyperzoom_capture_plugin::Sound;
use hyperzoom_net_plugin::{NetMessage, NetSystems};
use hyperzoom_record_plugin::{RecordSystems, Take};
use hyperzoom_timing::{SessionClock, SharedClock};

/// The session's clock on this machine.
#[derive(Resource, Debug, Clone, Default)]
pub struct Clock(SharedClock);

impl Clock {
    /// Takes over the clock that the transport publishes.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self(clock)
    }

    /// What it is now; `None` while it is not known.
    #[must_use]
    pub fn known(&self) -> Option<SessionClock> {
        self.0.known()
    }

    /// How far it may be off; `None` while it is not known.
    #[must_use]
    pub fn bound(&self) -> Option<Duration> {
        self.known().map(|clock| Duration::from_nanos(clock.bound_ns))
    }
}

/// The sync tones of this call, in nanoseconds of session time, as they were announced.
#[derive(Resource, Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncTones {
    announced: Vec<i64>,
    /// Those that the loudspeaker had no room for yet.
    unplayed: Vec<i64>,
}

impl SyncTones {
    /// When they are, or were.
    #[must_use]
    pub fn announced(&self) -> &[i64] {
        &self.announced
    }
}

/// The order of the plugin's work in `PreUpdate`, after [`NetSystems::Drain`] and [`RecordSystems::Drain`].
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyncSystems {
    /// Tones that were announced go to the loudspeaker and to the recording.
    Tones,
}

/// | adds | for |
/// | --- | --- |
/// | [`Clock`] | the session's time, and how far it may be off |
/// | [`SyncTones`] | when the sync tones are |
///
/// The recording gets its tones once there is a [`Take`], the loudspeaker once there is [`Sound`].
#[derive(Debug, Default)]
pub struct SyncPlugin;

impl Plugin for SyncPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Clock>()
            .init_resource::<SyncTones>()
            .configure_sets(
                PreUpdate,
                SyncSystems::Tones.after(NetSystems::Drain).after(RecordSystems::Drain),
            )
            .add_systems(PreUpdate, (note, play, record).chain().in_set(SyncSystems::Tones));
    }
}

fn note(mut tones: ResMut<'_, SyncTones>, mut messages: MessageReader<'_, '_, NetMessage>) {
    for message in messages.read() {
        if let NetMessage::SyncTone { at_ns } = message
            && !tones.announced.contains(at_ns)
        {
            tones.announced.push(*at_ns);
            tones.unplayed.push(*at_ns);
        }
    }
}

fn play(mut tones: ResMut<'_, SyncTones>, sound: Option<ResMut<'_, Sound>>) {
    let Some(mut sound) = sound else { return };
    tones.unplayed.retain(|at_ns| sound.engine().play_tone(*at_ns).is_err());
}

/// A take is told of each tone once, and when it begins of those that were announced before: they may still be ahead.
fn record(tones: Res<'_, SyncTones>, mut take: ResMut<'_, Take>, mut told: Local<'_, usize>) {
    if take.is_over() {
        *told = 0;
        return;
    }
    if *told < tones.announced.len() {
        tones.announced[*told..].iter().for_each(|at_ns| take.tone_at(*at_ns));
        *told = tones.announced.len();
    }
}
