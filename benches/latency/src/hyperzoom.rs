//! A call of two `hyperzoom` processes on loopback.

use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::outcome::Outcome;
use crate::program::Program;

/// Where one of the two speaks and hears, as `--mic` and `--speaker` say it.
pub(crate) struct Sound {
    /// The microphone.
    pub(crate) mic: String,
    /// The loudspeaker.
    pub(crate) speaker: String,
}

/// Two people in a call. Both processes end with this value.
pub(crate) struct Call {
    talker: Program,
    listener: Program,
}

impl Call {
    /// Starts both, with frames of `frame_ms`; `enter` lets a command see the sound server.
    pub(crate) fn start(
        program: &Path,
        frame_ms: &str,
        [talker, listener]: [Sound; 2],
        enter: impl Fn(&mut Command),
    ) -> Result<Self, Failure> {
        let person = |verb: &[&str], name: &str, sound: &Sound| {
            let mut command = Command::new(program);
            command.args(verb).args(["--headless", "--json", "--no-record", "--camera", "none"]);
            command.args(["--bind", "127.0.0.1", "--name", name, "--frame-ms", frame_ms]);
            command.args(["--mic", &sound.mic, "--speaker", &sound.speaker]);
            enter(&mut command);
            Program::start("hyperzoom", command)
        };
        let mut talker = person(&["host", "--port", "0"], "talker", &talker)?;
        let invite = talker.line()?;
        let listener = person(&["join", &invite], "listener", &listener)?;
        Ok(Self { talker, listener })
    }

    /// Ends the call and notes what both say of the way between them.
    ///
    /// `outside` is what they count and the meter does not: stages of theirs, as `device_ms`, that lie beyond the meter's mouth and ear.
    pub(crate) fn end(self, outcome: &mut Outcome, outside: impl Fn(&Said) -> f64) -> Result<(), Failure> {
        let listener = report(&self.listener.interrupt()?)?;
        let talker = report(&self.talker.interrupt()?)?;
        let said = Said { talker, listener };
        let peer = &said.listener["peers"][0];
        let mut stages = Vec::new();
        for stage in ["capture_ms", "encode_ms", "send_ms"] {
            stages.push((stage, said.talker["sound"]["latency"][stage].as_f64().unwrap_or(0.0)));
        }
        let sender: f64 = stages.iter().map(|(_, ms)| ms).sum();
        stages.push(("network_ms", said.listening("transit_ms") - sender));
        for stage in ["jitter_buffer_ms", "codec_ms", "resampler_ms", "device_ms"] {
            stages.push((stage, said.listening(stage)));
        }
        let outside = outside(&said);
        outcome.own = peer["latency"]["mouth_to_ear_ms"].as_f64().map(|own| own - outside);
        let stages: Vec<String> = stages
            .iter()
            .map(|(name, ms)| format!("{} {ms:.2}", name.trim_end_matches("_ms").replace('_', " ")))
            .collect();
        let audio = &peer["audio"];
        outcome.stages = Some(format!(
            "{}; beyond the meter {outside:.2}\n    {} received, {} late, {} concealed, depth {} ms",
            stages.join(", "),
            audio["received"],
            audio["late"],
            audio["concealed"],
            audio["jitter_buffer_ms"],
        ));
        Ok(())
    }
}

/// The two reports.
pub(crate) struct Said {
    talker: serde_json::Value,
    listener: serde_json::Value,
}

impl Said {
    /// A stage at the listener, in milliseconds.
    pub(crate) fn listening(&self, stage: &str) -> f64 {
        self.listener["peers"][0]["latency"][stage].as_f64().unwrap_or(0.0)
    }

    /// The period of the talker's microphone, in milliseconds.
    pub(crate) fn mic_period(&self) -> f64 {
        let mic = &self.talker["sound"]["mic"];
        let (period, rate) = (mic["period"].as_f64(), mic["sample_rate"].as_f64());
        period.zip(rate).map_or(0.0, |(period, rate)| period * 1e3 / rate)
    }
}

fn report(said: &str) -> Result<serde_json::Value, Failure> {
    let start =
        said.find('{').ok_or("a participant ended without its report (HZ_VERBOSE=1 shows what it says)")?;
    Ok(serde_json::from_str(&said[start..])?)
}
