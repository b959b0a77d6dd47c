//! The last screen: that the take is safe, where it is, and how well it fits those of the others.

mod certificate;

use egui::{Frame, Label, Margin, ScrollArea, Stroke, Ui, UiBuilder, pos2, vec2};
use egui_phosphor::regular as icons;

use super::setup::shortened;
use crate::model::{Intent, SummaryView};
use crate::theme::{GAP, PAGE, PANEL_RADIUS, Palette, Type, WIDE_GAP};
use crate::widgets::{Banner, Button, Tone, bytes, clock, rule, stat};

/// How wide the card is where there is room.
const CARD: f32 = 752.0;
/// From its edge to what is in it.
const PADDING: f32 = 40.0;
/// From the top of a roomy window to the card.
const TOP: f32 = 72.0;

/// Draws the last screen over all of `ui`.
pub fn summary(ui: &mut Ui, view: &SummaryView) -> Vec<Intent> {
    let mut intents = Vec::new();
    let area = ui.available_rect_before_wrap();
    let is_roomy = area.width() >= CARD + 2.0 * PAGE;
    let margin = if is_roomy { PAGE } else { WIDE_GAP };
    let padding = if is_roomy { PADDING } else { 24.0 };
    let top = if is_roomy && area.height() >= 700.0 { TOP } else { margin };
    let width = CARD.min(area.width() - 2.0 * margin);

    ScrollArea::vertical().id_salt("summary").auto_shrink(false).show(ui, |ui| {
        let full = ui.available_rect_before_wrap();
        let at = pos2((full.center().x - width / 2.0).floor(), full.top() + top);
        let rect = egui::Rect::from_min_size(at, vec2(width, f32::INFINITY));
        let mut child = ui.new_child(UiBuilder::new().id_salt("card").max_rect(rect));
        let palette = Palette::of(ui);
        Frame::new()
            .fill(palette.panel)
            .stroke(Stroke::new(1.0, palette.line))
            .corner_radius(PANEL_RADIUS)
            .inner_margin(Margin::same(padding as i8 - 1))
            .show(&mut child, |ui| {
                ui.set_width(width - 2.0 * padding);
                ui.spacing_mut().item_spacing.y = 0.0;
                content(ui, view, &mut intents);
            });
        let bottom = child.min_rect().bottom() + margin;
        ui.advance_cursor_after_rect(full.with_max_y(bottom));
    });
    intents
}

fn content(ui: &mut Ui, view: &SummaryView, intents: &mut Vec<Intent>) {
    let palette = Palette::of(ui);
    ui.add(Label::new(Type::Title.text(&view.title)).wrap());
    if let Some(folder) = &view.folder {
        ui.add_space(GAP);
        let path = Type::MonoCaption.text(shortened(folder)).color(palette.dim);
        // Somebody may want to paste it.
        ui.add(Label::new(path).wrap().selectable(true));
    }
    if let Some(error) = &view.error {
        ui.add_space(WIDE_GAP);
        let tone = if view.bad { Tone::Alarm } else { Tone::Warning };
        Banner::new(tone, error).show(ui);
    }
    if view.folder.is_some() {
        ui.add_space(PAGE - GAP);
        figures(ui, view);
    }
    if !view.sync_title.is_empty() {
        ui.add_space(PAGE - GAP);
        rule(ui);
        ui.add_space(PAGE - GAP);
        certificate::certificate(ui, view);
    }
    ui.add_space(PAGE);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(WIDE_GAP, GAP);
        if let Some(folder) = &view.folder
            && ui.add(Button::new("Open folder").icon(icons::FOLDER).primary()).clicked()
        {
            intents.push(Intent::OpenFolder(folder.clone()));
        }
        let again = Button::new("New session");
        let again = if view.folder.is_none() { again.primary() } else { again };
        if ui.add(again).clicked() {
            intents.push(Intent::NewSession);
        }
    });
}

/// How long, how large, and whether anything is missing.
fn figures(ui: &mut Ui, view: &SummaryView) {
    let palette = Palette::of(ui);
    // It is a length: never negative, and rounded to what is shown.
    let length = clock(view.seconds.max(0.0).round() as u64);
    let lost = if view.bad { palette.live } else { palette.good };
    let size = bytes(view.bytes);
    let mut stats = vec![("Length", length.as_str(), None)];
    if let Some(picture) = &view.picture {
        stats.push(("Picture", picture, None));
    }
    stats.push(("Size", &size, None));
    stats.push(("Lost", &view.lost, Some(lost)));

    // Two rows where four in one would be cut off.
    let columns = if ui.available_width() < 480.0 { 2 } else { 4 };
    let width = ((ui.available_width() - WIDE_GAP * (columns as f32 - 1.0)) / columns as f32).floor();
    for (index, row) in stats.chunks(columns).enumerate() {
        if index > 0 {
            ui.add_space(WIDE_GAP);
        }
        ui.horizontal_top(|ui| {
            ui.spacing_mut().interact_size.y = 0.0;
            ui.spacing_mut().item_spacing.x = WIDE_GAP;
            for (index, &(label, value, colour)) in row.iter().enumerate() {
                // The last one may say more than a figure.
                let width = if index + 1 == row.len() { ui.available_width() } else { width };
                ui.allocate_ui(vec2(width, 0.0), |ui| {
                    ui.set_width(width);
                    stat(ui, label, value, colour);
                });
            }
        });
    }
    if let Some([captured, repeated, decimated, dropped]) = view.frames {
        ui.add_space(4.0);
        let words = format!(
            "{} pictures captured · {} repeated · {} surplus left out",
            grouped(captured),
            grouped(repeated),
            grouped(decimated)
        );
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().interact_size.y = 0.0;
            ui.spacing_mut().item_spacing.x = 4.0;
            ui.label(Type::Caption.text(words).color(palette.dim));
            let colour = if dropped > 0 { palette.live } else { palette.dim };
            ui.label(Type::Caption.text(format!("· {} dropped", grouped(dropped))).color(colour));
        });
    }
}

/// A count with its thousands apart: "111,842".
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut said = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (count, said) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (111_842, "111,842"), (1_000_000, "1,000,000")]
        {
            assert_eq!(grouped(count), said);
        }
    }
}
