//! The command line.

use std::str::FromStr;

use hyperzoom_audio::FrameSize;

use crate::Failed;

const USAGE: &str =
    "usage: ./x bench loss [--frame-ms 2.5|5|10] [--seconds N] [--seeds N] [--seed N] [--bitrate N]
                     [--without-repair] [--no-duel] [--only PART-OF-A-NETWORK'S-NAME] [--hour]";

/// What is measured.
pub(crate) struct Options {
    pub(crate) frame: FrameSize,
    pub(crate) seconds: f64,
    /// How many calls the medians are of.
    pub(crate) seeds: u64,
    /// The first one's seed.
    pub(crate) seed: u64,
    pub(crate) bitrate: i32,
    /// Only the rows without repair.
    pub(crate) without_repair: bool,
    /// Whether GStreamer is tried too.
    pub(crate) is_duel: bool,
    /// Only the hour between two cards.
    pub(crate) is_hour: bool,
    only: Option<String>,
}

impl Options {
    /// # Errors
    /// The usage, where an option is unknown or its value is none.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Failed> {
        let mut options = Self {
            frame: FrameSize::Ms5,
            seconds: 50.0,
            seeds: 3,
            seed: 1,
            bitrate: 64_000,
            without_repair: false,
            is_duel: true,
            is_hour: false,
            only: None,
        };
        while let Some(name) = args.next() {
            match name.as_str() {
                "--frame-ms" => {
                    let frame = FrameSize::from_millis(value(&name, args.next())?);
                    options.frame = frame.ok_or("a frame is 2.5, 5 or 10 ms long")?;
                }
                "--seconds" => options.seconds = value(&name, args.next())?,
                "--seeds" => options.seeds = value(&name, args.next())?,
                "--seed" => options.seed = value(&name, args.next())?,
                "--bitrate" => options.bitrate = value(&name, args.next())?,
                "--without-repair" => options.without_repair = true,
                "--no-duel" => options.is_duel = false,
                "--hour" => options.is_hour = true,
                "--only" => options.only = Some(value(&name, args.next())?),
                _ => return Err(format!("'{name}' is no option.\n{USAGE}").into()),
            }
        }
        // One passage is the least that PESQ can say something of, and an hour the most that anybody waits for.
        if !(5.0..=3600.0).contains(&options.seconds) || options.seeds == 0 {
            return Err(format!("--seconds is 5 to 3600, and --seeds at least 1.\n{USAGE}").into());
        }
        Ok(options)
    }

    /// Whether a network is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}

fn value<T: FromStr>(name: &str, value: Option<String>) -> Result<T, Failed> {
    let value = value.ok_or_else(|| format!("{name} needs a value.\n{USAGE}"))?;
    value.parse().map_err(|_| format!("{name} cannot be '{value}'.\n{USAGE}").into())
}
