//! The runs, in their order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use hyperzoom_testkit::Pulse;

use crate::Failure;
use crate::hyperzoom::{Call, Said, Sound};
use crate::jack_server::{Jack, SERVER};
use crate::load::Load;
use crate::outcome::{HEAD, Line, Outcome};
use crate::program::is_installed;
use crate::{cpu, peers, pulse_server};

/// The delay from mouth to ear of HyperZoom and its peers, in milliseconds.
#[derive(Debug, Parser)]
struct Args {
    /// The hyperzoom program
    #[arg(long, value_name = "PATH")]
    program: PathBuf,
    /// Chirps of each measurement
    #[arg(long, default_value_t = 110, value_parser = clap::value_parser!(u16).range(2..))]
    chirps: u16,
    /// Seconds that a jitter buffer has to find its depth
    #[arg(long, default_value_t = 20)]
    settle: u64,
    /// Measure HyperZoom once more while every core is busy with other work at normal priority
    #[arg(long)]
    load: bool,
    /// Let JACK's clients come before what else the machine does, as musicians do; with --load they always do
    #[arg(long)]
    realtime: bool,
    /// The frame of live audio, in ms, as hyperzoom's --frame-ms takes it
    #[arg(long, default_value = "2.5")]
    frame_ms: String,
    /// What to measure [default: all]
    #[arg(long, value_delimiter = ',', value_name = "jack,pulse,jamulus,chromium,cpu")]
    only: Vec<String>,
}

/// The frame that three listeners get, in ms, where it is not set (`FramePolicy`).
const CHOSEN_FOR_FOUR: &str = "5";

/// Runs all and prints a line of each.
pub(crate) fn run() -> Result<(), Failure> {
    let args = Args::parse();
    // SAFETY: no other thread runs yet. The JACK library has no other way to be told of a server.
    unsafe { std::env::set_var("JACK_DEFAULT_SERVER", SERVER) };
    let settle = Duration::from_secs(args.settle);
    let (program, chirps, frame) = (&args.program, usize::from(args.chirps), args.frame_ms.as_str());
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let tell = |name: &str, outcome: Result<Outcome, Failure>| match outcome {
        Ok(outcome) => println!("{}", Line(name, &outcome)),
        Err(error) => println!("{name:<48} failed: {error}"),
    };
    println!("mouth to ear, ms\n{HEAD}");
    let jack_name = if args.realtime { "JACK dummy 128, realtime" } else { "JACK dummy 128" };
    let has_jack = is_installed("jackd");
    if !has_jack {
        println!("JACK is skipped: jackd is not installed (apt-get install jackd2)");
    }
    if has_jack && wanted("jack") {
        tell(
            &format!("HyperZoom, {frame} ms, {jack_name}"),
            over_jack(program, frame, args.realtime, chirps, settle),
        );
    }
    if has_jack && wanted("jamulus") {
        match peers::jamulus_program() {
            Some(it) => tell(
                &format!("Jamulus, {jack_name}"),
                peers::jamulus(it, args.realtime, chirps, settle.max(JAMULUS_SETTLES)),
            ),
            None => println!("Jamulus is skipped: not installed (apt-get install jamulus)"),
        }
    }
    let has_pulse = ["pulseaudio", "parec", "pacat"].into_iter().all(is_installed);
    if !has_pulse {
        println!("PulseAudio is skipped: not installed (apt-get install pulseaudio pulseaudio-utils)");
    }
    if has_pulse && wanted("pulse") {
        let pulse = Pulse::start(&[("mic", 1)]);
        tell(
            "the PulseAudio meter itself: should read 0",
            pulse_server::measure(&pulse, "mic", "mic", 10, Duration::ZERO),
        );
        tell(
            &format!("HyperZoom, {frame} ms, PulseAudio null sinks"),
            over_pulse(program, frame, chirps, settle),
        );
    }
    if has_pulse && wanted("chromium") {
        match peers::chromium_program() {
            Some(it) => tell("Chromium WebRTC, PulseAudio null sinks", peers::chromium(it, chirps, settle)),
            None => println!("Chromium is skipped: not installed (apt-get install chromium)"),
        }
    }
    if wanted("cpu") {
        // What the program chooses by itself for four, and what it would be with the frames of the rows above.
        let frames = if frame == CHOSEN_FOR_FOUR { vec![frame] } else { vec![CHOSEN_FOR_FOUR, frame] };
        for frame in frames {
            if let Err(error) = cpu::measure(program, frame, settle) {
                println!("the cost of the sound was not measured: {error}");
            }
        }
    }
    if args.load {
        let load = Load::on_every_core();
        println!("while every core is busy with other work at normal priority");
        if has_jack && wanted("jack") {
            tell(
                &format!("HyperZoom, {frame} ms, JACK dummy 128, realtime"),
                over_jack(program, frame, true, chirps, settle),
            );
        }
        if has_jack
            && wanted("jamulus")
            && let Some(it) = peers::jamulus_program()
        {
            tell(
                "Jamulus, JACK dummy 128, realtime",
                peers::jamulus(it, true, chirps, settle.max(JAMULUS_SETTLES)),
            );
        }
        if has_pulse && wanted("pulse") {
            tell(
                &format!("HyperZoom, {frame} ms, PulseAudio null sinks"),
                over_pulse(program, frame, chirps, settle),
            );
        }
        drop(load);
    }
    Ok(())
}

/// What Jamulus's automatic jitter buffer takes at least.
const JAMULUS_SETTLES: Duration = Duration::from_secs(30);

fn over_jack(
    program: &Path,
    frame_ms: &str,
    realtime: bool,
    chirps: usize,
    settle: Duration,
) -> Result<Outcome, Failure> {
    let jack = Jack::start(realtime)?;
    let sound = |name: &str| Sound { mic: format!("jack:{name}"), speaker: format!("jack:{name}") };
    let call = Call::start(program, frame_ms, [sound("talker"), sound("listener")], |command| {
        command.env("JACK_DEFAULT_SERVER", SERVER);
    })?;
    let (mouth, ear) = ("talker_in:in_0", "listener_out:out_0");
    jack.port(mouth)?;
    jack.port(ear)?;
    let (jack, mut outcome) = jack.measure(&[mouth], ear, chirps, settle)?;
    // In the graph a period's samples are spoken when it begins, as its programs see it, and heard as soon as they are written.
    call.end(&mut outcome, |said| said.listening("device_ms"))?;
    drop(jack);
    Ok(outcome)
}

fn over_pulse(program: &Path, frame_ms: &str, chirps: usize, settle: Duration) -> Result<Outcome, Failure> {
    let pulse = Pulse::start(&[("mic_a", 1), ("spk_a", 1), ("mic_b", 1), ("spk_b", 1)]);
    let sound =
        |name: &str| Sound { mic: format!("pulse:mic_{name}.monitor"), speaker: format!("pulse:spk_{name}") };
    let call = Call::start(program, frame_ms, [sound("a"), sound("b")], |command| pulse.enter(command))?;
    let mut outcome = pulse_server::measure(&pulse, "mic_a", "spk_b", chirps, settle)?;
    // A block of the monitor is dated by its arrival, at the end of its first sample and not of its last.
    call.end(&mut outcome, Said::mic_period)?;
    Ok(outcome)
}
