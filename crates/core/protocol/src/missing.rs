//! Which datagrams of a video stream are missing, and when to ask for them once more.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Video datagrams that are wanted once more, in the manner of RFC 4585 §6.2.1: one by its number, and of the 32 after it
/// those whose bit is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoNack {
    /// The number of the first.
    pub first: u16,
    /// Bit n: number `first` + n + 1 is wanted as well.
    pub following: u32,
}

impl VideoNack {
    /// The numbers of all of them, ascending but for the wrap: at most 33.
    pub fn sequences(self) -> impl Iterator<Item = u16> {
        let following = (0..32).filter(move |bit| self.following >> bit & 1 == 1);
        std::iter::once(self.first).chain(following.map(move |bit| self.first.wrapping_add(bit + 1)))
    }
}

/// More missing datagrams than this are an outage, which a new keyframe mends with less: on a narrow path, whose datagrams are short, that
/// is some 96 of them.
const MOST: usize = 128;

/// So long a gap is given to close by itself: datagrams overtake one another.
const PATIENCE: Duration = Duration::from_millis(4);

/// An answer is given so much longer than the round trip before the question is repeated: its sender takes turns with audio, and with
/// the video that goes on.
const ANSWER: Duration = Duration::from_millis(20);

/// And so much longer for each datagram before it: answers keep to the path's pace, at which a datagram takes about this.
const EACH: Duration = Duration::from_millis(5);

/// How often one datagram is asked for at most. Where a tenth is lost both ways, one in ten thousand is still missing then.
const TRIES: u8 = 5;

/// Questions are at least so far apart.
const SPACING: Duration = Duration::from_millis(5);

/// What a round trip is taken for until it is known.
const ROUND_TRIP: Duration = Duration::from_millis(100);

/// The missing datagrams of one stream that can still come in time.
#[derive(Debug)]
pub(crate) struct Gaps {
    /// One more than the highest number that came.
    end: u64,
    /// Ascending.
    gaps: VecDeque<Gap>,
    round_trip: Duration,
    /// A datagram that comes later than this after it was missed is of no use.
    within: Duration,
    next_question: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Gap {
    sequence: u64,
    found: Duration,
    asked: Duration,
    /// How long the answers that were asked for before it take.
    behind: Duration,
    tries: u8,
}

impl Gaps {
    pub(crate) fn new(within: Duration) -> Self {
        Self {
            end: 0,
            gaps: VecDeque::with_capacity(MOST),
            round_trip: ROUND_TRIP,
            within,
            next_question: Duration::ZERO,
        }
    }

    pub(crate) fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    pub(crate) fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// One more than the highest number that came.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// A datagram came, of a frame that begins with number `frame`; whether it had been asked for.
    pub(crate) fn received(&mut self, now: Duration, sequence: u64, frame: u64) -> bool {
        if sequence < self.end {
            let Ok(at) = self.gaps.binary_search_by_key(&sequence, |gap| gap.sequence) else { return false };
            return self.gaps.remove(at).is_some_and(|gap| gap.tries > 0);
        }
        let mut lost = self.end..sequence;
        if lost.end - lost.start > (MOST - self.gaps.len()) as u64 {
            // Only the frame that is arriving may still become whole.
            self.gaps.clear();
            lost.start = lost.start.max(frame).max(sequence.saturating_sub(MOST as u64));
        }
        self.gaps.extend(lost.map(|sequence| Gap {
            sequence,
            found: now,
            asked: now,
            behind: Duration::ZERO,
            tries: 0,
        }));
        self.end = sequence + 1;
        false
    }

    /// Nothing below is wanted any more.
    pub(crate) fn forget_below(&mut self, sequence: u64) {
        while self.gaps.front().is_some_and(|gap| gap.sequence < sequence) {
            self.gaps.pop_front();
        }
    }

    /// Whether something below may still come in time.
    pub(crate) fn hope_below(&self, sequence: u64) -> bool {
        self.gaps.front().is_some_and(|gap| gap.sequence < sequence)
    }

    /// Gives up what cannot come in time any more.
    pub(crate) fn expire(&mut self, now: Duration) {
        let (round_trip, within) = (self.round_trip, self.within);
        self.gaps.retain(|gap| {
            let in_time = now + round_trip <= gap.found + within;
            let waits = now < gap.asked + Self::wait(gap, round_trip);
            waits && now <= gap.found + within || in_time && gap.tries < TRIES
        });
    }

    /// How long after `asked` the next question is due.
    fn wait(gap: &Gap, round_trip: Duration) -> Duration {
        if gap.tries == 0 { PATIENCE } else { round_trip + ANSWER + gap.behind }
    }

