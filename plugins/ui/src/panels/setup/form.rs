//! Who one is, what one speaks into, and the buttons that begin a call.

use egui::{Event, Key, Label, Rect, ScrollArea, Spinner, Ui, Vec2, pos2, vec2};
use egui_phosphor::regular as icons;

use super::{Screen, child};
use crate::model::{Device, Intent};
use crate::theme::{GAP, PANEL, Palette, SMALL_CONTROL, Type, WIDE_GAP};
use crate::widgets::{Button, Look, bytes, card, field, icon, picker, rule_with};

/// How high the buttons are taken for until they were drawn once.
const ACTIONS: f32 = 200.0;

impl Screen<'_> {
    /// The form, no higher than `height`.
    pub(super) fn form(&mut self, ui: &mut Ui, height: f32) {
        // Little room, little air.
        let says_more = self.choices.open || self.has_status();
        let gap = if height < 640.0 || says_more && height < 760.0 { 12.0 } else { WIDE_GAP };
        let width = ui.available_width() - 2.0 * PANEL;
        let known = ui.id().with("actions");
        let actions = ui.data(|data| data.get_temp(known)).unwrap_or(ACTIONS);
        card(ui, |ui| {
            ui.set_width(width);
            ui.spacing_mut().item_spacing.y = 0.0;
            self.you(ui);
            let heading = Type::Heading.line();
            let room = (height - 2.0 * PANEL - heading - actions).max(80.0);
            // As wide as the card, so that its bar stands beside the fields.
            let whole = ui.available_rect_before_wrap();
            let mut wide = child(ui, "fields", whole.with_max_x(whole.right() + PANEL - 4.0));
            let shown =
                ScrollArea::vertical().max_height(room).auto_shrink([false, true]).show(&mut wide, |ui| {
                    ui.set_max_width(width);
                    ui.spacing_mut().item_spacing.y = 0.0;
                    self.fields(ui, gap);
                });
            let bottom = whole.top() + shown.content_size.y.min(room);
            ui.advance_cursor_after_rect(whole.with_max_y(bottom));

            let top = ui.cursor().top();
            self.actions(ui, gap);
            let needed = ui.min_rect().bottom() - top;
            if (needed - actions).abs() > 0.5 {
                ui.data_mut(|data| data.insert_temp(known, needed));
                ui.ctx().request_repaint();
            }
        });
    }

    fn you(&mut self, ui: &mut Ui) {
        let row = ui.add(Label::new(Type::Heading.text("You"))).rect;
        let at = pos2(ui.max_rect().right() - SMALL_CONTROL + GAP, row.center().y - SMALL_CONTROL / 2.0);
        let mut corner = child(ui, "look again", Rect::from_min_size(at, Vec2::splat(SMALL_CONTROL)));
        if corner.add(Button::icon_only(icons::ARROWS_CLOCKWISE, "Look for devices again")).clicked() {
            self.out.intents.push(Intent::LookForDevices);
        }
    }

    fn fields(&mut self, ui: &mut Ui, gap: f32) {
        let view = self.view;
        let choices = &mut *self.choices;
        ui.add_space(gap);
        field(ui, "Name", &mut choices.name, "What others call you");
        ui.add_space(gap);
        picker(ui, "Camera", &offered(&view.cameras, "Default camera", "No camera"), &mut choices.camera);
        ui.add_space(gap);
        let microphones = offered(&view.microphones, "Default microphone", "No microphone");
        picker(ui, "Microphone", &microphones, &mut choices.microphone);
        ui.add_space(gap);
        let speakers = offered(&view.speakers, "Default output", "No sound");
        picker(ui, "Headphones", &speakers, &mut choices.speaker);
        ui.add_space(gap);
        field(ui, "Session", &mut choices.session, "What this episode is called");
        ui.add_space(GAP);
        self.estimate(ui);
    }

    /// What an hour takes, or how long the room lasts where that is less.
    fn estimate(&self, ui: &mut Ui) {
        let (hour, size) = &self.view.hour;
        if *hour == 0 || self.view.unrecorded {
            return;
        }
        let at = if size.is_empty() { String::new() } else { format!(" at {size}") };
        let palette = Palette::of(ui);
        let (words, colour) = match self.view.free {
            Some(free) if free < *hour => {
                // Less than an hour, so few minutes.
                let minutes = u128::from(free) * 60 / u128::from(*hour);
                (format!("Room for about {minutes} minutes{at}: {} free", bytes(free)), palette.warn)
            }
            _ => (format!("About {} for an hour{at}", bytes(*hour)), palette.dim),
        };
        ui.add(Label::new(Type::Caption.text(words).color(colour)).wrap());
    }

    fn actions(&mut self, ui: &mut Ui, gap: f32) {
        let is_idle = self.view.busy.is_none();
        let wants_to_join = !self.choices.invite.is_empty();
        let can_join = is_idle && wants_to_join && self.view.invite_fault.is_none();

        ui.add_space(gap + if gap < WIDE_GAP { 0.0 } else { GAP });
        // One of the two is what to do next.
        let (host_look, join_look) =
            if wants_to_join { (Look::Quiet, Look::Primary) } else { (Look::Primary, Look::Quiet) };
        let host = Button::new("Host a session").look(host_look).width(ui.available_width());
        if ui.add_enabled(is_idle, host).clicked() {
            self.out.intents.push(Intent::Host);
        }
        if self.choices.open {
            ui.add_space(GAP);
            let words = "Without a key: anybody who can reach this machine can join.";
            ui.add(Label::new(Type::Caption.text(words).color(Palette::of(ui).warn)).wrap());
        }
        ui.add_space(gap);
        rule_with(ui, "or join one");
        ui.add_space(gap);

        let join = Button::new("Join").look(join_look);
        let join_width = join.size(ui).x;
        // What is pasted where nobody writes can only be the invite.
        let pasted = if ui.ctx().text_edit_focused() { None } else { pasted(ui) };
        ui.horizontal_top(|ui| {
            let width = ui.available_width() - join_width - GAP;
            let invite = ui
                .allocate_ui(vec2(width, 0.0), |ui| {
                    field(ui, "", &mut self.choices.invite, "Paste the invite")
                })
                .inner;
            if let Some(text) = &pasted {
                self.choices.invite = text.trim().to_owned();
                invite.request_focus();
            }
            if invite.changed() {
                // What is copied often brings a space or a line's end along.
                let trimmed = self.choices.invite.trim().to_owned();
                self.choices.invite = trimmed;
            }
            let entered = invite.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            let pressed = ui.add_enabled(can_join, join).clicked();
            if pressed || entered && can_join {
                self.out.intents.push(Intent::Join);
            }
        });
        self.status(ui);
    }

    fn has_status(&self) -> bool {
        let view = self.view;
        let has_fault = view.invite_fault.is_some() && !self.choices.invite.is_empty();
        view.busy.is_some() || view.error.is_some() || has_fault
    }

    /// What is being done, or why the last try came to nothing.
    fn status(&mut self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        let view = self.view;
        let (glyph, colour, words) = if let Some(busy) = &view.busy {
            (None, palette.dim, busy)
        } else if let (Some(fault), false) = (&view.invite_fault, self.choices.invite.is_empty()) {
            (Some(icons::WARNING_CIRCLE), palette.warn, fault)
        } else if let Some(error) = &view.error {
            (Some(icons::WARNING_OCTAGON), palette.live, error)
        } else {
            return;
        };
        ui.add_space(12.0);
        ui.horizontal_top(|ui| {
            match glyph {
                Some(glyph) => {
                    icon(ui, glyph, colour);
                }
                None => {
                    ui.add(Spinner::new().size(18.0).color(palette.accent));
                }
            }
            let words = ui.add(Label::new(Type::Body.text(words).color(palette.text)).wrap());
            ui.ctx().accesskit_node_builder(words.id, |node| node.set_live(egui::accesskit::Live::Assertive));
        });
        // Nobody waits for an address that does not answer.
        if self.view.busy.is_some() {
            ui.add_space(GAP);
            if ui.add(Button::new("Cancel").small()).clicked() {
                self.out.intents.push(Intent::End);
            }
        }
    }
}

