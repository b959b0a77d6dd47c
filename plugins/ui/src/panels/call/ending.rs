//! The end of a call: it is asked for once, and then it takes a moment.

use egui::{Align, Frame, Id, Label, Layout, Margin, Modal, Rect, Stroke, Ui, vec2};

use super::{CallOpen, waiting};
use crate::model::{CallView, Intent, RecView};
use crate::theme::{CONTROL, GAP, PANEL, PANEL_RADIUS, Palette, Type};
use crate::widgets::{Button, Look};

/// How wide both cards are, in points.
const WIDTH: f32 = 400.0;

/// Asks whether to end the call. Enter ends it, Escape does not.
pub(super) fn ask(ui: &Ui, view: &CallView, open: &mut CallOpen, intents: &mut Vec<Intent>) {
    let palette = Palette::of(ui);
    let frame = Frame::new()
        .fill(palette.panel)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(PANEL_RADIUS)
        .inner_margin(Margin::same(PANEL as i8))
        .shadow(ui.visuals().window_shadow);
    let means = match &view.rec {
        _ if view.waiting => {
            "Nobody is here yet, and nothing was recorded. Who comes with this invite will find nobody."
        }
        RecView::Off | RecView::Failed(_) => "You leave, and the others can go on without you.",
        _ => "You leave, and your recording is closed and kept. The others can go on without you.",
    };
    let modal = Modal::new(Id::new("ask to end")).frame(frame).show(ui.ctx(), |ui| {
        ui.set_width(WIDTH - 2.0 * PANEL);
        ui.label(Type::Heading.text("End the call?"));
        ui.add(Label::new(Type::Body.text(means).color(palette.dim)).wrap());
        ui.add_space(GAP);
        let row = vec2(ui.available_width(), CONTROL);
        ui.allocate_ui_with_layout(row, Layout::right_to_left(Align::Center), |ui| {
            let end = ui.add(Button::new("End the call").look(Look::Danger));
            let stay = ui.add(Button::new("Stay"));
            if !end.has_focus() && !stay.has_focus() {
                end.request_focus();
            }
            (end.clicked(), stay.clicked())
        })
        .inner
    });
    let (ends, stays) = modal.inner;
    if ends {
        intents.push(Intent::End);
    }
    if ends || stays || modal.should_close() {
        open.asks_to_end = false;
    }
}

/// It is being ended.
pub(super) fn wait(ui: &Ui, view: &CallView, area: Rect) {
    let text = match &view.rec {
        RecView::On { .. } | RecView::Finishing => "Your recording is being closed. It takes a few seconds.",
        RecView::Off | RecView::Waiting | RecView::Failed(_) => "The others are told goodbye.",
    };
    waiting::middle(ui, "ending", area, WIDTH, |ui| {
        ui.label(Type::Heading.text("Ending the call"));
        ui.add(Label::new(Type::Body.text(text).color(Palette::of(ui).dim)).wrap());
    });
}
