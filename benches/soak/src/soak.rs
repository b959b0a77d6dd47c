//! A long call, and what it costs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cost::{Sample, Watched};
use crate::person::{self, PEOPLE, Person, Setting};
use crate::plot::{Panel, draw};
use crate::{Failure, SoakOptions};

/// Memory may grow by so much after the first minute, in MB a minute.
const GROWTH: f64 = 1.0;

/// How often everybody is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Something that befalls somebody.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    /// The last guest's program is killed, and started again.
    Kill,
    /// The first guest's program stands still for so long.
    Suspend(Duration),
}

/// What befalls whom, and when: evenly over the call.
fn plan(options: &SoakOptions, length: Duration) -> Vec<(Duration, Trouble)> {
    let kill = options.kill.then_some(Trouble::Kill);
    let suspend =
        options.suspend.iter().map(|seconds| Trouble::Suspend(Duration::from_secs_f64(seconds.max(0.0))));
    let all: Vec<_> = kill.into_iter().chain(suspend).collect();
    let gap = length / (all.len() as u32 + 1);
    (1..).zip(all).map(|(n, trouble)| (gap * n, trouble)).collect()
}

/// A call that goes on.
struct Call<'a> {
    setting: &'a Setting<'a>,
    people: Vec<Person>,
    invite: String,
    /// A process each; one that was started again is another. The number of the person comes first.
    watched: Vec<(usize, Watched)>,
    begin: Instant,
    /// What befell, in seconds since the beginning.
    told: Vec<String>,
}