    /// What is to be asked for now. Each is asked for again only when the answer should have come.
    pub(crate) fn question(&mut self, now: Duration) -> Option<VideoNack> {
        if self.gaps.is_empty() || now < self.next_question {
            return None;
        }
        self.expire(now);
        let round_trip = self.round_trip;
        let mut first = None;
        let mut following = 0;
        let waits = |gap: &&Gap| gap.tries > 0 && now < gap.asked + Self::wait(gap, round_trip);
        let mut behind = EACH * self.gaps.iter().filter(waits).count() as u32;
        for gap in &mut self.gaps {
            let in_time = now + round_trip <= gap.found + self.within;
            if gap.tries >= TRIES || !in_time || now < gap.asked + Self::wait(gap, round_trip) {
                continue;
            }
            let offset = gap.sequence - *first.get_or_insert(gap.sequence);
            match offset {
                0 => {}
                1..=32 => following |= 1 << (offset - 1),
                _ => break,
            }
            gap.asked = now;
            gap.behind = behind;
            gap.tries += 1;
            behind += EACH;
        }
        let first = first? as u16;
        self.next_question = now + SPACING;
        Some(VideoNack { first, following })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn gaps(round_trip: u64, received: &[u64]) -> Gaps {
        let mut gaps = Gaps::new(ms(500));
        gaps.set_round_trip(ms(round_trip));
        for sequence in received {
            gaps.received(ms(0), *sequence, *sequence);
        }
        gaps
    }

    #[test]
    fn the_mask_names_what_is_missing() {
        let mut gaps = gaps(10, &[0, 2, 4, 9]);
        assert_eq!(gaps.question(ms(3)), None, "it may only be late");
        let nack = gaps.question(ms(4)).unwrap();
        assert_eq!(nack.sequences().collect::<Vec<_>>(), [1, 3, 5, 6, 7, 8]);
        let wrapping = VideoNack { first: u16::MAX, following: 0b101 };
        assert_eq!(wrapping.sequences().collect::<Vec<_>>(), [u16::MAX, 0, 2]);
    }

    #[test]
    fn after_an_outage_only_the_frame_that_is_arriving_is_asked_for() {
        let mut gaps = gaps(10, &[0, 2]);
        gaps.received(ms(0), 150, 147);
        let nack = gaps.question(ms(4)).unwrap();
        assert_eq!(nack.sequences().collect::<Vec<_>>(), [147, 148, 149]);
        gaps.received(ms(4), 5000, 4750);
        assert_eq!(gaps.gaps.len(), MOST);
    }

    #[test]
    fn a_question_is_repeated_only_when_its_answer_should_have_come() {
        let mut gaps = gaps(40, &[0, 2]);
        let mut asked = Vec::new();
        for now in 0..600 {
            if gaps.question(ms(now)).is_some() {
                asked.push(now);
            }
        }
        assert_eq!(asked, [4, 64, 124, 184, 244]);
        assert!(!gaps.hope_below(u64::MAX), "that was all");
    }

    #[test]
    fn a_keyframe_of_a_narrow_path_is_asked_for_whole_and_not_twice_while_its_answers_are_on_their_way() {
        let mut gaps = gaps(40, &[0]);
        // 15 kB at 240 kbit/s are 96 datagrams of 160 bytes; the last one arrives.
        gaps.received(ms(0), 96, 1);
        let mut asked = Vec::new();
        let mut asks = 0;
        for now in 0..520 {
            if let Some(nack) = gaps.question(ms(now)) {
                asks += 1;
                asked.extend(nack.sequences().map(u64::from));
            }
            // From 4 ms and a round trip on, one comes every 5 ms.
            if now >= 44 && (now - 44) % 5 == 0 && (now - 44) / 5 < 95 {
                gaps.received(ms(now), (now - 44) / 5 + 1, 1);
            }
        }
        assert_eq!((asked, asks), ((1..96).collect(), 3));
    }

    #[test]
    fn what_cannot_come_in_time_is_not_asked_for() {
        let mut gaps = gaps(501, &[0, 2]);
        assert!((0..600).all(|now| gaps.question(ms(now)).is_none()));
        let mut gaps = self::gaps(300, &[0, 2]);
        let asked = (0..600).filter(|now| gaps.question(ms(*now)).is_some()).count();
        assert_eq!(asked, 1, "the second answer would come after 624 ms");
    }

    #[test]
    fn what_came_is_not_asked_for() {
        let mut gaps = gaps(40, &[0, 3]);
        assert!(!gaps.received(ms(1), 1, 1), "late, and nobody had asked");
        let nack = gaps.question(ms(4)).unwrap();
        assert_eq!(nack.sequences().collect::<Vec<_>>(), [2]);
        assert!(gaps.received(ms(50), 2, 2), "the answer");
        assert_eq!(gaps.question(ms(100)), None);
    }
}
