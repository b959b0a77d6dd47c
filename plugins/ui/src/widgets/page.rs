//! How a page is laid out: cards, rules, figures; and how figures are written.

use egui::{Color32, Frame, InnerResponse, Label, Margin, Response, Sense, Stroke, Ui, pos2, vec2};

use super::{one_line, put_words};
use crate::theme::{PANEL, PANEL_RADIUS, Palette, Type, WIDE_GAP};

/// A frame around what belongs together.
pub fn card<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> InnerResponse<R> {
    let palette = Palette::of(ui);
    Frame::new()
        .fill(palette.panel)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(PANEL_RADIUS)
        .inner_margin(Margin::same(PANEL as i8 - 1))
        .show(ui, add)
}

/// A figure that matters, below what it is.
pub fn stat(ui: &mut Ui, label: &str, value: &str, colour: Option<Color32>) {
    let palette = Palette::of(ui);
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.add(Label::new(Type::Caption.text(label).color(palette.dim)).truncate());
        ui.add(Label::new(Type::Heading.text(value).color(colour.unwrap_or(palette.text))));
    });
}

/// An icon in a line of text.
pub fn icon(ui: &mut Ui, glyph: &str, colour: Color32) -> Response {
    let size = Type::Icon.font().size;
    let (rect, response) = ui.allocate_exact_size(vec2(size, Type::Body.line()), Sense::hover());
    ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, glyph, Type::Icon.font(), colour);
    response
}

/// A line across.
pub fn rule(ui: &mut Ui) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 1.0), Sense::hover());
    let y = ui.painter().round_to_pixel_center(rect.top());
    ui.painter().hline(rect.x_range(), y, Stroke::new(1.0, Palette::of(ui).line));
}

/// A line across, with words in its middle.
pub fn rule_with(ui: &mut Ui, words: &str) {
    let palette = Palette::of(ui);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), Type::Caption.line()), Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Label, true, words));
    let galley = one_line(ui, words, Type::Caption.font(), rect.width() * 0.6);
    let painter = ui.painter();
    let half = galley.size().x / 2.0 + WIDE_GAP;
    let y = painter.round_to_pixel_center(rect.center().y);
    let line = Stroke::new(1.0, palette.line);
    painter.hline(rect.left()..=rect.center().x - half, y, line);
    painter.hline(rect.center().x + half..=rect.right(), y, line);
    let at = pos2(rect.center().x - galley.size().x / 2.0, rect.center().y - galley.size().y / 2.0);
    put_words(painter, at, galley, palette.dim);
}

/// So many bytes, as discs are sold: "5.6 GB".
#[must_use]
pub fn bytes(bytes: u64) -> String {
    // A rough figure: what a float cannot hold is not shown either.
    let amount = bytes as f64;
    let (amount, unit) = match bytes {
        0..1_000 => return format!("{bytes} bytes"),
        1_000..1_000_000 => (amount / 1e3, "kB"),
        1_000_000..1_000_000_000 => (amount / 1e6, "MB"),
        1_000_000_000..1_000_000_000_000 => (amount / 1e9, "GB"),
        _ => (amount / 1e12, "TB"),
    };
    if amount < 99.95 && unit != "kB" { format!("{amount:.1} {unit}") } else { format!("{amount:.0} {unit}") }
}

/// A length of so many seconds: "1:02:08", "4:07".
#[must_use]
pub fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_carry_the_unit_that_fits() {
        let cases = [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (81_000, "81 kB"),
            (1_000_000, "1.0 MB"),
            (5_630_000_000, "5.6 GB"),
            (99_940_000_000, "99.9 GB"),
            (212_000_000_000, "212 GB"),
            (2_000_000_000_000, "2.0 TB"),
        ];
        for (amount, said) in cases {
            assert_eq!(bytes(amount), said);
        }
    }

    #[test]
    fn lengths_have_hours_where_there_are_some() {
        assert_eq!(clock(0), "0:00");
        assert_eq!(clock(247), "4:07");
        assert_eq!(clock(3_728), "1:02:08");
    }
}
