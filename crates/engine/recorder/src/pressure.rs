//! What is done when the recording falls behind, so that it never has to drop anything.
//!
//! | fill | stage | what happens |
//! | --- | --- | --- |
//! | below 50 % | [`Calm`](PressureStage::Calm) | nothing |
//! | 50 % | [`Shed`](PressureStage::Shed) | the live pictures are given up: they are neither scaled nor encoded nor sent |
//! | 80 % | [`Hurry`](PressureStage::Hurry) | a loud warning, and the video encoder is asked to hurry |
//! | 100 % | [`Full`](PressureStage::Full) | a critical warning; what does not fit is counted as dropped, and a full queue to the disk ends the take |
//!
//! The fill is that of the fullest of picture ring, sound ring and the queue to the disk.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::encode::Effort;

/// How long the fill has to be low before one stage is left.
const CALM_AFTER: Duration = Duration::from_secs(3);

/// Pressure that is back within this time after it was over has come from the live pictures: the computer cannot do both.
const RELAPSE: Duration = Duration::from_secs(30);

/// The longest that the live pictures stay away after the last relapse.
const PATIENCE_LIMIT: Duration = Duration::from_secs(60);

/// How far the recording is behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PressureStage {
    /// Not at all.
    #[default]
    Calm,
    /// The live pictures are given up.
    Shed,
    /// The encoder hurries as well.
    Hurry,
    /// There is no room left: what comes now may be lost.
    Full,
}

impl PressureStage {
    const RISING: [Self; 3] = [Self::Shed, Self::Hurry, Self::Full];

    /// The fill in percent from which on it is entered.
    fn entered_at(self) -> u64 {
        match self {
            Self::Calm => 0,
            Self::Shed => 50,
            Self::Hurry => 80,
            Self::Full => 100,
        }
    }

    /// The fill in percent below which it is left for the one before, after [`CALM_AFTER`].
    fn left_below(self) -> u64 {
        match self {
            Self::Calm => 0,
            Self::Shed => 25,
            Self::Hurry => 50,
            Self::Full => 80,
        }
    }

    fn below(self) -> Self {
        match self {
            Self::Calm | Self::Shed => Self::Calm,
            Self::Hurry => Self::Shed,
            Self::Full => Self::Hurry,
        }
    }
}

/// What fills up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PressureSource {
    /// Pictures that wait for the encoder.
    #[default]
    Pictures,
    /// Samples that wait for the encoder.
    Sound,
    /// What is encoded and waits for the disk.
    Disk,
}

impl fmt::Display for PressureSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pictures => "picture buffer",
            Self::Sound => "sound buffer",
            Self::Disk => "queue to the disk",
        })
    }
}

/// The recording falls further behind, or recovers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PressureChange {
    /// How far it is behind now.
    pub stage: PressureStage,
    /// How far it was behind.
    pub before: PressureStage,
    /// What is fullest.
    pub source: PressureSource,
    /// How full that is, in percent.
    pub percent: u64,
}

impl fmt::Display for PressureChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, before, source, percent } = self;
        let advice = match source {
            PressureSource::Disk => "The disk is slow: stop what else uses it",
            PressureSource::Pictures | PressureSource::Sound => "Close other programs",
        };
        match stage {
            PressureStage::Calm => f.write_str("live video is back: the recording has caught up"),
            PressureStage::Shed if before > stage => {
                write!(f, "catching up, live video still paused (its {source} is {percent} % full)")
            }
            PressureStage::Shed => {
                write!(
                    f,
                    "live video paused: the recording needs the computer (its {source} is {percent} % full)"
                )
            }
            PressureStage::Hurry if before > stage => {
                write!(f, "there is room again, nothing more is lost (its {source} is {percent} % full)")
            }
            PressureStage::Hurry => {
                write!(f, "FALLING BEHIND: its {source} is {percent} % full. {advice}")
            }
            PressureStage::Full => {
                write!(f, "LOSING PICTURES OR SOUND: its {source} is full. {advice} at once")
            }
        }
    }
}

/// How full everything is, in percent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fills {
    pub(crate) pictures: u64,
    pub(crate) sound: u64,
    pub(crate) disk: u64,
}

