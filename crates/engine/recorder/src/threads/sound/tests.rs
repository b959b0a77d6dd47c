//! From the capture callback to the timeline: every sample where it belongs, and every hole told apart.

use std::ops::Range;
use std::time::Duration;

use hyperzoom_media::{MicFeed, MicTap, SAMPLE_RATE, mic_tap};
use proptest::prelude::*;

use crate::audio_track::AudioTrack;

/// Session time of the take's first sample.
const START_NS: i64 = 5_000_000_000;

/// Three samples are a whole number of nanoseconds, so that moments made of them are exact.
const UNIT: u64 = 3;
const UNIT_NS: i64 = UNIT as i64 * 1_000_000_000 / SAMPLE_RATE as i64;

/// A device, the ring behind it and the track that reads it, and beside them what the truth is.
struct Rig {
    feed: MicFeed,
    tap: MicTap,
    track: AudioTrack,
    out: Vec<f32>,
    /// What the file has to hold.
    truth: Vec<f32>,
    /// Samples that the device counted so far.
    captured: u64,
    dropped: u64,
    stalled: u64,
}

/// Half of the resampler's filter: so far from a hole the sound is what it would be without it.
const REACH: usize = 64;

/// What the device hears at its sample `index`: two tones that do not repeat together, and are never quite silent.
fn sound(index: u64) -> f32 {
    let index = index as f64;
    (0.55 + (0.031 * index).sin() * 0.2 + (0.004_7 * index).cos() * 0.3) as f32
}

fn ns(units: u64) -> i64 {
    units as i64 * UNIT_NS
}

impl Rig {
    fn new(ring_seconds: f32) -> Self {
        let (feed, tap) = mic_tap(ring_seconds);
        Self {
            feed,
            tap,
            track: AudioTrack::new(START_NS),
            out: Vec::new(),
            truth: Vec::new(),
            captured: 0,
            dropped: 0,
            stalled: 0,
        }
    }

    /// The device stands still, and then captures a block of `units`.
    fn capture(&mut self, stall: u64, units: u64) {
        self.stalled += stall * UNIT;
        self.truth.resize(self.truth.len() + (stall * UNIT) as usize, 0.0);
        let at = START_NS + ns(self.truth.len() as u64 / UNIT);
        let len = units * UNIT;
        let block: Vec<f32> = (self.captured..self.captured + len).map(sound).collect();
        self.captured += len;
        if self.feed.push(&block, Duration::from_nanos(at as u64)) == 0 {
            self.truth.extend(block);
        } else {
            self.dropped += len;
            self.truth.resize(self.truth.len() + len as usize, 0.0);
        }
    }

    /// The reader takes what is there. It is the session time at which the device's last sample was captured.
    fn read(&mut self) {
        let mut block = Vec::new();
        while let Some(mark) = self.tap.next_block(&mut block) {
            self.track.push(mark.sample_index, mark.at.as_nanos() as i64, &block, &mut self.out);
        }
        let now = START_NS + ns(self.truth.len() as u64 / UNIT);
        self.track.keep_up(now, &mut self.out);
    }
}

/// What the device does before a block, the block's length, and whether the reader comes after it.
fn steps() -> impl Strategy<Value = Vec<(u64, u64, bool)>> {
    // A stall is longer than a late callback, and up to two seconds; a block is up to 40 ms.
    let stall = prop_oneof![30 => Just(0), 1 => 500_u64..32_000];
    // Few readers make for a ring that overflows, by seconds sometimes.
    (1_u32..60).prop_flat_map(move |pace| {
        let reads = (0..pace).prop_map(|n| n == 0);
        prop::collection::vec((stall.clone(), 1_u64..640, reads), 1..250)
    })
}

/// The stretches of sound between silences, and where they begin.
fn runs(samples: &[f32]) -> impl Iterator<Item = (&[f32], usize)> {
    let mut at = 0;
    samples.chunk_by(|a, b| (*a == 0.0) == (*b == 0.0)).filter_map(move |run| {
        at += run.len();
        (run[0] != 0.0).then_some((run, at - run.len()))
    })
}

