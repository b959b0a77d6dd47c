//! A JACK server of the benchmark's own, without a sound card, and a meter inside its graph.

use std::process::Command;
use std::time::Duration;

use jack::{
    AudioIn, AudioOut, Client, ClientOptions, Control, Port, PortFlags, ProcessHandler, ProcessScope,
};

use crate::Failure;
use crate::outcome::Outcome;
use crate::program::{Program, wait_for};
use crate::stimulus::{SAMPLE_RATE, Sequence, delay};

/// What the server is called, so that no other program of the machine is heard. Programs under test learn it from
/// `JACK_DEFAULT_SERVER`.
pub(crate) const SERVER: &str = "hyperzoom-latency";

/// Samples of a period.
const PERIOD: u32 = 128;

/// A running server. It ends with this value.
pub(crate) struct Jack {
    server: Program,
    meter: Client,
}

impl Jack {
    /// Starts a server with a dummy card of 48 kHz and periods of 128 samples. `realtime` where its clients are to come before
    /// what else the machine does; the process must be allowed to do so.
    pub(crate) fn start(realtime: bool) -> Result<Self, Failure> {
        let mut command = Command::new("jackd");
        command.args(["-n", SERVER]);
        if realtime {
            command.args(["--realtime", "-P", "70"]);
        } else {
            command.arg("--no-realtime");
        }
        command.args(["-d", "dummy", "-r", &SAMPLE_RATE.to_string(), "-p", &PERIOD.to_string()]);
        let server = Program::start("jackd", command)?;
        let meter = wait_for("the JACK server", || {
            Client::new("latency-meter", ClientOptions::NO_START_SERVER).ok()
        })?;
        Ok(Self { server, meter: meter.0 })
    }

    /// Waits until a client has such a port.
    pub(crate) fn port(&self, name: &str) -> Result<(), Failure> {
        wait_for(&format!("the JACK port {name}"), || self.meter.port_by_name(name)).map(drop)
    }

    /// Speaks into the ports of `mouths` and listens to `ear`, exact to the sample: the meter runs between both in one graph.
    pub(crate) fn measure(
        self,
        mouths: &[&str],
        ear: &str,
        chirps: usize,
        settle: Duration,
    ) -> Result<(Self, Outcome), Failure> {
        let Self { server, meter } = self;
        let sequence = Sequence::of(chirps);
        let (done, is_done) = std::sync::mpsc::sync_channel(1);
        let handler = Handler {
            mouth: meter.register_port("mouth", AudioOut::default())?,
            ear: meter.register_port("ear", AudioIn::default())?,
            heard: vec![0.0; sequence.samples.len()],
            samples: sequence.samples.clone(),
            position: 0,
            // Silence first, so that jitter buffers find their depth.
            settle: settle.as_secs() as usize * SAMPLE_RATE,
            done,
        };
        let length = settle + Duration::from_secs_f64(handler.samples.len() as f64 / SAMPLE_RATE as f64);
        let meter = meter.activate_async((), handler)?;
        let client = meter.as_client();
        // What connects itself to the card would be heard as well.
        for card in client.ports(Some("^system:"), None, PortFlags::empty()) {
            for port in client.port_by_name(&card).map(|port| port.get_connections()).unwrap_or_default() {
                let _ = client.disconnect_ports_by_name(&card, &port);
                let _ = client.disconnect_ports_by_name(&port, &card);
            }
        }
        for mouth in mouths {
            client.connect_ports_by_name("latency-meter:mouth", mouth)?;
        }
        client.connect_ports_by_name(ear, "latency-meter:ear")?;
        is_done
            .recv_timeout(2 * length + Duration::from_secs(10))
            .map_err(|_| "the JACK server no longer runs its graph")?;
        let (meter, (), handler) = meter.deactivate()?;
        let ms = |samples: usize| samples as f64 * 1e3 / SAMPLE_RATE as f64;
        let delays = sequence.starts.iter().map(|start| delay(&handler.heard, *start).map(ms)).collect();
        Ok((Self { server, meter }, delays))
    }
}

/// What the meter does in each cycle.
struct Handler {
    mouth: Port<AudioOut>,
    ear: Port<AudioIn>,
    samples: Vec<f32>,
    heard: Vec<f32>,
    position: usize,
    settle: usize,
    done: std::sync::mpsc::SyncSender<()>,
}

impl ProcessHandler for Handler {
    fn process(&mut self, _client: &Client, scope: &ProcessScope) -> Control {
        let (mouth, ear) = (self.mouth.as_mut_slice(scope), self.ear.as_slice(scope));
        let period = mouth.len();
        let end = self.position + period;
        if self.settle >= period {
            self.settle -= period;
            mouth.fill(0.0);
        } else if end <= self.samples.len() {
            mouth.copy_from_slice(&self.samples[self.position..end]);
            self.heard[self.position..end].copy_from_slice(ear);
            self.position = end;
        } else {
            mouth.fill(0.0);
            let _ = self.done.try_send(());
        }
        Control::Continue
    }
}
