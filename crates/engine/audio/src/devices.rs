//! The sound devices of this machine: listing them, and finding the one that was meant.

use std::fmt;
use std::sync::mpsc;
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait};

use crate::error::AudioError;
use crate::spec::SoundSpec;
use crate::{jack, pulse, quiet};

/// How long a sound server may take to tell its devices. One that is stopped in a debugger never answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A program or interface of the operating system that owns sound devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SoundHost {
    /// PulseAudio, or PipeWire in its stead.
    Pulse,
    /// JACK, or PipeWire in its stead.
    Jack,
    /// The Linux kernel's sound cards.
    Alsa,
    /// The operating system's own, where it has one: CoreAudio, WASAPI.
    System,
}

impl SoundHost {
    /// In the order in which they are asked where none was named. A sound server shares its card with other programs, and
    /// while it runs nobody else can open it, so the servers come first.
    const ALL: [Self; 4] = [Self::Pulse, Self::Jack, Self::Alsa, Self::System];

    /// What is written in front of a device's name, without the colon.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Pulse => "pulse",
            Self::Jack => "jack",
            Self::Alsa => "alsa",
            Self::System => "system",
        }
    }

    pub(crate) fn from_prefix(prefix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|host| host.prefix() == prefix)
    }

    fn of(id: cpal::HostId) -> Self {
        match id.name() {
            "PulseAudio" => Self::Pulse,
            "JACK" => Self::Jack,
            "ALSA" => Self::Alsa,
            _ => Self::System,
        }
    }

    /// Asks the host for its devices. The error is what the host, or its absence, said.
    fn devices(self) -> Result<Vec<Listed>, String> {
        quiet::silence();
        if self == Self::Pulse {
            let devices = pulse::Server::connect()?.devices()?;
            return Ok(devices.into_iter().map(|info| Listed { info, handle: Handle::Pulse }).collect());
        }
        let id = cpal::ALL_HOSTS.iter().find(|id| Self::of(**id) == self);
        let id = id.ok_or("it does not exist on this system")?;
        let host = cpal::host_from_id(*id).map_err(|error| error.to_string())?;
        // cpal's JACK host makes its two devices where there is a server, and says nothing where there is none.
        if self == Self::Jack && !(jack::may_ask() && host.default_input_device().is_some()) {
            return Err(NO_JACK.to_owned());
        }
        Ok(Listed::all(self, &host))
    }
}

const NO_JACK: &str = "no server is running";

impl fmt::Display for SoundHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pulse => "PulseAudio",
            Self::Jack => "JACK",
            Self::Alsa => "ALSA",
            Self::System => "the system's sound",
        })
    }
}

/// Which way the sound goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Into the program.
    Microphone,
    /// Out of the program.
    Loudspeaker,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Microphone => "microphone",
            Self::Loudspeaker => "loudspeaker",
        })
    }
}

/// A device as a person chooses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundDevice {
    /// The name by which the host knows it: a PulseAudio node, an ALSA PCM.
    pub name: String,
    /// The name that is meant for people.
    pub description: String,
    /// The host that owns it.
    pub host: SoundHost,
    /// Which way its sound goes.
    pub direction: Direction,
    /// Whether the host uses it where nothing was chosen.
    pub default: bool,
    /// Whether it is no microphone but hears what a loudspeaker plays.
    pub monitor: bool,
    /// Channels that it has by itself; `None` where the host would not say, as with a card that another program holds.
    pub channels: Option<u16>,
    /// Samples a second that it runs at by itself; `None` as above.
    pub rate: Option<u32>,
    /// The lowest and the highest rate at which the host will open it; `None` as above.
    pub rates: Option<(u32, u32)>,
}

impl SoundDevice {
    /// What to write to choose exactly this device.
    #[must_use]
    pub fn spec(&self) -> SoundSpec {
        match self.host {
            // Its devices have no names of their own; a name would become our client's.
            SoundHost::Jack => SoundSpec::Default { host: Some(self.host) },
            host => SoundSpec::Device { host: Some(host), name: self.name.clone() },
        }
    }

