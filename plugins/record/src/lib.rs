//! Starts and ends the take, and mirrors how it goes.
//!
//! The recorder's threads do not depend on this: a frozen ECS records on. [`Take`] holds the running recorder, and
//! [`RecordPlugin`] turns its events into [`RecordMessage`]s.

mod take;

pub use take::{RecordMessage, Take, TakeState};

use bevy_app::{App, Plugin, PreUpdate};
use bevy_ecs::schedule::{IntoScheduleConfigs, SystemSet};

/// The order of the plugin's work in `PreUpdate`.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordSystems {
    /// The recorder's events become messages.
    Drain,
}

/// | adds | for |
/// | --- | --- |
/// | [`Take`] | the take, before, while and after it is recorded |
/// | [`RecordMessage`] | what happened to it |
#[derive(Debug, Default)]
pub struct RecordPlugin;

impl Plugin for RecordPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Take>()
            .add_message::<RecordMessage>()
            .add_systems(PreUpdate, take::drain.in_set(RecordSystems::Drain));
    }
}
