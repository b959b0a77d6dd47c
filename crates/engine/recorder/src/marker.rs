//! Markers: moments of a take that somebody gave a name.

use hyperzoom_timing::{SAMPLES_PER_TICK, Timecode, tick_at_or_before, tick_time_ns};
use serde::{Deserialize, Serialize};

use crate::mux::Chapter;

/// The longest name of a marker, in bytes. Players show chapters on one line, and their text has 16 bits for its length.
const NAME_BYTES: usize = 200;

/// A named moment of the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// What it is called.
    pub name: String,
    /// The tick of 1/30 s that it lies in, counted from the session's start: the picture shown at that moment.
    pub tick: u64,
    /// When it was set, in nanoseconds of session time.
    pub session_ns: i64,
}

impl Marker {
    /// A marker at `session_ns`, or at the take's first tick where that has not come yet. `number` names it where `name` is
    /// empty.
    pub(crate) fn new(session_ns: i64, name: &str, number: u64, start_tick: u64) -> Self {
        let session_ns = session_ns.max(tick_time_ns(start_tick));
        let name = Some(cleaned(name)).filter(|name| !name.is_empty());
        Self {
            name: name.unwrap_or_else(|| format!("Marker {number}")),
            tick: tick_at_or_before(session_ns).unwrap_or(start_tick).max(start_tick),
            session_ns,
        }
    }

    /// Its timecode, `HH:MM:SS:FF` of session time.
    #[must_use]
    pub fn timecode(&self) -> String {
        Timecode::from_tick(self.tick).to_string()
    }

    /// Where it lies in a take that begins at `start_tick`, in seconds.
    #[must_use]
    pub fn seconds_into(&self, start_tick: u64) -> f64 {
        (self.session_ns - tick_time_ns(start_tick)).max(0) as f64 / 1e9
    }
}

/// The markers as chapters of a take of `ticks` ticks from `start_tick` on. What was marked behind its end, where it was cut
/// off, lies at its last picture.
pub(crate) fn chapters(markers: &[Marker], start_tick: u64, ticks: u64) -> Vec<Chapter> {
    let last = ticks.saturating_sub(1);
    let chapter = |marker: &Marker| {
        let tick = marker.tick.saturating_sub(start_tick).min(last);
        Chapter { at: tick * SAMPLES_PER_TICK, title: marker.name.clone() }
    };
    if ticks == 0 { Vec::new() } else { markers.iter().map(chapter).collect() }
}

/// Whether a name says nothing, so that its marker gets a number.
pub(crate) fn is_unnamed(name: &str) -> bool {
    cleaned(name).is_empty()
}

/// A name on one line, without what a terminal or a file could trip over, and of a sane length.
fn cleaned(name: &str) -> String {
    let mut out = String::new();
    let mut space = false;
    for character in name.chars() {
        if character.is_whitespace() || character.is_control() {
            space = !out.is_empty();
            continue;
        }
        // Marks that turn the direction of what follows are no part of a name (Unicode Bidi_Control).
        if matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            continue;
        }
        let gap = usize::from(std::mem::take(&mut space));
        if out.len() + gap + character.len_utf8() > NAME_BYTES {
            break;
        }
        if gap > 0 {
            out.push(' ');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_marker_lies_in_the_tick_that_is_shown_at_its_moment() {
        let marker = Marker::new(tick_time_ns(100) + 33_000_000, "Intro", 1, 90);
        assert_eq!((marker.tick, marker.name.as_str()), (100, "Intro"));
        assert_eq!(marker.timecode(), "00:00:03:10");
        assert!((marker.seconds_into(90) - (10.0 / 30.0 + 0.033)).abs() < 1e-6);
    }

    #[test]
    fn a_marker_before_the_first_tick_lies_at_it() {
        for session_ns in [i64::MIN, -1, 0, tick_time_ns(90) - 1] {
            let marker = Marker::new(session_ns, "early", 1, 90);
            assert_eq!((marker.tick, marker.session_ns), (90, tick_time_ns(90)));
        }
    }

    #[test]
    fn chapters_lie_on_the_markers_ticks_and_none_behind_the_take() {
        let markers: Vec<_> =
            [3, 90, 100, 119, 5000].iter().map(|tick| Marker::new(tick_time_ns(*tick), "x", 1, 90)).collect();
        let at = |ticks| chapters(&markers, 90, ticks).iter().map(|it| it.at / 1600).collect::<Vec<_>>();
        assert_eq!(at(30), [0, 0, 10, 29, 29]);
        assert_eq!(at(0), [0_u64; 0]);
    }

    #[test]
    fn names_are_cleaned_and_nothing_becomes_a_number() {
        for (given, name) in [
            ("  the   good bit\r\n", "the good bit"),
            ("", "Marker 7"),
            (" \t\u{7}\u{1b}", "Marker 7"),
            ("a\u{1b}[31mb", "a [31mb"),
            ("a\u{202e}b\u{2028}c", "ab c"),
            ("日本", "日本"),
        ] {
            assert_eq!(Marker::new(0, given, 7, 0).name, name, "{given:?}");
            assert_eq!(is_unnamed(given), name == "Marker 7");
        }
    }

    proptest! {
        #[test]
        fn no_name_is_empty_too_long_or_more_than_a_line(name in any::<String>(), long in 0_usize..300) {
            let marker = Marker::new(0, &format!("{name}{}", "ä".repeat(long)), 1, 0);
            prop_assert!(!marker.name.is_empty() && marker.name.len() <= NAME_BYTES);
            prop_assert!(!marker.name.chars().any(char::is_control));
            prop_assert_eq!(&Marker::new(0, &marker.name, 1, 0).name, &marker.name, "cleaning twice changes nothing");
        }
    }
}
