//! What was heard of the others, on its way into the recording's folder.

/// A part of a peer's voice as it came over the network, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct HeardPiece {
    /// The speaker's id in the session.
    pub speaker: u8,
    /// Where in the take it is: `start`, `middle` or `end`.
    pub place: &'static str,
    /// Mono samples at 48 kHz by the count of the speaker's own device.
    pub samples: Vec<f32>,
    /// The session time at which the speaker's microphone captured the first of them, in nanoseconds, as the speaker's packets say; what
    /// the codec adds is taken off.
    pub from_ns: i64,
    /// The same of the last of them.
    pub to_ns: i64,
}

/// Whoever listens to the others while a take runs.
pub trait Ears: Send + Sync {
    /// Parts of each peer's voice that were captured between two moments of session time, in nanoseconds: of each peer at most one at the
    /// start, one in the middle and one at the end of what was heard of it. May take some tenths of a second.
    fn heard(&self, start_ns: i64, end_ns: i64) -> Vec<HeardPiece>;
}
