//! What screens are made of.
//!
//! Each one says its name to screen readers, can be reached by the keyboard where it can be pressed, and shows a ring then. Fades take
//! [`crate::theme::FADE`].

mod banner;
mod button;
mod chip;
mod field;
mod meter;
mod page;
mod round;

pub use banner::{Banner, BannerOut, Tone};
pub use button::{Button, Look};
pub use chip::Chip;
pub use field::{field, picker};
pub use meter::{Meter, TARGET_DB};
pub use page::{bytes, card, clock, icon, rule, rule_with, stat};
pub use round::{RoundButton, RoundLook};

use std::sync::Arc;

use egui::emath::GuiRounding;
use egui::text::{LayoutJob, TextWrapping};
use egui::{Color32, FontId, Galley, Painter, Pos2, Rect, Response, Stroke, StrokeKind, Ui};

use crate::theme::{Palette, RING};

/// Words on one line, cut off with dots where they are wider than `width`. They take the colour that they are painted with.
fn one_line(ui: &Ui, words: &str, font: FontId, width: f32) -> Arc<Galley> {
    let mut job = LayoutJob::simple_singleline(words.to_owned(), font, Color32::PLACEHOLDER);
    job.wrap = TextWrapping::truncate_at_width(width);
    ui.painter().layout_job(job)
}

/// Words with their left top here, or the next whole pixel: between two they would be blurred.
fn put_words(painter: &Painter, at: Pos2, words: Arc<Galley>, colour: Color32) {
    painter.galley(at.round_to_pixels(painter.pixels_per_point()), words, colour);
}

/// Scrolls to what the keyboard has just come to.
fn follow_focus(response: &Response) {
    if response.gained_focus() {
        response.scroll_to_me(None);
    }
}

/// The ring around what has the focus, just outside of it.
fn focus_ring(ui: &Ui, rect: Rect, radius: f32) {
    let stroke = Stroke::new(RING, Palette::of(ui).accent);
    ui.painter().rect_stroke(rect.expand(RING), radius + RING, stroke, StrokeKind::Outside);
}
