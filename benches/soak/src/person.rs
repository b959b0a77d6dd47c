//! One person's program, and what it says.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Failure;

/// Who talks, and the pitch of each one's microphone, in Hz.
pub(crate) const PEOPLE: [(&str, u32); 4] = [("Ada", 220), ("Grace", 330), ("Alan", 440), ("Katherine", 550)];

/// How long a program may take to do what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What people are started with.
pub(crate) struct Setting<'a> {
    pub(crate) program: &'a Path,
    pub(crate) camera: &'a str,
    pub(crate) folder: &'a Path,
}

/// A running `hyperzoom`, which is killed when this is dropped.
pub(crate) struct Person {
    pub(crate) name: &'static str,
    child: Child,
    stdout: BufReader<ChildStdout>,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Person {
    /// Starts `hyperzoom VERB …` for the person of this number, with this microphone.
    pub(crate) fn start(
        setting: &Setting<'_>,
        number: usize,
        mic: &str,
        verb: &[&str],
    ) -> Result<Self, Failure> {
        let (name, _) = PEOPLE[number];
        let mut child = Command::new(setting.program)
            .args(verb)
            .args(["--headless", "--json", "--bind", "127.0.0.1", "--name", name])
            .args(["--mic", mic, "--speaker", "none", "--camera", setting.camera, "--folder"])
            .arg(setting.folder.join(name))
            // Where it keeps who it is: nothing of the user's own.
            .env("XDG_DATA_HOME", setting.folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", setting.program.display()))?;
        let stdout = BufReader::new(child.stdout.take().ok_or("its output is a pipe")?);
        let stderr = BufReader::new(child.stderr.take().ok_or("its output is a pipe")?);
        let (say, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { name, child, stdout, lines, said: Vec::new() })
    }

    /// The host's first line, the invite.
    pub(crate) fn invite(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line)? {
            0 => {
                let said = self.all_said();
                Err(format!("{} could not host: {said}", self.name).into())
            }
            _ => Ok(line.trim().to_owned()),
        }
    }

    /// Waits until it has said something.
    pub(crate) fn wait_for(&mut self, text: &str) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let said = self.all_said();
                return Err(format!("{} never said '{text}': {said}", self.name).into());
            };
            let found = line.contains(text);
            self.said.push(line);
            if found {
                return Ok(());
            }
        }
    }

    /// How often it has said something so far.
    pub(crate) fn times_said(&mut self, text: &str) -> usize {
        self.said.extend(self.lines.try_iter());
        self.said.iter().filter(|line| line.contains(text)).count()
    }

    fn all_said(&mut self) -> String {
        self.said.extend(self.lines.try_iter());
        self.said.join("; ")
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Sends it a signal, as `kill` calls it.
    pub(crate) fn signal(&self, signal: &str) -> Result<(), Failure> {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { Err(format!("kill {signal} {}: {sent}", self.name).into()) }
    }

    /// Its report, after it was asked to end; and whether it says that all went well.
    pub(crate) fn finish(mut self) -> Result<(Value, bool), Failure> {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        let said = self.all_said();
        let report = serde_json::from_str(&text)
            .map_err(|error| format!("{} left no report ({error}): {said}", self.name))?;
        Ok((report, status.success()))
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // Only one that did not end by itself is still there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everybody is in, and records: the host first.
pub(crate) fn gather(setting: &Setting<'_>, mics: &[String]) -> Result<(Vec<Person>, String), Failure> {
    let mut host = Person::start(setting, 0, &mics[0], &["host", "--port", "0", "--no-upnp"])?;
    let invite = host.invite()?;
    let mut people = vec![host];
    for (number, mic) in mics.iter().enumerate().skip(1) {
        people.push(Person::start(setting, number, mic, &["join", &invite, "--no-upnp"])?);
    }
    for person in &mut people {
        person.wait_for("recording into")?;
    }
    Ok((people, invite))
}

/// Asks everybody to end, and collects the reports.
pub(crate) fn end(people: Vec<Person>) -> Result<Vec<(&'static str, Value, bool)>, Failure> {
    for person in &people {
        person.signal("-INT")?;
    }
    people
        .into_iter()
        .map(|person| {
            let name = person.name;
            let (report, well) = person.finish()?;
            Ok((name, report, well))
        })
        .collect()
}

/// What `hyperzoom verify --json` finds in these folders, an entry each.
pub(crate) fn verify(program: &Path, folders: &[PathBuf]) -> Result<Value, Failure> {
    let output = Command::new(program).args(["verify", "--json"]).args(folders).output()?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("verify: {error}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// The takes in a person's folder, in the order in which they began.
pub(crate) fn takes(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut takes = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let take = entry?.path();
        let text = std::fs::read(take.join("session_metadata.json"))?;
        let metadata: Value = serde_json::from_slice(&text)?;
        takes.push((metadata["start_tick"].as_u64().unwrap_or(0), take));
    }
    takes.sort();
    Ok(takes.into_iter().map(|(_, take)| take).collect())
}
