//! How often the window is drawn: often enough for pictures and pointers, and no more.
#![allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]

use std::time::{Duration, Instant};

use bevy::ecs::message::MessageReader;
use bevy::ecs::resource::Resource;
use bevy::ecs::system::{Res, ResMut};
use bevy::render::renderer::RenderAdapterInfo;
use bevy::window::WindowEvent;

/// While somebody uses it: sixty times a second.
const USED: Duration = Duration::from_millis(16);
/// While there is only something to look at: as often as a camera gives a picture.
const SEEN: Duration = Duration::from_millis(33);
/// Where the processor has to draw, which has a recording to make.
const SOFTWARE: Duration = Duration::from_millis(100);
/// Somebody who has moved the pointer goes on with it for so long.
const TOUCH: Duration = Duration::from_secs(1);

/// How often it is drawn is logged over so long (`HZ_LOG=hyperzoom=debug`).
const COUNTED: Duration = Duration::from_secs(5);

/// When the window was drawn last, and touched last.
#[derive(Resource)]
pub(super) struct Pace {
    drawn: Instant,
    touched: Option<Instant>,
    /// Since when it is counted, and how often it was drawn since.
    count: (Instant, u32),
}

impl Default for Pace {
    fn default() -> Self {
        Self::begin(Instant::now())
    }
}

impl Pace {
    fn begin(now: Instant) -> Self {
        Self { drawn: now, touched: None, count: (now, 0) }
    }

    /// It was drawn at `now`; times a second, where that is to be told.
    fn note(&mut self, now: Instant) -> Option<f64> {
        self.drawn = now;
        self.count.1 += 1;
        let span = now.saturating_duration_since(self.count.0);
        (span >= COUNTED).then(|| {
            let (_, drawn) = std::mem::replace(&mut self.count, (now, 0));
            f64::from(drawn) / span.as_secs_f64()
        })
    }

    /// How long the next picture of the window waits at `now`.
    fn wait(&self, now: Instant, is_software: bool) -> Duration {
        let is_used = self.touched.is_some_and(|touched| now.saturating_duration_since(touched) < TOUCH);
        let least = match (is_software, is_used) {
            (true, false) => SOFTWARE,
            (false, true) => USED,
            (true, true) | (false, false) => SEEN,
        };
        least.saturating_sub(now.saturating_duration_since(self.drawn))
    }
}

/// At the end of each turn: waits until the next is due. Whatever wakes the window meanwhile is taken then, all of it at once.
pub(super) fn keep(
    mut pace: ResMut<'_, Pace>,
    mut events: MessageReader<'_, '_, WindowEvent>,
    adapter: Res<'_, RenderAdapterInfo>,
) {
    let is_touched = |event: &WindowEvent| {
        matches!(
            event,
            WindowEvent::CursorMoved(_)
                | WindowEvent::MouseButtonInput(_)
                | WindowEvent::MouseWheel(_)
                | WindowEvent::KeyboardInput(_)
                | WindowEvent::WindowResized(_)
        )
    };
    if events.read().any(is_touched) {
        pace.touched = Some(Instant::now());
    }
    std::thread::sleep(pace.wait(Instant::now(), hyperzoom_gpu::is_software(&adapter)));
    if let Some(rate) = pace.note(Instant::now()) {
        tracing::debug!("the window was drawn {rate:.1} times a second");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_drawn_more_often_while_somebody_uses_it_and_less_without_a_graphics_card() {
        let start = Instant::now();
        let pace = Pace { touched: Some(start), ..Pace::begin(start) };
        let after = Duration::from_millis(6);
        assert_eq!(pace.wait(start + after, false), USED - after);
        assert_eq!(pace.wait(start + after, true), SEEN - after);
        let drawn = start + TOUCH;
        let pace = Pace { drawn, ..pace };
        assert_eq!((pace.wait(drawn, false), pace.wait(drawn, true)), (SEEN, SOFTWARE));
        assert_eq!(pace.wait(drawn + SEEN * 2, false), Duration::ZERO);
    }

    #[test]
    fn how_often_it_is_drawn_is_told_every_five_seconds() {
        let start = Instant::now();
        let mut pace = Pace::begin(start);
        let told: Vec<f64> = (1..=101).filter_map(|n| pace.note(start + n * SOFTWARE)).collect();
        assert_eq!(told, [10.0, 10.0]);
    }
}
