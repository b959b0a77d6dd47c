//! A PulseAudio server of the test's own, with null sinks for the mouths and ears of its people.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

/// A private server: no other program sees it, and it sees no real card. It ends with this value.
pub struct Pulse {
    server: Server,
    folder: tempfile::TempDir,
    sinks: Vec<(String, u8)>,
}

impl Pulse {
    /// Starts a server with a 48 kHz null sink for each name and number of channels.
    ///
    /// # Panics
    /// Where PulseAudio does not start.
    #[must_use]
    pub fn start(sinks: &[(&str, u8)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sinks: Vec<_> = sinks.iter().map(|(name, channels)| ((*name).to_owned(), *channels)).collect();
        Self { server: Server::start(folder.path(), &sinks), folder, sinks }
    }

    /// Kills the server and starts another at the same place.
    pub fn restart(&mut self) {
        self.server.kill();
        let _ = std::fs::remove_file(self.folder.path().join("native"));
        self.server = Server::start(self.folder.path(), &self.sinks);
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        self.server.kill();
        let _ = std::fs::remove_file(self.folder.path().join("native"));
    }

    /// Plugs in another null sink, which runs at `rate`. The name to unplug it by is returned.
    ///
    /// # Panics
    /// Where the server refuses.
    #[must_use]
    pub fn plug_in(&self, sink: &str, channels: u8, rate: u32) -> Module {
        let format = [format!("rate={rate}"), format!("channels={channels}")];
        self.load("module-null-sink", &[&format!("sink_name={sink}"), &format[0], &format[1]])
    }

    /// Plugs in a microphone that delivers nothing but zeros.
    ///
    /// # Panics
    /// Where the server refuses.
    #[must_use]
    pub fn plug_in_dead_microphone(&self, name: &str) -> Module {
        self.load("module-null-source", &[&format!("source_name={name}"), "rate=48000", "channels=1"])
    }

    /// Unplugs what was plugged in.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn unplug(&self, module: &Module) {
        let _ = self.pactl(&["unload-module", &module.0]);
    }

    fn load(&self, module: &str, arguments: &[&str]) -> Module {
        Module(self.pactl(&[&["load-module", module], arguments].concat()).trim().to_owned())
    }

    fn pactl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("pactl");
        self.enter(&mut command);
        let output = command.args(arguments).output().expect("pactl");
        assert!(output.status.success(), "pactl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Lets this process see the server and no other.
    ///
    /// # Safety
    /// No other thread may read or write the environment at the same time: nextest runs each test in a process of its own, and a
    /// test calls this first.
    pub unsafe fn enter_this_process(&self) {
        for (name, value) in environment(self.folder.path()) {
            // SAFETY: the caller's promise.
            unsafe { std::env::set_var(name, value) };
        }
    }

    /// Lets `command` see this server and no other.
    pub fn enter(&self, command: &mut Command) {
        command.envs(environment(self.folder.path()));
        command.env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("PULSE_SINK").env_remove("PULSE_SOURCE");
    }

    /// Plays a WAV file into a sink, to its end.
    ///
    /// # Panics
    /// Where `paplay` fails.
    pub fn play(&self, sink: &str, file: &Path) {
        let mut command = Command::new("paplay");
        self.enter(&mut command);
        let status = command.arg(format!("--device={sink}")).arg(file).status().expect("paplay");
        assert!(status.success(), "paplay into {sink}");
    }

    /// Records what a sink plays until [`Recording::samples`] is called. The first samples are there when this returns.
    ///
    /// # Panics
    /// Where `parec` delivers nothing.
    #[must_use]
    pub fn record(&self, sink: &str) -> Recording {
        let mut command = Command::new("parec");
        self.enter(&mut command);
        command.args(["-d", &format!("{sink}.monitor"), "--latency-msec=10", "--raw"]);
        command.args(["--format=float32le", "--rate=48000", "--channels=1"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("parec");
        let mut stdout = child.stdout.take().expect("piped");
        // The first block proves that the recording runs before anybody speaks.
        let mut first = [0; 480];
        stdout.read_exact(&mut first).expect("parec delivers");
        let reader = std::thread::spawn(move || {
            let mut bytes = first.to_vec();
            let _ = stdout.read_to_end(&mut bytes);
            bytes
        });
        Recording { child, reader }
    }
}

/// Something that was plugged into a [`Pulse`].
#[derive(Debug)]
pub struct Module(String);

fn environment(folder: &Path) -> [(&'static str, String); 4] {
    let home = folder.display().to_string();
    [
        ("HOME", home.clone()),
        ("XDG_RUNTIME_DIR", home.clone()),
        ("PULSE_RUNTIME_PATH", home.clone()),
        ("PULSE_SERVER", format!("unix:{home}/native")),
    ]
}

/// The server's process, and the thread that reads its log.
struct Server {
    child: Child,
    log: Option<JoinHandle<()>>,
}

impl Server {
    fn start(folder: &Path, sinks: &[(String, u8)]) -> Self {
        let mut command = Command::new("pulseaudio");
        command.args([
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
            "--log-level=info",
        ]);
        // Where the system lets it, as for the program under test: what else the machine does must not be heard.
        command.args(["--log-target=stderr", "--realtime=yes", "--high-priority=yes"]);
        let socket = folder.join("native");
        command
            .arg("-L")
            .arg(format!("module-native-protocol-unix auth-anonymous=1 socket={}", socket.display()));
        for (name, channels) in sinks {
            command.arg("-L").arg(format!(
                "module-null-sink sink_name={name} rate=48000 channels={channels} sink_properties=device.description={name}"
            ));
        }
        command.envs(environment(folder));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("pulseaudio can be started");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut seen = String::new();
        loop {
            let before = seen.len();
            assert!(log.read_line(&mut seen).is_ok_and(|n| n > 0), "pulseaudio did not start:\n{seen}");
            if seen[before..].contains("startup complete") {
                break;
            }
        }
        // Somebody must go on reading the log, or the server stops at a full pipe.
        let log = std::thread::spawn(move || {
            let _ = std::io::copy(&mut log, &mut std::io::sink());
        });
        Self { child, log: Some(log) }
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(log) = self.log.take() {
            let _ = log.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A sink's sound on its way into memory.
pub struct Recording {
    child: Child,
    reader: JoinHandle<Vec<u8>>,
}

impl Recording {
    /// Ends the recording: mono samples at 48 kHz.
    ///
    /// # Panics
    /// Where the thread that reads has panicked.
    #[must_use]
    pub fn samples(mut self) -> Vec<f32> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let bytes = self.reader.join().expect("reads to the end");
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }
}
