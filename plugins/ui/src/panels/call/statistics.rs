//! Figures of each of the others, with the last minute of two of them as curves.

use egui::emath::GuiRounding as _;
use egui::text::{LayoutJob, TextWrapping};
use egui::{
    Align, Align2, Color32, Frame, Label, Layout, Margin, Rect, ScrollArea, Sense, Stroke, Ui, Vec2,
    WidgetInfo, WidgetType, pos2, vec2,
};
use egui_plot::{Line, Plot, PlotPoints};

use super::child;
use crate::model::{CallView, PeerFigures};
use crate::theme::{GAP, PANEL_RADIUS, Palette, Type, WIDE_GAP};

/// How wide it is, in points, where there is room.
const WIDTH: f32 = 400.0;

/// How high a line of figures is.
const ROW: f32 = 24.0;

/// How high a curve is.
const CURVE: f32 = 24.0;

/// How many seconds a curve has.
const MINUTE: usize = 60;

/// Where the figures end, from the right.
const COLUMNS: [f32; 4] = [204.0, 142.0, 76.0, 0.0];

/// A curve reaches at least so high, so that little looks like little: in ms, and in percent.
const LEAST: [f64; 2] = [60.0, 5.0];

/// Draws it at the top right of `area`; where it lies.
pub(super) fn show(ui: &mut Ui, view: &CallView, area: Rect) -> Rect {
    let palette = Palette::of(ui);
    let width = WIDTH.min(area.width());
    let column = Rect::from_min_max(pos2(area.right() - width, area.top()), area.max);
    let mut column = child(ui, "statistics", column, Layout::top_down(Align::Min));
    let frame = Frame::new()
        .fill(palette.ground)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(PANEL_RADIUS)
        .inner_margin(Margin::same(16));
    let shown = frame.show(&mut column, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ScrollArea::vertical().max_height(area.height() - 2.0 * WIDE_GAP).show(ui, |ui| content(ui, view));
    });
    shown.response.rect
}

fn content(ui: &mut Ui, view: &CallView) {
    let palette = Palette::of(ui);
    if view.figures.is_empty() {
        ui.label(Type::Body.text("Figures come with the others.").color(palette.dim));
        return;
    }
    row(ui, "", ["ear ms", "RTT ms", "lost %", "kbit/s"].map(str::to_owned), palette.dim, palette.dim);
    for (index, peer) in view.figures.iter().enumerate() {
        ui.push_id(index, |ui| figures(ui, peer));
    }
    let all = format!("All of it takes {:.1} Mbit/s of your upload", view.upload_mbps);
    ui.label(Type::Caption.text(all).color(palette.dim));
}

fn figures(ui: &mut Ui, peer: &PeerFigures) {
    let palette = Palette::of(ui);
    let or_none = |ms: Option<f32>| ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0}"));
    let cells = [
        or_none(peer.ear_ms),
        or_none(peer.round_trip_ms),
        format!("{:.1}", peer.lost),
        format!("{:.0}", peer.down_kbps),
    ];
    let colour = if peer.weak { palette.warn } else { palette.text };
    let line = row(ui, &peer.name, cells, colour, palette.text);
    line.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, spoken(peer)));

    let width = (ui.available_width() - WIDE_GAP) / 2.0;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = WIDE_GAP;
        let ear = format!("ear {}", span(&peer.ear_history, 0, "ms"));
        curve(ui, "ear", &ear, &peer.ear_history, LEAST[0], palette.accent, width);
        let lost = format!("lost {}", span(&peer.lost_history, 1, "%"));
        curve(ui, "lost", &lost, &peer.lost_history, LEAST[1], palette.warn, width);
    });
    let picture = if peer.picture == "none" { "no picture" } else { &peer.picture };
    let more = format!(
        "to them {picture}, {:.0} kbit/s · waits {:.0} ms · {:.1} % repaired",
        peer.up_kbps, peer.jitter_ms, peer.repaired
    );
    ui.add(Label::new(Type::Caption.text(more).color(palette.dim)).wrap());
    ui.add_space(GAP);
}

