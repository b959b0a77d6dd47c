//! What the others will see and hear: the camera's picture, and the microphone's level.

use egui::{Align, Align2, Label, Layout, Rect, Sense, Stroke, StrokeKind, Ui, pos2, vec2};
use egui_phosphor::regular as icons;

use super::{Screen, child, part};
use crate::theme::{CHIP_GOOD, CHIP_WARN, GAP, PANEL, PANEL_RADIUS, Palette, Type, WIDE_GAP};
use crate::widgets::{Chip, Meter};

/// No picture is smaller than this, in points.
const LEAST: f32 = 120.0;
/// How high all but the picture is taken for until it was drawn once.
const REST: f32 = 200.0;
const USUAL: f32 = 16.0 / 9.0;

impl Screen<'_> {
    /// The picture as large as all the rest leaves room for in `height`.
    pub(super) fn stage(&mut self, ui: &mut Ui, height: f32) {
        ui.spacing_mut().item_spacing.y = 0.0;
        let top = ui.cursor().top();
        self.cut_off(ui);

        let known = ui.id().with("rest");
        let rest = ui.data(|data| data.get_temp(known)).unwrap_or(REST);
        let room = vec2(ui.available_width(), (height - rest).max(LEAST));
        let size = match self.view.aspect.filter(|aspect| aspect.is_finite() && *aspect > 0.0) {
            Some(aspect) => vec2(room.x.min(room.y * aspect), room.y.min(room.x / aspect)).floor(),
            // What has no shape takes the room that a usual picture may take.
            None => vec2(room.x, room.y.min(room.x / USUAL)).floor(),
        };
        let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
        self.picture(ui, rect);

        ui.add_space(PANEL);
        part(ui, "microphone", |ui| self.microphone(ui));
        ui.add_space(GAP);
        part(ui, "notes", |ui| self.notes(ui));

        let needed = ui.cursor().top() - top - size.y;
        if (needed - rest).abs() > 0.5 {
            ui.data_mut(|data| data.insert_temp(known, needed));
            ui.ctx().request_repaint();
        }
    }

    fn picture(&mut self, ui: &mut Ui, rect: Rect) {
        let view = self.view;
        if view.aspect.is_some() {
            let seen = rect.intersect(ui.clip_rect());
            self.out.picture = seen.is_positive().then_some(seen);
        } else {
            self.placeholder(ui, rect);
        }

        let chip = match (&view.camera_fault, &view.camera) {
            (Some(fault), _) if view.aspect.is_some() => {
                Some(Chip::new(fault).colour(CHIP_WARN).dot(CHIP_WARN))
            }
            (None, Some(camera)) if view.aspect.is_some() => Some(Chip::new(camera).dot(CHIP_GOOD)),
            _ => None,
        };
        if let Some(chip) = chip {
            let at = rect.left_bottom() + vec2(WIDE_GAP, -WIDE_GAP);
            chip.show(ui, at, Align2::LEFT_BOTTOM, rect.width() - 2.0 * WIDE_GAP);
        }
    }

    /// Why there is no picture.
    fn placeholder(&self, ui: &mut Ui, rect: Rect) {
        let palette = Palette::of(ui);
        let painter = ui.painter();
        painter.rect(rect, PANEL_RADIUS, palette.panel, Stroke::new(1.0, palette.line), StrokeKind::Inside);
        let view = self.view;
        let (glyph, colour, words) = match (&view.camera_fault, &view.camera) {
            (Some(fault), _) => (icons::VIDEO_CAMERA_SLASH, palette.warn, fault.as_str()),
            (None, Some(_)) => (icons::VIDEO_CAMERA, palette.dim, "The camera is starting"),
            (None, None) => (
                icons::VIDEO_CAMERA_SLASH,
                palette.dim,
                "No camera. Others will hear you, and see your name.",
            ),
        };
        let width = (rect.width() - 2.0 * WIDE_GAP).min(440.0);
        let mut top = rect.top() + WIDE_GAP;
        // Where there is little room the words matter more.
        if rect.height() >= 160.0 {
            let radius = if rect.height() < 240.0 { 24.0 } else { 36.0 };
            let middle = rect.center() - vec2(0.0, radius);
            painter.circle_filled(middle, radius, palette.raised);
            let mut font = Type::LargeIcon.font();
            font.size = radius * 0.8;
            painter.text(middle, Align2::CENTER_CENTER, glyph, font, colour);
            top = middle.y + radius + 12.0;
        }
        let below = Rect::from_min_max(
            pos2(rect.center().x - width / 2.0, top),
            pos2(rect.center().x + width / 2.0, rect.bottom()),
        );
        let mut text = child(ui, "placeholder", below);
        text.set_clip_rect(rect.intersect(ui.clip_rect()));
        text.with_layout(Layout::top_down(Align::Center), |ui| {
            ui.add(Label::new(Type::Body.text(words).color(palette.dim)).wrap());
        });
    }

    fn microphone(&self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let view = self.view;
        let (hint, colour) = match view.level {
            Some(level) if level.clipped => ("Too loud: turn the microphone down", palette.live),
            Some(_) => ("Speak as you will on air: the bar should reach the box", palette.dim),
            None if view.microphone_fault.is_some() => ("No sound", palette.warn),
            None => ("No microphone. You will not be heard.", palette.dim),
        };
        let row = vec2(ui.available_width(), Type::Body.line());
        ui.allocate_ui_with_layout(row, Layout::left_to_right(Align::Center), |ui| {
            ui.add(Label::new(Type::Body.text("Microphone")).extend());
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.add(Label::new(Type::Caption.text(hint).color(colour)).truncate());
            });
        });
        if let Some(level) = view.level {
            ui.add_space(8.0);
            ui.add(Meter::new("Level of the microphone", level));
        }
    }
}
