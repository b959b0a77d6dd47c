//! The certificate: whether the files of all participants can be put beside one another as they are.

use egui::{Align, Align2, Color32, Label, Layout, Sense, Ui, Vec2};
use egui_extras::{Column, TableBuilder};
use egui_phosphor::regular as icons;

use crate::model::{Grade, SummaryView, SyncRow};
use crate::theme::{GAP, Palette, Type, WIDE_GAP};

/// The mark at its left.
const MARK: f32 = 32.0;
/// From one line of the table to the next.
const ROW: f32 = 32.0;
/// Where each column of figures ends, of the table's width.
const ENDS: [f32; 4] = [0.42, 0.62, 0.86, 1.0];
/// How wide the first of them is, likewise.
const FIRST: f32 = 0.12;

/// What is found, in words, and each participant's figures.
pub(super) fn certificate(ui: &mut Ui, view: &SummaryView) {
    let palette = Palette::of(ui);
    let (glyph, colour, tint) = match view.grade {
        Grade::Green => (icons::CHECK, palette.good, palette.good_tint.0),
        Grade::Amber => (icons::WARNING, palette.warn, palette.warn_tint.0),
        Grade::Red => (icons::X, palette.live, palette.live_tint.0),
        Grade::Unknown => (icons::QUESTION, palette.dim, palette.raised),
    };
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = WIDE_GAP;
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(MARK), Sense::hover());
        ui.painter().circle_filled(rect.center(), MARK / 2.0, tint);
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, glyph, Type::Icon.font(), colour);
        ui.vertical(|ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.add(Label::new(Type::Heading.text(&view.sync_title)).wrap());
            ui.add(Label::new(Type::Body.text(&view.sync_text).color(palette.dim)).wrap());
            if !view.rows.is_empty() {
                ui.add_space(WIDE_GAP);
                table(ui, &view.rows);
            }
        });
    });
}

fn table(ui: &mut Ui, rows: &[SyncRow]) {
    let palette = Palette::of(ui);
    let width = ui.available_width() - GAP;
    let repeated = if width < 420.0 { "repeated" } else { "repeated frames" };
    // What a column spans, from where the one before it ends.
    let spans = ENDS.iter().scan(ENDS[0] - FIRST, |left, end| Some(end - std::mem::replace(left, *end)));
    let spans = std::iter::once(ENDS[0] - FIRST).chain(spans);
    let columns = spans.map(|span| Column::exact((width * span).floor()).clip(true));
    // Columns say themselves how far apart they are.
    ui.spacing_mut().item_spacing.x = 0.0;
    let table = TableBuilder::new(ui).vscroll(false).cell_layout(Layout::left_to_right(Align::Center));
    columns
        .fold(table, TableBuilder::column)
        .header(ROW, |mut head| {
            for words in ["", "offset", "drift", repeated, "gaps"] {
                head.col(|ui| figure(ui, words, palette.dim));
            }
        })
        .body(|mut body| {
            for row in rows {
                body.row(ROW, |mut line| {
                    line.col(|ui| {
                        ui.add(Label::new(Type::Caption.text(&row.name).color(palette.text)).truncate());
                    });
                    for (words, colour) in figures(row, palette) {
                        line.col(|ui| figure(ui, &words, colour));
                    }
                });
            }
        });
}

/// A figure ends where its column does.
fn figure(ui: &mut Ui, words: &str, colour: Color32) {
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.add(Label::new(Type::Caption.text(words).color(colour)).extend());
    });
}

fn figures(row: &SyncRow, palette: &Palette) -> [(String, Color32); 4] {
    let plain = |figure: Option<String>| (figure.unwrap_or_else(|| "–".to_owned()), palette.text);
    let gaps = match row.gaps {
        Some(gaps) if gaps > 0 => (gaps.to_string(), palette.warn),
        gaps => plain(gaps.map(|gaps| gaps.to_string())),
    };
    [
        plain(row.offset_ms.map(|offset| signed(offset, "ms"))),
        plain(row.drift_ppm.map(|drift| signed(drift, "ppm"))),
        plain(row.repeated.map(|repeated| repeated.to_string())),
        gaps,
    ]
}

/// A figure with its unit and a true minus: "−0.4 ms". What rounds to nothing has no sign.
fn signed(value: f64, unit: &str) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    let sign = if rounded < 0.0 { "−" } else { "" };
    format!("{sign}{:.1} {unit}", rounded.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minus_is_a_minus_and_nothing_has_no_sign() {
        assert_eq!(signed(0.2, "ms"), "0.2 ms");
        assert_eq!(signed(-0.44, "ms"), "−0.4 ms");
        assert_eq!(signed(-0.04, "ppm"), "0.0 ppm");
    }
}
