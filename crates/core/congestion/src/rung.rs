//! The rungs of the ladder.

/// How much video is sent, the most first.
///
/// The spec's ladder (§4.2.3): first fewer bits, then fewer frames, then a smaller picture, then none. Each rung has fewer bits than the
/// one above it, or it would be no relief to the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Rung {
    /// 854x480, 24 frames a second, 400 kbit/s.
    #[default]
    Full,
    /// 200 kbit/s.
    LowRate,
    /// 15 frames a second, 150 kbit/s.
    LowFps,
    /// 640x360, 100 kbit/s.
    Small,
    /// No video.
    Off,
}

impl Rung {
    /// All of them, from the top.
    pub const ALL: [Self; 5] = [Self::Full, Self::LowRate, Self::LowFps, Self::Small, Self::Off];

    /// The video's bit rate, in kbit/s.
    #[must_use]
    pub fn kbps(self) -> u32 {
        match self {
            Self::Full => 400,
            Self::LowRate => 200,
            Self::LowFps => 150,
            Self::Small => 100,
            Self::Off => 0,
        }
    }

    /// Frames a second at most.
    #[must_use]
    pub fn fps(self) -> u32 {
        match self {
            Self::Full | Self::LowRate => 24,
            Self::LowFps | Self::Small | Self::Off => 15,
        }
    }

    /// Width and height of the picture.
    #[must_use]
    pub fn size(self) -> (u32, u32) {
        match self {
            Self::Full | Self::LowRate | Self::LowFps => (854, 480),
            Self::Small | Self::Off => (640, 360),
        }
    }

    /// What it takes of a path while a frame is sent, in kbit/s: half as much again as on average, headers included. It is the slowest
    /// pace at which the frames of the rung still leave in time.
    #[must_use]
    pub fn pace_kbps(self) -> u32 {
        self.kbps() * 3 / 2
    }

    /// The next one down.
    #[must_use]
    pub fn lower(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }

    /// The next one up.
    #[must_use]
    pub fn higher(self) -> Option<Self> {
        (self as usize).checked_sub(1).and_then(|above| Self::ALL.get(above)).copied()
    }

    /// The highest whose pace fits into so much, in kbit/s.
    #[must_use]
    pub fn that_fits(kbps: u32) -> Self {
        Self::ALL.into_iter().find(|rung| rung.pace_kbps() <= kbps).unwrap_or(Self::Off)
    }
}
