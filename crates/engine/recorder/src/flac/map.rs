//! The map from the file's samples to session time: the rows of `microphone_clock.csv`.

use std::collections::VecDeque;
use std::fmt::Write;

use hyperzoom_media::SAMPLE_RATE;

/// A block that lies this far from where the one before it ends begins a new stretch. What is less is the clock being smoothed.
const JUMP_NS: i64 = 5_000_000;

/// Samples that must have come after a block before its time is believed: until then the track may not know yet whether the device
/// stood still before it. A fifth of a second more than the track waits.
const EVIDENCE: u64 = crate::audio_track::EVIDENCE as u64 + SAMPLE_RATE as u64 / 5;

/// The lines before the first row.
pub(super) fn head(start_timecode: &str, start_tick: u64, start_ns: i64) -> String {
    format!(
        "# Where the samples of microphone.flac lie in the session.\n\
         # The file has the microphone's samples as they came, on the microphone's own clock, which runs a little fast or slow.\n\
         # flac_sample: a sample of the file, counted from 0. session_ns: when it was captured, in nanoseconds of session time.\n\
         # The first frame of local_recording.mp4 is at {start_ns} ns (tick {start_tick}, timecode {start_timecode}).\n\
         # Between two rows, interpolate linearly. A row \"resumed\" begins a new stretch: samples are missing before it, and the\n\
         # tick before it says where the stretch before ended. \"end\" is the sample after the last.\n\
         flac_sample,session_ns,event\n"
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Start,
    Tick,
    Resumed,
    End,
}

/// A sample of the file, by its number there and by the device's.
#[derive(Debug, Clone, Copy)]
struct Point {
    flac_sample: u64,
    index: u64,
    ns: i64,
}

#[derive(Debug)]
struct Row {
    at: Point,
    event: Event,
    /// Whether its time may still become better known: it lies in the present stretch.
    open: bool,
}

/// Samples in a row that went into the file.
#[derive(Debug)]
struct Block {
    flac_sample: u64,
    index: u64,
    len: u64,
}

impl Point {
    fn after(self, samples: u64) -> Self {
        let span = i128::from(samples) * 1_000_000_000 / i128::from(SAMPLE_RATE);
        Self {
            flac_sample: self.flac_sample + samples,
            index: self.index + samples,
            ns: self.ns.saturating_add(i64::try_from(span).unwrap_or(i64::MAX)),
        }
    }
}

/// Makes the rows.
#[derive(Debug, Default)]
pub(super) struct ClockMap {
    /// Blocks whose session time is not known yet.
    waiting: VecDeque<Block>,
    rows: Vec<Row>,
    /// The end of the last block whose time is known.
    end: Option<Point>,
    /// The file's sample from which on the next tick is due.
    next_tick: u64,
}

impl ClockMap {
    /// The file's samples from `flac_sample` on are `len` of the device's from `index` on.
    pub(super) fn note(&mut self, flac_sample: u64, index: u64, len: u64) {
        self.waiting.push_back(Block { flac_sample, index, len });
    }

    /// Makes the rows that can be made, with `time_of` for the session time of the device's samples.
    pub(super) fn settle(&mut self, time_of: impl Fn(u64) -> Option<i64>) {
        let last = self.waiting.back().map(|last| last.flac_sample + last.len);
        if let Some(until) = last.and_then(|end| end.checked_sub(EVIDENCE)) {
            self.settle_to(until, time_of);
        }
    }

    /// Makes the rows of the blocks that begin up to the file's sample `until`.
    fn settle_to(&mut self, until: u64, time_of: impl Fn(u64) -> Option<i64>) {
        while let Some(&Block { flac_sample, index, len }) = self.waiting.front() {
            if flac_sample > until {
                return;
            }
            let Some(ns) = time_of(index) else { return };
            self.waiting.pop_front();
            let at = Point { flac_sample, index, ns };
            match self.end {
                None => self.add(at, Event::Start),
                Some(end) if end.index != index || (ns - end.ns).abs() > JUMP_NS => {
                    self.rows.iter_mut().for_each(|row| row.open = false);
                    self.rows.push(Row { at: end, event: Event::Tick, open: false });
                    self.add(at, Event::Resumed);
                }
                Some(_) if flac_sample >= self.next_tick => self.add(at, Event::Tick),
                Some(_) => (),
            }
            self.end = Some(at.after(len));
        }
    }

    fn add(&mut self, at: Point, event: Event) {
        self.rows.push(Row { at, event, open: true });
        self.next_tick = at.flac_sample + u64::from(SAMPLE_RATE);
    }

    /// The file ends here: `len` of its samples have come.
    pub(super) fn finish(&mut self, len: u64, time_of: impl Fn(u64) -> Option<i64>) {
        self.settle_to(u64::MAX, &time_of);
        // What has no time yet never gets one: it follows on.
        self.waiting.clear();
        if let Some(end) = self.end {
            let end = end.after(len.saturating_sub(end.flac_sample));
            self.rows.push(Row { at: end, event: Event::End, open: false });
        }
    }

    /// Takes the rows made so far, each with the best that is known of its time by now.
    pub(super) fn take(&mut self, time_of: impl Fn(u64) -> Option<i64>) -> String {
        let mut text = String::new();
        for mut row in self.rows.drain(..) {
            if let (true, Some(ns)) = (row.open, time_of(row.at.index)) {
                row.at.ns = ns;
            }
            let event = match row.event {
                Event::Start => "start",
                Event::Tick => "tick",
                Event::Resumed => "resumed",
                Event::End => "end",
            };
            writeln!(text, "{},{},{event}", row.at.flac_sample, row.at.ns).expect("a string takes any text");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Session time of a device's sample, with a second missing from sample 96000 on.
    fn time(index: u64) -> i64 {
        let lost = if index < 96_000 { 0 } else { 1_000_000_000 };
        (i128::from(index) * 1_000_000_000 / 48_000) as i64 + lost
    }

    #[test]
    fn there_is_a_row_a_second_and_two_where_the_device_was_silent() {
        let mut map = ClockMap::default();
        for block in 0..400_u64 {
            map.note(block * 480, block * 480, 480);
            map.settle(|index| Some(time(index)));
        }
        map.finish(192_000, |index| Some(time(index)));
        assert_eq!(
            map.take(|index| Some(time(index))),
            "0,0,start\n48000,1000000000,tick\n96000,2000000000,tick\n96000,3000000000,resumed\n\
             144000,4000000000,tick\n192000,5000000000,end\n"
        );
    }

    #[test]
    fn samples_that_a_ring_lost_end_one_stretch_and_begin_another() {
        let mut map = ClockMap::default();
        let time = |index: u64| Some((index * 62_500 / 3) as i64);
        for (flac_sample, index) in [(0, 0), (480, 480), (960, 4800), (1440, 5280)] {
            map.note(flac_sample, index, 480);
        }
        map.finish(1920, time);
        assert_eq!(
            map.take(time),
            "0,0,start\n960,20000000,tick\n960,100000000,resumed\n1920,120000000,end\n"
        );
    }

    #[test]
    fn a_first_moment_that_is_corrected_is_written_as_corrected() {
        let mut map = ClockMap::default();
        map.note(0, 10, 480);
        map.settle(|_| Some(600));
        assert_eq!(map.take(|_| Some(600)), "", "nothing has borne it out yet");
        map.note(480, 490, EVIDENCE);
        map.settle(|_| None);
        assert_eq!(map.take(|_| None), "", "nobody knows");
        map.settle(|index| Some(700 + (index as i64 - 10) * 62_500 / 3));
        assert_eq!(map.take(|_| Some(650)), "0,650,start\n");
    }

    #[test]
    fn a_file_without_samples_has_no_rows() {
        let mut map = ClockMap::default();
        map.finish(0, |_| None);
        assert_eq!(map.take(|_| None), "");
    }
}
