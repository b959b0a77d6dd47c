//! The first screen: what one looks and sounds like, under which name, and with whom.

mod form;
mod header;
mod notes;
mod stage;

use egui::{Rect, ScrollArea, Ui, UiBuilder, Vec2, pos2, vec2};

pub(super) use header::shortened;

use crate::model::{Choices, Intent, SetupView};
use crate::theme::{NARROW, PAGE, WIDE_GAP};

/// What came of the first screen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SetupOut {
    /// What was asked for.
    pub intents: Vec<Intent>,
    /// Where the camera's picture is to be drawn, in points; nothing is drawn there but the chip over it. None while there is no picture.
    pub picture: Option<Rect>,
}

/// Below this there is no room for two columns: everything is stacked, and the page scrolls.
const TWO_COLUMNS: Vec2 = vec2(620.0, 440.0);
/// The title, and where recordings go.
const HEADER: f32 = 32.0;

/// What all parts of the screen draw from and add to.
struct Screen<'a> {
    view: &'a SetupView,
    choices: &'a mut Choices,
    out: SetupOut,
}

/// Draws the first screen over all of `ui`, and changes `choices` as a person does.
///
/// The keyboard goes through the form first, then what stands below the picture, then the header.
pub fn setup(ui: &mut Ui, view: &SetupView, choices: &mut Choices) -> SetupOut {
    let mut screen = Screen { view, choices, out: SetupOut::default() };
    let area = ui.available_rect_before_wrap();
    if area.width() < TWO_COLUMNS.x || area.height() < TWO_COLUMNS.y {
        screen.stacked(ui);
    } else {
        screen.columns(ui, area);
        ui.advance_cursor_after_rect(area);
    }
    screen.out
}

impl Screen<'_> {
    /// The picture at the left and the form at the right. Each column scrolls by itself where it is too long, and the buttons that begin
    /// a call stay in sight.
    fn columns(&mut self, ui: &mut Ui, area: Rect) {
        let is_wide = area.width() >= NARROW;
        let gap = if is_wide { PAGE } else { WIDE_GAP };
        let page = area.shrink(gap);
        let body = page.with_min_y(page.top() + HEADER + gap);
        let form_width =
            if is_wide { (area.width() * 0.3375).clamp(360.0, 432.0) } else { (body.width() - gap) / 2.0 };
        let form_left = (body.right() - form_width).floor();

        let mut form = child(ui, "form", body.with_min_x(form_left));
        self.form(&mut form, body.height());

        let stage_rect = body.with_max_x(form_left - gap);
        let mut stage = child(ui, "stage", stage_rect);
        ScrollArea::vertical().auto_shrink(false).show(&mut stage, |ui| {
            self.stage(ui, stage_rect.height());
        });

        let header_rect = Rect::from_min_size(page.min, vec2(page.width(), HEADER));
        self.header(&mut child(ui, "header", header_rect));
    }

    /// Everything below everything else.
    fn stacked(&mut self, ui: &mut Ui) {
        ScrollArea::vertical().id_salt("setup").auto_shrink(false).show(ui, |ui| {
            let full = ui.available_rect_before_wrap();
            let width = full.width() - 2.0 * WIDE_GAP;
            let left = full.left() + WIDE_GAP;
            let mut top = full.top() + WIDE_GAP;

            let header_rect = Rect::from_min_size(pos2(left, top), vec2(width, HEADER));
            self.header(&mut child(ui, "header", header_rect));
            top += HEADER + WIDE_GAP;

            let rest = |top: f32| Rect::from_min_size(pos2(left, top), vec2(width, f32::INFINITY));
            let mut stage = child(ui, "stage", rest(top));
            // The whole of a picture can be seen at once.
            self.stage(&mut stage, ui.clip_rect().height().max(320.0));
            top = stage.min_rect().bottom() + WIDE_GAP;

            let mut form = child(ui, "form", rest(top));
            self.form(&mut form, f32::INFINITY);
            let bottom = form.min_rect().bottom() + WIDE_GAP;
            ui.advance_cursor_after_rect(full.with_max_y(bottom));
        });
    }
}

/// A part of the screen at a place of its own, whose widgets keep their identity wherever it stands.
fn child(ui: &mut Ui, name: &str, rect: Rect) -> Ui {
    // Its identity does not depend on how many things come before it: the focus stays where it is.
    ui.new_child(UiBuilder::new().id(ui.id().with(name)).max_rect(rect))
}

/// The next part of what stands below one another, whose widgets keep their identity whatever comes and goes before it.
fn part(ui: &mut Ui, name: impl std::hash::Hash, add: impl FnOnce(&mut Ui)) {
    ui.scope_builder(UiBuilder::new().id(ui.id().with(name)), add);
}
