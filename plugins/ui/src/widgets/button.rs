//! Buttons with words, and small ones with an icon alone.

use egui::{
    Color32, Response, Sense, Spinner, Stroke, StrokeKind, Ui, Vec2, Widget, WidgetInfo, WidgetType, pos2,
    vec2,
};

use super::{focus_ring, follow_focus, one_line, put_words};
use crate::theme::{CONTROL, FADE, GAP, Palette, RADIUS, SMALL_CONTROL, Type, WIDE_GAP};

/// How much a button asks to be pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    /// One of several things that can be done.
    #[default]
    Quiet,
    /// What to do next: one of them on a screen.
    Primary,
    /// It ends something.
    Danger,
    /// Nothing around it until the pointer is over it.
    Bare,
}

/// A button.
#[must_use = "add it to a Ui"]
#[derive(Debug, Clone)]
pub struct Button<'a> {
    icon: Option<&'a str>,
    words: &'a str,
    name: Option<&'a str>,
    look: Look,
    colour: Option<Color32>,
    small: bool,
    busy: bool,
    width: Option<f32>,
}

impl<'a> Button<'a> {
    /// One with words.
    pub fn new(words: &'a str) -> Self {
        Self {
            icon: None,
            words,
            name: None,
            look: Look::Quiet,
            colour: None,
            small: false,
            busy: false,
            width: None,
        }
    }

    /// A small one with an icon alone; `name` is its tooltip, and what screen readers say.
    pub fn icon_only(icon: &'a str, name: &'a str) -> Self {
        Self { icon: Some(icon), name: Some(name), small: true, look: Look::Bare, ..Self::new("") }
    }

    /// An icon before the words.
    pub fn icon(self, icon: &'a str) -> Self {
        Self { icon: Some(icon), ..self }
    }

    /// How much it asks to be pressed.
    pub fn look(self, look: Look) -> Self {
        Self { look, ..self }
    }

    /// The one thing to do next.
    pub fn primary(self) -> Self {
        self.look(Look::Primary)
    }

    /// Its words in this colour.
    pub fn colour(self, colour: Color32) -> Self {
        Self { colour: Some(colour), ..self }
    }

    /// Less high than a field.
    pub fn small(self) -> Self {
        Self { small: true, ..self }
    }

    /// What screen readers say instead of its words.
    pub fn name(self, name: &'a str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// It is being done: something turns where its icon was. It can be pressed all the same, unless it is disabled.
    pub fn busy(self, busy: bool) -> Self {
        Self { busy, ..self }
    }

    /// At least so wide, in points.
    pub fn width(self, width: f32) -> Self {
        Self { width: Some(width), ..self }
    }

    /// How large it will be, so that something can be placed beside it first.
    #[must_use]
    pub fn size(&self, ui: &Ui) -> Vec2 {
        let height = if self.small { SMALL_CONTROL } else { CONTROL };
        if self.words.is_empty() {
            return Vec2::splat(height);
        }
        let words = one_line(ui, self.words, self.font().font(), f32::INFINITY).size().x;
        let icon = if self.icon.is_some() || self.busy { Type::Icon.font().size + GAP } else { 0.0 };
        vec2((words + icon + 2.0 * self.padding()).ceil().max(self.width.unwrap_or_default()), height)
    }

    fn font(&self) -> Type {
        if self.look == Look::Primary { Type::Strong } else { Type::Body }
    }

    fn padding(&self) -> f32 {
        if self.look == Look::Bare { GAP } else { WIDE_GAP }
    }

    /// What it is filled with at rest and under the pointer, its outline, and its words.
    fn colours(&self, palette: &Palette) -> (Color32, Color32, Color32, Color32) {
        let (rest, over, line, words) = match self.look {
            Look::Quiet => (palette.raised, palette.lifted, palette.line, palette.text),
            Look::Primary => {
                (palette.accent_fill, palette.accent_lifted, Color32::TRANSPARENT, palette.on_accent)
            }
            Look::Danger => (palette.live_fill, palette.live_lifted, Color32::TRANSPARENT, palette.on_live),
            Look::Bare => (Color32::TRANSPARENT, palette.lifted, Color32::TRANSPARENT, palette.dim),
        };
        (rest, over, line, self.colour.unwrap_or(words))
    }
}

impl Widget for Button<'_> {
    fn ui(mut self, ui: &mut Ui) -> Response {
        let mut size = self.size(ui);
        // What cannot be pressed does not ask for it; and words on a faded colour cannot be read.
        if !ui.is_enabled() && self.look != Look::Bare {
            self.look = Look::Quiet;
        }
        size.x = size.x.min(ui.available_width().max(size.y));
        let (rect, mut response) = ui.allocate_exact_size(size, Sense::click());
        let name = self.name.unwrap_or(self.words);
        response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, ui.is_enabled(), name));
        follow_focus(&response);

        let palette = Palette::of(ui);
        let (rest, over, line, mut colour) = self.colours(palette);
        let fade = ui.ctx().animate_bool_with_time(response.id, response.hovered(), FADE);
        if self.look == Look::Bare && self.colour.is_none() {
            colour = colour.lerp_to_gamma(palette.text, fade);
        }
        if ui.is_rect_visible(rect) {
            ui.painter().rect(
                rect,
                RADIUS,
                rest.lerp_to_gamma(over, fade),
                Stroke::new(1.0, line),
                StrokeKind::Inside,
            );
            if response.has_focus() {
                focus_ring(ui, rect, RADIUS);
            }
            // What is pressed gives way a little.
            let sunk = if response.is_pointer_button_down_on() { vec2(0.0, 1.0) } else { Vec2::ZERO };
            self.paint_content(ui, rect.translate(sunk), colour);
        }
        if self.words.is_empty() {
            response = response.on_hover_text(name);
        }
        response
    }
}

impl Button<'_> {
    fn paint_content(&self, ui: &Ui, rect: egui::Rect, colour: Color32) {
        let painter = ui.painter();
        let icon_font = Type::Icon.font();
        let icon_width = icon_font.size;
        let has_icon = self.icon.is_some() || self.busy;
        let lead = if has_icon && !self.words.is_empty() { icon_width + GAP } else { 0.0 };
        let room = (rect.width() - 2.0 * self.padding() - lead).max(0.0);
        let words = one_line(ui, self.words, self.font().font(), room);
        let wide = if self.words.is_empty() { icon_width } else { lead + words.size().x };
        let left = rect.center().x - wide / 2.0;

        if has_icon {
            let centre = pos2(left + icon_width / 2.0, rect.center().y);
            if self.busy {
                let room = egui::Rect::from_center_size(centre, Vec2::splat(icon_width));
                Spinner::new().color(colour).paint_at(ui, room);
            } else if let Some(icon) = self.icon {
                painter.text(centre, egui::Align2::CENTER_CENTER, icon, icon_font, colour);
            }
        }
        if !self.words.is_empty() {
            let at = pos2(left + lead, rect.center().y - words.size().y / 2.0);
            put_words(painter, at, words, colour);
        }
    }
}
