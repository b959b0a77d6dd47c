//! One peer's media on its way from the socket to the rings of the decoders.

use std::time::Duration;

use hyperzoom_congestion::QueueMeter;
use hyperzoom_media::{AudioPacket, EncodedFrame};
use hyperzoom_protocol::{Header, PathReport, Reassembler, ReassemblyLimits, VideoNack};
use ringbuf::traits::{Producer, Split};
use ringbuf::{HeapProd, HeapRb};

use crate::events::{LinkStats, PeerInbox};

/// Audio packets that a ring holds: over a second of the shortest frames.
const AUDIO_RING: usize = 512;

/// Video frames that a ring holds: over a second.
const VIDEO_RING: usize = 32;

/// Where no voice came for so long, the numbers that were left out meanwhile are those of a microphone that was muted: it counts on
/// and sends nothing. A network that lets nothing through for so long is down, which is no matter of how much it is given to carry.
const PAUSE: Duration = Duration::from_millis(200);

/// Counts what a stream lost, by its extended sequence numbers.
#[derive(Debug, Default)]
struct LossCounter {
    span: Option<(u64, u64)>,
    received: u64,
    /// Numbers within the span that were never sent.
    unsent: u64,
}

impl LossCounter {
    fn received(&mut self, sequence: u64) {
        self.received += 1;
        self.span = Some(match self.span {
            None => (sequence, sequence),
            Some((first, last)) => (first.min(sequence), last.max(sequence)),
        });
    }

    /// The numbers up to this one were left out by the sender.
    fn leave_out_until(&mut self, sequence: u64) {
        if let Some((first, last)) = self.span
            && sequence > last + 1
        {
            self.unsent += sequence - (last + 1);
            self.span = Some((first, sequence - 1));
        }
    }

    /// Datagrams that were sent to us.
    fn expected(&self) -> u64 {
        self.span.map_or(0, |(first, last)| (last - first + 1).saturating_sub(self.unsent))
    }

    fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }
}

/// What a peer is to be asked for.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Datagrams of video that did not arrive.
    pub(crate) datagrams: Option<VideoNack>,
    /// A keyframe: what came refers to what is lost for good.
    pub(crate) keyframe: bool,
}

pub(crate) struct Inbound {
    id: u8,
    audio: HeapProd<AudioPacket>,
    video: HeapProd<EncodedFrame>,
    reassembler: Reassembler,
    audio_loss: LossCounter,
    last_audio: Duration,
    video_loss: LossCounter,
    meter: QueueMeter,
    /// Datagrams expected and lost as of the last report of the path.
    told: (u64, u64),
    video_frames: u64,
    /// The last whole frame did not fit its ring.
    video_gap: bool,
    keyframes_asked: u64,
    bytes: u64,
    overflowed: u64,
}

impl Inbound {
    pub(crate) fn new(id: u8) -> (Self, PeerInbox) {
        let (audio, audio_out) = HeapRb::new(AUDIO_RING).split();
        let (video, video_out) = HeapRb::new(VIDEO_RING).split();
        let inbound = Self {
            id,
            audio,
            video,
            reassembler: Reassembler::new(ReassemblyLimits::default()),
            audio_loss: LossCounter::default(),
            last_audio: Duration::ZERO,
            video_loss: LossCounter::default(),
            meter: QueueMeter::new(),
            told: (0, 0),
            video_frames: 0,
            video_gap: false,
            keyframes_asked: 0,
            bytes: 0,
            overflowed: 0,
        };
        (inbound, PeerInbox { audio: audio_out, video: video_out })
    }

    pub(crate) fn id(&self) -> u8 {
        self.id
    }

    pub(crate) fn audio(&mut self, now: Duration, header: &Header, sequence: u64, payload: &[u8]) {
        if now.saturating_sub(self.last_audio) >= PAUSE {
            self.audio_loss.leave_out_until(sequence);
        }
        self.last_audio = now;
        self.audio_loss.received(sequence);
        self.meter.audio(now, sequence, header.timestamp_ms, header.datagram_len());
        self.bytes += payload.len() as u64;
        // A payload that no honest peer sends is dropped like any other damage.
        let Ok(packet) = AudioPacket::new(sequence, now, header.timestamp_ms, payload) else { return };
        if self.audio.try_push(packet).is_err() {
            self.overflowed += 1;
        }
    }

    pub(crate) fn video(&mut self, now: Duration, header: &Header, sequence: u64, payload: &[u8]) {
        self.video_loss.received(sequence);
        self.meter.other(now, header.datagram_len());
        self.bytes += payload.len() as u64;
        self.reassembler.insert(now, header, sequence, payload);
    }

    /// Hands on the frames that are due, and says what the peer is to be asked for.
    pub(crate) fn care(&mut self, now: Duration, round_trip: Option<Duration>) -> Wanted {
        if let Some(round_trip) = round_trip {
            self.reassembler.set_round_trip(round_trip);
        }
        let mut wanted = Wanted { datagrams: self.reassembler.question(now), keyframe: false };
        while let Some(frame) = self.reassembler.poll(now) {
            self.video_frames += 1;
            let contiguous = frame.contiguous && !self.video_gap;
            wanted.keyframe |= !contiguous && !frame.keyframe;
            let frame = EncodedFrame {
                keyframe: frame.keyframe,
                contiguous,
                timestamp_ms: frame.timestamp_ms,
                arrived: now,
                data: frame.data,
            };
            // A decoder that is seconds behind loses frames here, and must know it like any other loss.
            self.video_gap = self.video.try_push(frame).is_err();
            self.overflowed += u64::from(self.video_gap);
        }
        wanted.keyframe &= self.reassembler.keyframe_would_help();
        wanted
    }

