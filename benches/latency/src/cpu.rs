//! What the sound of a call costs: the processor time of each thread that carries it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::program::Program;
use crate::wakeups::{OURS, Wakeups};

/// How long the call is watched.
const WATCHED: Duration = Duration::from_secs(10);

/// What the names of threads begin with that carry sound from the microphone to the network and from there to the loudspeaker.
const THREADS: [&str; 2] = ["audio-", "hz-net"];

/// Four people call each other, each with a tone for a microphone and a loudspeaker that is none; prints the share of one core that
/// the sound takes of the first. There is no picture and no recording.
pub(crate) fn measure(program: &Path, frame_ms: &str, settle: Duration) -> Result<(), Failure> {
    let person = |verb: &[&str], name: &str| {
        let mut command = Command::new(program);
        command.args(verb).args(["--headless", "--json", "--no-record", "--camera", "none"]);
        command.args(["--bind", "127.0.0.1", "--name", name, "--frame-ms", frame_ms]);
        command.args(["--mic", "tone", "--speaker", "none"]);
        Program::start("hyperzoom", command)
    };
    let mut host = person(&["host", "--port", "0"], "a")?;
    let invite = host.line()?;
    let guests = ["b", "c", "d"]
        .into_iter()
        .map(|name| person(&["join", &invite], name))
        .collect::<Result<Vec<_>, _>>()?;
    std::thread::sleep(settle);
    let shares = watch(host.id())?;
    let is_sound = |name: &str| THREADS.iter().any(|thread| name.starts_with(thread));
    let sound: Vec<(&String, &f64)> = shares.iter().filter(|(name, _)| is_sound(name)).collect();
    let each: Vec<String> = sound.iter().map(|(name, share)| format!("{name} {share:.1}")).collect();
    let sum: f64 = sound.iter().map(|(_, share)| *share).sum();
    let all: f64 = shares.values().sum();
    println!(
        "the sound of a call with three others, {frame_ms} ms: {sum:.1} % of a core ({}); the whole program {all:.1} %",
        each.join(", ")
    );
    drop((host, guests));
    let frame: f64 = frame_ms.parse()?;
    let bare = Wakeups::start(Duration::from_secs_f64(frame / 1000.0), 3)?;
    let shares = watch(std::process::id())?;
    drop(bare);
    let sum: f64 = shares.iter().filter(|(name, _)| name.starts_with(OURS)).map(|(_, share)| share).sum();
    println!("the same threads and datagrams with no sound in them: {sum:.1} %");
    Ok(())
}

/// What share of a core each thread of a process takes, in percent.
fn watch(process: u32) -> Result<BTreeMap<String, f64>, Failure> {
    let (before, began) = (times(process)?, Instant::now());
    std::thread::sleep(WATCHED);
    let (after, took) = (times(process)?, began.elapsed());
    let share = |name: &str, ran: u64| {
        let ran = ran.saturating_sub(before.get(name).copied().unwrap_or(0));
        100.0 * Duration::from_nanos(ran).as_secs_f64() / took.as_secs_f64()
    };
    Ok(after.into_iter().map(|(name, ran)| (name.clone(), share(&name, ran))).collect())
}

/// How long each thread of a process ran, in nanoseconds, by name; those of one name together.
fn times(process: u32) -> Result<BTreeMap<String, u64>, Failure> {
    let mut times = BTreeMap::new();
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let folder = thread?.path();
        // One that ends just now has neither.
        let Ok(name) = std::fs::read_to_string(folder.join("comm")) else { continue };
        let Ok(schedule) = std::fs::read_to_string(folder.join("schedstat")) else { continue };
        let ran: u64 = schedule.split(' ').next().and_then(|ran| ran.parse().ok()).unwrap_or(0);
        *times.entry(name.trim().to_owned()).or_default() += ran;
    }
    Ok(times)
}
