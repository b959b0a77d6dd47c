//! The large round buttons of a call.

use egui::{Align2, Color32, Response, Sense, Stroke, Ui, Vec2, Widget, WidgetInfo, WidgetType};

use super::focus_ring;
use crate::theme::{FADE, Palette, ROUND, Type};

/// What a round button shows of what it switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RoundLook {
    /// All is as usual.
    #[default]
    Plain,
    /// Something is shown that usually is not.
    On,
    /// Something is off that usually is on: others do not hear or see us.
    Off,
    /// It ends the call.
    Danger,
}

/// A round button of [`ROUND`] points with an icon. Its tooltip says what it does, and its key.
#[must_use = "add it to a Ui"]
#[derive(Debug, Clone)]
pub struct RoundButton<'a> {
    icon: &'a str,
    name: &'a str,
    key: Option<&'a str>,
    look: RoundLook,
    pressed: Option<bool>,
}

impl<'a> RoundButton<'a> {
    /// `name` is what it does, in a word or two: its tooltip, and what screen readers say.
    pub fn new(icon: &'a str, name: &'a str) -> Self {
        Self { icon, name, key: None, look: RoundLook::Plain, pressed: None }
    }

    /// The key that does the same.
    pub fn key(self, key: &'a str) -> Self {
        Self { key: Some(key), ..self }
    }

    /// What it shows.
    pub fn look(self, look: RoundLook) -> Self {
        Self { look, ..self }
    }

    /// It switches something, and this is how it stands; for screen readers.
    pub fn pressed(self, pressed: bool) -> Self {
        Self { pressed: Some(pressed), ..self }
    }

    /// What it is filled with at rest and under the pointer, its outline, and its icon.
    fn colours(&self, palette: &Palette) -> (Color32, Color32, Color32, Color32) {
        match self.look {
            RoundLook::Plain => (palette.raised, palette.lifted, palette.line, palette.text),
            RoundLook::On => (palette.raised, palette.lifted, palette.accent, palette.accent),
            RoundLook::Off | RoundLook::Danger => {
                (palette.live_fill, palette.live_lifted, Color32::TRANSPARENT, palette.on_live)
            }
        }
    }
}

impl Widget for RoundButton<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let (rect, response) = ui.allocate_exact_size(Vec2::splat(ROUND), Sense::click());
        response.widget_info(|| match self.pressed {
            Some(pressed) => WidgetInfo::selected(WidgetType::Button, ui.is_enabled(), pressed, self.name),
            None => WidgetInfo::labeled(WidgetType::Button, ui.is_enabled(), self.name),
        });

        let fade = ui.ctx().animate_bool_with_time(response.id, response.hovered(), FADE);
        if ui.is_rect_visible(rect) {
            let (rest, over, line, colour) = self.colours(Palette::of(ui));
            let painter = ui.painter();
            let radius = ROUND / 2.0;
            painter.circle(
                rect.center(),
                radius - 0.5,
                rest.lerp_to_gamma(over, fade),
                Stroke::new(1.0, line),
            );
            if response.has_focus() {
                focus_ring(ui, rect, radius);
            }
            painter.text(rect.center(), Align2::CENTER_CENTER, self.icon, Type::LargeIcon.font(), colour);
        }
        match self.key {
            Some(key) => response.on_hover_text(format!("{} ({key})", self.name)),
            None => response.on_hover_text(self.name),
        }
    }
}