/// What was pasted just now.
fn pasted(ui: &Ui) -> Option<String> {
    ui.input(|input| {
        input.events.iter().find_map(|event| match event {
            Event::Paste(text) => Some(text.clone()),
            // The window hands on what is pasted as if it had been typed at once.
            Event::Text(text) if text.chars().nth(1).is_some() => Some(text.clone()),
            _ => None,
        })
    })
}

/// What a picker offers: the devices, the system's own choice before them, and none after them, unless they say so themselves.
fn offered(devices: &[Device], default: &str, none: &str) -> Vec<Device> {
    let has = |spec: &str| devices.iter().any(|device| device.spec == spec);
    let extra = |spec: &str, label: &str| {
        (!has(spec)).then(|| Device { spec: spec.to_owned(), label: label.to_owned() })
    };
    extra("default", default).into_iter().chain(devices.iter().cloned()).chain(extra("none", none)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_choice_and_none_are_offered_once() {
        let device = |spec: &str, label: &str| Device { spec: spec.to_owned(), label: label.to_owned() };
        let brio = device("BRIO", "Logitech BRIO");
        let all = offered(std::slice::from_ref(&brio), "Default camera", "No camera");
        assert_eq!(all, [device("default", "Default camera"), brio.clone(), device("none", "No camera")]);
        let own = [device("none", "Nothing"), brio, device("default", "BRIO (default)")];
        assert_eq!(offered(&own, "Default camera", "No camera"), own);
    }
}
