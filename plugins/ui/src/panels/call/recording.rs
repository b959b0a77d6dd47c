//! How the recording is: a light, a line, and what it means. It never hides.

use egui::emath::GuiRounding as _;
use egui::text::{LayoutJob, TextFormat, TextWrapping};
use egui::{Align2, Color32, Rect, Sense, Stroke, Ui, WidgetInfo, WidgetType, pos2, vec2};
use egui_phosphor::regular as icons;

use crate::model::RecView;
use crate::theme::{Palette, Type};
use crate::widgets::bytes;

/// From the light's left to the words.
const LEAD: f32 = 24.0;

/// So many lines below the first one; more are the tooltip's.
const LINES: usize = 3;

/// The light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Light {
    /// Nothing is recorded, and nothing is to be.
    Out,
    /// It waits.
    Ready,
    /// All is well.
    Red,
    /// Something was repeated.
    Amber,
    /// Something is lost, and recording goes on.
    Lost,
    /// Something is lost, and recording does not go on.
    Broken,
    /// The file is being closed.
    Closing,
}

#[derive(Debug, PartialEq, Eq)]
struct Said {
    light: Light,
    title: String,
    text: String,
}

fn said(rec: &RecView) -> Said {
    let say = |light, title: &str, text: &str| Said { light, title: title.to_owned(), text: text.to_owned() };
    match rec {
        RecView::Off => say(Light::Out, "Not recording", "Nothing of this call is kept"),
        RecView::Waiting => say(Light::Ready, "REC", "begins with the call"),
        RecView::Failed(why) => say(Light::Broken, "Not recording", why),
        RecView::Finishing => say(Light::Closing, "Closing", "It takes a moment"),
        RecView::On { seconds, bytes: size, repeated, gaps, lost } => {
            let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let title = format!("REC {hours:02}:{minutes:02}:{seconds:02}");
            let size = bytes(*size);
            match lost {
                Some(lost) => say(Light::Lost, &title, lost),
                None if *repeated == 0 && *gaps == 0 => {
                    say(Light::Red, &title, &format!("{size} · nothing lost"))
                }
                None => say(Light::Amber, &title, &format!("{size} · {}", mended(*repeated, *gaps))),
            }
        }
    }
}

/// What was made good.
fn mended(repeated: u64, gaps: u64) -> String {
    let pictures = match repeated {
        0 => None,
        1 => Some("1 picture repeated".to_owned()),
        more => Some(format!("{more} pictures repeated")),
    };
    let gaps = match gaps {
        0 => None,
        1 => Some("1 gap filled with silence".to_owned()),
        more => Some(format!("{more} gaps filled with silence")),
    };
    [pictures, gaps].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Draws it at the left of `area`, in the middle of its height.
pub(super) fn show(ui: &Ui, rec: &RecView, area: Rect) {
    let palette = Palette::of(ui);
    let said = said(rec);
    let colour = match said.light {
        Light::Lost | Light::Broken => palette.live,
        Light::Amber => palette.warn,
        _ => palette.dim,
    };
    let width = (area.width() - LEAD).max(40.0);
    let title = lines(ui, &said.title, Type::Mono, palette.text, width, 1);
    let text = lines(ui, &said.text, Type::Caption, colour, width, LINES);
    let is_cut = text.elided;
    let height = title.size().y + text.size().y;
    let at = pos2(area.left() + LEAD, area.center().y - height / 2.0).round_to_pixels(ui.pixels_per_point());
    let below = at + vec2(0.0, title.size().y);
    light(ui, said.light, pos2(area.left() + 6.0, at.y + title.size().y / 2.0), palette);
    let words = Rect::from_min_size(at, vec2(title.size().x.max(text.size().x), height));
    ui.painter().galley(at, title, palette.text);
    ui.painter().galley(below, text, colour);

    let response = ui.interact(words, ui.id().with("recording"), Sense::hover());
    let all = format!("{}: {}", said.title, said.text);
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, &all));
    if is_cut {
        response.on_hover_text(said.text);
    }
}

fn light(ui: &Ui, light: Light, centre: egui::Pos2, palette: &Palette) {
    let painter = ui.painter();
    // In light and dark alike these are the colours of a lamp.
    let (red, amber) = (Color32::from_rgb(0xff, 0x4d, 0x4f), Color32::from_rgb(0xf5, 0xb8, 0x3d));
    match light {
        Light::Out => {
            painter.circle_stroke(centre, 5.0, Stroke::new(1.5, palette.faint));
        }
        Light::Ready => {
            painter.circle_stroke(centre, 5.0, Stroke::new(1.5, palette.live));
        }
        Light::Red => {
            painter.circle_filled(centre, 6.0, red);
        }
        Light::Amber => {
            painter.circle_filled(centre, 6.0, amber);
        }
        Light::Closing => {
            painter.circle_filled(centre, 6.0, palette.faint);
        }
        Light::Lost => {
            painter.circle_filled(centre, 5.0, red);
            painter.circle_stroke(centre, 8.0, Stroke::new(1.5, red));
        }
        Light::Broken => {
            let icon = Type::Icon.font();
            painter.text(centre, Align2::CENTER_CENTER, icons::WARNING_OCTAGON, icon, palette.live);
        }
    }
}

fn lines(
    ui: &Ui,
    words: &str,
    font: Type,
    colour: Color32,
    width: f32,
    most: usize,
) -> std::sync::Arc<egui::Galley> {
    let format = TextFormat { line_height: Some(font.line()), ..TextFormat::simple(font.font(), colour) };
    let mut job = LayoutJob::single_section(words.to_owned(), format);
    job.wrap = TextWrapping { max_width: width, max_rows: most, ..TextWrapping::default() };
    ui.painter().layout_job(job)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(repeated: u64, gaps: u64, lost: Option<&str>) -> Said {
        let lost = lost.map(str::to_owned);
        said(&RecView::On { seconds: 2477, bytes: 5_600_000_000, repeated, gaps, lost })
    }

    #[test]
    fn the_light_is_red_amber_where_something_was_made_good_and_says_what_is_lost() {
        let well = on(0, 0, None);
        assert_eq!((well.light, well.title.as_str()), (Light::Red, "REC 00:41:17"));
        assert_eq!(well.text, "5.6 GB · nothing lost");
        assert_eq!(on(1, 0, None).text, "5.6 GB · 1 picture repeated");
        assert_eq!(on(3, 2, None).text, "5.6 GB · 3 pictures repeated, 2 gaps filled with silence");
        assert_eq!(on(0, 1, None).light, Light::Amber);
        let lost = on(3, 2, Some("4 s of your picture are lost"));
        assert_eq!((lost.light, lost.text.as_str()), (Light::Lost, "4 s of your picture are lost"));
    }

    #[test]
    fn a_call_without_a_recording_says_so() {
        assert_eq!(said(&RecView::Off).title, "Not recording");
        let failed =
            said(&RecView::Failed("The disk is full. What was recorded until then is safe.".to_owned()));
        assert_eq!(failed.light, Light::Broken);
        assert!(failed.text.contains("safe"));
    }
}
