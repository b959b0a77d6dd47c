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

    /// Ends the call and notes what the listener says of its own delay.
    pub(crate) fn end(self, outcome: &mut Outcome) -> Result<(), Failure> {
        let said = self.listener.interrupt()?;
        self.talker.interrupt()?;
        let report = said.find('{').map_or("", |start| &said[start..]);
        let report: serde_json::Value =
            serde_json::from_str(report).map_err(|error| format!("the listener's report: {error}"))?;
        let peer = &report["peers"][0];
        let latency = &peer["latency"];
        outcome.own = latency["mouth_to_ear_ms"].as_f64();
        let stages = latency.as_object().map(|stages| {
            let stage = |(name, ms): (&String, &serde_json::Value)| {
                let ms = ms.as_f64().map_or_else(|| "?".to_owned(), |ms| format!("{ms:.2}"));
                format!("{} {ms}", name.trim_end_matches("_ms").replace('_', " "))
            };
            stages.iter().map(stage).collect::<Vec<_>>().join(", ")
        });
        let audio = &peer["audio"];
        let counts = format!(
            "{} received, {} late, {} concealed",
            audio["received"], audio["late"], audio["concealed"]
        );
        outcome.stages = Some(match stages {
            Some(stages) => format!("{stages}\n    {counts}"),
            None => counts,
        });
        Ok(())
    }
}
