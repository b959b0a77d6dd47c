//! What a screen reader asks for reaches the panels.

use bevy::a11y::ActionRequest;
use bevy::ecs::message::MessageReader;
use bevy::ecs::query::With;
use bevy::ecs::system::Single;
use bevy_egui::{EguiInput, PrimaryEguiContext, egui};

/// Hands on "press this", "focus that": the panels take them as they take a mouse.
pub(super) fn hand_on(
    mut requests: MessageReader<'_, '_, ActionRequest>,
    input: Option<Single<'_, '_, &mut EguiInput, With<PrimaryEguiContext>>>,
) {
    let Some(mut input) = input else { return };
    for request in requests.read() {
        input.events.push(egui::Event::AccessKitActionRequest(request.0.clone()));
    }
}
