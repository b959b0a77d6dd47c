//! Words on a picture.

use egui::{Align2, Color32, Pos2, Rect, Response, Sense, Ui, WidgetInfo, WidgetType, pos2, vec2};

use super::{one_line, put_words};
use crate::theme::{CHIP, CHIP_TEXT, Type};

/// How high a chip is, in points.
const HEIGHT: f32 = 24.0;
/// From its ends to what is in it.
const PADDING: f32 = 8.0;
/// Between its parts.
const GAP: f32 = 6.0;
const DOT: f32 = 8.0;
const ICON: f32 = 14.0;

/// A few words on a dark pill, which can be read on any picture.
#[must_use = "show it"]
#[derive(Debug, Clone)]
pub struct Chip<'a> {
    words: &'a str,
    colour: Color32,
    dot: Option<Color32>,
    icon: Option<(&'a str, Color32)>,
}

impl<'a> Chip<'a> {
    /// One with these words.
    pub fn new(words: &'a str) -> Self {
        Self { words, colour: CHIP_TEXT, dot: None, icon: None }
    }

    /// Its words in this colour, one of the `CHIP_` colours of the theme.
    pub fn colour(self, colour: Color32) -> Self {
        Self { colour, ..self }
    }

    /// A dot before the words.
    pub fn dot(self, colour: Color32) -> Self {
        Self { dot: Some(colour), ..self }
    }

    /// An icon before the words.
    pub fn icon(self, icon: &'a str, colour: Color32) -> Self {
        Self { icon: Some((icon, colour)), ..self }
    }

    /// Puts its corner or edge that `align` names at `at`; it is no wider than `width`, and its words are cut off where they need more. It
    /// takes no room in the layout.
    pub fn show(self, ui: &Ui, at: Pos2, align: Align2, width: f32) -> Response {
        let mut lead = PADDING;
        if self.dot.is_some() {
            lead += DOT + GAP;
        }
        if self.icon.is_some() {
            lead += ICON + if self.words.is_empty() { 0.0 } else { GAP };
        }
        let words = one_line(ui, self.words, Type::Caption.font(), (width - lead - PADDING).max(0.0));
        let size = vec2((lead + words.size().x + PADDING).min(width.max(HEIGHT)), HEIGHT);
        let rect = align.anchor_size(at, size);

        // By its place and not its words: a figure that changes is the same chip to a screen reader.
        let id = ui.id().with(("chip", at.x.to_bits(), at.y.to_bits()));
        let response = ui.interact(rect, id, Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, self.words));
        self.paint(ui, rect, words);
        response
    }

    fn paint(&self, ui: &Ui, rect: Rect, words: std::sync::Arc<egui::Galley>) {
        let painter = ui.painter();
        painter.rect_filled(rect, HEIGHT / 2.0, CHIP);
        let mut x = rect.left() + PADDING;
        if let Some(colour) = self.dot {
            painter.circle_filled(pos2(x + DOT / 2.0, rect.center().y), DOT / 2.0, colour);
            x += DOT + GAP;
        }
        if let Some((icon, colour)) = self.icon {
            let mut font = Type::Icon.font();
            font.size = ICON;
            let centre = pos2(x + ICON / 2.0, rect.center().y);
            painter.text(centre, Align2::CENTER_CENTER, icon, font, colour);
            x += ICON + GAP;
        }
        let at = pos2(x, rect.center().y - words.size().y / 2.0);
        put_words(painter, at, words, self.colour);
    }
}
