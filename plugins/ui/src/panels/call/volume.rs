//! How loud somebody is played, for us alone.

use egui::{
    Frame, Margin, Popup, PopupCloseBehavior, Rect, RectAlign, Sense, Slider, Stroke, StrokeKind, Ui,
    WidgetInfo, WidgetType, vec2,
};

use super::{CallOpen, CallOut};
use crate::model::{Intent, Tile};
use crate::theme::{GAP, PANEL_RADIUS, Palette, RING, SMALL_CONTROL, Type};
use crate::widgets::Button;

/// What was asked for holds for so long, in seconds; by then the program knows of it.
const HELD: f64 = 0.5;

/// How wide the slider and its figure are, in points.
const WIDTH: f32 = 240.0;

/// The loudest, in percent.
const MOST: u32 = 400;

/// What somebody moved a slider to, which the program may not have done yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wanted {
    id: u8,
    volume: f32,
    since: f64,
}

/// A volume in whole percent.
pub(super) fn percent(volume: f32) -> u32 {
    (volume * 100.0).round() as u32
}

/// The name of a tile (at `name`) is a button that opens the slider; a click with the other button anywhere in the tile does so too.
pub(super) fn show(ui: &mut Ui, tile: &Tile, area: Rect, name: Rect, open: &mut CallOpen, out: &mut CallOut) {
    let now = ui.input(|input| input.time);
    let volume = match open.volume {
        Some(wanted) if wanted.id == tile.id && now - wanted.since < HELD => wanted.volume,
        _ => tile.volume,
    };
    let tile_area = ui.interact(area, ui.id().with(("tile", tile.id)), Sense::CLICK);
    let button = ui.interact(name, ui.id().with(("volume", tile.id)), Sense::click());
    let words = format!("Volume of {}, {} %", tile.name, percent(volume));
    button.widget_info(|| WidgetInfo::labeled(WidgetType::Button, ui.is_enabled(), &words));
    if button.has_focus() || button.hovered() {
        let palette = Palette::of(ui);
        let colour = if button.has_focus() { palette.accent } else { palette.faint };
        ui.painter().rect_stroke(name, name.height() / 2.0, Stroke::new(RING, colour), StrokeKind::Outside);
    }
    let id = Popup::default_response_id(&button);
    if tile_area.secondary_clicked() || button.secondary_clicked() {
        Popup::open_id(ui.ctx(), id);
    }
    let mut percent = percent(volume);
    let was = percent;
    let frame = Frame::popup(ui.style()).corner_radius(PANEL_RADIUS).inner_margin(Margin::same(16));
    Popup::from_toggle_button_response(&button)
        .frame(frame)
        .align(RectAlign::TOP_START)
        .gap(GAP)
        .width(WIDTH + 32.0)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .show(|ui| slider(ui, &tile.name, &mut percent));
    button.on_hover_text(format!("How loud you hear {}", tile.name));
    if percent != was {
        let volume = percent as f32 / 100.0;
        open.volume = Some(Wanted { id: tile.id, volume, since: now });
        out.intents.push(Intent::Volume { id: tile.id, volume });
    }
}

fn slider(ui: &mut Ui, name: &str, percent: &mut u32) {
    let palette = Palette::of(ui);
    ui.set_width(WIDTH);
    ui.label(Type::Strong.text(format!("How loud you hear {name}")));
    ui.horizontal(|ui| {
        // The handle is as high as a line, and not as a button.
        ui.spacing_mut().interact_size.y = SMALL_CONTROL - GAP;
        ui.spacing_mut().button_padding = vec2(GAP, 2.0);
        ui.visuals_mut().selection.bg_fill = palette.accent_fill;
        ui.spacing_mut().slider_width = WIDTH - 80.0;
        let words = format!("How loud you hear {name}, in percent");
        let slider = ui.add(Slider::new(percent, 0..=MOST).step_by(5.0).suffix(" %"));
        slider.widget_info(|| WidgetInfo::slider(ui.is_enabled(), f64::from(*percent), &words));
    });
    ui.label(Type::Caption.text("For you alone. No recording changes.").color(palette.dim));
    // It is always there, so that nothing moves below somebody's pointer.
    if ui.add_enabled(*percent != 100, Button::new("As it comes").small()).clicked() {
        *percent = 100;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_said_in_whole_percent() {
        assert_eq!(percent(1.0), 100);
        assert_eq!(percent(0.0), 0);
        assert_eq!(percent(1.404), 140);
        assert_eq!(percent(4.0), MOST);
    }
}
