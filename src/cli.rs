//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hyperzoom_audio::SoundSpec;
use hyperzoom_video::CameraSpec;

const EXAMPLES: &str = "\
Examples:
  hyperzoom                                     opens the window: everything can be done there
  hyperzoom host --headless --name Ada          wait for others at the terminal; prints the invite to read out
  hyperzoom join 192.168.1.20:47800#6YQ2…       join with that invite
  hyperzoom demo --people 2 --seconds 10        a whole call on this machine, recorded and checked
  hyperzoom devices                             what can be given to --mic, --speaker and --camera
  hyperzoom verify ~/HyperZoom/recordings/*     check takes
  hyperzoom recover ~/HyperZoom/recordings      finish the takes that were cut off

Exit codes:
  0  all well
  1  something that was asked for did not hold (a check failed, frames were dropped)
  2  wrong usage (an unknown option, a damaged invite)
  3  could not connect (nobody answers, refused, port taken)
  4  a device failed (microphone, loudspeaker, camera, the disk)";

/// Record podcasts with people in other places: talk with almost no delay, and record on every machine.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; the window opens where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How others are reached from the window.
    #[command(flatten)]
    pub network: NetworkArgs,
}

/// What the program can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open a session and its invite, wait for others, talk, record
    Host(HostArgs),
    /// Join the session of an invite
    Join(JoinArgs),
    /// A whole call on this machine between synthetic people, recorded and checked
    Demo(DemoArgs),
    /// List sound devices and picture sources
    Devices(DevicesArgs),
    /// Check takes: what is in the files, and whether it is whole
    Verify(VerifyArgs),
    /// Finish takes that were cut off by a crash or a loss of power
    Recover(RecoverArgs),
}

const HOST_EXAMPLES: &str = "\
Examples:
  hyperzoom host --name Ada
  hyperzoom host --name Ada --mic usb --speaker headphones --port 5000
  hyperzoom host --resume          after a crash: the guests come back by themselves
  hyperzoom host --headless --mic file:speech.wav --camera pattern --speaker none --for 60 --json
  (sleep 60; echo \"the good bit\"; sleep 30; echo) | hyperzoom host --headless --markers     two markers from a script

With --headless, while the call is recorded, a name and Enter set a marker at that moment, and Enter alone a numbered one. Markers become
chapters of the recording.";

/// `hyperzoom host`
#[derive(Debug, Args)]
#[command(after_help = HOST_EXAMPLES)]
pub struct HostArgs {
    /// The UDP port to wait at [default: 47800, or any free one where that is taken]
    #[arg(long, value_name = "P")]
    pub port: Option<u16>,
    /// Let anybody on the network in, without a key: only for a network where you trust everybody
    #[arg(long)]
    pub open: bool,
    /// Go on with the session that was cut off last (a crash, a power cut): the invite is the same, and its guests come back by themselves
    #[arg(long, conflicts_with_all = ["port", "open"])]
    pub resume: bool,
    /// What all calls have.
    #[command(flatten)]
    pub call: CallArgs,
}

const JOIN_EXAMPLES: &str = "\
Examples:
  hyperzoom join 192.168.1.20:47800#6YQ2… --name Bob
  hyperzoom join 127.0.0.1:47800#6YQ2… --headless --mic tone --speaker none --camera pattern --for 60 --json";

/// `hyperzoom join`
#[derive(Debug, Args)]
#[command(after_help = JOIN_EXAMPLES)]
pub struct JoinArgs {
    /// The invite as the host reads it out: IP:PORT#KEY
    pub invite: String,
    /// What all calls have.
    #[command(flatten)]
    pub call: CallArgs,
}

/// What hosting and joining have in common.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// Run without a window, at the terminal
    #[arg(long)]
    pub headless: bool,
    /// The name that others see [default: your user name]
    #[arg(long, value_name = "N")]
    pub name: Option<String>,
    /// How others are reached.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// End the call this long after it began, in seconds [default: when you press Ctrl-C]
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub for_seconds: Option<f64>,
    /// Print a report as JSON at the end
    #[arg(long, requires = "headless")]
    pub json: bool,
    /// Set a marker for each line of standard input, also where that is no terminal
    #[arg(long, requires = "headless", conflicts_with = "no_record")]
    pub markers: bool,
    /// Let programs on this machine look inside of the call while it runs, over Bevy's remote protocol: curl -d '{"jsonrpc":"2.0","id":1,
    /// "method":"world.query","params":{"data":{"option":"all"},"filter":{"with":["hyperzoom::RecorderEngine"]}}}' 127.0.0.1:15702
    #[arg(long, requires = "headless", value_name = "PORT", num_args = 0..=1, require_equals = true,
        default_missing_value = crate::inspect::PORT)]
    pub inspect: Option<u16>,
    /// Devices and files.
    #[command(flatten)]
    pub media: MediaArgs,
}

/// How others are reached.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// The address of the network interface to use [default: all]
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<IpAddr>,
    /// Do not ask the router to let others in (UPnP)
    #[arg(long)]
    pub no_upnp: bool,
    /// How long the router is asked to let others in at a time, in seconds. For tests: what a crash leaves behind lasts so long
    #[arg(long, value_name = "SECONDS", hide = true, value_parser = clap::value_parser!(u64).range(2..),
        default_value_t = crate::call::ROUTER_LEASE.as_secs())]
    pub upnp_lease: u64,
}

/// Where sound and pictures come from, and where they go.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Media")]
pub struct MediaArgs {
    /// The microphone: default, part of a device's name, none, tone, tone:HZ, file:PATH.wav; pulse:, jack: or alsa: in front
    /// of a name chooses the sound system [default: default; in the window the last one]
    #[arg(long, value_name = "SPEC")]
    pub mic: Option<SoundSpec>,
    /// The loudspeaker: default, part of a device's name, none, file:PATH.wav (writes what is heard) [default: default; in the
    /// window the last one]
    #[arg(long, value_name = "SPEC")]
    pub speaker: Option<SoundSpec>,
    /// The camera: default, part of a camera's name, or its place (/dev/video0), with :WxH or :WxH@FPS behind it for another size
    /// than its best; none, pattern, pattern:WxH@FPS, file:PATH.y4m (loops) [default: none; in the window the last one]
    #[arg(long, value_name = "SPEC")]
    pub camera: Option<CameraSpec>,
    /// Begin with the camera off for the others: its pictures are recorded and not sent
    #[arg(long)]
    pub camera_off: bool,
    /// The folder that takes are kept in [default: ~/HyperZoom/recordings]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// The length of a frame of live audio: shorter is less delay and more packets; auto goes by the network and this machine
    #[arg(long, value_name = "MS", default_value = "auto")]
    pub frame_ms: FrameMs,
    /// Talk without recording
    #[arg(long)]
    pub no_record: bool,
    /// Record without microphone.flac, the microphone as it came, 24 bit, on its own clock (about 6 MB a minute)
    #[arg(long)]
    pub no_flac: bool,
}

/// The lengths that a frame of live audio can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FrameMs {
    /// As short as the network and this machine hold.
    #[value(name = "auto")]
    Auto,
    /// 2.5 ms: least delay, most packets.
    #[value(name = "2.5")]
    TwoAndAHalf,
    /// 5 ms.
    #[value(name = "5")]
    Five,
    /// 10 ms: fewest packets.
    #[value(name = "10")]
    Ten,
}

/// `hyperzoom demo`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hyperzoom demo\n  hyperzoom demo --people 2 --seconds 30 --folder /tmp/demo --json"
)]
pub struct DemoArgs {
    /// How many people talk
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=4))]
    pub people: u8,
    /// How long they talk
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub seconds: f64,
    /// Where their takes go, a folder a person [default: a new folder for temporary files]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
}

/// `hyperzoom devices`
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Print the list as JSON
    #[arg(long)]
    pub json: bool,
}

/// `hyperzoom verify`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hyperzoom verify ~/HyperZoom/recordings/2026-02-27_20-15-00\n  hyperzoom verify --json take-a take-b"
)]
pub struct VerifyArgs {
    /// The folders of the takes; several of one call are held against each other, by the sync tones in them and by what each has heard of
    /// the others
    #[arg(required = true)]
    pub folders: Vec<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

const RECOVER_EXAMPLES: &str = "\
Examples:
  hyperzoom recover ~/HyperZoom/recordings/2026-02-27_20-15-00     one take
  hyperzoom recover ~/HyperZoom/recordings                         all that were cut off in there
  hyperzoom recover --json /media/card/local_recording.mp4

A take that ended well is left as it is, and so is one that is being recorded. `host` and `join` recover what they find in
their folder by themselves.

Exit codes:
  0  all is recovered, or there was nothing to do
  1  something could not be recovered
  2  wrong usage";

/// `hyperzoom recover`
#[derive(Debug, Args)]
#[command(after_help = RECOVER_EXAMPLES)]
pub struct RecoverArgs {
    /// Takes' folders, their recordings, or folders of takes
    #[arg(required = true, value_name = "FILE_OR_FOLDER")]
    pub paths: Vec<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,
}

/// A length of time in seconds: positive, and no more than a week.
fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("'{text}' is not a number of seconds"))?;
    if value > 0.0 && value <= 7.0 * 86_400.0 {
        Ok(value)
    } else {
        Err("give a number of seconds above 0 and up to 604800 (a week)".into())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_lease_that_would_be_renewed_without_end_is_refused() {
        let parse = |lease| Cli::try_parse_from(["hyperzoom", "host", "--upnp-lease", lease]);
        for lease in ["0", "1", "-5", "x"] {
            assert!(parse(lease).is_err(), "{lease}");
        }
        assert!(parse("2").is_ok());
    }

    #[test]
    fn nonsense_lengths_are_refused() {
        for text in ["0", "-3", "nan", "inf", "abc", "604801"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert_eq!(seconds("2.5"), Ok(2.5));
    }
}
