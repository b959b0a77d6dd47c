//! `./x bench soak`, `./x bench drift` and `./x bench hour-drift`: long calls between whole processes on this machine.
//!
//! `soak` watches what a call costs over time: memory, processor, what was dropped and lost, and, where it is asked to, what becomes of it
//! when one program is killed and started again or stands still for some seconds.
//!
//! `hour` only draws what the recorder's own test of an hour in virtual time has found.
//!
//! `drift` gives each person a microphone whose clock is off, lets all of them hear the same pips, and looks where these lie in the masters
//! and in the microphones' own files.

mod cost;
mod drift;
mod hour;
mod person;
mod pips;
mod plot;
mod soak;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
struct Cli {
    /// The program under test.
    #[arg(long, global = true, default_value = "hyperzoom")]
    program: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Memory, processor and losses of a long call
    Soak(SoakOptions),
    /// Masters of microphones whose clocks are off, held against each other
    Drift(DriftOptions),
    /// A plot of what the test of an hour in virtual time has written down
    Hour(HourOptions),
}

/// What both have.
#[derive(Args)]
struct Call {
    /// What the cameras see: a low size, since one computer records for all
    #[arg(long, default_value = "pattern:320x180@30")]
    camera: String,
    /// The folder for the takes, empty or not there yet [default: one that is removed at the end]
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Where the plot goes
    #[arg(long)]
    plot: Option<PathBuf>,
}

#[derive(Args)]
struct SoakOptions {
    /// How many people talk
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=4))]
    people: u8,
    /// How long
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Kill the last guest's program (SIGKILL), and start it again; troubles are spread evenly over the call
    #[arg(long)]
    kill: bool,
    /// Let the first guest's program stand still (SIGSTOP) for so many seconds; may be given several times
    #[arg(long, value_name = "SECONDS")]
    suspend: Vec<f64>,
    #[command(flatten)]
    call: Call,
}

#[derive(Args)]
struct DriftOptions {
    /// How long they talk
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// How far the microphones' clocks are off, in parts per million, the host's first
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, default_value = "-300,-50,50,300")]
    ppm: Vec<f64>,
    #[command(flatten)]
    call: Call,
}

#[derive(Args)]
struct HourOptions {
    /// Lines of whose, `corrected` or `alone`, seconds, ms off
    points: PathBuf,
    /// Where the plot goes
    #[arg(long)]
    plot: PathBuf,
}

fn main() -> Result<(), Failure> {
    let cli = Cli::parse();
    match cli.command {
        Command::Soak(options) => soak::run(&cli.program, &options),
        Command::Drift(options) => drift::run(&cli.program, &options),
        Command::Hour(options) => hour::run(&options.points, &options.plot),
    }
}
