//! Mirrors the call's members as entities.
//!
//! [`NetPlugin`] drains the receive thread's events once a frame. A member is an entity with a [`Peer`], its
//! [`Presence`], its [`Route`] and [`Link`], how it hears us ([`Hearing`]) and what became of its pictures ([`PeerCamera`]); what happened to the call as a whole is in [`Membership`] and goes out as
//! [`NetMessage`]s. Media does not pass here: a connected peer's rings are handed on once, in [`Incoming`].

mod components;
mod drain;

pub use components::{
    Hearing, Incoming, JoinFailure, Link, Membership, Net, NetMessage, Peer, PeerCamera, Presence, Route,
};

use bevy_app::{App, Plugin, PreUpdate};
use bevy_ecs::schedule::{IntoScheduleConfigs, SystemSet};

/// The order of the plugin's work in `PreUpdate`.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetSystems {
    /// The receive thread's events become components and messages.
    Drain,
}

/// | adds | for |
/// | --- | --- |
/// | [`Membership`] | who we are, and whether we are in |
/// | [`NetMessage`] | what happened since the last frame |
/// | [`Peer`], [`Presence`], [`Route`], [`Link`], [`Hearing`], [`PeerCamera`], [`Incoming`] | a member of the call |
///
/// It works once the [`Net`] resource is there.
#[derive(Debug, Default)]
pub struct NetPlugin;

impl Plugin for NetPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Membership>()
            .add_message::<NetMessage>()
            .add_systems(PreUpdate, drain::drain.in_set(NetSystems::Drain));
    }
}