proptest! {
    #[test]
    fn every_sample_lies_at_its_index_and_every_hole_is_silence_of_its_length(
        steps in steps(),
        ring_ms in 40_u32..1000,
        cut in 0.0..1.0,
    ) {
        let mut rig = Rig::new(ring_ms as f32 / 1000.0);
        for (stall, units, read) in steps {
            rig.capture(stall, units);
            if read {
                rig.read();
            }
        }
        // A last block that fits shows all that was lost before it.
        rig.read();
        rig.capture(0, 1);
        rig.read();
        rig.track.finish(rig.truth.len() as u64, &mut rig.out);

        prop_assert_eq!(rig.out.len(), rig.truth.len());
        // To the sample where there is silence and where there is sound, and away from the edges the sound itself.
        let wrong = rig.out.iter().zip(&rig.truth).position(|(out, truth)| (*out == 0.0) != (*truth == 0.0));
        prop_assert_eq!(wrong, None, "the first sample that is wrong");
        for (run, at) in runs(&rig.truth) {
            let inside = at + REACH..(at + run.len()).saturating_sub(REACH).max(at + REACH);
            let wrong = inside.clone().find(|n| (rig.out[*n] - rig.truth[*n]).abs() > 1e-3);
            prop_assert_eq!(wrong, None, "the first sample that sounds wrong");
        }
        let counts = rig.track.ledger().counts(u64::MAX);
        prop_assert_eq!(counts.written, rig.truth.len() as u64);
        prop_assert_eq!(counts.captured, rig.captured);
        prop_assert_eq!((counts.dropped, counts.silence, counts.late), (rig.dropped, rig.stalled, 0));
        prop_assert_eq!(counts.gaps > 0, rig.stalled > 0);

        let total = (cut * rig.truth.len() as f64) as u64;
        let counts = rig.track.ledger().counts(total);
        let silent = rig.truth[..total as usize].iter().filter(|sample| **sample == 0.0).count() as u64;
        prop_assert_eq!(counts.written, total);
        prop_assert_eq!(counts.silence + counts.dropped, silent);
        prop_assert_eq!(counts.captured + counts.silence, counts.written + counts.late);
    }
}

fn at(index: u64) -> Duration {
    Duration::from_nanos((START_NS + ns(index / UNIT)) as u64)
}

#[test]
fn blocks_lost_in_the_middle_of_a_backlog_leave_a_hole_just_there() {
    let (mut feed, mut tap) = mic_tap(0.01); // 480 samples
    let mut push = |index: u64| feed.push(&[0.5; 120], at(index));
    for index in [0, 120, 240] {
        assert_eq!(push(index), 0);
    }
    let mut block = Vec::new();
    let mut track = AudioTrack::new(START_NS);
    let mut out = Vec::new();
    let mut read = |tap: &mut MicTap| {
        let mark = tap.next_block(&mut block).unwrap();
        track.push(mark.sample_index, mark.at.as_nanos() as i64, &block, &mut out);
    };
    // One more fits, two are lost, and after a read another fits: it is behind the four, and all of them wait.
    let lost: Vec<_> = [360, 480, 600].into_iter().map(&mut push).collect();
    assert_eq!(lost, [0, 120, 120]);
    read(&mut tap);
    assert_eq!(push(720), 0);
    (0..4).for_each(|_| read(&mut tap));
    track.finish(840, &mut out);
    let silent = |places: Range<usize>| out[places].iter().all(|sample| *sample == 0.0);
    assert!(out.len() == 840 && silent(480..720));
    assert_eq!(out.iter().filter(|sample| **sample != 0.0).count(), 600);
    let counts = track.ledger().counts(u64::MAX);
    assert_eq!((counts.dropped, counts.silence, counts.gaps), (240, 0, 0));
}
