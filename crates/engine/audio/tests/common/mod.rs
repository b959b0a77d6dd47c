//! A PulseAudio of the test's own, with null sinks for devices.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A sound server that lives as long as this. It sees no other's configuration, and nobody else sees it.
pub(crate) struct Pulse {
    server: Child,
    home: TempDir,
    sinks: Vec<(String, u8)>,
}

impl Pulse {
    /// Starts a server with null sinks of these names and numbers of channels; `None`, with a printed reason, where PulseAudio is not
    /// installed.
    ///
    /// This process's own environment is pointed at the server, so a test binary has one server and each test a process.
    pub(crate) fn start(sinks: &[(&str, u8)]) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let sinks: Vec<_> = sinks.iter().map(|(name, channels)| ((*name).to_owned(), *channels)).collect();
        let server = match Self::spawn(home.path(), &sinks) {
            Ok(server) => server,
            Err(error) => {
                println!("skipped: pulseaudio does not start: {error}");
                return None;
            }
        };
        for (name, value) in Self::environment(home.path()) {
            // SAFETY: nextest runs each test in a process of its own, and this one has no second thread yet that reads the environment.
            unsafe { std::env::set_var(name, value) };
        }
        let pulse = Self { server, home, sinks };
        pulse.wait();
        Some(pulse)
    }

    fn environment(home: &Path) -> [(&'static str, String); 4] {
        let home = home.display().to_string();
        [
            ("HOME", home.clone()),
            ("XDG_RUNTIME_DIR", home.clone()),
            ("PULSE_RUNTIME_PATH", home.clone()),
            ("PULSE_SERVER", format!("unix:{home}/native")),
        ]
    }

    fn spawn(home: &Path, sinks: &[(String, u8)]) -> std::io::Result<Child> {
        let mut command = Command::new("pulseaudio");
        command.args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-L"]);
        command.arg(format!("module-native-protocol-unix socket={}/native auth-anonymous=1", home.display()));
        for (name, channels) in sinks {
            command
                .arg("-L")
                .arg(format!("module-null-sink sink_name={name} rate=48000 channels={channels}"));
        }
        command.envs(Self::environment(home)).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn()
    }

    /// Waits until the server answers with all of its sinks.
    fn wait(&self) {
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            let listed = Command::new("pactl").args(["list", "short", "sinks"]).output();
            let listed =
                listed.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default();
            if self.sinks.iter().all(|(name, _)| listed.contains(name.as_str())) {
                return;
            }
            assert!(Instant::now() < patience, "PulseAudio has not come up: {listed}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the server and starts another at the same place.
    #[allow(dead_code, reason = "not every test binary restarts its server")]
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.server = Self::spawn(self.home.path(), &self.sinks).unwrap();
        self.wait();
    }

    fn kill(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_file(self.home.path().join("native"));
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.kill();
    }
}
