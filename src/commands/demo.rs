//! `hyperzoom demo`: a whole call on this machine, between processes as real as any other.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_recorder::{Comparison, Grade};
use hyperzoom_timing::tick_at_or_after;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::DemoArgs;
use crate::error::CommandError;
use crate::stop::Stop;
use crate::verdict;

/// Who talks, and the pitch of the tone that each one's microphone hears, in Hz: far enough apart to be told from one
/// another in a spectrum.
const PEOPLE: [(&str, u32); 4] = [("Ada", 220), ("Grace", 330), ("Alan", 440), ("Katherine", 550)];

/// What the cameras of more than two people see: this one computer records for all of them, and would not keep up with their 1080p.
const CROWDED: &str = "pattern:640x360@30";

/// How long the people may take beyond the call itself, to start and to finish their recordings.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(args: &DemoArgs) -> Result<(), CommandError> {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => temporary_folder(),
    };
    let outcome = call(args, &folder)?;
    if args.json {
        println!("{:#}", outcome.json());
    } else {
        outcome.print();
    }
    if outcome.problems.is_empty() {
        Ok(())
    } else {
        Err(CommandError::Failed(format!(
            "the demo did not go as it should: {}",
            outcome.problems.join("; ")
        )))
    }
}

fn temporary_folder() -> PathBuf {
    let now = jiff::Zoned::now().strftime("%Y-%m-%d_%H-%M-%S").to_string();
    std::env::temp_dir().join(format!("hyperzoom-demo-{now}-{}", std::process::id()))
}

struct Outcome {
    folder: PathBuf,
    people: Vec<Outgoing>,
    /// Each two takes against each other.
    pairs: Vec<Comparison>,
    problems: Vec<String>,
}

/// What one person's process left behind.
struct Outgoing {
    name: &'static str,
    report: Value,
    verdict: Value,
}

impl Outcome {
    fn json(&self) -> Value {
        let people: Vec<Value> = self
            .people
            .iter()
            .map(|p| json!({ "name": p.name, "report": p.report, "verify": p.verdict }))
            .collect();
        json!({ "ok": self.problems.is_empty(), "folder": self.folder.to_string_lossy(), "problems": self.problems, "people": people, "pairs": self.pairs })
    }

    fn print(&self) {
        for person in &self.people {
            let recording = &person.report["recording"];
            println!("{}", person.name);
            println!("  take      {}", recording["folder"].as_str().unwrap_or("none"));
            println!(
                "  recorded  {} frames in {} s: {} captured, {} duplicated, {} decimated, {} dropped",
                recording["frames_written"],
                recording["duration_seconds"],
                recording["frames_captured"],
                recording["frames_duplicated"],
                recording["frames_decimated"],
                recording["frames_dropped"],
            );
            let certificate = &recording["certificate"];
            println!(
                "  sync      {}: offset {} ms, drift {} ppm, clock within {} ms",
                certificate["grade"].as_str().unwrap_or("no certificate"),
                certificate["offset_ms"],
                certificate["residual_drift_ppm"],
                certificate["clock_bound_ms"],
            );
            if let Some(mbps) = upload_mbps(&person.report) {
                println!("  uploads   {mbps:.2} Mbit/s to all others together");
            }
            for peer in person.report["peers"].as_array().into_iter().flatten() {
                println!(
                    "  from {:<9} {} frames of audio, {} lost, jitter buffer {} ms, round trip {} ms, {} pictures",
                    peer["name"].as_str().unwrap_or("?"),
                    peer["audio"]["received"],
                    peer["audio"]["lost"],
                    peer["audio"]["jitter_buffer_ms"],
                    peer["round_trip_ms"],
                    peer["video"]["decoded"],
                );
            }
        }
        for pair in &self.pairs {
            println!("{}", verdict::pair_text(pair));
        }
        println!("folder    {}", self.folder.display());
    }
}