    /// Whether it is a device to a person: everything but ALSA's plug-ins.
    fn is_worth_showing(&self) -> bool {
        self.host != SoundHost::Alsa || is_card(&self.name)
    }
}

/// The devices that one can choose: those of the sound servers that answer, or the machine's sound cards where none does.
///
/// Answers within a few seconds, whatever state the servers are in, and writes nothing on the terminal. No server and no card is
/// an empty list.
#[must_use]
pub fn devices() -> Vec<SoundDevice> {
    within(ANSWER_TIMEOUT, || {
        let mut found: Vec<SoundDevice> = Vec::new();
        for host in SoundHost::ALL {
            // What a server does not show is not free to be used beside it.
            if host == SoundHost::Alsa && !found.is_empty() {
                continue;
            }
            let listed = host.devices().unwrap_or_default();
            found.extend(listed.into_iter().filter(Listed::worth_showing).map(|listed| listed.info));
        }
        found
    })
    .unwrap_or_default()
}

/// Runs `question` on a thread of its own; `None` where it takes longer than `limit`. The thread is left to itself then: the
/// sound libraries have no way to take a question back.
fn within<T: Send + 'static>(limit: Duration, question: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (answer, answered) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("sound-devices".into()).spawn(move || answer.send(question())).ok()?;
    answered.recv_timeout(limit).ok()
}

/// A device that was found, ready to be opened.
pub(crate) struct Listed {
    pub(crate) info: SoundDevice,
    pub(crate) handle: Handle,
}

/// What opens the device.
pub(crate) enum Handle {
    /// Its name is enough.
    Pulse,
    Cpal(Box<cpal::Device>),
}

/// Finds the device that `spec` means. To be called for [`SoundSpec::Default`] and [`SoundSpec::Device`] only.
pub(crate) fn find(spec: &SoundSpec, direction: Direction) -> Result<Listed, AudioError> {
    match spec {
        SoundSpec::Device { host: Some(SoundHost::Jack), name } => jack_client(name, direction),
        SoundSpec::Device { host, name } => named(*host, name, direction),
        SoundSpec::Default { host: Some(host) } => default_of(*host, direction),
        _ => {
            let mut hosts = SoundHost::ALL.into_iter();
            hosts.find_map(|host| default_of(host, direction).ok()).ok_or_else(|| no_devices(direction))
        }
    }
}

fn no_devices(direction: Direction) -> AudioError {
    let alternative = match direction {
        Direction::Microphone => "\"tone\" or \"file:PATH\" as the microphone",
        Direction::Loudspeaker => "or \"file:PATH\" as the loudspeaker",
    };
    AudioError::NoDevices { direction, alternative }
}

fn default_of(host: SoundHost, direction: Direction) -> Result<Listed, AudioError> {
    match host {
        SoundHost::Jack => jack_client(OWN_CLIENT, direction),
        SoundHost::Alsa => alsa_default(direction),
        SoundHost::Pulse | SoundHost::System => {
            let listed = host.devices().map_err(|reason| AudioError::HostUnavailable { host, reason })?;
            let mut fitting = listed.into_iter().filter(|l| l.info.direction == direction && l.info.default);
            fitting.next().ok_or_else(|| no_devices(direction))
        }
    }
}

/// ALSA has a device "default" on a machine without a card, too. It just does not open.
fn alsa_default(direction: Direction) -> Result<Listed, AudioError> {
    quiet::silence();
    let id = cpal::ALL_HOSTS.iter().find(|id| SoundHost::of(**id) == SoundHost::Alsa);
    let device = id.and_then(|id| cpal::host_from_id(*id).ok()).and_then(|host| match direction {
        Direction::Microphone => host.default_input_device(),
        Direction::Loudspeaker => host.default_output_device(),
    });
    let device = device.filter(|device| native_format(device, direction).is_some());
    let device = device.ok_or_else(|| no_devices(direction))?;
    Ok(Listed::unlisted(SoundHost::Alsa, "default", direction, device))
}

