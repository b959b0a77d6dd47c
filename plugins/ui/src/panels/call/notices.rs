//! What happened, and what it means for the recording: a few words that go away by themselves, but for an alarm.

use std::time::Duration;

use egui::{Align, Layout, Rect, Ui, vec2};

use super::child;
use crate::model::{Notice, Weight};
use crate::theme::{FADE, GAP};
use crate::widgets::{Banner, Tone};

/// At most so many are shown at once.
const MOST: usize = 3;

/// How wide one is, in points, where there is room.
const WIDTH: f32 = 440.0;

/// How wide there has to be room beside the statistics; where there is less, notices lie over them.
const NARROWEST: f32 = 320.0;

/// There is room for one more above this, in points.
const LOW: f32 = 72.0;

/// How long one stays, in seconds; an alarm until it is put away.
fn stays(weight: Weight) -> Option<f64> {
    match weight {
        Weight::Note => Some(6.0),
        Weight::Warning => Some(12.0),
        Weight::Alarm => None,
    }
}

/// Which notices were seen since when, and which were put away.
#[derive(Debug, Clone, Default)]
pub(super) struct Toasts {
    seen: Vec<Seen>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    id: u64,
    since: f64,
    is_dismissed: bool,
}

/// One to show: when it began, and when it goes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Toast<'a> {
    notice: &'a Notice,
    since: f64,
    until: Option<f64>,
}

impl Toasts {
    /// What is to be shown at `now`, in seconds: alarms first, then the newest.
    fn shown<'a>(&mut self, notices: &'a [Notice], now: f64) -> Vec<Toast<'a>> {
        self.seen.retain(|seen| notices.iter().any(|notice| notice.id == seen.id));
        let mut shown = Vec::new();
        for notice in notices {
            let seen = match self.seen.iter().find(|seen| seen.id == notice.id) {
                Some(seen) => *seen,
                None => {
                    let seen = Seen { id: notice.id, since: now, is_dismissed: false };
                    self.seen.push(seen);
                    seen
                }
            };
            let until = stays(notice.weight).map(|seconds| seen.since + seconds);
            if !seen.is_dismissed && until.is_none_or(|until| now < until) {
                shown.push(Toast { notice, since: seen.since, until });
            }
        }
        shown.reverse();
        shown.sort_by_key(|toast| toast.notice.weight != Weight::Alarm);
        shown.truncate(MOST);
        shown
    }

    fn dismiss(&mut self, id: u64) {
        for seen in self.seen.iter_mut().filter(|seen| seen.id == id) {
            seen.is_dismissed = true;
        }
    }
}

/// Shows notices from the top left of `area` downwards, left of `right` if they can be read there.
pub(super) fn show(ui: &mut Ui, notices: &[Notice], area: Rect, right: f32, toasts: &mut Toasts) {
    let now = ui.input(|input| input.time);
    let shown = toasts.shown(notices, now);
    if shown.is_empty() {
        return;
    }
    let beside = right - area.left();
    let width = if beside >= NARROWEST { beside } else { area.width() }.min(WIDTH);
    let column = Rect::from_min_size(area.min, vec2(width, area.height()));
    let mut column = child(ui, "notices", column, Layout::top_down(Align::Min));
    column.spacing_mut().item_spacing.y = GAP;
    for toast in shown {
        if column.cursor().top() > area.bottom() - LOW {
            break;
        }
        let fade = f64::from(FADE);
        let came = (now - toast.since) / fade;
        let goes = toast.until.map_or(1.0, |until| (until - now) / fade);
        let opacity = came.min(goes).clamp(0.0, 1.0) as f32;
        column.push_id(toast.notice.id, |ui| {
            ui.multiply_opacity(opacity);
            let banner = Banner::new(Tone::from(toast.notice.weight), &toast.notice.text);
            if banner.floating().closable().show(ui).closed {
                toasts.dismiss(toast.notice.id);
            }
        });
        if came < 1.0 || goes < 1.0 {
            ui.ctx().request_repaint();
        } else if let Some(until) = toast.until {
            let rest = (until - fade - now).max(0.0);
            ui.ctx().request_repaint_after(Duration::from_secs_f64(rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(id: u64, weight: Weight) -> Notice {
        Notice { id, weight, text: String::new() }
    }

    fn ids(toasts: &mut Toasts, notices: &[Notice], now: f64) -> Vec<u64> {
        toasts.shown(notices, now).iter().map(|toast| toast.notice.id).collect()
    }

    #[test]
    fn a_note_goes_by_itself_and_an_alarm_stays_until_it_is_put_away() {
        let mut toasts = Toasts::default();
        let notices = [notice(1, Weight::Note), notice(2, Weight::Warning), notice(3, Weight::Alarm)];
        assert_eq!(ids(&mut toasts, &notices, 100.0), [3, 2, 1]);
        assert_eq!(ids(&mut toasts, &notices, 106.5), [3, 2]);
        assert_eq!(ids(&mut toasts, &notices, 3000.0), [3]);
        toasts.dismiss(3);
        assert!(ids(&mut toasts, &notices, 3001.0).is_empty());
    }

    #[test]
    fn alarms_come_first_and_then_the_newest_of_the_rest() {
        let mut toasts = Toasts::default();
        let notices = [
            notice(1, Weight::Alarm),
            notice(2, Weight::Warning),
            notice(3, Weight::Note),
            notice(4, Weight::Note),
        ];
        assert_eq!(ids(&mut toasts, &notices, 0.0), [1, 4, 3]);
        toasts.dismiss(4);
        assert_eq!(ids(&mut toasts, &notices, 1.0), [1, 3, 2]);
    }

    #[test]
    fn what_the_program_no_longer_says_is_forgotten() {
        let mut toasts = Toasts::default();
        ids(&mut toasts, &[notice(1, Weight::Note)], 0.0);
        ids(&mut toasts, &[notice(2, Weight::Note)], 1.0);
        assert_eq!(toasts.seen.len(), 1);
    }
}
