//! A sentence or two that somebody should read, and what can be done about it.

use egui::emath::GuiRounding;
use egui::text::{LayoutJob, TextFormat};
use egui::{
    Align2, Color32, Rect, Response, Sense, Stroke, StrokeKind, Ui, UiBuilder, Vec2, WidgetInfo, WidgetType,
    accesskit, pos2, vec2,
};
use egui_phosphor::regular as icons;

use super::Button;
use crate::model::Weight;
use crate::theme::{GAP, PANEL_RADIUS, Palette, SMALL_CONTROL, Type, WIDE_GAP};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Good to know.
    #[default]
    Note,
    /// All is well.
    Good,
    /// Something is not as it should be.
    Warning,
    /// Something is lost, or cannot go on.
    Alarm,
}

impl From<Weight> for Tone {
    fn from(weight: Weight) -> Self {
        match weight {
            Weight::Note => Self::Note,
            Weight::Warning => Self::Warning,
            Weight::Alarm => Self::Alarm,
        }
    }
}

impl Tone {
    /// Of what it is drawn: the icon, its colour, the tint and its outline.
    #[must_use]
    pub fn dress(self, palette: &Palette) -> (&'static str, Color32, (Color32, Color32)) {
        match self {
            Self::Note => (icons::INFO, palette.accent, palette.note_tint),
            Self::Good => (icons::CHECK_CIRCLE, palette.good, palette.good_tint),
            Self::Warning => (icons::WARNING, palette.warn, palette.warn_tint),
            Self::Alarm => (icons::WARNING_OCTAGON, palette.live, palette.live_tint),
        }
    }
}

/// What somebody did with a banner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BannerOut {
    /// Its button was pressed.
    pub acted: bool,
    /// It was put away.
    pub closed: bool,
}

/// A banner, as wide as there is room.
#[must_use = "show it"]
#[derive(Debug, Clone)]
pub struct Banner<'a> {
    tone: Tone,
    title: &'a str,
    text: &'a str,
    action: Option<&'a str>,
    enabled: bool,
    close: bool,
    solid: bool,
}

impl<'a> Banner<'a> {
    /// One that says this.
    pub fn new(tone: Tone, text: &'a str) -> Self {
        Self { tone, title: "", text, action: None, enabled: true, close: false, solid: false }
    }

    /// A few words before the text, in the colour of the tone.
    pub fn title(self, title: &'a str) -> Self {
        Self { title, ..self }
    }

    /// A button.
    pub fn action(self, words: &'a str) -> Self {
        Self { action: Some(words), ..self }
    }

    /// Whether the button can be pressed.
    pub fn enabled(self, enabled: bool) -> Self {
        Self { enabled, ..self }
    }

    /// It can be put away.
    pub fn closable(self) -> Self {
        Self { close: true, ..self }
    }

    /// It lies over pictures, and throws a shadow.
    pub fn floating(self) -> Self {
        Self { solid: true, ..self }
    }

    /// Draws it.
    pub fn show(self, ui: &mut Ui) -> BannerOut {
        let palette = Palette::of(ui);
        let (icon, colour, (tint, outline)) = self.tone.dress(palette);
        let margin = WIDE_GAP;
        let lead = Type::Icon.font().size + 12.0;

        let action = self.action.map(|words| Button::new(words).small());
        let action_width = action.as_ref().map_or(0.0, |button| button.size(ui).x + WIDE_GAP);
        let close_width = if self.close { SMALL_CONTROL + GAP } else { 0.0 };
        let width = ui.available_width();
        // Where little room is left beside the button, it goes below the text.
        let stacked = width - 2.0 * margin - lead - action_width - close_width < 200.0 && action.is_some();
        let beside = if stacked { close_width } else { action_width + close_width };
        let galley =
            ui.painter().layout_job(self.words(palette, colour, width - 2.0 * margin - lead - beside));

        let text_height = galley.size().y;
        let row = if beside > 0.0 { text_height.max(SMALL_CONTROL) } else { text_height };
        let below = if stacked { SMALL_CONTROL + 12.0 } else { 0.0 };
        let pad = if beside > 0.0 { 12.0 } else { 14.0 };
        let (rect, response) = ui.allocate_exact_size(vec2(width, row + below + 2.0 * pad), Sense::hover());
        self.say(ui, &response);

        let painter = ui.painter();
        if self.solid {
            painter.add(ui.visuals().popup_shadow.as_shape(rect, PANEL_RADIUS));
        }
        painter.rect(rect, PANEL_RADIUS, tint, Stroke::new(1.0, outline), StrokeKind::Inside);
        let top = rect.top() + pad;
        let text_top = (top + (row - text_height) / 2.0).round_to_pixels(ui.pixels_per_point());
        let icon_at = pos2(rect.left() + margin + lead / 2.0 - 6.0, text_top + Type::Body.line() / 2.0);
        painter.text(icon_at, Align2::CENTER_CENTER, icon, Type::Icon.font(), colour);
        painter.galley(pos2(rect.left() + margin + lead, text_top), galley, palette.text);

        let mut out = BannerOut::default();
        let mut right = rect.right() - margin;
        let mut close_at = None;
        if self.close {
            close_at = Some(pos2(right - SMALL_CONTROL + GAP, top + (row - SMALL_CONTROL) / 2.0));
            right -= close_width - GAP;
        }
        if let Some(button) = action {
            let size = button.size(ui);
            let at = if stacked {
                pos2(rect.left() + margin + lead, top + row + 12.0)
            } else {
                pos2(right - size.x, top + (row - SMALL_CONTROL) / 2.0)
            };
            out.acted = put(ui, Rect::from_min_size(at, size), self.enabled, button).clicked();
        }
        if let Some(at) = close_at {
            let button = Button::icon_only(icons::X, "Dismiss");
            out.closed = put(ui, Rect::from_min_size(at, Vec2::splat(SMALL_CONTROL)), true, button).clicked();
        }
        out
    }

    fn words(&self, palette: &Palette, colour: Color32, width: f32) -> LayoutJob {
        let format = |font: Type, color: Color32| TextFormat {
            line_height: Some(font.line()),
            ..TextFormat::simple(font.font(), color)
        };
        let mut job = LayoutJob::default();
        job.wrap.max_width = width.max(80.0);
        if !self.title.is_empty() {
            job.append(self.title, 0.0, format(Type::Strong, colour));
            job.append(" ", 0.0, format(Type::Body, palette.text));
        }
        job.append(self.text, 0.0, format(Type::Body, palette.text));
        job
    }

    /// Screen readers say it when it appears: an alarm at once, the rest when they have finished their sentence.
    fn say(&self, ui: &Ui, response: &Response) {
        let words = if self.title.is_empty() {
            self.text.to_owned()
        } else {
            format!("{} {}", self.title, self.text)
        };
        response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, &words));
        let live =
            if self.tone == Tone::Alarm { accesskit::Live::Assertive } else { accesskit::Live::Polite };
        ui.ctx().accesskit_node_builder(response.id, |node| node.set_live(live));
    }
}

/// A button at a place of its own, out of the layout.
fn put(ui: &mut Ui, rect: Rect, enabled: bool, button: Button<'_>) -> Response {
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect));
    child.add_enabled(enabled, button)
}
