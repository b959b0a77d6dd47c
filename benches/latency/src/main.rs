//! How long it takes from one person's mouth to another's ear, measured from outside: chirps are played into a program's microphone
//! and looked for at another program's loudspeaker.
//!
//! The program under test is a black box, so that HyperZoom and its peers are measured by the same meter, in the same run. Two
//! sound servers carry the sound, both without a card: JACK, in whose graph the meter is exact to the sample, and PulseAudio. Both
//! belong to the benchmark alone.

#[cfg(target_os = "linux")]
mod cpu;
#[cfg(target_os = "linux")]
mod hyperzoom;
#[cfg(target_os = "linux")]
mod jack_server;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod outcome;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod pulse_server;
#[cfg(target_os = "linux")]
mod stimulus;
#[cfg(target_os = "linux")]
mod wakeups;

/// Why something was not measured, for a person.
type Failure = Box<dyn std::error::Error>;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Failure> {
    linux::run()
}

#[cfg(not(target_os = "linux"))]
fn main() -> Result<(), Failure> {
    Err("the latency benchmark needs JACK or PulseAudio on Linux".into())
}
