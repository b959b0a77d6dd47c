//! A stranger floods the port of a host who is in a call: what is left of the voices, and what it costs.
//!
//! Host and guest are processes of their own, each with a tone for a microphone and without a picture. The call is made twice, once left in
//! peace and once flooded from a second after its start to its end, so that what the machine itself loses is seen beside. What
//! threads and memory cost is read from `/proc`, where there is one.

mod call;
mod process;
mod stranger;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Why something was not measured, for a person.
type Failure = Box<dyn std::error::Error>;

/// What a stranger who floods a host's port takes from a call.
#[derive(Debug, Parser)]
struct Args {
    /// The hyperzoom program
    #[arg(long, value_name = "PATH")]
    program: PathBuf,
    /// How long each call is watched, in seconds
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Datagrams that the stranger sends a second
    #[arg(long, default_value_t = 50_000)]
    rate: u32,
    /// Host without a key, so that the stranger's handshakes are read
    #[arg(long)]
    open: bool,
    /// Record on both sides as well
    #[arg(long)]
    record: bool,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    println!("{}", call::HEAD);
    let watched = Duration::from_secs(args.seconds);
    for rate in [0, args.rate] {
        println!("{}", call::measure(&args.program, rate, watched, args.open, args.record)?);
    }
    Ok(())
}
