//! What is filled in, and what is picked.

use egui::{
    Align2, Label, Margin, Popup, PopupCloseBehavior, Rect, Response, ScrollArea, Sense, Stroke, StrokeKind,
    TextEdit, Ui, Widget, WidgetInfo, WidgetType, pos2, vec2,
};
use egui_phosphor::regular as icons;

use super::{follow_focus, one_line, put_words};
use crate::model::Device;
use crate::theme::{CONTROL, FADE, GAP, Palette, RADIUS, RING, Type};

/// From the edge of a field to what is in it.
const PADDING: f32 = 12.0;
/// From what it is called to the field.
const UNDER_LABEL: f32 = 4.0;
/// How high a list of devices grows before it scrolls.
const LIST_HEIGHT: f32 = 320.0;

/// What it is called, and a line of text below. `hint` stands in it while it is empty. No label where `label` is empty: then `hint` names it
/// for screen readers too.
pub fn field(ui: &mut Ui, label: &str, value: &mut String, hint: &str) -> Response {
    ui.scope(|ui| field_in(ui, label, value, hint)).inner
}

fn field_in(ui: &mut Ui, label: &str, value: &mut String, hint: &str) -> Response {
    let called = caption(ui, label);
    let palette = Palette::of(ui);
    let row = ui.fonts_mut(|fonts| fonts.row_height(&Type::Body.font()));
    // The text editor takes its height from its margins.
    let above = ((CONTROL - row) / 2.0).floor();
    let margin = Margin { left: PADDING as i8, right: PADDING as i8, top: above as i8, bottom: above as i8 };
    let visuals = ui.visuals_mut();
    visuals.widgets.inactive.bg_stroke = Stroke::new(1.0, palette.line);
    visuals.selection.stroke = Stroke::new(RING, palette.accent);
    // Named after its label and not after its place: it keeps the focus when something appears above.
    let response = TextEdit::singleline(value)
        .id_salt((label, hint))
        .hint_text(hint.to_owned())
        .margin(margin)
        .min_size(vec2(0.0, CONTROL))
        .desired_width(ui.available_width())
        .ui(ui);
    follow_focus(&response);
    match called {
        Some(called) => response.labelled_by(called.id),
        None => {
            ui.ctx().accesskit_node_builder(response.id, |node| node.set_label(hint));
            response
        }
    }
}

/// What it is called, and a list of devices that opens below. True when another one was picked. One that is not among `devices` is shown
/// by its own name, since it may come back.
pub fn picker(ui: &mut Ui, label: &str, devices: &[Device], chosen: &mut String) -> bool {
    ui.scope(|ui| picker_in(ui, label, devices, chosen)).inner
}

fn picker_in(ui: &mut Ui, label: &str, devices: &[Device], chosen: &mut String) -> bool {
    let called = caption(ui, label);
    let shown =
        devices.iter().find(|device| device.spec == *chosen).map_or(chosen.as_str(), |device| &device.label);

    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), CONTROL));
    let response = ui.interact(rect, ui.make_persistent_id(("picker", label)), Sense::click());
    let popup = Popup::default_response_id(&response);
    let open = Popup::is_id_open(ui.ctx(), popup);
    response.widget_info(|| {
        let mut info = WidgetInfo::new(WidgetType::ComboBox);
        info.enabled = ui.is_enabled();
        info.current_text_value = Some(shown.to_owned());
        info
    });
    let response = match called {
        Some(called) => response.labelled_by(called.id),
        None => response,
    };
    ui.ctx().accesskit_node_builder(response.id, |node| node.set_expanded(open));
    follow_focus(&response);
    paint_picker(ui, rect, &response, shown, open);

    // Opened by a key: the next keys are for the list.
    let by_key = response.clicked() && response.has_focus();
    let mut changed = false;
    Popup::menu(&response)
        .width(rect.width())
        .gap(UNDER_LABEL)
        .close_behavior(PopupCloseBehavior::CloseOnClick)
        .show(|ui| {
            ui.set_min_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 0.0;
            ScrollArea::vertical().max_height(LIST_HEIGHT).show(ui, |ui| {
                for device in devices {
                    let is_chosen = device.spec == *chosen;
                    let item = list_item(ui, &device.label, is_chosen);
                    if by_key && is_chosen {
                        item.request_focus();
                    }
                    if item.clicked() {
                        changed |= !is_chosen;
                        chosen.clone_from(&device.spec);
                        if item.has_focus() {
                            response.request_focus();
                        }
                        ui.close();
                    }
                }
            });
        });
    changed
}

/// What a field is called, above it.
fn caption(ui: &mut Ui, label: &str) -> Option<Response> {
    if label.is_empty() {
        return None;
    }
    let colour = Palette::of(ui).dim;
    ui.spacing_mut().item_spacing.y = UNDER_LABEL;
    Some(ui.add(Label::new(Type::Caption.text(label).color(colour)).truncate()))
}

fn paint_picker(ui: &Ui, rect: Rect, response: &Response, shown: &str, open: bool) {
    if !ui.is_rect_visible(rect) {
        return;
    }
    let palette = Palette::of(ui);
    let fade = ui.ctx().animate_bool_with_time(response.id, response.hovered() || open, FADE);
    // Inside, as that of a text field: a list that scrolls would cut off what is outside.
    let line = if response.has_focus() {
        Stroke::new(RING, palette.accent)
    } else {
        Stroke::new(1.0, palette.line.lerp_to_gamma(palette.faint, fade))
    };
    let painter = ui.painter();
    painter.rect(rect, RADIUS, palette.ground, line, StrokeKind::Inside);
    let arrow = pos2(rect.right() - PADDING - 7.0, rect.center().y);
    painter.text(arrow, Align2::CENTER_CENTER, icons::CARET_DOWN, Type::Icon.font(), palette.dim);
    let words = one_line(ui, shown, Type::Body.font(), rect.width() - 2.0 * PADDING - 24.0);
    let at = pos2(rect.left() + PADDING, rect.center().y - words.size().y / 2.0);
    put_words(painter, at, words, palette.text);
}

/// A line of the list that a picker opens.
fn list_item(ui: &mut Ui, words: &str, chosen: bool) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), CONTROL - 4.0), Sense::click());
    response.widget_info(|| WidgetInfo::selected(WidgetType::Button, ui.is_enabled(), chosen, words));
    follow_focus(&response);
    if ui.is_rect_visible(rect) {
        let palette = Palette::of(ui);
        let painter = ui.painter();
        if response.hovered() || response.has_focus() {
            painter.rect_filled(rect, RADIUS - 2.0, palette.lifted);
        }
        let room = rect.width() - 2.0 * GAP - if chosen { 24.0 } else { 0.0 };
        let galley = one_line(ui, words, Type::Body.font(), room);
        let at = pos2(rect.left() + GAP, rect.center().y - galley.size().y / 2.0);
        put_words(painter, at, galley, palette.text);
        if chosen {
            let at = pos2(rect.right() - GAP - 9.0, rect.center().y);
            painter.text(at, Align2::CENTER_CENTER, icons::CHECK, Type::Icon.font(), palette.accent);
        }
    }
    response
}
