//! `./x bench pictures`: how old a picture is when the other side can draw it, and what is left of it on a network that loses.
//!
//! Two people's engines (camera, VP8, network, decoder) run in this process and talk over UDP on loopback, past a proxy that loses
//! and delays, a voice beside the pictures. The camera is the test pattern, 1280x720 at 30 a second, whose pictures carry the time at which they were due: the
//! age of a picture is read out of its pixels at the receiver, at the moment at which it can be drawn. What a screen adds comes
//! on top.
//!
//! A picture is torn where its pixels are not, bit for bit, those that the sender's own decoder has of the same frame, or
//! where the pattern's stamp cannot be read or belongs to another time.

mod person;
mod proxy;
mod sink;
mod voice;
mod watch;

use std::time::{Duration, Instant};

use clap::Parser;
use hyperzoom_netem::Conditions;

use crate::person::Person;
use crate::proxy::Proxy;
use crate::sink::Truth;
use crate::watch::Watched;

#[derive(Parser)]
struct Options {
    /// How long each network is watched, in seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The seed of the networks' chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A network of the table: its name, what is lost, and the delay one way.
const NETWORKS: [(&str, f64, u64); 5] = [
    ("none", 0.0, 0),
    ("20 ms", 0.0, 20),
    ("10 % lost", 0.1, 0),
    ("10 % lost, 20 ms", 0.1, 20),
    ("10 % lost, 100 ms", 0.1, 100),
];

/// Until then a connection must be up.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    println!(
        "test pattern 1280x720 at 30, sent at 854x480, 24 a second, 400 kbit/s; {} s each",
        options.seconds
    );
    println!(
        "{:<18} {:>7} {:>7} {:>7} {:>9} {:>9} {:>7} {:>9} {:>9} {:>7} {:>5}",
        "network",
        "median",
        "p95",
        "fresh",
        "longest",
        "pictures",
        "asked",
        "resent",
        "keyframe",
        "key-",
        "torn"
    );
    println!(
        "{:<18} {:>7} {:>7} {:>7} {:>9} {:>9} {:>7} {:>9} {:>9} {:>7} {:>5}",
        "", "ms", "ms", "%", "still ms", "shown", "for", "", "requests", "frames", ""
    );
    let mut torn = 0;
    for (name, loss, delay) in NETWORKS {
        let conditions = Conditions { loss, delay: Duration::from_millis(delay), ..Conditions::PERFECT };
        torn += measure(name, conditions, &options)?;
    }
    println!(
        "fresh: share of the time at which what is shown is at most 150 ms old, and the network's delay. Asked for, resent: datagrams"
    );
    println!("of video. Torn: other pixels than the sender's own decoder has, or an unreadable stamp.");
    if torn > 0 {
        return Err(format!("{torn} pictures were torn").into());
    }
    Ok(())
}

/// One network; how many pictures were torn on it.
fn measure(name: &str, conditions: Conditions, options: &Options) -> Result<u64, Box<dyn std::error::Error>> {
    let epoch = Instant::now();
    let truth = Truth::default();
    let mut host = Person::host(epoch, &truth)?;
    let proxy = Proxy::start(conditions, options.seed, host.addr())?;
    let mut guest = Person::guest(epoch, proxy.addr())?;
    let mut decoder = guest.meet(&mut host, PATIENCE)?;
    let fresh = Duration::from_millis(150) + conditions.delay;
    let seen =
        Watched::watch(epoch, &mut decoder, &truth, fresh, Duration::from_secs(options.seconds), |decoder| {
            guest.turn(Some(decoder));
            host.turn(None);
        });
    let (sent, received) = (host.stats(), guest.stats());
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{name:<18} {:>7.1} {:>7.1} {:>7.1} {:>9.0} {:>9} {:>7} {:>9} {:>9} {:>7} {:>5}",
        ms(seen.age(0.5)),
        ms(seen.age(0.95)),
        seen.fresh_percent(),
        ms(seen.longest_still),
        seen.pictures(),
        received.video_asked,
        sent.video_resent,
        received.keyframes_asked,
        host.keyframes(),
        seen.torn
    );
    Ok(seen.torn)
}
