//! Looking inside (F3): the call's peers, streams and engines as entities, with their components.
//!
//! What is seen follows the call four times a second. To change it here changes nothing there.
#![allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]

use std::collections::HashMap;

use bevy::prelude::*;
use bevy_egui::{EguiContext, EguiPrimaryContextPass, PrimaryEguiContext, egui};
use bevy_inspector_egui::DefaultInspectorConfigPlugin;
use bevy_inspector_egui::bevy_inspector::{Filter, ui_for_entities_filtered};

use super::window::{Drawing, Shell};
use crate::studio::{
    CameraEngine, NetworkLink, Part, Participant, PictureStream, Readout, RecorderEngine, SessionTime,
    SoundDevice, VoiceEncoder, VoiceStream,
};

/// An entity that stands for one of the call's.
#[derive(Component)]
struct Inspected;

/// Whether the inspector is open, and which entity stands for what.
#[derive(Resource, Default)]
struct Inspector {
    is_open: bool,
    shown: HashMap<String, Entity>,
}

/// The inspector, and the key that opens it.
pub(super) struct InspectorPlugin;

impl Plugin for InspectorPlugin {
    fn build(&self, app: &mut App) {
        app.add_plugins(DefaultInspectorConfigPlugin)
            .register_type::<Participant>()
            .register_type::<VoiceStream>()
            .register_type::<PictureStream>()
            .register_type::<NetworkLink>()
            .register_type::<SoundDevice>()
            .register_type::<VoiceEncoder>()
            .register_type::<CameraEngine>()
            .register_type::<RecorderEngine>()
            .register_type::<SessionTime>()
            .init_resource::<Inspector>()
            .add_systems(Update, (toggle, follow).chain())
            .add_systems(EguiPrimaryContextPass, show.after(Drawing));
    }
}

fn toggle(keys: Res<'_, ButtonInput<KeyCode>>, mut inspector: ResMut<'_, Inspector>, shell: Res<'_, Shell>) {
    if keys.just_pressed(KeyCode::F3) {
        inspector.is_open = !inspector.is_open;
        shell.studio().inspect(inspector.is_open);
    }
}

/// The entities here do as those of the call did last.
fn follow(mut commands: Commands<'_, '_>, mut inspector: ResMut<'_, Inspector>, shell: Res<'_, Shell>) {
    let readouts = if inspector.is_open { shell.studio().readouts() } else { Vec::new() };
    inspector.shown.retain(|name, entity| {
        let is_there = readouts.iter().any(|readout| readout.name == *name);
        if !is_there {
            commands.entity(*entity).despawn();
        }
        is_there
    });
    for Readout { name, parts } in readouts {
        let entity = inspector
            .shown
            .entry(name.clone())
            .or_insert_with(|| commands.spawn((Inspected, Name::new(name))).id());
        let mut entity = commands.entity(*entity);
        for part in parts {
            match part {
                Part::Participant(part) => entity.insert(part),
                Part::VoiceStream(part) => entity.insert(part),
                Part::PictureStream(part) => entity.insert(part),
                Part::NetworkLink(part) => entity.insert(part),
                Part::SoundDevice(part) => entity.insert(part),
                Part::VoiceEncoder(part) => entity.insert(part),
                Part::CameraEngine(part) => entity.insert(part),
                Part::RecorderEngine(part) => entity.insert(part),
                Part::SessionTime(part) => entity.insert(part),
            };
        }
    }
}

fn show(world: &mut World) {
    if !world.resource::<Inspector>().is_open {
        return;
    }
    let mut contexts = world.query_filtered::<&mut EguiContext, With<PrimaryEguiContext>>();
    let Ok(mut context) = contexts.single_mut(world) else { return };
    let ctx = context.get_mut().clone();
    let is_empty = world.resource::<Inspector>().shown.is_empty();
    egui::Window::new("Inspector").default_size([360.0, 560.0]).show(&ctx, |ui| {
        egui::ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            if is_empty {
                ui.label("There is nothing to look into before a call.");
            }
            // Many lines, and no finger on them.
            ui.spacing_mut().interact_size = egui::vec2(32.0, 20.0);
            ui.spacing_mut().item_spacing.y = 4.0;
            ui_for_entities_filtered(world, ui, true, &Filter::<With<Inspected>>::all());
        });
    });
}