/// What the network saw of a person, in Mbit/s: all that was sent to the others, IP and UDP headers included.
fn upload_mbps(report: &Value) -> Option<f64> {
    // IPv4 and UDP.
    const HEADERS: u64 = 20 + 8;
    let bytes = report["peers"].as_array()?.iter().map(|peer| {
        let sent = |key: &str| peer["sent"][key].as_u64().unwrap_or(0);
        sent("bytes") + HEADERS * (sent("audio") + sent("video"))
    });
    let seconds = report["duration_seconds"].as_f64().filter(|seconds| *seconds > 0.0)?;
    Some(bytes.sum::<u64>() as f64 * 8.0 / seconds / 1e6)
}

fn call(args: &DemoArgs, folder: &Path) -> Result<Outcome, CommandError> {
    let count = usize::from(args.people);
    let mut people: Vec<Person> = Vec::with_capacity(count);
    let mut host = Person::start(PEOPLE[0], args, folder, &["host", "--port", "0"])?;
    let invite = host.first_line()?;
    people.push(host);
    for person in &PEOPLE[1..count] {
        people.push(Person::start(*person, args, folder, &["join", &invite])?);
    }
    wait(&mut people, Duration::from_secs_f64(args.seconds), folder)?;

    let mut outcome =
        Outcome { folder: folder.to_owned(), people: Vec::new(), pairs: Vec::new(), problems: Vec::new() };
    for person in people {
        let name = person.name;
        match person.finish() {
            Ok((report, complaint)) => {
                outcome.problems.extend(complaint);
                check_report(name, &report, count - 1, args.seconds, &mut outcome.problems);
                let verdict = check_take(name, &report, &mut outcome.problems);
                outcome.people.push(Outgoing { name, report, verdict });
            }
            Err(problem) => outcome.problems.push(problem),
        }
    }
    compare_takes(&mut outcome);
    Ok(outcome)
}

/// What must hold of each person's report.
fn check_report(name: &str, report: &Value, others: usize, seconds: f64, problems: &mut Vec<String>) {
    let mut must = |holds: bool, problem: String| {
        if !holds {
            problems.push(problem);
        }
    };
    let peers = report["peers"].as_array().map_or(&[][..], Vec::as_slice);
    must(peers.len() == others, format!("{name} met {} of {others} others", peers.len()));
    for peer in peers {
        let other = peer["name"].as_str().unwrap_or("?");
        must(peer["audio"]["received"].as_u64() > Some(0), format!("{name} did not hear {other}"));
        must(peer["video"]["decoded"].as_u64() > Some(0), format!("{name} did not see {other}"));
    }
    let recording = &report["recording"];
    must(
        recording["frames_dropped"] == 0,
        format!("{name}'s recording dropped {} frames", recording["frames_dropped"]),
    );
    must(
        recording["samples_dropped"] == 0,
        format!("{name}'s recording dropped {} samples", recording["samples_dropped"]),
    );
    let certificate = &recording["certificate"];
    must(
        certificate["grade"] == "green",
        format!("{name}'s sync certificate is {}: {}", certificate["grade"], certificate["reasons"]),
    );
    let frames = tick_at_or_after(Duration::from_secs_f64(seconds).as_nanos() as i64);
    must(
        recording["frames_written"].as_u64() == Some(frames),
        format!("{name}'s recording has {} frames instead of {frames}", recording["frames_written"]),
    );
}

/// Every two masters have a sync tone in common, and it lies within a millisecond, whatever the metadata says.
fn compare_takes(outcome: &mut Outcome) {
    let mut heard = Vec::new();
    for person in &outcome.people {
        let Some(folder) = person.report["recording"]["folder"].as_str() else { continue };
        match hyperzoom_recorder::listen(Path::new(folder)) {
            Ok(take) => heard.push((person.name, take)),
            Err(error) => outcome.problems.push(format!("{}'s take: {error}", person.name)),
        }
    }
    for (n, (first, a)) in heard.iter().enumerate() {
        for (second, b) in &heard[n + 1..] {
            let pair = hyperzoom_recorder::compare(a, b);
            if pair.grade != Some(Grade::Green) {
                outcome.problems.push(format!("the takes of {first} and {second}: {}", pair.reason));
            }
            outcome.pairs.push(pair);
        }
    }
}

