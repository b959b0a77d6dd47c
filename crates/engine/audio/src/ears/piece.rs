//! Two seconds of a voice, as packets, and when they were said.

use hyperzoom_media::SAMPLE_RATE;
use hyperzoom_playout::{FURTHEST_COPY, FrameDecoder, FrameSize, PlayoutConfig};

use crate::codec::{Decoder, LOOKAHEAD};

/// Samples until a decoder that begins in the middle of a voice is right: 100 ms. They are decoded and not kept.
pub(super) const WARM_UP: usize = SAMPLE_RATE as usize / 10;
/// A sample's length by the name-plate rate, in nanoseconds.
const SAMPLE_NS: f64 = 1e9 / SAMPLE_RATE as f64;
/// Stamps are whole milliseconds, and dithered over another. One that is further than this from the line through all of them, in
/// nanoseconds, is of a device that stood still, or of a clock that was corrected.
const OFF_NS: f64 = 2_500_000.0;
/// No crystal is off by more than this.
const MOST_SKEW: f64 = 1e-3;

/// A packet of a piece.
#[derive(Debug, Clone)]
pub(super) struct Stamped {
    pub(super) sequence: u64,
    /// When its first sample was captured, by its stamp.
    pub(super) stamp_ns: i64,
    pub(super) payload: Box<[u8]>,
}

/// A piece of a voice.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    size: FrameSize,
    /// Frames that are decoded; behind them are some that may hold copies of these.
    wanted: usize,
    frames: Vec<Stamped>,
    times: (i64, i64),
}

impl Piece {
    /// A piece of `wanted` frames, that begins with the first of `frames`; none where their stamps do not lie on a line.
    pub(super) fn new(size: FrameSize, wanted: usize, frames: Vec<Stamped>) -> Option<Self> {
        let first = frames.first()?;
        let (base, base_ns) = (first.sequence, first.stamp_ns);
        let at = |sample: f64| sample * SAMPLE_NS;
        let points: Vec<(f64, f64)> = frames
            .iter()
            .map(|frame| {
                let x = at((frame.sequence - base) as f64 * size.samples() as f64);
                (x, (frame.stamp_ns - base_ns) as f64 - x)
            })
            .collect();
        let line = Line::through(&points)?;
        let straight = points.iter().all(|(x, y)| (y - line.at(*x)).abs() <= OFF_NS);
        if !straight || line.slope.abs() > MOST_SKEW {
            return None;
        }
        // What comes out of the decoder went into the encoder so many samples earlier.
        let captured_ns = |sample: f64| {
            let x = at(sample - LOOKAHEAD as f64);
            base_ns + (x + line.at(x)).round() as i64
        };
        let times = (captured_ns(WARM_UP as f64), captured_ns((wanted * size.samples() - 1) as f64));
        Some(Self { size, wanted, frames, times })
    }

    /// The session times at which the first and the last of its decoded samples were captured, in nanoseconds.
    pub(super) fn times(&self) -> (i64, i64) {
        self.times
    }

    /// Its samples; none where libopus has no decoder for us.
    pub(super) fn decode(&self) -> Option<Vec<f32>> {
        let mut decoder = Decoder::new().ok()?;
        let first = self.frames.first()?.sequence;
        let mut out = Vec::with_capacity(self.wanted * self.size.samples());
        let mut frame = [0.0; PlayoutConfig::MAX_FRAME_SAMPLES];
        let frame = &mut frame[..self.size.samples()];
        for sequence in first..first + self.wanted as u64 {
            let right = match self.payload(sequence) {
                Some(payload) => decoder.decode(payload, frame),
                None => (1..=FURTHEST_COPY).any(|distance| {
                    let later = self.payload(sequence + u64::from(distance));
                    later.is_some_and(|later| decoder.recover(later, distance, frame))
                }),
            };
            if !right {
                decoder.conceal(frame);
            }
            out.extend_from_slice(frame);
        }
        out.drain(..WARM_UP.min(out.len()));
        Some(out)
    }

    fn payload(&self, sequence: u64) -> Option<&[u8]> {
        let at = self.frames.binary_search_by_key(&sequence, |frame| frame.sequence).ok()?;
        Some(&self.frames[at].payload)
    }
}

/// A least-squares line.
struct Line {
    x: f64,
    y: f64,
    slope: f64,
}

impl Line {
    fn through(points: &[(f64, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|it| it.0), mean(|it| it.1));
        let spread: f64 = points.iter().map(|it| (it.0 - x).powi(2)).sum();
        let product: f64 = points.iter().map(|it| (it.0 - x) * (it.1 - y)).sum();
        (spread > 0.0).then(|| Self { x, y, slope: product / spread })
    }

    fn at(&self, x: f64) -> f64 {
        self.y + self.slope * (x - self.x)
    }
}
