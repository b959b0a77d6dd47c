//! What somebody should know before a call.

use egui::{Rect, Ui, vec2};

use super::{Screen, child, part};
use crate::model::{Bleed, Intent};
use crate::theme::{GAP, SMALL_CONTROL, WIDE_GAP};
use crate::widgets::{Banner, Button, Look, Tone};

impl Screen<'_> {
    /// A session of ours that others may still be in. Above everything, since every minute counts.
    pub(super) fn cut_off(&mut self, ui: &mut Ui) {
        let Some(minutes) = self.view.cut_off else { return };
        let ago = match minutes {
            0 => "just now".to_owned(),
            1 => "a minute ago".to_owned(),
            _ => format!("{minutes} minutes ago"),
        };
        let text = format!("Your session was cut off {ago}. The others may still be there.");
        let banner = Banner::new(Tone::Note, &text).action("Go on with it").enabled(self.view.busy.is_none());
        if banner.show(ui).acted {
            self.out.intents.push(Intent::Resume);
        }
        ui.add_space(WIDE_GAP);
    }

    pub(super) fn notes(&mut self, ui: &mut Ui) {
        for (which, fault) in [&self.view.microphone_fault, &self.view.speaker_fault].into_iter().enumerate()
        {
            if let Some(fault) = fault {
                ui.add_space(WIDE_GAP);
                part(ui, ("fault", which), |ui| _ = Banner::new(Tone::Warning, fault).show(ui));
            }
        }
        part(ui, "headphones", |ui| self.headphones(ui));
        part(ui, "recovered", |ui| self.recovered(ui));
        if let Some(note) = &self.view.window_note {
            part(ui, "window", |ui| self.until_read(ui, Banner::new(Tone::Note, note), note));
        }
    }

    /// A banner, until it is put away.
    fn until_read(&self, ui: &mut Ui, banner: Banner<'_>, what: impl std::hash::Hash) {
        let read = ui.id().with(("read", what));
        if ui.data(|data| data.get_temp(read)).unwrap_or(false) {
            return;
        }
        ui.add_space(WIDE_GAP);
        if banner.closable().show(ui).closed {
            ui.data_mut(|data| data.insert_temp(read, true));
        }
    }

    /// Whether others will hear themselves.
    fn headphones(&mut self, ui: &mut Ui) {
        // Without a microphone nothing can come back through it.
        if self.view.level.is_none() {
            return;
        }
        let measured;
        let banner = match self.view.bleed {
            Bleed::Unknown if self.choices.headphones_known => {
                ui.add_space(GAP);
                let test = Button::new("Test the headphones").look(Look::Bare).small();
                // Its words stand where all the others begin.
                let room = ui.available_rect_before_wrap();
                let row =
                    Rect::from_min_size(room.min - vec2(GAP, 0.0), vec2(room.width() + GAP, SMALL_CONTROL));
                let clicked = child(ui, "test", row).add(test).clicked();
                ui.advance_cursor_after_rect(row.with_min_x(room.left()));
                if clicked {
                    self.out.intents.push(Intent::TestHeadphones);
                }
                return;
            }
            Bleed::Unknown => Banner::new(Tone::Note, "Without them, others hear themselves.")
                .title("Headphones, please.")
                .action("Test")
                .closable(),
            Bleed::Testing => {
                Banner::new(Tone::Note, "Playing a short sound, to hear whether it comes back.")
            }
            Bleed::None => Banner::new(Tone::Good, "Nothing that you hear reaches your microphone.")
                .title("Headphones are fine.")
                .action("Test again"),
            Bleed::Coupled(db) => {
                let db = db.abs();
                measured = format!(
                    "Your loudspeaker is reaching your microphone (−{db:.0} dB). Others will hear themselves."
                );
                Banner::new(Tone::Warning, &measured).title("Headphones, please.").action("Test again")
            }
        };
        ui.add_space(WIDE_GAP);
        let done = banner.show(ui);
        if done.acted {
            self.out.intents.push(Intent::TestHeadphones);
        }
        if done.closed {
            self.choices.headphones_known = true;
        }
    }

    /// What was saved of takes that were cut off, until it is put away.
    fn recovered(&self, ui: &mut Ui) {
        let lines = &self.view.recovered;
        if !lines.is_empty() {
            self.until_read(ui, Banner::new(Tone::Good, &lines.join("\n")).title("Saved."), lines);
        }
    }
}
