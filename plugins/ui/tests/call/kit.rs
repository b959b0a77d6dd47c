//! A stage that stands for the window.

use egui::epaint::RectShape;
use egui::{Color32, Pos2, Rect, Shape, Ui, UiBuilder, Vec2, pos2, vec2};
use egui_kittest::Harness;
use hyperzoom_ui_plugin::model::{CallView, Intent};
use hyperzoom_ui_plugin::panels::{CallOpen, call};
use hyperzoom_ui_plugin::pictures::Place;
use hyperzoom_ui_plugin::theme::{self, PANEL_RADIUS, Palette};

pub(crate) const LARGE: Vec2 = vec2(1280.0, 800.0);
pub(crate) const SMALL: Vec2 = vec2(640.0, 480.0);

/// A call, what was asked for, and where pictures are.
#[derive(Default)]
pub(crate) struct Stage {
    pub(crate) view: CallView,
    pub(crate) open: CallOpen,
    pub(crate) intents: Vec<Intent>,
    pub(crate) places: Vec<Place>,
}

impl Stage {
    /// With the panel's own state changed.
    pub(crate) fn with(view: CallView, change: impl FnOnce(&mut CallOpen)) -> Self {
        let mut stage = Self::from(view);
        change(&mut stage.open);
        stage
    }
}

impl From<CallView> for Stage {
    fn from(view: CallView) -> Self {
        Self { view, ..Self::default() }
    }
}

/// Shows a call in a window of this size.
pub(crate) fn stage(size: Vec2, light: bool, stage: impl Into<Stage>) -> Harness<'static, Stage> {
    let mut harness = Harness::builder().with_size(size).with_max_steps(20).wgpu().build_ui_state(
        move |ui: &mut Ui, stage: &mut Stage| {
            if !theme::ready(ui.ctx()) {
                theme::install(ui.ctx());
                theme::apply(ui.ctx(), light);
                // So that nothing depends on when a picture is taken.
                ui.ctx().all_styles_mut(|style| style.animation_time = 0.0);
                ui.ctx().request_repaint();
                return;
            }
            let window = ui.ctx().content_rect();
            ui.painter().rect_filled(window, 0.0, Palette::new(light).ground);
            let below = ui.painter().add(Shape::Noop);
            let mut whole = ui.new_child(UiBuilder::new().max_rect(window));
            let out = call(&mut whole, &stage.view, &mut stage.open);
            stage.intents.extend(out.intents);
            ui.painter().set(below, Shape::Vec(out.places.iter().flat_map(picture).collect()));
            stage.places = out.places;
        },
        stage.into(),
    );
    harness.run();
    harness
}

/// Somebody before a wall, as in the sketches. The second one sits before a window.
fn picture(place: &Place) -> Vec<Shape> {
    let (wall, skin, shirt) = match (place.faded, place.id) {
        (true, _) => (
            Color32::from_rgb(0x23, 0x26, 0x2b),
            Color32::from_rgb(0x4c, 0x50, 0x58),
            Color32::from_gray(0x3c),
        ),
        (false, 1) => (
            Color32::from_gray(0xf2),
            Color32::from_rgb(0xd8, 0xb0, 0x98),
            Color32::from_rgb(0x8a, 0x9a, 0xb8),
        ),
        (false, _) => (
            Color32::from_rgb(0x20, 0x26, 0x33),
            Color32::from_rgb(0x4a, 0x54, 0x68),
            Color32::from_rgb(0x3a, 0x43, 0x56),
        ),
    };
    let area = place.area;
    let head = area.height() * 0.135;
    let centre = pos2(area.center().x, area.top() + area.height() * 0.38);
    let body = vec2(area.height() * 0.49, area.height() * 0.54);
    let shoulder = |n: u32| {
        let angle = std::f32::consts::PI * (1.0 + n as f32 / 48.0);
        pos2(area.center().x + angle.cos() * body.x, area.bottom() + angle.sin() * body.y)
    };
    let shoulders: Vec<Pos2> = (0..=48).map(shoulder).collect();
    vec![
        RectShape::filled(area, PANEL_RADIUS, wall).into(),
        Shape::convex_polygon(shoulders, shirt, egui::Stroke::NONE),
        Shape::circle_filled(centre, head, skin),
    ]
}

/// Where a node with this name is.
pub(crate) fn is_inside(window: Vec2, rect: Rect) -> bool {
    Rect::from_min_size(Pos2::ZERO, window).expand(0.5).contains_rect(rect)
}
