//! The name of the program, where recordings go, and what is seldom changed.

use std::path::Path;

use egui::{Align, Checkbox, Label, Layout, Popup, PopupCloseBehavior, RichText, Stroke, Ui};
use egui_phosphor::regular as icons;

use super::Screen;
use crate::model::Intent;
use crate::theme::{GAP, Palette, SMALL_CONTROL, Type, WIDE_GAP};
use crate::widgets::{Button, Look, bytes};

/// How wide the menu is, in points.
const MENU: f32 = 280.0;

impl Screen<'_> {
    pub(super) fn header(&mut self, ui: &mut Ui) {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            self.menu(ui);
            ui.add_space(GAP);
            self.place(ui);
        });
    }

    /// The title at the left; then, as far as there is room, the folder and what is free there. From the right to the left.
    fn place(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let mut rest = ui.available_rect_before_wrap();
        let title = ui.painter().layout_no_wrap("HyperZoom".to_owned(), Type::Title.font(), palette.text);
        rest.min.x += title.size().x + WIDE_GAP;
        let left = ui.max_rect().left();

        if self.view.unrecorded {
            ui.label(beside("Nothing is recorded").color(palette.warn));
        }
        let folder = shortened(&self.view.folder);
        let is_short = self.view.free.is_some_and(|free| free < self.view.hour.0);
        let free = self.view.free.map(|free| format!("· {} free", bytes(free)));
        let lead = ui
            .painter()
            .layout_no_wrap("Recordings go to ".to_owned(), Type::Body.font(), palette.dim)
            .size()
            .x;

        if let (Some(free), false) = (free, self.view.unrecorded) {
            let colour = if is_short { palette.warn } else { palette.dim };
            ui.label(beside(free).color(colour));
        }
        let room = ui.available_rect_before_wrap().right() - rest.left();
        if room > 60.0 && !self.view.unrecorded {
            let button = Button::new(&folder).look(Look::Bare).small().name("Choose where recordings go");
            let width = button.size(ui).x.min(room);
            let place = ui
                .allocate_ui_with_layout(
                    egui::vec2(width, 32.0),
                    Layout::right_to_left(Align::Center),
                    |ui| ui.add(button),
                )
                .inner
                .on_hover_text(format!("{}\nChoose another folder", self.view.folder.display()));
            if place.clicked() {
                self.out.intents.push(Intent::ChooseFolder);
            }
            if room > width + lead {
                ui.label(beside("Recordings go to").color(palette.dim));
            }
        }
        let middle = ui.max_rect().center().y;
        let at = egui::pos2(left, middle - Type::Title.line() / 2.0);
        let rect = egui::Rect::from_min_size(at, egui::vec2(title.size().x + 2.0, Type::Title.line()));
        super::child(ui, "title", rect).add(Label::new(Type::Title.text("HyperZoom")).extend());
    }

    fn menu(&mut self, ui: &mut Ui) {
        let gear = ui.add(Button::icon_only(icons::GEAR_SIX, "Settings"));
        Popup::menu(&gear).width(MENU).gap(4.0).close_behavior(PopupCloseBehavior::CloseOnClickOutside).show(
            |ui| {
                ui.set_width(MENU);
                let palette = Palette::of(ui);
                boxes(ui, palette);
                let choices = &mut *self.choices;
                ui.add(Checkbox::new(
                    &mut choices.light,
                    Type::Body.text("Light colours").color(palette.text),
                ));
                let words = Type::Body.text("Host without a key").color(palette.text);
                ui.add(Checkbox::new(&mut choices.open, words));
                let explained =
                    "Anybody who can reach this machine can then join. For a network that you trust.";
                // A menu would stretch its words from side to side.
                ui.with_layout(Layout::top_down(Align::Min), |ui| {
                    ui.add(Label::new(Type::Caption.text(explained).color(palette.dim)).wrap());
                });
                ui.add_space(GAP);
                if ui.add(Button::new("Choose where recordings go").small().width(MENU)).clicked() {
                    self.out.intents.push(Intent::ChooseFolder);
                    ui.close();
                }
            },
        );
    }
}

/// Boxes to tick look like fields.
fn boxes(ui: &mut Ui, palette: &Palette) {
    ui.spacing_mut().interact_size.y = SMALL_CONTROL;
    let widgets = &mut ui.visuals_mut().widgets;
    for look in [&mut widgets.inactive, &mut widgets.hovered, &mut widgets.active] {
        look.corner_radius = 4.0.into();
        look.bg_fill = palette.ground;
    }
    widgets.inactive.bg_stroke = Stroke::new(1.0, palette.faint);
    widgets.hovered.bg_stroke = Stroke::new(1.0, palette.dim);
    widgets.inactive.fg_stroke = Stroke::new(2.0, palette.accent);
}

/// Words beside a button stand as high as those on it only without room between lines.
fn beside(words: impl Into<String>) -> RichText {
    RichText::new(words).font(Type::Body.font())
}

/// A path as people write it: the home folder is "~".
pub(in crate::panels) fn shortened(path: &Path) -> String {
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    match home.as_deref().and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
        Some(rest) => Path::new("~").join(rest).display().to_string(),
        None => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_home_is_said_briefly() {
        let home = std::env::home_dir().expect("there is a home folder");
        assert_eq!(
            shortened(&home.join("HyperZoom")),
            Path::new("~").join("HyperZoom").display().to_string()
        );
        assert_eq!(shortened(&home), "~");
        assert_eq!(
            shortened(Path::new("elsewhere/takes")),
            Path::new("elsewhere/takes").display().to_string()
        );
    }
}