fn named(host: Option<SoundHost>, name: &str, direction: Direction) -> Result<Listed, AudioError> {
    let mut choices = Vec::new();
    let hosts: Vec<SoundHost> = match host {
        Some(host) => vec![host],
        None => SoundHost::ALL.into_iter().filter(|host| *host != SoundHost::Jack).collect(),
    };
    for candidate in hosts {
        let listed = match (candidate.devices(), host) {
            (Ok(listed), _) => listed,
            (Err(reason), Some(host)) => return Err(AudioError::HostUnavailable { host, reason }),
            (Err(_), None) => continue,
        };
        let mut listed: Vec<Listed> = listed.into_iter().filter(|l| l.info.direction == direction).collect();
        match pick(&listed.iter().map(|l| &l.info).collect::<Vec<_>>(), name) {
            Pick::One(index) => return Ok(listed.swap_remove(index)),
            Pick::Several(fitting) => {
                let choices = fitting.into_iter().map(|index| listed[index].info.name.clone()).collect();
                return Err(AudioError::AmbiguousDevice { direction, name: name.to_owned(), choices });
            }
            Pick::None => {
                choices.extend(listed.into_iter().filter(Listed::worth_showing).map(|l| l.info.name));
            }
        }
    }
    if choices.is_empty() {
        return Err(no_devices(direction));
    }
    Err(AudioError::UnknownDevice { direction, name: name.to_owned(), choices })
}

#[derive(Debug, PartialEq, Eq)]
enum Pick {
    None,
    One(usize),
    Several(Vec<usize>),
}

/// The one that is called exactly `name`, or the only one whose name contains it; of a microphone and a loudspeaker's monitor
/// that both do, the microphone. ALSA's plug-ins have to be called by their whole names.
fn pick(infos: &[&SoundDevice], name: &str) -> Pick {
    let wanted = name.to_lowercase();
    let fitting = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let names = |info: &SoundDevice| [info.name.to_lowercase(), info.description.to_lowercase()];
        (0..infos.len()).filter(|index| names(infos[*index]).iter().any(|name| fits(name))).collect()
    };
    let exact = fitting(&|name| name == wanted);
    if let [index] = exact[..] {
        return Pick::One(index);
    }
    let mut part = fitting(&|name| name.contains(&wanted));
    part.retain(|index| infos[*index].is_worth_showing());
    let real: Vec<usize> = part.iter().copied().filter(|index| !infos[*index].monitor).collect();
    match (&part[..], &real[..]) {
        ([], _) => Pick::None,
        ([index], _) | (_, [index]) => Pick::One(*index),
        _ => Pick::Several(part),
    }
}

/// Under this name our JACK client is connected to the card by itself.
const OWN_CLIENT: &str = "HyperZoom";

/// A JACK client of our own.
fn jack_client(name: &str, direction: Direction) -> Result<Listed, AudioError> {
    type JackDevice = <cpal::platform::JackHost as HostTrait>::Device;

    let unavailable = || AudioError::HostUnavailable { host: SoundHost::Jack, reason: NO_JACK.to_owned() };
    if !jack::may_ask() {
        return Err(unavailable());
    }
    let connect = name == OWN_CLIENT;
    let device = match direction {
        Direction::Microphone => JackDevice::default_input_device(name, connect, false),
        Direction::Loudspeaker => JackDevice::default_output_device(name, connect, false),
    };
    Ok(Listed::unlisted(SoundHost::Jack, name, direction, device.map_err(|_| unavailable())?.into()))
}

impl Listed {
    /// A device that its host does not list.
    fn unlisted(host: SoundHost, name: &str, direction: Direction, device: cpal::Device) -> Self {
        let info = SoundDevice {
            name: name.to_owned(),
            description: name.to_owned(),
            host,
            direction,
            default: false,
            monitor: false,
            channels: None,
            rate: None,
            rates: None,
        };
        Self { info, handle: Handle::Cpal(Box::new(device)) }
    }

