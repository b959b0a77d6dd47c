//! A PulseAudio server of the benchmark's own, and a meter of two of its sinks.

use std::io::{Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_testkit::Pulse;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::Failure;
use crate::outcome::Outcome;
use crate::stimulus::{SAMPLE_RATE, Sequence, delay, spoken};

/// How `parec` and `pacat` are to deliver and to take samples.
const FORMAT: [&str; 4] = ["--format=float32le", "--rate=48000", "--channels=1", "--raw"];

/// Arrivals this long before and after a chirp date it, in seconds.
const AROUND: f64 = 5.0;

/// The priority, of the scheduler's class FIFO, of those who record, where the system allows one: what else the machine does is not
/// to be measured.
const PRIORITY: u8 = 30;

/// Speaks into the sink `mouth`, whose monitor is a microphone, and compares its monitor with the one of the sink `ear`.
///
/// Both monitors are recorded with the same buffers, and each recording is dated by its blocks that came soonest, since a process
/// that is late reads late and never early. `ear` may be `mouth` itself: then the delay is the meter's own error.
pub(crate) fn measure(
    pulse: &Pulse,
    mouth: &str,
    ear: &str,
    chirps: usize,
    settle: Duration,
) -> Result<Outcome, Failure> {
    std::thread::sleep(settle);
    let epoch = Instant::now();
    let recordings = [Recording::start(pulse, mouth, epoch)?, Recording::start(pulse, ear, epoch)?];
    let sequence = Sequence::of(chirps);
    let mut command = Command::new("pacat");
    pulse.enter(&mut command);
    command.args(["-p", "-d", mouth, "--latency-msec=10"]).args(FORMAT).stdin(Stdio::piped());
    let mut player = command.spawn().map_err(|error| format!("pacat does not start: {error}"))?;
    let bytes: Vec<u8> = sequence.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    player.stdin.take().ok_or("its input is a pipe")?.write_all(&bytes)?;
    if !player.wait()?.success() {
        return Err("pacat failed".into());
    }
    let [mouth, ear] = recordings.map(Recording::end);
    let (mouth, ear) = (mouth?, ear?);
    let starts = spoken(&mouth.samples);
    if starts.len() != chirps {
        return Err(
            format!("{} of {chirps} chirps were spoken: the sound server stumbled", starts.len()).into()
        );
    }
    let one = |start: usize| {
        let spoken = mouth.moment(start);
        // From the sample that came at the same moment on.
        let from = ear.index(spoken);
        let heard = from.ceil().max(0.0) as usize;
        let delay = delay(&ear.samples, heard)?;
        Some((ear.moment(heard + delay) - spoken) * 1e3)
    };
    // A meter that reads a little less than nothing must not look for it after.
    let early = SAMPLE_RATE / 1000;
    let shifted = |start: usize| {
        one(start.saturating_sub(early)).map(|ms| ms - early as f64 * 1e3 / SAMPLE_RATE as f64)
    };
    Ok(starts.into_iter().map(shifted).collect())
}

/// A monitor's sound on its way into memory.
struct Recording {
    child: Child,
    reader: JoinHandle<Recorded>,
}

/// A monitor's sound, and when its blocks came: seconds since the epoch, each with the sample it began with.
struct Recorded {
    samples: Vec<f32>,
    arrivals: Vec<(usize, f64)>,
}

impl Recording {
    fn start(pulse: &Pulse, sink: &str, epoch: Instant) -> Result<Self, Failure> {
        let mut command = recorder();
        pulse.enter(&mut command);
        command.args(["-d", &format!("{sink}.monitor"), "--latency-msec=2"]).args(FORMAT);
        let started = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = started.map_err(|error| format!("parec does not start: {error}"))?;
        let mut stdout = child.stdout.take().ok_or("its output is a pipe")?;
        let mut first = [0; 4];
        stdout.read_exact(&mut first)?;
        let reader = std::thread::spawn(move || record(stdout, first, epoch));
        Ok(Self { child, reader })
    }

    fn end(mut self) -> Result<Recorded, Failure> {
        self.child.kill()?;
        self.child.wait()?;
        self.reader.join().map_err(|_| "a recording failed".into())
    }
}

/// `parec`, before what else the machine does where that is allowed.
fn recorder() -> Command {
    let chrt = |program: &str| {
        let mut command = Command::new("chrt");
        command.args(["-f", &PRIORITY.to_string(), program]).stderr(Stdio::null());
        command
    };
    let allowed = chrt("true").status().is_ok_and(|status| status.success());
    if allowed { chrt("parec") } else { Command::new("parec") }
}

/// Where it is not allowed the figures are noisier, and nothing else.
fn raise() {
    let value =
        ThreadPriorityValue::try_from(PRIORITY).map_or(ThreadPriority::Min, ThreadPriority::Crossplatform);
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let _ = set_thread_priority_and_policy(thread_native_id(), value, policy);
}

fn record(mut stdout: ChildStdout, first: [u8; 4], epoch: Instant) -> Recorded {
    raise();
    let (mut bytes, mut arrivals) = (first.to_vec(), Vec::new());
    let mut block = [0; 4096];
    while let Ok(count @ 1..) = stdout.read(&mut block) {
        arrivals.push((bytes.len() / 4, epoch.elapsed().as_secs_f64()));
        bytes.extend_from_slice(&block[..count]);
    }
    let samples = bytes.as_chunks::<4>().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect();
    Recorded { samples, arrivals }
}

impl Recorded {
    /// When sample 0 would have come, by the least late of the blocks around a moment, in seconds.
    fn offset(&self, near: impl Fn(usize, f64) -> f64) -> f64 {
        let near = self.arrivals.iter().filter(|(index, at)| near(*index, *at).abs() < AROUND);
        near.map(|(index, at)| at - *index as f64 / SAMPLE_RATE as f64).fold(f64::INFINITY, f64::min)
    }

    fn moment(&self, sample: usize) -> f64 {
        let offset = self.offset(|index, _| (index as f64 - sample as f64) / SAMPLE_RATE as f64);
        offset + sample as f64 / SAMPLE_RATE as f64
    }

    fn index(&self, moment: f64) -> f64 {
        (moment - self.offset(|_, at| at - moment)) * SAMPLE_RATE as f64
    }
}