impl Fills {
    fn fullest(self) -> (PressureSource, u64) {
        let all = [
            (PressureSource::Disk, self.disk),
            (PressureSource::Sound, self.sound),
            (PressureSource::Pictures, self.pictures),
        ];
        all.into_iter().max_by_key(|(_, percent)| *percent).unwrap_or_default()
    }
}

/// The policy: a pure machine, fed with fills and moments.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    stage: PressureStage,
    effort: Effort,
    /// Since when the fill has been low enough to leave the stage.
    low_since: Option<Duration>,
    /// Since when all is calm again, and how long the fill has to be low before that.
    calm_since: Option<Duration>,
    patience: Duration,
    last: Option<Duration>,
    shed: Duration,
    hurried: Duration,
}

impl Pressure {
    /// Takes the fills as of `now`; returns what changed.
    pub(crate) fn update(&mut self, now: Duration, fills: Fills) -> Option<PressureChange> {
        let passed = now.saturating_sub(self.last.unwrap_or(now));
        self.last = Some(now.max(self.last.unwrap_or(now)));
        if self.is_shedding() {
            self.shed += passed;
        }
        if self.effort == Effort::Hurry {
            self.hurried += passed;
        }
        let (source, percent) = fills.fullest();
        let before = self.stage;
        let risen = PressureStage::RISING.into_iter().rfind(|stage| percent >= stage.entered_at());
        if let Some(risen) = risen.filter(|risen| *risen > before) {
            self.stage = risen;
            self.low_since = None;
        } else if percent >= before.left_below() {
            self.low_since = None;
        } else if now.saturating_sub(*self.low_since.get_or_insert(now)) >= self.patience_of(before) {
            self.stage = before.below();
            // Each stage takes its own while.
            self.low_since = Some(now);
        }
        if before == PressureStage::Calm && self.stage > before {
            // Where giving the live pictures back has brought it on again, they stay away longer each time.
            let again = self.calm_since.is_some_and(|since| now.saturating_sub(since) < RELAPSE);
            self.patience = if again { (self.patience * 2).min(PATIENCE_LIMIT) } else { CALM_AFTER };
        } else if self.stage == PressureStage::Calm && before > self.stage {
            self.calm_since = Some(now);
        }
        // That takes fewer bits, too, for which a slow disk is as grateful as a slow processor.
        if self.stage < PressureStage::Hurry {
            self.effort = Effort::Full;
        } else {
            self.effort = Effort::Hurry;
        }
        (self.stage != before).then_some(PressureChange { stage: self.stage, before, source, percent })
    }

    fn patience_of(&self, stage: PressureStage) -> Duration {
        if stage == PressureStage::Shed { self.patience.max(CALM_AFTER) } else { CALM_AFTER }
    }

    /// Whether the live pictures are given up.
    pub(crate) fn is_shedding(&self) -> bool {
        self.stage >= PressureStage::Shed
    }

    /// How hard the video encoder may try.
    pub(crate) fn effort(&self) -> Effort {
        self.effort
    }

    /// How long the live pictures were given up, and how long the encoder was asked to hurry.
    pub(crate) fn times(&self) -> (Duration, Duration) {
        (self.shed, self.hurried)
    }
}

