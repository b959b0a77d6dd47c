//! Mirrors microphone, loudspeaker and camera, and gives each peer a voice and a picture.
//!
//! [`CapturePlugin`] moves a connected peer's rings from the network to the threads that decode them, once; after that the
//! media flows past the ECS. What the threads count becomes [`Voice`], [`MouthToEar`] and [`Picture`] components, and a decoder that
//! has lost its reference asks for a keyframe through here. [`VoiceCare`] tells peers how they are heard, and sends our voice as they
//! say they hear it; [`VideoCare`] sends as much of our picture as the path to each holds beside it.

mod care;
mod components;
mod systems;
mod video_care;

pub use care::VoiceCare;
pub use components::{
    CaptureMessage, MouthToEar, MouthToNetwork, NewestPicture, Picture, Pictures, Sound, Voice,
};
pub use video_care::VideoCare;

use bevy_app::{App, Plugin, PreUpdate};
use bevy_ecs::schedule::{IntoScheduleConfigs, SystemSet};
use hyperzoom_net_plugin::NetSystems;

/// The order of the plugin's work in `PreUpdate`, after [`NetSystems::Drain`].
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaptureSystems {
    /// New peers' rings go to their decoders, and leavers' come back.
    Route,
    /// The engines' counts and events become components and messages.
    Mirror,
    /// Peers are told how they are heard, and our voice is sent as they hear it.
    Care,
}

/// | adds | for |
/// | --- | --- |
/// | [`Voice`], [`Picture`] | what a peer is heard and seen as |
/// | [`NewestPicture`] | what of it there is to draw |
/// | [`VoiceCare`] | how our voice is sent |
/// | [`VideoCare`] | how our picture is sent, that it is not in the voice's way |
/// | [`MouthToEar`], [`MouthToNetwork`] | how long its voice is on its way, and what we add to ours |
/// | [`CaptureMessage`] | what happened to a device |
///
/// It works once the [`Sound`] resource is there; [`Pictures`] may be missing.
#[derive(Debug, Default)]
pub struct CapturePlugin;

impl Plugin for CapturePlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<MouthToNetwork>()
            .init_resource::<VoiceCare>()
            .init_resource::<VideoCare>()
            .add_message::<CaptureMessage>()
            .configure_sets(
                PreUpdate,
                (CaptureSystems::Route, CaptureSystems::Mirror, CaptureSystems::Care)
                    .chain()
                    .after(NetSystems::Drain),
            )
            // A leaver's voice makes room for that of who comes in the same turn.
            .add_systems(
                PreUpdate,
                (systems::disconnect, systems::connect).chain().in_set(CaptureSystems::Route),
            )
            .add_systems(
                PreUpdate,
                (
                    systems::mirror_voices,
                    systems::mirror_pictures,
                    systems::keyframes,
                    (systems::devices, systems::camera).chain(),
                )
                    .in_set(CaptureSystems::Mirror),
            )
            .add_systems(
                PreUpdate,
                (care::report, (video_care::heed, care::heed).chain()).in_set(CaptureSystems::Care),
            );
    }
}
