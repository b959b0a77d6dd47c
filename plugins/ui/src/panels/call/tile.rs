//! One place of the grid: what is said over a picture, and what is there instead of one.

use egui::text::LayoutJob;
use egui::{Align, Align2, Color32, FontId, Rect, Sense, Stroke, StrokeKind, Ui, Vec2, vec2};
use egui_phosphor::regular as icons;

use super::{CallOpen, CallOut, INSET, volume};
use crate::model::{Tile, TileCamera, TileState};
use crate::pictures::Place;
use crate::theme::{
    CHIP_GOOD, CHIP_LIVE, CHIP_TEXT, CHIP_WARN, FADE, GAP, PANEL_RADIUS, Palette, RING, Type,
};
use crate::widgets::Chip;

/// The circle with the first letter of a name, in points.
const INITIAL: f32 = 96.0;

/// A name and a few words need so much; where a tile is less wide, the words go to the top.
const TWO_CHIPS: f32 = 320.0;

/// A chip of so few characters always has room beside a name: "18 ms".
const SHORT: usize = 8;

/// Over the picture of somebody who is cut off: it is old.
const VEIL: Color32 = Color32::from_black_alpha(0xa0);

/// Draws a tile into `area`, and asks for its picture.
pub(super) fn show(ui: &mut Ui, tile: &Tile, area: Rect, open: &mut CallOpen, out: &mut CallOut) {
    let is_away = tile.state == TileState::Rejoining;
    if tile.aspect.is_some() {
        let faded = is_away || tile.state == TileState::Weak;
        out.places.push(Place { id: tile.id, area, mirrored: tile.is_me, faded });
        if is_away {
            ui.painter().rect_filled(area, PANEL_RADIUS, VEIL);
        }
    } else {
        nothing_to_see(ui, tile, area);
    }
    ring(ui, tile, area);
    if is_away {
        let at = if tile.aspect.is_some() { area.center() } else { below_initial(area) };
        let chip = Chip::new("back in a moment").icon(icons::ARROWS_CLOCKWISE, CHIP_WARN);
        chip.show(ui, at, Align2::CENTER_CENTER, area.width() - 2.0 * INSET);
    }
    let inner = area.shrink(INSET);
    let state = state(ui, tile, inner);
    let width = if state > 0.0 { inner.width() - state - GAP } else { inner.width() };
    let words = name(tile);
    let mut chip = Chip::new(&words);
    if tile.muted {
        chip = chip.icon(icons::MICROPHONE_SLASH, CHIP_LIVE);
    }
    let chip = chip.show(ui, inner.left_bottom(), Align2::LEFT_BOTTOM, width);
    if !tile.is_me {
        volume::show(ui, tile, area, chip.rect, open, out);
    }
}

/// Green around whoever speaks: at once, and gone as softly as any fade.
fn ring(ui: &Ui, tile: &Tile, area: Rect) {
    let fade = ui.ctx().animate_bool_with_time(ui.id().with(("ring", tile.id)), tile.speaking, FADE);
    let strength = if tile.speaking { 1.0 } else { fade };
    if strength > 0.0 {
        let stroke = Stroke::new(RING, CHIP_GOOD.gamma_multiply(strength));
        ui.painter().rect_stroke(area, PANEL_RADIUS, stroke, StrokeKind::Inside);
    }
}

/// Its name, and what is to be known about it.
fn name(tile: &Tile) -> String {
    let mut words = tile.name.clone();
    if tile.is_me {
        words += " (you)";
    }
    words += match tile.camera {
        TileCamera::On => "",
        TileCamera::Off => " · camera off",
        TileCamera::Lost => " · no picture",
        TileCamera::None => " · no camera",
    };
    let percent = volume::percent(tile.volume);
    if !tile.is_me && percent != 100 {
        words += &format!(" · {percent} %");
    }
    words
}

