//! Carries a person's voice from the microphone to the network and the recorder, and the others' voices to the loudspeaker, with as
//! little delay as the devices allow.
//!
//! [`start`] opens a microphone and a loudspeaker, which may also be a tone, a file or nothing ([`SoundSpec`]), and runs:
//!
//! - the **capture callback** (`capture`), which copies each period into the live ring and into the recordings' ([`AudioEngine::record_tap`]);
//! - the **live thread** (`live`), which encodes one Opus frame at a time and hands it to a
//!   [`PacketSink`](hyperzoom_media::PacketSink);
//! - the **playback callback** (`mixer`), which pulls each peer's packets through its
//!   [`Playout`](hyperzoom_playout::Playout), adds the voices and limits the sum;
//! - the **owner thread** (`owner`), which opens the devices, opens them again after they were lost, frees what the real-time
//!   threads are done with, and keeps some of what was heard while a take is recorded (`ears`).
//!
//! The callbacks and the live thread neither allocate, free, lock nor log. Everything is mono at 48 kHz inside; `convert` and
//! `resample` stand between that and what a device has. Stand-ins for devices (`timer`, `source`) run the same callbacks.

mod capture;
mod codec;
mod convert;
mod dater;
mod devices;
mod ears;
mod engine;
mod error;
mod events;
mod format;
#[cfg(test)]
mod heap_use;
mod hold;
mod hush;
mod jack;
mod latency;
mod live;
mod loan;
mod meter;
mod mixer;
mod owner;
mod priority;
mod probe;
#[cfg_attr(not(target_os = "linux"), path = "pulse_absent.rs")]
mod pulse;
mod quiet;
mod resample;
mod source;
mod spec;
mod stream;
mod timer;
mod tone;

pub use codec::{Decoder, Encoder, MAX_PAYLOAD};
pub use devices::{Direction, SoundDevice, SoundHost, devices};
pub use engine::{AudioConfig, AudioEngine, Description, LiveStats, start};
pub use error::{AudioError, Busy};
pub use events::{AudioEvent, AudioEvents};
pub use hyperzoom_playout::FrameSize;
pub use latency::{Latency, SendLatency};
pub use meter::Level;
pub use probe::{Coupling, PROBE_SAMPLES, coupling, probe_sample};
pub use spec::{SoundSpec, SpecError};
pub use stream::StreamShape;
