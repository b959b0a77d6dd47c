//! Programs under test, as processes.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// How long a program may take to do what is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether a program can be started by this name.
pub(crate) fn is_installed(name: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(name).is_file())
}

/// Asks until there is an answer.
pub(crate) fn wait_for<T>(what: &str, mut question: impl FnMut() -> Option<T>) -> Result<T, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = question() {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            return Err(format!("{what} did not come within {} s", PATIENCE.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A running process, which is killed when this is dropped.
pub(crate) struct Program {
    name: String,
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it; what it says on standard error is shown only where `HZ_VERBOSE` is set.
    pub(crate) fn start(name: &str, mut command: Command) -> Result<Self, Failure> {
        let stderr = if std::env::var_os("HZ_VERBOSE").is_some() { Stdio::inherit() } else { Stdio::null() };
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|error| format!("{name} does not start: {error}"))?;
        let stdout = child.stdout.take().ok_or("its output is a pipe")?;
        Ok(Self { name: name.to_owned(), child, stdout: BufReader::new(stdout) })
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line)? {
            0 => Err(format!("{} ended too early (HZ_VERBOSE=1 shows what it says)", self.name).into()),
            _ => Ok(line.trim().to_owned()),
        }
    }

    /// Ends it as Ctrl-C does, and returns the rest of its standard output.
    pub(crate) fn interrupt(mut self) -> Result<String, Failure> {
        let asked = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status()?;
        if !asked.success() {
            return Err(format!("{} cannot be interrupted", self.name).into());
        }
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest)?;
        self.child.wait()?;
        Ok(rest)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