    /// Whether a keyframe that is asked for now would come sooner than one that comes anyway.
    pub(crate) fn keyframe_would_help(&self) -> bool {
        self.reassembler.keyframe_would_help()
    }

    /// The peer was asked for a keyframe.
    pub(crate) fn note_keyframe_asked(&mut self) {
        self.keyframes_asked += 1;
    }

    /// What the peer is to be told of the path from it, if anything.
    pub(crate) fn path_report(&mut self, now: Duration) -> Option<PathReport> {
        // What was lost and then repaired was lost: whether the path is full shows in what it drops, and when an answer comes is a matter of
        // the round trip and of how far apart the reports are.
        let lost = self.audio_loss.lost() + self.video_loss.lost() + self.reassembler.stats().repaired;
        let expected = self.audio_loss.expected() + self.video_loss.expected();
        let told = &mut self.told;
        let report = self.meter.poll(now, || {
            // A datagram that was taken for lost and only came late makes the count go back; the next report makes up for it.
            let more = (expected.saturating_sub(told.0), lost.saturating_sub(told.1));
            *told = (expected.max(told.0), lost.max(told.1));
            (more.0 as u32, more.1.min(more.0) as u32)
        })?;
        Some(report.into())
    }

    pub(crate) fn fill(&self, stats: &mut LinkStats) {
        stats.id = self.id;
        stats.audio_received = self.audio_loss.received;
        stats.audio_lost = self.audio_loss.lost();
        stats.video_received = self.video_loss.received;
        stats.video_lost = self.video_loss.lost();
        let reassembly = self.reassembler.stats();
        stats.video_repaired = reassembly.repaired;
        stats.video_asked = reassembly.questions;
        stats.keyframes_asked = self.keyframes_asked;
        stats.video_frames = self.video_frames;
        stats.bytes_received = self.bytes;
        stats.overflowed = self.overflowed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperzoom_protocol::PacketType;

    #[test]
    fn loss_is_what_is_missing_between_the_first_and_the_last() {
        let mut counter = LossCounter::default();
        assert_eq!(counter.lost(), 0);
        for sequence in [10, 12, 11, 15] {
            counter.received(sequence);
        }
        assert_eq!((counter.lost(), counter.expected()), (2, 6));
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn header(kind: PacketType, sequence: u64, payload: &[u8]) -> Header {
        Header {
            kind,
            participant: 1,
            sequence: sequence as u16,
            timestamp_ms: 5 * sequence as u32,
            payload_len: payload.len() as u16,
            fragment: 0,
            fragments: 0,
            padding: false,
        }
    }

    /// The path of a call in which datagrams come every 5 ms, those of `lost` not; all that was reported, summed up.
    fn reported(numbers: std::ops::Range<u64>, lost: impl Fn(u64) -> bool) -> (u32, u32) {
        let (mut inbound, _inbox) = Inbound::new(1);
        let (mut expected, mut lost_all) = (0, 0);
        for n in numbers.clone() {
            if !lost(n) {
                inbound.audio(ms(5 * n), &header(PacketType::Audio, n, b"x"), n, b"x");
            }
            if let Some(report) = inbound.path_report(ms(5 * n)) {
                expected += report.expected;
                lost_all += report.lost;
            }
        }
        (expected, lost_all)
    }

    #[test]
    fn a_mute_is_no_loss() {
        let (expected, lost) = reported(0..2000, |n| (500..1500).contains(&n));
        assert_eq!(lost, 0);
        assert!((800..=1000).contains(&expected), "{expected}");
        let (expected, lost) = reported(0..2000, |n| (500..1500).contains(&n) || n % 10 == 3);
        assert!((80..=100).contains(&lost), "what is lost beside it is: {lost} of {expected}");
    }

    #[test]
    fn what_was_repaired_was_lost_whenever_the_answer_came() {
        for answer_after in [0, 10, 300] {
            let (mut inbound, _inbox) = Inbound::new(1);
            let (mut expected, mut lost) = (0, 0);
            let mut answers = Vec::new();
            for n in 0..2000_u64 {
                let now = ms(5 * n);
                inbound.audio(now, &header(PacketType::Audio, n, b"x"), n, b"x");
                let mut video = |n| inbound.video(now, &header(PacketType::VideoDelta, n, b"x"), n, b"x");
                if n == 0 || n % 10 != 3 {
                    video(n);
                }
                answers.retain(|(at, n)| {
                    if *at <= now {
                        video(*n);
                    }
                    *at > now
                });
                if let Some(nack) = inbound.care(now, Some(ms(answer_after))).datagrams {
                    let due = now + ms(answer_after);
                    answers.extend(nack.sequences().map(|n| (due, u64::from(n))));
                }
                if let Some(report) = inbound.path_report(now) {
                    expected += report.expected;
                    lost += report.lost;
                }
            }
            assert!((3600..=4000).contains(&expected), "{expected}");
            assert!((180..=200).contains(&lost), "{lost} of {expected}, answers after {answer_after} ms");
        }
    }
}
