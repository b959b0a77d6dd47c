//! Before anybody else is here: a card in the middle with the invite, and how others will reach it.

use egui::{Align, Align2, Area, Label, Layout, Order, Rect, Sense, Stroke, StrokeKind, Ui, vec2};
use egui_phosphor::regular as icons;

use super::{INSET, bar, child};
use crate::model::{CallView, Intent, InviteView};
use crate::theme::{CONTROL, GAP, PANEL, Palette, RADIUS, Type, WIDE_GAP};
use crate::widgets::{Banner, Tone, card, icon};

/// How wide the card is, in points, where there is room.
const WIDTH: f32 = 520.0;

/// A card in the middle of `area`.
pub(super) fn middle(ui: &Ui, salt: &str, area: Rect, width: f32, add: impl FnOnce(&mut Ui)) {
    let width = width.min(area.width() - 2.0 * INSET);
    Area::new(ui.id().with(salt))
        .order(Order::Middle)
        .pivot(Align2::CENTER_CENTER)
        .fixed_pos(area.center())
        .default_width(width)
        .constrain_to(area)
        .show(ui.ctx(), |ui| {
            card(ui, |ui| {
                ui.set_width(width - 2.0 * PANEL);
                add(ui);
            })
        });
}

/// Draws the card.
pub(super) fn show(ui: &Ui, view: &CallView, area: Rect, intents: &mut Vec<Intent>) {
    middle(ui, "waiting", area, WIDTH, |ui| {
        let palette = Palette::of(ui);
        ui.label(Type::Heading.text("Waiting for the others"));
        let Some(invite) = &view.invite else {
            ui.label(
                Type::Body.text("You are in. The call begins when somebody else is here.").color(palette.dim),
            );
            return;
        };
        ui.label(
            Type::Body
                .text("Send them this line. The call begins when one of them is here.")
                .color(palette.dim),
        );
        ui.add_space(GAP);
        line(ui, invite, view.copied, intents);
        if !invite.reach.is_empty() {
            ui.add_space(GAP);
            ui.horizontal_top(|ui| {
                icon(ui, icons::GLOBE, palette.dim);
                ui.add(Label::new(Type::Body.text(&invite.reach).color(palette.dim)).wrap());
            });
        }
        if invite.open {
            ui.add_space(GAP);
            let text = "This invite has no key: whoever can reach this computer can join.";
            Banner::new(Tone::Warning, text).show(ui);
        }
    });
}

/// The invite on one line, and the button that copies it.
fn line(ui: &mut Ui, invite: &InviteView, is_copied: bool, intents: &mut Vec<Intent>) {
    let palette = Palette::of(ui);
    let button = bar::copy(is_copied, false).primary();
    ui.horizontal(|ui| {
        let width = ui.available_width() - button.size(ui).x - GAP;
        let (field, _) = ui.allocate_exact_size(vec2(width, CONTROL), Sense::hover());
        let outline = Stroke::new(1.0, palette.line);
        ui.painter().rect(field, RADIUS, palette.ground, outline, StrokeKind::Inside);
        let inside = field.shrink2(vec2(WIDE_GAP - 4.0, 0.0));
        let mut inside = child(ui, "line", inside, Layout::left_to_right(Align::Center));
        inside.add(Label::new(Type::MonoCaption.text(&invite.line)).truncate().selectable(true));
        if ui.add(button).clicked() {
            intents.push(Intent::CopyInvite);
        }
    });
}
