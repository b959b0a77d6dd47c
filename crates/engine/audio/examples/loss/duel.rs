//! Our playout and GStreamer's jitter buffer, in real time, one after the other, each behind its own proxy with the same seed.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hyperzoom_audio::{Decoder, Encoder, MAX_PAYLOAD};
use hyperzoom_media::AudioPacket;
use hyperzoom_netem::Link;
use hyperzoom_playout::{Playout, PlayoutConfig};

use crate::call::PERIOD;
use crate::network::Network;
use crate::pesq::Pesq;
use crate::priority::{Refusal, make_real_time};
use crate::proxy::Proxy;
use crate::speech::Speech;
use crate::{Failed, Options, gstreamer, shown};

/// Real time passes: as much speech as says something.
const SECONDS: f64 = 25.0;
/// What GStreamer's jitter buffer is set to: the depth of ours at its aim, and its own greatest.
const LATENCIES_MS: [u32; 2] = [15, 30];

/// Prints a table of a few networks, or why there is none.
pub(crate) fn run(options: &Options, pesq: &mut Option<Pesq>) -> Result<(), Failed> {
    if let Some(missing) = gstreamer::missing() {
        println!("\n(no comparison with GStreamer: {missing} is not installed)");
        return Ok(());
    }
    let speech = Speech::of(SECONDS.min(options.seconds))?;
    let folder = tempfile::tempdir()?;
    let wav = folder.path().join("speech.wav");
    speech.write(&wav)?;
    println!(
        "\nbeside GStreamer through a UDP proxy in real time, {:.0} s, seed {}, nothing repaired",
        speech.seconds(),
        options.seed
    );
    println!("{:<28} {:<26} {:>11} {:>9} {:>6}", "network", "listener", "concealed %", "depth ms", "PESQ");
    for network in Network::of_the_duel().iter().filter(|network| options.wants(&network.name)) {
        let link = || Link::new(network.conditions, options.seed);
        let refusal = Refusal::default();
        let contend = || {
            // All that is started from here on inherits it, other programs too.
            make_real_time(&refusal);
            // One after the other: a program that starts takes a core for a while.
            let ours = ours(options, link(), &speech).map_err(|e| e.to_string());
            let theirs = LATENCIES_MS.map(|latency| {
                let out = folder.path().join(format!("{latency}.wav"));
                gstreamer::run(options, link(), latency, &speech, &wav, &out).map_err(|e| e.to_string())
            });
            (ours, theirs)
        };
        // In a thread of its own, so that only this is urgent.
        let contest = std::thread::scope(|scope| scope.spawn(contend).join());
        let (ours, theirs) = contest.map_err(|_| "the listeners panicked")?;
        let ours = ours?;
        if refusal.take() {
            println!("(without real-time priority: a busy machine makes all of them worse)");
        }
        let mut row = |listener: &str, concealed: f64, depth: f64, samples: &[f32]| {
            let score = pesq.as_mut().map_or(Ok(f64::NAN), |pesq| pesq.score(&speech, samples))?;
            println!(
                "{:<28} {listener:<26} {concealed:>11.2} {depth:>9.1} {:>6}",
                network.name,
                shown(score)
            );
            Ok::<_, Failed>(())
        };
        row("ours", ours.concealed, ours.depth_ms, &ours.samples)?;
        for (latency, theirs) in LATENCIES_MS.into_iter().zip(theirs) {
            let theirs = theirs?;
            row("rtpjitterbuffer, opusdec", theirs.concealed, f64::from(latency), &theirs.samples)?;
        }
    }
    Ok(())
}

/// What our playout made of a call.
struct Heard {
    samples: Vec<f32>,
    concealed: f64,
    depth_ms: f64,
}

/// Speaks through `link`, and listens in periods that a thread's clock makes.
fn ours(options: &Options, link: Link, speech: &Speech) -> Result<Heard, Failed> {
    let inbox = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    inbox.set_read_timeout(Some(Duration::from_millis(100)))?;
    let proxy = Proxy::start(link, inbox.local_addr()?.port())?;
    let epoch = Instant::now();
    let over = AtomicBool::new(false);
    let (arrive, arrived) = mpsc::channel();
    let heard = std::thread::scope(|scope| {
        scope.spawn(|| receive(&inbox, epoch, &over, &arrive));
        let talker = scope.spawn(|| talk(options, speech, epoch, proxy.port()).map_err(|e| e.to_string()));
        let heard = listen(options, speech, epoch, &arrived);
        over.store(true, Ordering::Relaxed);
        talker.join().unwrap_or_else(|_| Err("the talker panicked".to_owned()))?;
        heard
    });
    proxy.stop();
    heard
}

fn receive(inbox: &UdpSocket, epoch: Instant, over: &AtomicBool, arrive: &mpsc::Sender<AudioPacket>) {
    let mut datagram = [0; AudioPacket::MAX_LEN + 8];
    while !over.load(Ordering::Relaxed) {
        let Ok(len) = inbox.recv(&mut datagram) else { continue };
        let Some((number, payload)) = datagram[..len].split_first_chunk() else { continue };
        if let Ok(packet) = AudioPacket::new(u64::from_be_bytes(*number), epoch.elapsed(), 0, payload) {
            let _ = arrive.send(packet);
        }
    }
}

fn talk(options: &Options, speech: &Speech, epoch: Instant, port: u16) -> Result<(), Failed> {
    let outbox = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut encoder = Encoder::new(options.frame, options.bitrate)?;
    let length = options.frame.samples();
    for (n, frame) in speech.samples.chunks_exact(length).enumerate() {
        sleep_until(epoch, (n + 1) * length);
        let mut payload = [0; MAX_PAYLOAD];
        let len = encoder.encode(frame, &mut payload)?;
        let datagram = [&(n as u64).to_be_bytes(), &payload[..len]].concat();
        // The proxy may be gone at the end.
        let _ = outbox.send_to(&datagram, (Ipv4Addr::LOCALHOST, port));
    }
    Ok(())
}

fn listen(
    options: &Options,
    speech: &Speech,
    epoch: Instant,
    arrived: &mpsc::Receiver<AudioPacket>,
) -> Result<Heard, Failed> {
    let mut playout = Playout::new(PlayoutConfig::for_frames_of(options.frame.samples()));
    let mut decoder = Decoder::new()?;
    let mut heard = Heard { samples: Vec::new(), concealed: 0.0, depth_ms: 0.0 };
    let (mut depths, mut count) = (0.0, 0.0);
    // To the end of what is said: what follows it is no loss.
    while heard.samples.len() < speech.samples.len() {
        sleep_until(epoch, heard.samples.len());
        arrived.try_iter().for_each(|packet| playout.insert(&packet));
        let mut period = [0.0; PERIOD];
        playout.pull(epoch.elapsed(), &mut period, &mut decoder);
        heard.samples.extend(period);
        if playout.is_playing() {
            depths += playout.stats().depth.as_secs_f64() * 1e3;
            count += 1.0;
        }
    }
    let frames = speech.samples.len() as f64 / options.frame.samples() as f64;
    heard.concealed = 100.0 * playout.stats().concealed_frames as f64 / frames;
    heard.depth_ms = depths / f64::max(count, 1.0);
    Ok(heard)
}

/// Until so many samples of the call are over.
fn sleep_until(epoch: Instant, samples: usize) {
    let due = Duration::from_secs_f64(samples as f64 / 48_000.0);
    std::thread::sleep(due.saturating_sub(epoch.elapsed()));
}
