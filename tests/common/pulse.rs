//! A PulseAudio server of the test's own, with null sinks for the mouths and ears of its people.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

/// A private server: no other program sees it, and it sees no real card. It ends with this value.
pub struct Pulse {
    child: Child,
    folder: tempfile::TempDir,
    log: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Starts a server with a mono 48 kHz null sink for each name.
    pub fn start(sinks: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("native");
        let mut command = Command::new("pulseaudio");
        command.args([
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
            "--log-level=info",
        ]);
        command.args(["--log-target=stderr", "--realtime=no", "--high-priority=no"]);
        command
            .arg("-L")
            .arg(format!("module-native-protocol-unix auth-anonymous=1 socket={}", socket.display()));
        for sink in sinks {
            command.arg("-L").arg(format!(
                "module-null-sink sink_name={sink} rate=48000 channels=1 sink_properties=device.description={sink}"
            ));
        }
        environment(&mut command, folder.path());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("pulseaudio");
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
        Self { child, folder, log: Some(log) }
    }

    /// Lets `command` see this server and no other.
    pub fn enter(&self, command: &mut Command) {
        environment(command, self.folder.path());
    }

    /// Plays a WAV file into a sink, to its end.
    pub fn play(&self, sink: &str, file: &Path) {
        let mut command = Command::new("paplay");
        self.enter(&mut command);
        let status = command.arg(format!("--device={sink}")).arg(file).status().expect("paplay");
        assert!(status.success(), "paplay into {sink}");
    }

    /// Records what a sink plays until [`Recording::samples`] is called.
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

fn environment(command: &mut Command, folder: &Path) {
    let socket: PathBuf = folder.join("native");
    command.env("HOME", folder).env("XDG_RUNTIME_DIR", folder).env("PULSE_RUNTIME_PATH", folder);
    command.env("PULSE_SERVER", format!("unix:{}", socket.display()));
    command.env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("PULSE_SINK").env_remove("PULSE_SOURCE");
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(log) = self.log.take() {
            let _ = log.join();
        }
    }
}

/// A sink's sound on its way into memory.
pub struct Recording {
    child: Child,
    reader: JoinHandle<Vec<u8>>,
}

impl Recording {
    /// Ends the recording: mono samples at 48 kHz.
    pub fn samples(mut self) -> Vec<f32> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let bytes = self.reader.join().expect("reads to the end");
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }
}
