//! The bar at the bottom: the recording, the buttons, the invite.

use egui::{Align, Align2, Layout, Rect, Response, Ui, pos2, vec2};
use egui_phosphor::regular as icons;

use super::{CallOpen, child, recording};
use crate::model::{CallView, Intent};
use crate::theme::{CONTROL, GAP, NARROW, PANEL, Palette, ROUND, Type, WIDE_GAP};
use crate::widgets::{Button, Look, RoundButton, RoundLook};

/// How many round buttons there are.
const BUTTONS: f32 = 5.0;

/// Draws it into `area`.
pub(super) fn show(ui: &mut Ui, view: &CallView, area: Rect, open: &mut CallOpen, intents: &mut Vec<Intent>) {
    let is_narrow = area.width() < NARROW;
    let (pad, gap) = if is_narrow { (WIDE_GAP, GAP) } else { (PANEL, WIDE_GAP) };
    let buttons = vec2(BUTTONS * ROUND + (BUTTONS - 1.0) * gap, ROUND);
    let middle = Rect::from_center_size(area.center(), buttons);
    let left =
        Rect::from_min_max(pos2(area.left() + pad, area.top()), pos2(middle.left() - pad, area.bottom()));
    let right =
        Rect::from_min_max(pos2(middle.right() + pad, area.top()), pos2(area.right() - pad, area.bottom()));
    recording::show(ui, &view.rec, left);

    let mut middle = child(ui, "buttons", middle, Layout::left_to_right(Align::Center));
    middle.spacing_mut().item_spacing.x = gap;
    if view.ending {
        middle.disable();
    }
    round(&mut middle, view, open, intents);

    // While nobody is here the invite has a card of its own.
    if view.invite.is_some() && !view.waiting && !view.ending {
        let mut right = child(ui, "invite", right, Layout::right_to_left(Align::Center));
        if right.add(copy(view.copied, is_narrow)).clicked() {
            intents.push(Intent::CopyInvite);
        }
    }
}

/// The button that copies the invite.
pub(super) fn copy(is_copied: bool, is_narrow: bool) -> Button<'static> {
    let (icon, words) = if is_copied { (icons::CHECK, "Copied") } else { (icons::COPY, "Copy invite") };
    if is_narrow { Button::icon_only(icon, words).look(Look::Quiet) } else { Button::new(words).icon(icon) }
}

fn round(ui: &mut Ui, view: &CallView, open: &mut CallOpen, intents: &mut Vec<Intent>) {
    let (icon, name, look) = if view.muted {
        (icons::MICROPHONE_SLASH, "Unmute", RoundLook::Off)
    } else {
        (icons::MICROPHONE, "Mute", RoundLook::Plain)
    };
    if ui.add(RoundButton::new(icon, name).key("M").look(look).pressed(view.muted)).clicked() {
        intents.push(Intent::ToggleMute);
    }
    if camera(ui, view.camera_on).clicked() {
        intents.push(Intent::ToggleCamera);
    }
    let marker = ui.add(RoundButton::new(icons::FLAG, "Set a marker").key("K"));
    if view.markers > 0 {
        badge(ui, &marker, view.markers);
    }
    if marker.clicked() {
        intents.push(Intent::Marker);
    }
    let (name, look) = if open.statistics {
        ("Hide statistics", RoundLook::On)
    } else {
        ("Show statistics", RoundLook::Plain)
    };
    let statistics = RoundButton::new(icons::CHART_BAR, name).key("S").look(look).pressed(open.statistics);
    if ui.add(statistics).clicked() {
        open.statistics = !open.statistics;
    }
    let end = RoundButton::new(icons::PHONE_DISCONNECT, "End the call").key("E").look(RoundLook::Danger);
    if ui.add(end).clicked() {
        open.asks_to_end = true;
    }
}

fn camera(ui: &mut Ui, is_on: Option<bool>) -> Response {
    let off = |name| RoundButton::new(icons::VIDEO_CAMERA_SLASH, name);
    match is_on {
        Some(true) => {
            ui.add(RoundButton::new(icons::VIDEO_CAMERA, "Turn the camera off").key("C").pressed(false))
        }
        Some(false) => ui.add(off("Turn the camera on").key("C").look(RoundLook::Off).pressed(true)),
        None => {
            let button = ui.add_enabled(false, off("No camera"));
            button.on_disabled_hover_text("There is no camera in this call")
        }
    }
}

/// How many markers there are, at the button's shoulder.
fn badge(ui: &Ui, button: &Response, markers: usize) {
    let palette = Palette::of(ui);
    let painter = ui.painter();
    let font = Type::Caption.font();
    let words = painter.layout_no_wrap(markers.to_string(), font.clone(), palette.on_accent);
    let size = vec2((words.size().x + GAP).max(18.0), 18.0);
    let centre = button.rect.center() + vec2(CONTROL / 2.0, -CONTROL / 2.0);
    painter.rect_filled(Rect::from_center_size(centre, size), 9.0, palette.accent_fill);
    painter.text(centre, Align2::CENTER_CENTER, markers, font, palette.on_accent);
}