/// How it stands, at the right; how much room that takes beside the name, in points.
fn state(ui: &Ui, tile: &Tile, inner: Rect) -> f32 {
    let ear = tile.ear_ms.map(|ms| format!("{ms:.0} ms"));
    let heard = format!("From {}'s mouth to your ear", tile.name);
    let (words, colour, means) = match (tile.state, &ear) {
        (TileState::Weak, _) => (
            "weak network · audio first",
            CHIP_WARN,
            "The network holds the voice, so there is less picture or none. The recording on their side is not touched.",
        ),
        (TileState::Silent, _) => (
            "no sound just now",
            CHIP_WARN,
            "Nothing comes from there just now. Their own recording goes on.",
        ),
        (TileState::Relayed, None) => ("via the host", CHIP_TEXT, RELAYED),
        (TileState::Relayed, Some(ear)) => {
            return chip(ui, tile, inner, &format!("via the host · {ear}"), CHIP_TEXT, RELAYED);
        }
        (TileState::Here, Some(ear)) => (ear.as_str(), CHIP_TEXT, heard.as_str()),
        (TileState::Here, None) | (TileState::Rejoining, _) => return 0.0,
    };
    chip(ui, tile, inner, words, colour, means)
}

const RELAYED: &str =
    "There is no direct way between you, so the host passes it on. It takes a little longer.";

fn chip(ui: &Ui, tile: &Tile, inner: Rect, words: &str, colour: Color32, means: &str) -> f32 {
    let is_beside = inner.width() + 2.0 * INSET >= TWO_CHIPS || words.chars().count() <= SHORT;
    let mut chip = Chip::new(words).colour(colour);
    if tile.state == TileState::Weak || tile.state == TileState::Silent {
        chip = chip.icon(icons::WARNING, colour);
    }
    if is_beside {
        // At least a part of the name has to be seen.
        let most = (inner.width() - 96.0).max(64.0);
        chip.show(ui, inner.right_bottom(), Align2::RIGHT_BOTTOM, most).on_hover_text(means).rect.width()
    } else {
        chip.show(ui, inner.right_top(), Align2::RIGHT_TOP, inner.width()).on_hover_text(means);
        0.0
    }
}

/// A card with the first letter of the name, and why there is no picture where that is known.
fn nothing_to_see(ui: &Ui, tile: &Tile, area: Rect) {
    let palette = Palette::of(ui);
    let painter = ui.painter();
    painter.rect_filled(area, PANEL_RADIUS, palette.panel);
    if !palette.dark {
        painter.rect_stroke(area, PANEL_RADIUS, Stroke::new(1.0, palette.line), StrokeKind::Inside);
    }
    let size = initial_size(area);
    let centre = area.center();
    painter.circle_filled(centre, size / 2.0, palette.raised);
    let letter: String =
        tile.name.chars().next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let font = FontId { size: (size / 3.0).round(), ..Type::Body.font() };
    painter.text(centre, Align2::CENTER_CENTER, letter, font, palette.dim);
    let Some(fault) = &tile.fault else { return };
    let width = (area.width() - 4.0 * INSET).min(420.0);
    let mut job = LayoutJob::simple(fault.clone(), Type::Caption.font(), palette.warn, width);
    job.halign = Align::Center;
    let galley = painter.layout_job(job);
    let at = below_initial(area);
    let words = galley.rect.translate(at.to_vec2());
    // Where there is no room below the letter it is the letter's tooltip alone.
    if words.bottom() < area.bottom() - INSET - 24.0 {
        painter.galley(at, galley, palette.warn);
    }
    let letter = Rect::from_center_size(centre, Vec2::splat(size));
    let response = ui.interact(letter, ui.id().with(("fault", tile.id)), Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Label, true, fault));
    response.on_hover_text(fault);
}

fn initial_size(area: Rect) -> f32 {
    Vec2::splat(INITIAL).min(area.size() * 0.4).min_elem()
}

fn below_initial(area: Rect) -> egui::Pos2 {
    area.center() + vec2(0.0, initial_size(area) / 2.0 + 20.0)
}