fn check_take(name: &str, report: &Value, problems: &mut Vec<String>) -> Value {
    let Some(take) = report["recording"]["folder"].as_str() else {
        problems.push(format!("{name} has no recording"));
        return Value::Null;
    };
    match hyperzoom_recorder::verify(Path::new(take)) {
        Ok(found) => {
            problems.extend(verdict::failures(&found).map(|check| format!("{name}'s take: {check}")));
            verdict::json(&found)
        }
        Err(error) => {
            problems.push(format!("{name}'s take: {error}"));
            Value::Null
        }
    }
}

/// Waits for everybody, with a bar on a terminal.
fn wait(people: &mut [Person], length: Duration, folder: &Path) -> Result<(), CommandError> {
    let stop = Stop::on_signals()?;
    let bar = ProgressBar::new(length.as_millis() as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {percent} %") {
        bar.set_style(style);
    }
    bar.set_message(format!("{} people talk", people.len()));
    let since = Instant::now();
    let result = loop {
        bar.set_position((since.elapsed().as_millis() as u64).min(bar.length().unwrap_or(0)));
        let mut running = 0;
        for person in &mut *people {
            if person.child.try_wait().is_ok_and(|status| status.is_none()) {
                running += 1;
            }
        }
        if running == 0 {
            break Ok(());
        }
        if since.elapsed() > length + PATIENCE {
            break Err(CommandError::Failed(format!(
                "{running} people did not end {} s after the call should have; their takes so far are in {}",
                PATIENCE.as_secs(),
                folder.display()
            )));
        }
        if stop.is_asked() {
            break Err(CommandError::Failed(format!(
                "stopped; the takes so far are in {}",
                folder.display()
            )));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    bar.finish_and_clear();
    result
}

/// One synthetic person: this program once more, headless.
struct Person {
    name: &'static str,
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
}

impl Person {
    fn start(
        (name, pitch): (&'static str, u32),
        args: &DemoArgs,
        folder: &Path,
        verb: &[&str],
    ) -> Result<Self, CommandError> {
        let failed =
            |e: std::io::Error| CommandError::Failed(format!("could not start {name}'s process: {e}"));
        let program = std::env::current_exe().map_err(failed)?;
        let camera = if args.people > 2 { CROWDED } else { "pattern" };
        let mut child = Command::new(program)
            .args(verb)
            .args(["--headless", "--json", "--name", name, "--bind", "127.0.0.1"])
            .args(["--mic", &format!("tone:{pitch}"), "--speaker", "none", "--camera", camera])
            .args(["--for", &args.seconds.to_string()])
            .arg("--folder")
            .arg(folder.join(name))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(CommandError::Failed(format!("{name}'s process has no output")));
        };
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Ok(Self { name, child, stdout: BufReader::new(stdout), stderr: Some(stderr) })
    }

    /// The host's first line, the invite.
    fn first_line(&mut self) -> Result<String, CommandError> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line) {
            Ok(read) if read > 0 => Ok(line.trim().to_owned()),
            _ => {
                let complaint = self.complaint();
                Err(CommandError::Failed(format!("{} could not host: {complaint}", self.name)))
            }
        }
    }

    /// The report at the end of the output, and what the process complained about where it ended badly.
    fn finish(mut self) -> Result<(Value, Option<String>), String> {
        let mut text = String::new();
        let read = self.stdout.read_to_string(&mut text);
        let status = self.child.wait();
        let complaint = self.complaint();
        let name = self.name;
        let complaint =
            (!status.is_ok_and(|s| s.success())).then(|| format!("{name}'s process failed: {complaint}"));
        let report = read
            .map_err(|e| e.to_string())
            .and_then(|_| serde_json::from_str(&text).map_err(|e| e.to_string()));
        match (report, complaint) {
            (Ok(report), complaint) => Ok((report, complaint)),
            (Err(_), Some(complaint)) => Err(complaint),
            (Err(error), None) => Err(format!("{name}'s report cannot be read: {error}")),
        }
    }

    fn complaint(&mut self) -> String {
        let text = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        text.lines().last().unwrap_or("it said nothing").to_owned()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // Only a person that did not end by itself is still there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