/// A line for screen readers.
fn spoken(peer: &PeerFigures) -> String {
    let ms = |ms: Option<f32>| ms.map_or_else(|| "unknown".to_owned(), |ms| format!("{ms:.0} ms"));
    format!(
        "{}: {} to your ear, {} there and back, {:.1} % lost, {:.0} kbit/s",
        peer.name,
        ms(peer.ear_ms),
        ms(peer.round_trip_ms),
        peer.lost,
        peer.down_kbps
    )
}

/// A name, and figures that end below one another.
fn row(ui: &mut Ui, name: &str, cells: [String; 4], name_colour: Color32, colour: Color32) -> egui::Response {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let painter = ui.painter();
    let mut job = LayoutJob::simple_singleline(name.to_owned(), Type::MonoCaption.font(), name_colour);
    job.wrap = TextWrapping::truncate_at_width((rect.width() - COLUMNS[0] - 48.0).max(48.0));
    let galley = painter.layout_job(job);
    let at = pos2(rect.left(), rect.center().y - galley.size().y / 2.0);
    painter.galley(at.round_to_pixels(painter.pixels_per_point()), galley, name_colour);
    for (cell, right) in cells.into_iter().zip(COLUMNS) {
        let at = pos2(rect.right() - right, rect.center().y);
        painter.text(at, Align2::RIGHT_CENTER, cell, Type::MonoCaption.font(), colour);
    }
    response
}

/// From the least to the most of what is known.
fn span(history: &[f32], decimals: usize, unit: &str) -> String {
    let known = || history.iter().copied().filter(|value| value.is_finite());
    let (Some(least), Some(most)) = (known().reduce(f32::min), known().reduce(f32::max)) else {
        return "–".to_owned();
    };
    let (least, most) = (format!("{least:.decimals$}"), format!("{most:.decimals$}"));
    if least == most { format!("{most} {unit}") } else { format!("{least}–{most} {unit}") }
}

/// The last minute, the newest at the right, and what it spans.
fn curve(ui: &mut Ui, id: &str, words: &str, history: &[f32], least: f64, colour: Color32, width: f32) {
    let palette = Palette::of(ui);
    let start = MINUTE.saturating_sub(history.len());
    let points: PlotPoints<'_> = history
        .iter()
        .enumerate()
        .filter(|(_, value)| value.is_finite())
        .map(|(at, &value)| [(start + at) as f64, f64::from(value)])
        .collect();
    ui.vertical(|ui| {
        ui.set_width(width);
        Plot::new(id)
            .width(width)
            .height(CURVE)
            .min_size(Vec2::ZERO)
            .sense(Sense::hover())
            .show_axes(false)
            .show_grid(false)
            .show_background(false)
            .show_crosshair(false)
            .show_x(false)
            .show_y(false)
            .allow_zoom(false)
            .allow_drag(false)
            .allow_scroll(false)
            .allow_boxed_zoom(false)
            .allow_double_click_reset(false)
            .cursor_color(Color32::TRANSPARENT)
            .set_margin_fraction(vec2(0.0, 0.08))
            .include_x(0.0)
            .include_x(MINUTE as f64 - 1.0)
            .include_y(0.0)
            .include_y(least)
            .show(ui, |plot| {
                let line = Line::new(id, points).color(colour).width(1.5).fill(0.0).fill_alpha(0.18);
                plot.line(line.allow_hover(false));
            });
        ui.label(Type::Caption.text(words).color(palette.dim));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_with_its_unit_and_once_where_nothing_changes() {
        assert_eq!(span(&[18.2, 61.4, 20.0], 0, "ms"), "18–61 ms");
        assert_eq!(span(&[0.0, 0.04], 1, "%"), "0.0 %");
        assert_eq!(span(&[f32::NAN], 0, "ms"), "–");
        assert_eq!(span(&[], 0, "ms"), "–");
    }
}
