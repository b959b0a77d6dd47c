//! How loud the microphone is, and how loud it should be.

use std::ops::RangeInclusive;

use egui::{Rect, Response, Sense, Stroke, StrokeKind, Ui, Widget, WidgetInfo, WidgetType, pos2, vec2};

use crate::model::Loudness;
use crate::theme::{GAP, Palette};

/// Where the peaks of somebody who speaks as on air should lie, in dB of full scale.
pub const TARGET_DB: RangeInclusive<f32> = -18.0..=-9.0;

/// What the left end stands for.
const LEAST_DB: f32 = -60.0;
/// Above this there is hardly any room left.
const HOT_DB: f32 = -3.0;
const BAR: f32 = 8.0;
const ZONE: f32 = 14.0;
const LIGHT: f32 = 10.0;
/// How long the bar takes to a new level, in seconds.
const GLIDE: f32 = 0.05;

/// A bar as wide as there is room, with a box where the peaks should lie, and a light at the right that turns red when it was too loud.
#[must_use = "add it to a Ui"]
#[derive(Debug, Clone, Copy)]
pub struct Meter<'a> {
    name: &'a str,
    loudness: Loudness,
}

impl<'a> Meter<'a> {
    /// `name` is what screen readers call it.
    pub fn new(name: &'a str, loudness: Loudness) -> Self {
        Self { name, loudness }
    }
}

/// Where a level lies on the bar, from 0 to 1.
fn place(db: f32) -> f32 {
    ((db - LEAST_DB) / -LEAST_DB).clamp(0.0, 1.0)
}

impl Widget for Meter<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ZONE), Sense::hover());
        let Loudness { peak_db, clipped } = self.loudness;
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(WidgetType::ProgressIndicator, true, self.name);
            info.value = Some(f64::from(peak_db.round()));
            let clipped = if clipped { ", too loud" } else { "" };
            info.current_text_value = Some(format!("{peak_db:.0} dB{clipped}"));
            info
        });
        if !ui.is_rect_visible(rect) {
            return response;
        }

        let palette = Palette::of(ui);
        let reached = ui.ctx().animate_value_with_time(response.id, place(peak_db), GLIDE);
        let painter = ui.painter();
        let width = rect.width() - LIGHT - GAP;
        let bar = Rect::from_center_size(pos2(rect.left() + width / 2.0, rect.center().y), vec2(width, BAR));
        let x = |share: f32| bar.left() + bar.width() * share;
        painter.rect_filled(bar, BAR / 2.0, palette.raised);
        painter.rect_stroke(bar, BAR / 2.0, Stroke::new(1.0, palette.line), StrokeKind::Inside);

        // Painted from the loudest part down, so that each keeps the round left end of the bar.
        let parts =
            [(1.0, palette.live), (place(HOT_DB), palette.warn), (place(*TARGET_DB.end()), palette.good)];
        for (end, colour) in parts {
            let end = end.min(reached);
            if end > 0.0 {
                let part = bar.with_max_x(x(end).max(bar.left() + BAR));
                painter.rect_filled(part, BAR / 2.0, colour);
            }
        }

        let zone =
            Rect::from_x_y_ranges(x(place(*TARGET_DB.start()))..=x(place(*TARGET_DB.end())), rect.y_range());
        painter.rect_stroke(zone, 4.0, Stroke::new(1.0, palette.dim), StrokeKind::Inside);
        let light = pos2(rect.right() - LIGHT / 2.0, rect.center().y);
        if clipped {
            painter.circle_filled(light, LIGHT / 2.0, palette.live);
        } else {
            painter.circle(light, LIGHT / 2.0 - 0.5, palette.raised, Stroke::new(1.0, palette.line));
        }
        response.on_hover_text(format!(
            "{peak_db:.0} dB; the box is {:.0} to {:.0}",
            TARGET_DB.start(),
            TARGET_DB.end()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_at_the_left_and_full_scale_at_the_right() {
        assert_eq!(place(-100.0), 0.0);
        assert_eq!(place(LEAST_DB), 0.0);
        assert_eq!(place(-30.0), 0.5);
        assert_eq!(place(0.0), 1.0);
        assert_eq!(place(3.0), 1.0);
        assert!(place(*TARGET_DB.start()) < place(*TARGET_DB.end()));
    }
}
