//! Mirrors microphone, loudspeaker and camera, and gives each peer a voice and a picture.
//!
//! [`CapturePlugin`] moves a connected peer's rings from the network to the threads that decode them, once; after that the
//! media flows past the ECS. What the threads count becomes [`Voice`], [`MouthToEar`] and [`Picture`] components, and a decoder that
//! has lost its reference asks for a keyframe through here.

mod components;
mod systems;

pub use components::{CaptureMessage, MouthToEar, MouthToNetwork, Picture, Pictures, Sound, Voice};

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
}

/// | adds | for |
/// | --- | --- |
/// | [`Voice`], [`Picture`] | what a peer is heard and seen as |
/// | [`MouthToEar`], [`MouthToNetwork`] | how long its voice is on its way, and what we add to ours |
/// | [`CaptureMessage`] | what happened to a device |
///
/// It works once the [`Sound`] resource is there; [`Pictures`] may be missing.
#[derive(Debug, Default)]
pub struct CapturePlugin;

impl Plugin for CapturePlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<MouthToNetwork>()
            .add_message::<CaptureMessage>()
            .configure_sets(
                PreUpdate,
                (CaptureSystems::Route, CaptureSystems::Mirror).chain().after(NetSystems::Drain),
            )
            .add_systems(PreUpdate, (systems::connect, systems::disconnect).in_set(CaptureSystems::Route))
            .add_systems(
                PreUpdate,
                (systems::mirror_voices, systems::mirror_pictures, systems::keyframes, systems::devices)
                    .in_set(CaptureSystems::Mirror),
            );
    }
}