impl Call<'_> {
    fn look(&mut self) -> Result<(), Failure> {
        for (number, person) in self.people.iter_mut().enumerate() {
            if !person.runs() {
                return Err(format!("{} ended by itself", person.name).into());
            }
            let sample = Sample::take(person.id())?;
            // The last one of this person is the one that runs.
            if let Some((_, watched)) = self.watched.iter_mut().rfind(|(of, _)| *of == number) {
                watched.samples.push(sample);
            }
        }
        Ok(())
    }

    /// Looks at everybody once a second until `until`.
    fn watch(&mut self, until: Instant) -> Result<(), Failure> {
        while Instant::now() < until {
            std::thread::sleep(EVERY.min(until.saturating_duration_since(Instant::now())));
            self.look()?;
        }
        Ok(())
    }

    fn befall(&mut self, trouble: Trouble) -> Result<(), Failure> {
        let at = self.begin.elapsed().as_secs_f64();
        match trouble {
            Trouble::Kill => {
                let number = self.people.len() - 1;
                let name = PEOPLE[number].0;
                let back = format!("{name} is back");
                let before = self.people[0].times_said(&back);
                let since = Instant::now();
                // A dropped person is killed.
                drop(self.people.pop());
                let mut person =
                    Person::start(self.setting, number, &mic(number), &["join", &self.invite, "--no-upnp"])?;
                person.wait_for("recording into")?;
                self.people.push(person);
                self.watched.push((number, Watched { name: format!("{name}, again"), samples: Vec::new() }));
                self.until_said(&back, before)?;
                let took = since.elapsed().as_secs_f64();
                self.told.push(format!(
                    "{at:.0} s: {name} was killed and started again, and recorded again after {took:.1} s"
                ));
            }
            Trouble::Suspend(length) => {
                let name = PEOPLE[1].0;
                let (silent, heard) =
                    (format!("{name}: nothing heard for a moment"), format!("{name}: heard again"));
                let (left, back) = (format!("{name}: disconnected"), format!("{name} is back"));
                let before = [&silent, &heard, &left, &back].map(|text| self.people[0].times_said(text));
                self.people[1].signal("-STOP")?;
                let stopped = self.watch(Instant::now() + length);
                self.people[1].signal("-CONT")?;
                stopped?;
                // Whoever was not missed has nothing to come back from.
                let what = if self.people[0].times_said(&left) > before[2] {
                    let took = self.until_said(&back, before[3])?;
                    format!("was given up, and was back {took:.1} s after it went on")
                } else if self.people[0].times_said(&silent) > before[0] {
                    let took = self.until_said(&heard, before[1])?;
                    format!("was missed, and heard again {took:.1} s after it went on")
                } else {
                    "was not missed".to_owned()
                };
                self.told
                    .push(format!("{at:.0} s: {name} stood still for {:.1} s: {what}", length.as_secs_f64()));
            }
        }
        Ok(())
    }

    /// How long it takes, in seconds, until the host has said something once more.
    fn until_said(&mut self, text: &str, before: usize) -> Result<f64, Failure> {
        let since = Instant::now();
        while self.people[0].times_said(text) <= before {
            if since.elapsed() > Duration::from_secs(30) {
                return Err(format!("the host never said '{text}'").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(since.elapsed().as_secs_f64())
    }
}

fn mic(number: usize) -> String {
    format!("tone:{}", PEOPLE[number].1)
}

pub(crate) fn run(program: &Path, options: &SoakOptions) -> Result<(), Failure> {
    let temporary = tempfile::tempdir()?;
    let folder = options.call.folder.as_deref().unwrap_or(temporary.path());
    let setting = Setting { program, camera: &options.call.camera, folder };
    let mics: Vec<String> = (0..usize::from(options.people)).map(mic).collect();
    let (people, invite) = person::gather(&setting, &mics)?;
    let watched = (0..)
        .zip(&people)
        .map(|(number, person)| (number, Watched { name: person.name.to_owned(), samples: Vec::new() }))
        .collect();
    let begin = Instant::now();
    let mut call = Call { setting: &setting, people, invite, watched, begin, told: Vec::new() };
    let length = Duration::from_secs_f64(options.minutes * 60.0);
    let troubles = plan(options, length);
    for (at, trouble) in &troubles {
        call.watch(begin + *at)?;
        call.befall(*trouble)?;
    }
    call.watch(begin + length)?;
    let Call { people, watched, told, .. } = call;
    let ended = person::end(people)?;
    if let Some(out) = &options.call.plot {
        plot(out, &watched, begin)?;
        println!("plot: {}", out.display());
    }
    println!("{} people, {} minutes, cameras {}", options.people, options.minutes, options.call.camera);
    told.iter().for_each(|line| println!("{line}"));
    let mut problems = print_memory(&watched);
    problems.extend(print_reports(&ended, &troubles));
    problems.extend(compare(program, folder, usize::from(options.people), options.kill)?);
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ").into()) }
}

fn plot(out: &Path, watched: &[(usize, Watched)], begin: Instant) -> Result<(), Failure> {
    let lines = |of: &dyn Fn(&Watched) -> Vec<(f64, f64)>| {
        watched.iter().map(|(_, it)| (it.name.clone(), of(it))).collect()
    };
    draw(
        out,
        &[
            Panel { title: "resident memory, MB", lines: lines(&|it| it.memory(begin)) },
            Panel { title: "processor, percent of a core", lines: lines(&|it| it.processor(begin)) },
        ],
    )
}

fn print_memory(watched: &[(usize, Watched)]) -> Vec<String> {
    println!(
        "\n{:<18} {:>9} {:>9} {:>9} {:>14} {:>11}",
        "memory, MB", "at 1 min", "at end", "most", "MB a minute", "processor"
    );
    let mut problems = Vec::new();
    for (_, it) in watched {
        let (most, processor) = (it.peak(), it.mean_processor());
        match it.growth() {
            Some((begin, end, slope)) => {
                println!(
                    "{:<18} {begin:>9.1} {end:>9.1} {most:>9.1} {slope:>+14.3} {processor:>10.1}%",
                    it.name
                );
                if slope >= GROWTH {
                    problems.push(format!("{}'s memory grows by {slope:.2} MB a minute", it.name));
                }
            }
            None => println!(
                "{:<18} {:>9} {:>9} {most:>9.1} {:>14} {processor:>10.1}%",
                it.name, "-", "-", "too short"
            ),
        }
    }
    problems
}

fn print_reports(ended: &[(&'static str, Value, bool)], troubles: &[(Duration, Trouble)]) -> Vec<String> {
    println!(
        "\n{:<18} {:>9} {:>9} {:>9} {:>9} {:>9} {:>11} {:>12}",
        "recording", "seconds", "frames", "repeated", "dropped", "samples", "samples", "certificate"
    );
    println!("{:<18} {:>9} {:>9} {:>9} {:>9} {:>9} {:>11}", "", "", "", "", "", "silent", "dropped");
    let mut problems = Vec::new();
    for (name, report, well) in ended {
        let it = &report["recording"];
        let certificate = &it["certificate"];
        let grade = certificate["grade"].as_str().unwrap_or("none");
        println!(
            "{name:<18} {:>9} {:>9} {:>9} {:>9} {:>9} {:>11} {grade:>12}",
            it["duration_seconds"].to_string(),
            it["frames_written"].to_string(),
            it["frames_duplicated"].to_string(),
            it["frames_dropped"].to_string(),
            it["samples_silent"].to_string(),
            it["samples_dropped"].to_string(),
        );
        for reason in certificate["reasons"].as_array().into_iter().flatten() {
            println!("{:<18} {}", "", reason.as_str().unwrap_or("?"));
        }
        if !well || it["frames_dropped"] != 0 || it["samples_dropped"] != 0 {
            problems.push(format!("{name}'s recording lost something"));
        }
        // Who stood still has a gap, which is amber.
        let spared = troubles.iter().any(|(_, it)| matches!(it, Trouble::Suspend(_))) && *name == PEOPLE[1].0;
        if grade != "green" && !(spared && grade == "amber") {
            problems.push(format!("{name}'s certificate is {grade}"));
        }
    }
    println!(
        "\n{:<18} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "voice", "received", "lost", "share", "made up", "depth ms"
    );
    for (name, report, _) in ended {
        for peer in report["peers"].as_array().into_iter().flatten() {
            let count = |key: &str| peer["audio"][key].as_f64().unwrap_or(0.0);
            let share = count("lost") / (count("received") + count("lost")).max(1.0) * 100.0;
            let pair = format!("{} to {name}", peer["name"].as_str().unwrap_or("?"));
            println!(
                "{pair:<18} {:>9} {:>9} {share:>8.3}% {:>9} {:>9}",
                count("received"),
                count("lost"),
                count("concealed"),
                count("jitter_buffer_ms"),
            );
        }
    }
    problems
}

/// Holds everybody's takes against the host's, by what is heard in them.
fn compare(program: &Path, folder: &Path, people: usize, killed: bool) -> Result<Vec<String>, Failure> {
    let mut takes: Vec<PathBuf> = Vec::new();
    for (name, _) in &PEOPLE[..people] {
        takes.extend(person::takes(&folder.join(name))?);
    }
    let found = person::verify(program, &takes)?;
    println!("\ntakes");
    let mut problems = Vec::new();
    for (take, it) in takes.iter().zip(found.as_array().into_iter().flatten()) {
        println!("  {} {}", if it["ok"] == true { "ok  " } else { "FAIL" }, take.display());
        // One that was killed is whole but for its end.
        let failed = it["checks"].as_array().into_iter().flatten().filter(|check| check["ok"] != true);
        let cut_off =
            killed && it["error"].is_null() && failed.clone().all(|check| check["name"] == "ended well");
        if it["ok"] != true && !cut_off {
            problems.push(format!("{} is not as it should be", take.display()));
        }
        for pair in it["sync"].as_array().into_iter().flatten() {
            let second = pair["second"].as_str().unwrap_or("?");
            println!("         against {second}: {}", pair["reason"].as_str().unwrap_or("?"));
            if pair["grade"] == "red" {
                problems.push(format!("{} and {second} do not lie as their timecodes say", take.display()));
            }
        }
    }
    Ok(problems)
}