    /// What a host of cpal's has.
    fn all(host: SoundHost, connected: &cpal::Host) -> Vec<Self> {
        let Ok(devices) = connected.devices() else { return Vec::new() };
        let name_of =
            |device: Option<cpal::Device>| device.and_then(|d| d.id().ok()).map(|id| id.id().to_owned());
        let default_input = name_of(connected.default_input_device());
        let default_output = name_of(connected.default_output_device());
        let mut all = Vec::new();
        for device in devices {
            let (Ok(id), Ok(described)) = (device.id(), device.description()) else { continue };
            for direction in [Direction::Microphone, Direction::Loudspeaker] {
                let (goes, default) = match direction {
                    Direction::Microphone => (described.supports_input(), &default_input),
                    Direction::Loudspeaker => (described.supports_output(), &default_output),
                };
                if !goes {
                    continue;
                }
                let mut listed = Self::unlisted(host, id.id(), direction, device.clone());
                let info = &mut listed.info;
                described.name().lines().next().unwrap_or(id.id()).clone_into(&mut info.description);
                info.default = default.as_deref() == Some(id.id());
                // Asking an ALSA device for its format opens it, and some plug-ins take seconds for that.
                if info.is_worth_showing()
                    && let Some(format) = native_format(&device, direction)
                {
                    info.channels = Some(format.channels());
                    info.rate = Some(format.sample_rate());
                    info.rates = rates(&device, direction);
                }
                all.push(listed);
            }
        }
        all
    }

    fn worth_showing(&self) -> bool {
        self.info.is_worth_showing()
    }
}

/// Whether an ALSA PCM is a card, with the conversions that make it usable, and not one of the plug-ins. Cards are listed
/// under their name and under their number; the name stays the same when a device is plugged in again.
fn is_card(name: &str) -> bool {
    name.strip_prefix("plughw:CARD=").is_some_and(|card| !card.starts_with(|c: char| c.is_ascii_digit()))
}

fn native_format(device: &cpal::Device, direction: Direction) -> Option<cpal::SupportedStreamConfig> {
    match direction {
        Direction::Microphone => device.default_input_config().ok(),
        Direction::Loudspeaker => device.default_output_config().ok(),
    }
}

fn rates(device: &cpal::Device, direction: Direction) -> Option<(u32, u32)> {
    let ranges: Vec<_> = match direction {
        Direction::Microphone => device.supported_input_configs().ok()?.collect(),
        Direction::Loudspeaker => device.supported_output_configs().ok()?.collect(),
    };
    let lowest = ranges.iter().map(cpal::SupportedStreamConfigRange::min_sample_rate).min()?;
    let highest = ranges.iter().map(cpal::SupportedStreamConfigRange::max_sample_rate).max()?;
    Some((lowest, highest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, description: &str) -> SoundDevice {
        SoundDevice {
            name: name.to_owned(),
            description: description.to_owned(),
            host: SoundHost::Pulse,
            direction: Direction::Microphone,
            default: false,
            monitor: name.ends_with(".monitor"),
            channels: Some(1),
            rate: Some(48_000),
            rates: None,
        }
    }

    fn picked(name: &str) -> Pick {
        let devices = [
            source("alsa_output.usb-Scarlett.monitor", "Monitor of Scarlett 2i2"),
            source("alsa_input.usb-Scarlett", "Scarlett 2i2"),
            source("micA.monitor", "Monitor of Null Output"),
            source("micAB.monitor", "Monitor of Null Output"),
        ];
        pick(&devices.iter().collect::<Vec<_>>(), name)
    }

    #[test]
    fn a_part_of_either_name_is_enough_whatever_its_case() {
        assert_eq!(picked("MICAB"), Pick::One(3));
        assert_eq!(picked("usb-scarlett.mon"), Pick::One(0));
        assert_eq!(picked("nothing"), Pick::None);
    }

    #[test]
    fn the_whole_name_wins_over_a_part_of_another() {
        assert_eq!(picked("mica.monitor"), Pick::One(2));
        assert_eq!(picked("scarlett 2i2"), Pick::One(1));
    }

    #[test]
    fn a_microphone_wins_over_a_loudspeakers_monitor() {
        assert_eq!(picked("scarlett"), Pick::One(1));
    }

    #[test]
    fn what_fits_several_is_not_guessed() {
        assert_eq!(picked("mic"), Pick::Several(vec![2, 3]));
    }
}
