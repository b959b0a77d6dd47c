//! PulseAudio, and PipeWire in its stead, without cpal.
//!
//! cpal 0.18 gives the server room for one single period of the microphone (`max_length` = `fragment_size`). When the machine is busy
//! and the server sends late, it throws away what does not fit, and nobody is told: 143 ms of 18 s got lost on two cores with six
//! busy processes, where a stream with room to wait in lost nothing. What is recorded has to be whole, so these streams are ours.

mod format;
mod streams;
mod wire;

pub(crate) use streams::{Status, Stream, loudspeaker, microphone};

use std::ffi::CString;

use pulseaudio::protocol::{Command, SampleSpec, ServerInfo, SinkInfoList, SourceInfoList};

use crate::devices::{Direction, SoundDevice, SoundHost};
use wire::Wire;

/// A connection to the sound server, to ask it for what there is.
pub(crate) struct Server(Wire);

impl Server {
    /// Connects to the server that the environment names.
    pub(crate) fn connect() -> Result<Self, String> {
        Wire::connect().map(Self)
    }

    /// All sinks and sources, monitors included.
    pub(crate) fn devices(&mut self) -> Result<Vec<SoundDevice>, String> {
        let server: ServerInfo = self.0.ask(&Command::GetServerInfo)?;
        let device = |name: &CString, description: &Option<CString>, spec: &SampleSpec, direction| {
            let text = |text: &CString| text.to_string_lossy().into_owned();
            let default = match direction {
                Direction::Microphone => &server.default_source_name,
                Direction::Loudspeaker => &server.default_sink_name,
            };
            SoundDevice {
                name: text(name),
                description: text(description.as_ref().unwrap_or(name)),
                host: SoundHost::Pulse,
                direction,
                default: default.as_ref() == Some(name),
                monitor: direction == Direction::Microphone && name.as_bytes().ends_with(b".monitor"),
                channels: Some(u16::from(spec.channels)),
                rate: Some(spec.sample_rate),
                // The server resamples.
                rates: Some((1, pulseaudio::protocol::sample_spec::MAX_RATE)),
            }
        };
        let sources: SourceInfoList = self.0.ask(&Command::GetSourceInfoList)?;
        let sinks: SinkInfoList = self.0.ask(&Command::GetSinkInfoList)?;
        let microphones =
            sources.iter().map(|s| device(&s.name, &s.description, &s.sample_spec, Direction::Microphone));
        let loudspeakers =
            sinks.iter().map(|s| device(&s.name, &s.description, &s.sample_spec, Direction::Loudspeaker));
        Ok(microphones.chain(loudspeakers).collect())
    }
}
