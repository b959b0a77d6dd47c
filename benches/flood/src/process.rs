//! `hyperzoom` as a process, and what the system says of it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// How long a program may take to do what is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running process, which is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
}

/// What a process has used so far, where the system says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// Time that its network thread ran, in seconds.
    network: Option<f64>,
    /// Memory that it holds, in MB.
    memory: Option<f64>,
    /// What it has said, in bytes.
    log: u64,
    at: Instant,
}

/// What a process used in a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    /// Share of a core that its network thread took, in percent.
    pub(crate) network: Option<f64>,
    /// By how much its memory grew, in MB.
    pub(crate) memory: Option<f64>,
    /// What it said, in bytes.
    pub(crate) log: u64,
}

impl Process {
    /// Starts a command whose standard error goes to the file `log`.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Result<Self, Failure> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .map_err(|error| format!("hyperzoom does not start: {error}"))?;
        let stdout = child.stdout.take().ok_or("its output is a pipe")?;
        Ok(Self { child, stdout: BufReader::new(stdout), log })
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line)? {
            0 => Err(format!("hyperzoom ended too early: {}", self.said()).into()),
            _ => Ok(line.trim().to_owned()),
        }
    }

    /// What it has said on standard error.
    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said `text`.
    pub(crate) fn wait_for(&self, text: &str) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains(text) {
            if Instant::now() > deadline {
                return Err(format!("'{text}' was never said; instead: {}", self.said()).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// What it has used so far.
    pub(crate) fn used(&self) -> Used {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        Used {
            network: ran(&folder.join("task"), "hz-net"),
            memory: memory(&folder.join("status")),
            log: std::fs::metadata(&self.log).map_or(0, |log| log.len()),
            at: Instant::now(),
        }
    }

    /// What it has used since `before`.
    pub(crate) fn used_since(&self, before: &Used) -> Use {
        let now = self.used();
        let span = now.at.duration_since(before.at).as_secs_f64();
        Use {
            network: now.network.zip(before.network).map(|(now, before)| 100.0 * (now - before) / span),
            memory: now.memory.zip(before.memory).map(|(now, before)| now - before),
            log: now.log.saturating_sub(before.log),
        }
    }

    /// Ends it as Ctrl-C does, and returns its report.
    pub(crate) fn end(mut self) -> Result<serde_json::Value, Failure> {
        let asked = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status()?;
        if !asked.success() {
            return Err("hyperzoom cannot be interrupted".into());
        }
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest)?;
        self.child.wait()?;
        let start = rest.find('{').ok_or_else(|| format!("it ended without its report: {}", self.said()))?;
        Ok(serde_json::from_str(&rest[start..])?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long the threads of a name ran, in seconds.
fn ran(tasks: &Path, name: &str) -> Option<f64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(tasks).ok()? {
        let folder = thread.ok()?.path();
        // One that ends just now has neither.
        let (Ok(comm), Ok(schedule)) =
            (std::fs::read_to_string(folder.join("comm")), std::fs::read_to_string(folder.join("schedstat")))
        else {
            continue;
        };
        if comm.trim() == name {
            sum += schedule.split(' ').next()?.parse::<u64>().ok()?;
        }
    }
    Some(Duration::from_nanos(sum).as_secs_f64())
}

/// The memory that a process holds, in MB.
fn memory(status: &Path) -> Option<f64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kb: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kb / 1024.0)
}
