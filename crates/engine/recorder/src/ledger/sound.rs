//! The sound's ledger: where the file holds samples, where the device was silent, and where samples are missing.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What the sound of a take consists of: `captured + silence = written + late`, always.
///
/// In samples of the file, of which there are 48 000 in a second of session time. The device's own are a few millionths more or
/// fewer: what it counted in a time is what the file has for that time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioCounts {
    /// Samples for which the device captured sound, also where it was lost or came too late.
    pub captured: u64,
    /// Samples in the file.
    pub written: u64,
    /// Samples of silence where the device gave none.
    pub silence: u64,
    /// Places with such silence.
    pub gaps: u64,
    /// Samples among the captured that a full ring lost; the file is silent there. Ours, and must be 0.
    pub dropped: u64,
    /// Samples among the captured that came after their place had been filled with silence.
    pub late: u64,
}

/// A stretch of silence in the file's sound where there should have been none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Its first sample, at 48 kHz, counted from the file's first.
    pub start_sample: u64,
    /// Its length in samples.
    pub samples: u64,
    /// Why it is silent.
    pub kind: GapKind,
}

/// Why there is no sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// The device gave nothing.
    Silent,
    /// The device gave it, and a full ring lost it.
    Dropped,
}

/// What a stretch of the file is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filling {
    /// Samples from the device.
    Captured,
    /// Silence, since the device gave nothing.
    Gap,
    /// Silence, since a full ring lost what the device gave.
    Dropped,
}

/// What fills the file from its first sample to the last one settled.
#[derive(Debug, Default)]
pub(crate) struct SoundLedger {
    /// Stretches, one after the other, each with its end; no two neighbours are alike.
    stretches: Vec<(u64, Filling)>,
    /// Places filled otherwise when their samples came, in order.
    late: Vec<Range<u64>>,
}

impl Clone for SoundLedger {
    fn clone(&self) -> Self {
        Self { stretches: self.stretches.clone(), late: self.late.clone() }
    }

    fn clone_from(&mut self, from: &Self) {
        self.stretches.clone_from(&from.stretches);
        self.late.clone_from(&from.late);
    }
}

impl SoundLedger {
    /// Samples settled so far.
    pub(crate) fn len(&self) -> u64 {
        self.stretches.last().map_or(0, |(end, _)| *end)
    }

    /// Fills the file up to `end`.
    pub(crate) fn fill_to(&mut self, end: u64, filling: Filling) {
        if end <= self.len() {
            return;
        }
        match self.stretches.last_mut() {
            Some((last, of)) if *of == filling => *last = end,
            _ => self.stretches.push((end, filling)),
        }
    }

    /// Gaps in `places` turn out to be samples that a full ring lost.
    pub(crate) fn gap_was_dropped(&mut self, places: &Range<u64>) {
        let untouched = self.stretches.partition_point(|(end, _)| *end <= places.start);
        for (end, filling) in self.stretches.split_off(untouched) {
            let inside = if filling == Filling::Gap { Filling::Dropped } else { filling };
            self.fill_to(end.min(places.start), filling);
            self.fill_to(end.min(places.end), inside);
            self.fill_to(end, filling);
        }
    }

    /// Samples came for `places`, which had been filled before.
    pub(crate) fn note_late(&mut self, places: Range<u64>) {
        match self.late.last_mut() {
            Some(last) if last.end == places.start => last.end = places.end,
            _ => self.late.push(places),
        }
    }

    /// The counts of a take that ends after `total` samples.
    pub(crate) fn counts(&self, total: u64) -> AudioCounts {
        let mut counts = AudioCounts::default();
        for (end, filling) in &self.stretches {
            let len = (*end).min(total) - counts.written;
            if len == 0 {
                break;
            }
            counts.written += len;
            match filling {
                Filling::Captured => counts.captured += len,
                Filling::Gap => {
                    counts.silence += len;
                    counts.gaps += 1;
                }
                Filling::Dropped => {
                    counts.captured += len;
                    counts.dropped += len;
                }
            }
        }
        for places in &self.late {
            counts.late += places.end.min(total).saturating_sub(places.start);
        }
        counts.captured += counts.late;
        counts
    }

    /// Where a take that ends after `total` samples has silence instead of sound, in order. The lengths add up to the `silence` and
    /// the `dropped` of its [`counts`](Self::counts).
    pub(crate) fn gaps(&self, total: u64) -> Vec<Gap> {
        let mut start_sample = 0;
        let mut gaps = Vec::new();
        for (end, filling) in &self.stretches {
            let end = (*end).min(total);
            let kind = match filling {
                Filling::Captured => None,
                Filling::Gap => Some(GapKind::Silent),
                Filling::Dropped => Some(GapKind::Dropped),
            };
            if let Some(kind) = kind.filter(|_| end > start_sample) {
                gaps.push(Gap { start_sample, samples: end - start_sample, kind });
            }
            start_sample = end;
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> SoundLedger {
        let mut ledger = SoundLedger::default();
        for (end, filling) in [
            (100, Filling::Captured),
            (250, Filling::Gap),
            (250, Filling::Captured),
            (300, Filling::Captured),
        ] {
            ledger.fill_to(end, filling);
        }
        ledger
    }

    #[test]
    fn every_end_is_counted_as_if_nothing_had_come_after_it() {
        let mut ledger = ledger();
        ledger.note_late(100..130);
        ledger.note_late(130..140);
        for total in 0..320 {
            let it = ledger.counts(total);
            assert_eq!(it.written, total.min(300));
            assert_eq!(it.captured + it.silence, it.written + it.late, "{it:?}");
            assert_eq!(it.gaps, u64::from(total > 100));
            let gap = Gap { start_sample: 100, samples: it.silence, kind: GapKind::Silent };
            assert_eq!(ledger.gaps(total), if total > 100 { vec![gap] } else { vec![] });
        }
        let all = ledger.counts(u64::MAX);
        assert_eq!((all.captured, all.silence, all.late, all.dropped), (190, 150, 40, 0));
    }

    #[test]
    fn a_gap_that_turns_out_to_be_a_loss_changes_sides() {
        let mut ledger = ledger();
        ledger.gap_was_dropped(&(200..250));
        let it = ledger.counts(u64::MAX);
        assert_eq!((it.silence, it.gaps, it.dropped, it.captured), (100, 1, 50, 200));
        ledger.gap_was_dropped(&(120..150));
        let it = ledger.counts(u64::MAX);
        assert_eq!((it.silence, it.gaps, it.dropped), (70, 2, 80), "it is two gaps now");
        let gaps = ledger.gaps(210);
        let gaps: Vec<_> = gaps.iter().map(|it| (it.start_sample, it.samples, it.kind)).collect();
        let (silent, dropped) = (GapKind::Silent, GapKind::Dropped);
        assert_eq!(gaps, [(100, 20, silent), (120, 30, dropped), (150, 50, silent), (200, 10, dropped)]);
        assert_eq!(
            serde_json::to_value(ledger.gaps(120)).unwrap(),
            serde_json::json!([{"start_sample": 100, "samples": 20, "kind": "silent"}])
        );
        ledger.gap_was_dropped(&(50..280));
        let it = ledger.counts(u64::MAX);
        assert_eq!((it.silence, it.gaps, it.dropped, it.captured), (0, 0, 150, 300));
        assert_eq!(ledger.stretches.len(), 3);
    }
}