/// What pressure a take was under.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PressureReport {
    /// How long the live video was given up for the recording, in seconds.
    pub live_video_shed_seconds: f64,
    /// How long the video encoder was asked to hurry, in seconds.
    pub encoder_hurried_seconds: f64,
    /// How full the ring of pictures was at worst, in percent.
    pub picture_ring_peak_percent: u64,
    /// How full the ring of samples was at worst, in percent.
    pub sound_ring_peak_percent: u64,
    /// How full the queue to the disk was at worst, in percent.
    pub disk_queue_peak_percent: u64,
    /// The longest that the disk took for one write, in milliseconds.
    pub slowest_write_ms: f64,
    /// The longest that the disk took for one sync, in milliseconds.
    pub slowest_sync_ms: f64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(percent: u64) -> Fills {
        Fills { pictures: percent, ..Fills::default() }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn each_stage_is_entered_at_its_fill_and_left_after_a_while_below_another() {
        let mut it = Pressure::default();
        let mut stages = Vec::new();
        let fills = [
            (0, 49, PressureStage::Calm),
            (10, 50, PressureStage::Shed),
            (20, 79, PressureStage::Shed),
            (30, 80, PressureStage::Hurry),
            (40, 100, PressureStage::Full),
            (50, 79, PressureStage::Full),
            (3_049, 79, PressureStage::Full),
            (3_050, 79, PressureStage::Hurry),
            (3_060, 49, PressureStage::Hurry),
            (6_000, 50, PressureStage::Hurry),
            (6_010, 10, PressureStage::Hurry),
            (9_010, 10, PressureStage::Shed),
            (12_009, 10, PressureStage::Shed),
            (12_010, 24, PressureStage::Calm),
            (90_000, 24, PressureStage::Calm),
        ];
        for (time, percent, stage) in fills {
            let change = it.update(ms(time), at(percent));
            stages.extend(change.map(|change| (change.before, change.stage, change.percent)));
            assert_eq!(it.stage, stage, "{percent} % at {time} ms");
            assert_eq!(it.is_shedding(), stage >= PressureStage::Shed);
            assert_eq!(it.effort() == Effort::Hurry, stage >= PressureStage::Hurry);
        }
        use PressureStage::{Calm, Full, Hurry, Shed};
        assert_eq!(
            stages,
            [
                (Calm, Shed, 50),
                (Shed, Hurry, 80),
                (Hurry, Full, 100),
                (Full, Hurry, 79),
                (Hurry, Shed, 10),
                (Shed, Calm, 24)
            ]
        );
        assert_eq!(it.times(), (ms(12_000), ms(8_980)));
    }

    #[test]
    fn a_jump_skips_stages_and_a_slow_disk_hurries_the_encoder_as_well() {
        let mut it = Pressure::default();
        let fills = Fills { disk: 85, pictures: 20, sound: 3 };
        let change = it.update(ms(0), fills).unwrap();
        assert_eq!((change.before, change.stage), (PressureStage::Calm, PressureStage::Hurry));
        assert_eq!((change.source, it.effort()), (PressureSource::Disk, Effort::Hurry));
        assert!(change.to_string().contains("The disk is slow"), "{change}");
    }

    #[test]
    fn live_pictures_that_bring_the_pressure_back_stay_away_longer_each_time() {
        let mut it = Pressure::default();
        let mut now = 0;
        let mut away = Vec::new();
        for _ in 0..7 {
            it.update(ms(now), at(60));
            let since = now;
            while it.is_shedding() {
                now += 100;
                it.update(ms(now), at(5));
            }
            away.push((now - since) / 1000);
            now += 2_000;
        }
        assert_eq!(away, [3, 6, 12, 24, 48, 60, 60]);
        now += 31_000;
        it.update(ms(now), at(60));
        it.update(ms(now + 1), at(5));
        it.update(ms(now + 3_001), at(5));
        assert!(!it.is_shedding(), "after a while of peace it begins anew");
    }

    proptest! {
        #[test]
        fn it_never_flaps(steps in prop::collection::vec((0u64..400, 0u64..=100), 1..400)) {
            let (mut it, mut now, mut last_change) = (Pressure::default(), 0, None::<u64>);
            for (step, percent) in steps {
                now += step;
                if let Some(change) = it.update(ms(now), at(percent)) {
                    prop_assert_ne!(change.stage, change.before);
                    if change.stage > change.before {
                        prop_assert!(percent >= change.stage.entered_at());
                    } else {
                        // Down goes one stage at a time, and none within three seconds of whatever changed before.
                        prop_assert_eq!(change.stage, change.before.below());
                        prop_assert!(last_change.is_none_or(|last| now - last >= 3_000), "{:?} at {}", change, now);
                    }
                    last_change = Some(now);
                }
                prop_assert!(percent < 50 || it.is_shedding());
                prop_assert!(percent < 80 || it.effort() == Effort::Hurry);
                let (shed, hurried) = it.times();
                prop_assert!(hurried <= shed && shed <= ms(now));
            }
        }
    }
}
