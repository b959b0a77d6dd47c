//! Looking inside (F3): the call's peers, streams and engines as entities, with their components.
//!
//! What is seen follows the call four times a second. To change it here changes nothing there.
#![allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]

use bevy::prelude::*;
use bevy_egui::{EguiContext, EguiPrimaryContextPass, PrimaryEguiContext, egui};
use bevy_inspector_egui::DefaultInspectorConfigPlugin;
use bevy_inspector_egui::bevy_inspector::{Filter, ui_for_entities_filtered};

use super::window::{Drawing, Shell};
use crate::studio::{self, Mirror, Mirrored};

/// Whether the inspector is open, and what it shows.
#[derive(Resource, Default)]
struct Inspector {
    is_open: bool,
    mirror: Mirror,
}

/// The inspector, and the key that opens it.
pub(super) struct InspectorPlugin;

impl Plugin for InspectorPlugin {
    fn build(&self, app: &mut App) {
        studio::register(app);
        app.add_plugins(DefaultInspectorConfigPlugin)
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
fn follow(world: &mut World) {
    world.resource_scope(|world, mut inspector: Mut<'_, Inspector>| {
        let is_open = inspector.is_open;
        let readouts = if is_open { world.resource::<Shell>().studio().readouts() } else { Vec::new() };
        inspector.mirror.follow(world, readouts);
    });
}

fn show(world: &mut World) {
    if !world.resource::<Inspector>().is_open {
        return;
    }
    let mut contexts = world.query_filtered::<&mut EguiContext, With<PrimaryEguiContext>>();
    let Ok(mut context) = contexts.single_mut(world) else { return };
    let ctx = context.get_mut().clone();
    let is_empty = world.resource::<Inspector>().mirror.is_empty();
    egui::Window::new("Inspector").default_size([360.0, 560.0]).show(&ctx, |ui| {
        egui::ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            if is_empty {
                ui.label("There is nothing to look into before a call.");
            }
            // Many lines, and no finger on them.
            ui.spacing_mut().interact_size = egui::vec2(32.0, 20.0);
            ui.spacing_mut().item_spacing.y = 4.0;
            ui_for_entities_filtered(world, ui, true, &Filter::<With<Mirrored>>::all());
        });
    });
}
