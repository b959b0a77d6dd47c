//! A window for a panel in a test: our fonts, a size, light or dark, and pictures where the GPU would draw them.

// Each test binary uses its own part of it.
#![allow(dead_code)]

use egui::{Color32, CornerRadius, Rect, Shape, Ui, UiBuilder, Vec2, epaint::RectShape, vec2};
use egui_kittest::Harness;
use hyperzoom_ui_plugin::theme::{self, PANEL_RADIUS, Palette};

/// The window as people have it at first.
pub(crate) const LARGE: Vec2 = vec2(1280.0, 800.0);
/// The smallest that the program allows.
pub(crate) const SMALL: Vec2 = vec2(640.0, 480.0);

/// A window that draws `draw` over all of itself. `draw` returns where pictures are to be seen, and something grey is put there.
pub(crate) fn window<'a, State: 'a>(
    size: Vec2,
    light: bool,
    state: State,
    mut draw: impl FnMut(&mut Ui, &mut State) -> Vec<Rect> + 'a,
) -> Harness<'a, State> {
    let app = move |ui: &mut Ui, state: &mut State| {
        let ctx = ui.ctx().clone();
        if !theme::ready(&ctx) {
            theme::install(&ctx);
            theme::apply(&ctx, light);
            // As the harness has it, so that nothing depends on when a picture is taken.
            ctx.all_styles_mut(|style| {
                style.visuals.text_cursor.blink = false;
                style.scroll_animation = egui::style::ScrollAnimation::none();
                style.animation_time = 0.0;
            });
            ctx.request_repaint();
            return;
        }
        let whole = ctx.viewport_rect();
        let mut page = ui.new_child(UiBuilder::new().max_rect(whole));
        page.set_clip_rect(whole);
        page.painter().rect_filled(whole, 0.0, Palette::of(&page).ground);
        let below = page.painter().add(Shape::Noop);
        let pictures = draw(&mut page, state).into_iter().map(picture).collect();
        page.painter().set(below, Shape::Vec(pictures));
    };
    let mut harness = Harness::builder().with_size(size).with_max_steps(20).build_ui_state(app, state);
    // One pass for the fonts, one to draw; then until nothing moves any more, if that ever is.
    harness.run_ok();
    harness
}

/// What stands for a camera's picture.
fn picture(rect: Rect) -> Shape {
    let radius = CornerRadius::from(PANEL_RADIUS);
    let person = |offset: f32, size: f32| {
        Shape::circle_filled(
            rect.center() + vec2(0.0, rect.height() * offset),
            rect.height() * size,
            Color32::from_rgb(0x4a, 0x54, 0x68),
        )
    };
    Shape::Vec(vec![
        Shape::Rect(RectShape::filled(rect, radius, Color32::from_rgb(0x23, 0x2a, 0x38))),
        person(-0.12, 0.13),
        person(0.26, 0.22),
    ])
}
