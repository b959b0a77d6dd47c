//! A JACK server of the test's own, with a dummy card.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A private server at 48 kHz with periods of 128 samples, whose card has two inputs that are silent and two outputs that nobody hears.
/// It ends with this value.
pub struct Jack {
    name: String,
    server: Child,
}

impl Jack {
    /// Starts a server.
    ///
    /// # Panics
    /// Where JACK does not start.
    #[must_use]
    pub fn start() -> Self {
        let name = format!("test-{}", std::process::id());
        let server = Self::spawn(&name);
        let jack = Self { name, server };
        jack.wait_until("the server answers", |ports| !ports.is_empty());
        jack
    }

    /// Kills the server and starts another under the same name.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.server = Self::spawn(&self.name);
        self.wait_until("the server answers again", |ports| !ports.is_empty());
    }

    /// Lets this process see the server and no other.
    ///
    /// # Safety
    /// No other thread may read or write the environment at the same time: nextest runs each test in a process of its own, and a
    /// test calls this first.
    pub unsafe fn enter_this_process(&self) {
        for (name, value) in environment(&self.name) {
            // SAFETY: the caller's promise.
            unsafe { std::env::set_var(name, value) };
        }
    }

    /// Connects a port that gives sound with one that takes it, once both are there.
    ///
    /// # Panics
    /// Where one of them never is, or the server refuses.
    pub fn connect(&self, from: &str, to: &str) {
        self.wait_until(&format!("{from} and {to} are there"), |ports| {
            [from, to].iter().all(|wanted| ports.iter().any(|port| port == wanted))
        });
        let status = self.command("jack_connect").args([from, to]).status().expect("jack_connect");
        assert!(status.success(), "jack_connect {from} {to}");
    }

    fn spawn(name: &str) -> Child {
        let mut command = Command::new("jackd");
        command.envs(environment(name)).args(["--no-realtime", "--name", name]);
        command.args(["-d", "dummy", "--rate", "48000", "--period", "128"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("jackd can be started")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(environment(&self.name)).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn wait_until(&self, what: &str, fits: impl Fn(&[String]) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let output = self.command("jack_lsp").stdout(Stdio::piped()).output().expect("jack_lsp");
            let ports: Vec<String> =
                String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
            if output.status.success() && fits(&ports) {
                return;
            }
            assert!(Instant::now() < until, "{what}: not with {ports:?}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn kill(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Jack {
    fn drop(&mut self) {
        // A server that is killed keeps its place in the list of the machine's eight until another of its name takes it: so this one
        // is asked to end.
        let asked = Command::new("kill").arg(self.server.id().to_string()).status();
        if asked.is_ok_and(|status| status.success()) {
            let _ = self.server.wait();
        } else {
            self.kill();
        }
    }
}

fn environment(name: &str) -> [(&'static str, &str); 2] {
    [("JACK_DEFAULT_SERVER", name), ("JACK_NO_START_SERVER", "1")]
}
