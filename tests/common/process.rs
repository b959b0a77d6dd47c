//! `hyperzoom` as a process of its own, and what it says.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a test waits for what must come before it calls it missing. Nothing waits this long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `hyperzoom`. It is killed when it is dropped.
pub struct HyperZoom {
    child: Child,
    /// Lines of standard error, as they come.
    lines: Receiver<String>,
    /// All lines of standard error that were waited for so far, for a failure's message.
    said: Vec<String>,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<std::process::ChildStdout>>,
    reader: Option<JoinHandle<()>>,
}

/// How a process ended, and what it printed.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The exit code.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// The one JSON object at the end of standard output.
    pub fn report(&self) -> serde_json::Value {
        let start = self
            .stdout
            .find('{')
            .unwrap_or_else(|| panic!("no report in {:?}\n{}", self.stdout, self.stderr));
        serde_json::from_str(&self.stdout[start..]).expect("the report is JSON")
    }

    /// What `verify --json` found, an entry a folder.
    pub fn report_list(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}\n{}", self.stdout, self.stderr))
    }
}

impl HyperZoom {
    /// Starts `hyperzoom ARGS`.
    pub fn start<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(args: I) -> Self {
        Self::spawn(command(args))
    }

    /// Starts a command that [`command`] made.
    pub fn spawn(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("hyperzoom starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let stdout = child.stdout.take().map(BufReader::new);
        let (lines_in, lines) = channel();
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if lines_in.send(line).is_err() {
                    break;
                }
            }
        });
        let stdin = child.stdin.take();
        Self { child, lines, said: Vec::new(), stdin, stdout, reader: Some(reader) }
    }

    /// The first line of standard output: a host's invite.
    pub fn invite(&mut self) -> String {
        let mut line = String::new();
        let read = self.stdout.as_mut().expect("not read yet").read_line(&mut line).expect("readable");
        assert!(read > 0, "no invite: {}", self.drain());
        line.trim().to_owned()
    }

    /// Waits until a line of standard error contains `text`, and returns it.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("'{text}' was never said; instead:\n{}", self.said.join("\n")),
            }
        }
    }

    /// Waits until each of `texts` was in a line of standard error since this began, in whatever order.
    pub fn wait_for_all(&mut self, texts: &[&str]) {
        let from = self.said.len();
        for text in texts {
            if !self.said[from..].iter().any(|line| line.contains(text)) {
                self.wait_for(text);
            }
        }
    }

    /// Types a line into it, where its standard input is a pipe.
    pub fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).expect("it reads");
    }

    fn drain(&mut self) -> String {
        self.said.extend(self.lines.try_iter());
        self.said.join("\n")
    }

    /// The number by which the system knows the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal("-INT");
    }

    /// Asks it to end, as a system that shuts down does.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.is_ok_and(|s| s.success()), "kill {signal}");
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let mut stdout = String::new();
        self.stdout.take().expect("once").read_to_string(&mut stdout).expect("text");
        let status = self.child.wait().expect("waitable");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reads to the end");
        }
        Ended { status, stdout, stderr: self.drain() }
    }
}

impl Drop for HyperZoom {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program under test with these arguments.
pub fn command<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(args: I) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hyperzoom"));
    command.args(args).stdin(Stdio::null());
    // What a program that is killed leaves of its call.
    command.env("XDG_DATA_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Runs `hyperzoom ARGS` to its end.
pub fn run<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(args: I) -> Ended {
    HyperZoom::start(args).wait()
}
