//! What is left of speech on a bad network: what is concealed and repaired, how deep the jitter buffer is, and PESQ.
//!
//! `./x bench loss [OPTION ...]`. Everything is in virtual time and repeatable by its seeds: espeak-ng's speech through the
//! product's encoder, a [`hyperzoom_netem::Link`], the product's playout and decoder. Figures are medians over the
//! seeds. A second table has GStreamer's jitter buffer beside ours, in real time. With
//! `--hour` it is instead what becomes of the depth while two sound cards differ.
#![allow(missing_docs)]

mod call;
mod duel;
mod feedback;
mod gstreamer;
mod hour;
mod network;
mod options;
mod pesq;
#[allow(dead_code, reason = "the engine's own, which also knows what to tell a person")]
#[path = "../../src/priority.rs"]
mod priority;
mod proxy;
mod speech;

use std::process::ExitCode;

use hyperzoom_netem::Link;

use call::{Call, Figures};
use network::Network;
use options::Options;
use pesq::Pesq;
use speech::Speech;

pub(crate) type Failed = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loss: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failed> {
    let options = Options::parse(std::env::args().skip(1))?;
    if options.is_hour {
        return hour::run(&options);
    }
    if !hyperzoom_testkit::have(&["espeak-ng", "ffmpeg"]) {
        return Err("espeak-ng and ffmpeg make the speech: ./x setup installs them".into());
    }
    let speech = Speech::of(options.seconds)?;
    let mut pesq = Pesq::start();
    if pesq.is_none() {
        println!("(no PESQ: pip install pesq brings it)");
    }
    println!(
        "{:.0} s of speech, frames of {} ms, {} bit/s, periods of 2.5 ms, {} seeds from {}",
        speech.seconds(),
        options.frame.millis(),
        options.bitrate,
        options.seeds,
        options.seed,
    );
    table(&options, &speech, &mut pesq)?;
    if options.is_duel { duel::run(&options, &mut pesq) } else { Ok(()) }
}

/// A row for each network, without repair and with it.
fn table(options: &Options, speech: &Speech, pesq: &mut Option<Pesq>) -> Result<(), Failed> {
    println!(
        "{:<28} {:<8} {:>11} {:>10} {:>7} {:>9} {:>7} {:>6}",
        "network", "repair", "concealed %", "repaired %", "runs ms", "depth ms", "kbit/s", "PESQ"
    );
    for network in Network::all().iter().filter(|network| options.wants(&network.name)) {
        for repair in [false, true] {
            if !(repair && options.without_repair) {
                let seeds = options.seed..options.seed + options.seeds;
                let rounds: Result<Vec<Round>, Failed> =
                    seeds.map(|seed| round(options, network, repair, seed, speech, pesq)).collect();
                row(&network.name, repair, &rounds?);
            }
        }
    }
    Ok(())
}

/// Medians, each for itself.
fn row(network: &str, repair: bool, rounds: &[Round]) {
    let median = |of: fn(&Round) -> f64| median(rounds.iter().map(of));
    println!(
        "{network:<28} {:<8} {:>11.2} {:>10.2} {:>7.1} {:>9.1} {:>7.1} {:>6}",
        if repair { "with" } else { "without" },
        median(|it| it.figures.concealed),
        median(|it| it.figures.repaired),
        median(|it| it.figures.run_ms),
        median(|it| it.figures.depth_ms),
        median(|it| it.figures.kbps),
        shown(median(|it| it.pesq)),
    );
}

/// One seed's call.
struct Round {
    figures: Figures,
    /// NaN where there is none.
    pesq: f64,
}

fn round(
    options: &Options,
    network: &Network,
    repair: bool,
    seed: u64,
    speech: &Speech,
    pesq: &mut Option<Pesq>,
) -> Result<Round, Failed> {
    // Each seed's periods lie elsewhere between the frames: the golden ratio's multiples spread them evenly.
    let phase = (seed as f64 * 0.618_033_988_749_895).fract();
    let mut call =
        Call::new(options.frame, options.bitrate, Link::new(network.conditions, seed), 0.0, phase)?;
    if repair {
        // The way back is as bad, but not at the same moments.
        call.repair_by(Link::new(network.conditions, !seed));
    }
    let (mut spoken, mut heard) = (0, Vec::with_capacity(speech.samples.len() + 48_000));
    let mut speak = |frame: &mut [f32]| {
        let rest = &speech.samples[spoken.min(speech.samples.len())..];
        let count = rest.len().min(frame.len());
        frame[..count].copy_from_slice(&rest[..count]);
        frame[count..].fill(0.0);
        spoken += frame.len();
    };
    let mut hear = |period: &[f32], _: &_| heard.extend_from_slice(period);
    // The end of what is said is still on its way when it was said.
    let rest = 0.5;
    let seconds = speech.seconds() + rest;
    let outage = network.outage.map_or(0.0, |outage| outage.as_secs_f64());
    call.run(seconds / 2.0, &mut speak, &mut hear)?;
    call.link.set_conditions(hyperzoom_netem::Conditions {
        loss: if outage > 0.0 { 1.0 } else { network.conditions.loss },
        ..network.conditions
    });
    call.run(outage, &mut speak, &mut hear)?;
    call.link.set_conditions(network.conditions);
    call.run(seconds / 2.0 - outage, &mut speak, &mut hear)?;
    let pesq = pesq.as_mut().map_or(Ok(f64::NAN), |pesq| pesq.score(speech, &heard))?;
    Ok(Round { figures: call.figures(), pesq })
}

fn shown(value: f64) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.2}") }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
