//! Two engines call each other over a path that becomes narrow and wide again: what becomes of voice and picture.
//!
//! `./x bench ladder [OUT.png]` prints a table and draws a plot. The path is free, then lets 150 kbit/s through, then 1 Mbit/s, then is free
//! again; each way 10 ms, with a queue of 200 ms.
#![allow(missing_docs, reason = "a benchmark")]

mod person;
mod plot;
mod proxy;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyperzoom_congestion::Rung;
use hyperzoom_netem::Conditions;
use hyperzoom_transport::Role;

use person::{Person, Sample};
use proxy::{Passage, Proxy};

/// What makes a benchmark end early.
type Failed = Box<dyn std::error::Error>;

/// What every datagram takes each way.
const DELAY: Duration = Duration::from_millis(10);

/// The path, for so many seconds each: its rate in bits a second.
const PHASES: [(&str, u64, Option<u64>); 4] = [
    ("free", 15, None),
    ("150 kbit/s", 30, Some(150_000)),
    ("1 Mbit/s", 60, Some(1_000_000)),
    ("free again", 20, None),
];

fn conditions(rate_bps: Option<u64>) -> Conditions {
    Conditions { delay: DELAY, rate_bps, queue: Duration::from_millis(200), ..Conditions::PERFECT }
}

/// From when to when a phase lasts, since the first one began.
fn spans() -> impl Iterator<Item = (&'static str, Duration, Duration)> {
    let mut from = Duration::ZERO;
    PHASES.iter().map(move |(name, seconds, _)| {
        let span = (*name, from, from + Duration::from_secs(*seconds));
        from = span.2;
        span
    })
}

fn main() -> Result<(), Failed> {
    let out = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("ladder.png"), PathBuf::from);
    let over = AtomicBool::new(false);
    let host = Person::start("Ada", Role::Host, 1)?;
    let proxy = Proxy::start(conditions(None), host.addr)?;
    let guest = Person::start("Bob", Role::Guest(SocketAddr::from(([127, 0, 0, 1], proxy.port()))), 2)?;
    let (sent, heard, passages, begin) = std::thread::scope(|scope| {
        let host = scope.spawn(|| host.run(&over));
        let guest = scope.spawn(|| guest.run(&over));
        // The clock is set and voices have begun before it counts.
        std::thread::sleep(Duration::from_secs(3));
        let begin = Instant::now();
        for (at, (_, _, rate)) in spans().zip(PHASES) {
            std::thread::sleep((begin + at.1).saturating_duration_since(Instant::now()));
            eprintln!("{:>4.0} s: {}", at.1.as_secs_f64(), at.0);
            proxy.set(conditions(rate));
        }
        let end = spans().last().map_or(begin, |(_, _, end)| begin + end);
        std::thread::sleep(end.saturating_duration_since(Instant::now()));
        over.store(true, Ordering::Relaxed);
        let panicked = |_| "an engine has panicked";
        Ok::<_, Failed>((
            host.join().map_err(panicked)?,
            guest.join().map_err(panicked)?,
            proxy.stop(),
            begin,
        ))
    })?;
    print_table(&sent, &heard, &passages, begin);
    plot::draw(&out, &sent, &heard, &passages, begin)?;
    println!("\nplot: {}", out.display());
    Ok(())
}

/// How much later than on a free path a passage came, in milliseconds; `None` where it did not.
fn queued(passage: &Passage) -> Option<f64> {
    passage
        .arrived
        .map(|at| (at.saturating_duration_since(passage.sent).saturating_sub(DELAY)).as_secs_f64() * 1e3)
}

fn print_table(sent: &[Sample], heard: &[Sample], passages: &[Passage], begin: Instant) {
    println!(
        "\nfrom one engine to the other, beside the same the other way; 10 ms each way, a queue of 200 ms"
    );
    println!(
        "{:<12} {:>7} {:>11} {:>11} {:>10} {:>9} {:>9} {:>9} {:>10} {:>9} {:>9}",
        "path",
        "s",
        "voice sent",
        "lost there",
        "queued ms",
        "p99",
        "most",
        ">10 ms %",
        "concealed",
        "depth ms",
        "video"
    );
    for (name, from, to) in spans() {
        let (from, to) = (begin + from, begin + to);
        let within = |at: Instant| at >= from && at < to;
        let voice: Vec<&Passage> = passages.iter().filter(|p| p.is_audio && within(p.sent)).collect();
        let video: usize = passages.iter().filter(|p| p.is_video && within(p.sent)).map(|p| p.bytes).sum();
        let mut delays: Vec<f64> = voice.iter().filter_map(|p| queued(p)).collect();
        delays.sort_by(f64::total_cmp);
        let at =
            |share: f64| delays.get(((delays.len() as f64 * share) as usize).min(delays.len().max(1) - 1));
        let late = delays.iter().filter(|delay| **delay > 10.0).count();
        let heard: Vec<&Sample> = heard.iter().filter(|s| within(s.at)).collect();
        let concealed = |s: &Sample| s.voice.concealed_frames;
        let first = heard.first().map_or(0, |s| concealed(s));
        let last = heard.last().map_or(0, |s| concealed(s));
        let mut depths: Vec<f64> = heard.iter().map(|s| s.voice.depth.as_secs_f64() * 1e3).collect();
        depths.sort_by(f64::total_cmp);
        let seconds = (to - from).as_secs_f64();
        println!(
            "{name:<12} {seconds:>7.0} {:>11} {:>11} {:>10.1} {:>9.1} {:>9.1} {:>9.2} {:>10} {:>9.1} {:>6.0} kb/s",
            voice.len(),
            voice.iter().filter(|p| p.arrived.is_none()).count(),
            at(0.5).copied().unwrap_or_default(),
            at(0.99).copied().unwrap_or_default(),
            delays.last().copied().unwrap_or_default(),
            100.0 * late as f64 / delays.len().max(1) as f64,
            last.saturating_sub(first),
            depths.get(depths.len() / 2).copied().unwrap_or_default(),
            video as f64 * 8.0 / seconds / 1e3,
        );
    }
    println!("\nrungs:");
    let mut was = None;
    for sample in sent {
        if was.replace(sample.rung) != Some(sample.rung) {
            let at = sample.at.saturating_duration_since(begin).as_secs_f64();
            println!("{at:>7.1} s  {}", name(sample.rung));
        }
    }
}

fn name(rung: Rung) -> &'static str {
    match rung {
        Rung::Full => "400 kbit/s, 24 fps, 480p",
        Rung::LowRate => "200 kbit/s, 24 fps, 480p",
        Rung::LowFps => "150 kbit/s, 15 fps, 480p",
        Rung::Small => "100 kbit/s, 15 fps, 360p",
        Rung::Off => "voice alone",
    }
}
