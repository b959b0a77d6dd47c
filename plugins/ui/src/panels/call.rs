//! The call: everybody's picture, the recording, and what can be done.

mod bar;
mod ending;
mod notices;
mod recording;
mod statistics;
mod tile;
mod volume;
mod waiting;

use egui::{Event, Key, Margin, Rect, Ui, UiBuilder};

use crate::layout;
use crate::model::{CallView, Intent};
use crate::pictures::Place;
use crate::theme::{GAP, WIDE_GAP};

/// How high the bar at the bottom is, in points.
const BAR: f32 = 88.0;

/// From the edge of the tiles to what lies over them.
const INSET: f32 = 12.0;

/// What the call's panel keeps from one frame to the next.
#[derive(Debug, Clone, Default)]
pub struct CallOpen {
    /// The statistics are shown.
    pub statistics: bool,
    /// Whether to end the call is being asked. The program sets it where somebody closes the window in a call.
    pub asks_to_end: bool,
    toasts: notices::Toasts,
    volume: Option<volume::Wanted>,
}

/// What comes of a frame of the call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallOut {
    /// What a person asks for.
    pub intents: Vec<Intent>,
    /// Where pictures are to be drawn, below the panel. It draws nothing there but what lies over them.
    pub places: Vec<Place>,
}

/// Draws the call into all of `ui`, which must have nothing behind it but the ground and the pictures.
///
/// Keys: M mutes, C turns the camera off, K sets a marker, S shows the statistics, I copies the invite, E asks
/// whether to end; not while somebody writes.
pub fn call(ui: &mut Ui, view: &CallView, open: &mut CallOpen) -> CallOut {
    let mut out = CallOut::default();
    let screen = ui.max_rect();
    ui.expand_to_include_rect(screen);
    keys(ui, view, open, &mut out.intents);

    let around = Margin { left: 16, right: 16, top: 16, bottom: BAR as i8 + 8 };
    let area = screen - around;
    for (tile, area) in view.tiles.iter().zip(layout::grid(area, GAP, view.tiles.len())) {
        tile::show(ui, tile, area, open, &mut out);
    }
    let over = area.shrink(INSET);
    let mut free = over.right();
    if open.statistics {
        free = statistics::show(ui, view, over).left() - WIDE_GAP;
    }
    if view.ending {
        ending::wait(ui, view, area);
    } else if view.waiting {
        waiting::show(ui, view, area, &mut out.intents);
    }
    notices::show(ui, &view.notices, over, free, &mut open.toasts);
    let bar = Rect::from_min_max(egui::pos2(screen.left(), screen.bottom() - BAR), screen.max);
    bar::show(ui, view, bar, open, &mut out.intents);
    if open.asks_to_end && !view.ending {
        ending::ask(ui, view, open, &mut out.intents);
    }
    out
}

/// What was pressed since the last frame. A key that is held counts once.
fn keys(ui: &Ui, view: &CallView, open: &mut CallOpen, intents: &mut Vec<Intent>) {
    if view.ending || open.asks_to_end || ui.ctx().text_edit_focused() {
        return;
    }
    let pressed: Vec<Key> = ui.input(|input| {
        let key = |event: &Event| match *event {
            Event::Key { key, pressed: true, repeat: false, modifiers, .. } if modifiers.is_none() => {
                Some(key)
            }
            _ => None,
        };
        input.events.iter().filter_map(key).collect()
    });
    for key in pressed {
        match key {
            Key::M => intents.push(Intent::ToggleMute),
            Key::C if view.camera_on.is_some() => intents.push(Intent::ToggleCamera),
            Key::K => intents.push(Intent::Marker),
            Key::S => open.statistics = !open.statistics,
            Key::I if view.invite.is_some() => intents.push(Intent::CopyInvite),
            Key::E => open.asks_to_end = true,
            _ => {}
        }
    }
}

/// A `Ui` of its own at a place of its own.
fn child(ui: &mut Ui, salt: impl std::hash::Hash, rect: Rect, layout: egui::Layout) -> Ui {
    // Its identity does not depend on how many things come before it: the focus stays where it is.
    ui.new_child(UiBuilder::new().id(ui.id().with(salt)).max_rect(rect).layout(layout))
}
