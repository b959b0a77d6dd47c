//! What there is to choose from.

use hyperzoom_audio::{Direction, SoundDevice, SoundHost, SoundSpec};
use hyperzoom_ui_plugin::model::Device;
use hyperzoom_video::{CameraInfo, CameraSpec};

/// The devices of this machine, as they were listed last.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Listed {
    cameras: Vec<Choice>,
    microphones: Vec<Choice>,
    speakers: Vec<Choice>,
}

/// One that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    spec: String,
    label: String,
    /// It is used where none is chosen.
    is_default: bool,
}

/// Asks the machine. It takes up to some seconds.
pub(super) fn list() -> Listed {
    let sound = hyperzoom_audio::devices();
    // Why there are none is said where one is opened.
    let cameras = hyperzoom_video::cameras().unwrap_or_default();
    Listed {
        cameras: of_cameras(&cameras),
        microphones: of_sound(&sound, Direction::Microphone),
        speakers: of_sound(&sound, Direction::Loudspeaker),
    }
}

fn of_cameras(cameras: &[CameraInfo]) -> Vec<Choice> {
    let default = cameras.iter().position(|camera| camera.best().is_some());
    let choice = |(n, camera): (usize, &CameraInfo)| {
        let name = camera.name.to_lowercase();
        let fitting = cameras.iter().filter(|other| other.name.to_lowercase().contains(&name)).count();
        // A name stays the same when the camera is plugged in elsewhere; but it may mean more than one, or read like something else.
        let by_name = matches!(camera.name.parse(), Ok(CameraSpec::Device { name: Some(read), .. }) if read == camera.name);
        let spec = if fitting == 1 && by_name { &camera.name } else { &camera.place };
        let label =
            if fitting == 1 { camera.name.clone() } else { format!("{} ({})", camera.name, camera.place) };
        Choice { spec: spec.clone(), label, is_default: default == Some(n) }
    };
    cameras.iter().enumerate().map(choice).collect()
}

fn of_sound(devices: &[SoundDevice], direction: Direction) -> Vec<Choice> {
    let meant: Vec<_> = devices.iter().filter(|device| device.direction == direction).collect();
    let is_mixed = |host: SoundHost| meant.iter().any(|device| device.host != host);
    let choice = |device: &&SoundDevice| {
        let mut label = device.description.clone();
        if is_mixed(device.host) {
            label = format!("{label} ({})", device.host);
        }
        let is_default = device.default && !device.monitor;
        Choice { spec: device.spec().to_string(), label, is_default }
    };
    // What hears a loudspeaker is rarely meant where somebody looks for a microphone, so it comes last.
    let (monitors, real): (Vec<_>, Vec<_>) = meant.iter().copied().partition(|device| device.monitor);
    real.iter().chain(&monitors).map(choice).collect()
}

impl Listed {
    /// The cameras, with what else can be chosen in the place of one.
    pub(super) fn cameras(&self, chosen: &str) -> Vec<Device> {
        choices(&self.cameras, chosen, ["The first camera", "No camera"])
    }

    /// The microphones, likewise.
    pub(super) fn microphones(&self, chosen: &str) -> Vec<Device> {
        choices(&self.microphones, chosen, ["The system's microphone", "No microphone"])
    }

    /// The loudspeakers, likewise.
    pub(super) fn speakers(&self, chosen: &str) -> Vec<Device> {
        choices(&self.speakers, chosen, ["The system's loudspeaker", "No loudspeaker"])
    }
}

/// The default, what was listed, none, and what is chosen without being there.
fn choices(listed: &[Choice], chosen: &str, [default, none]: [&str; 2]) -> Vec<Device> {
    let device = |spec: &str, label: String| Device { spec: spec.to_owned(), label };
    let used = listed.iter().find(|choice| choice.is_default);
    let default = used.map_or_else(|| default.to_owned(), |used| format!("{default} ({})", used.label));
    let mut all = vec![device("default", default)];
    all.extend(listed.iter().map(|choice| device(&choice.spec, choice.label.clone())));
    all.push(device("none", none.to_owned()));
    if all.iter().all(|device| device.spec != chosen) {
        all.insert(1, device(chosen, label_of(chosen)));
    }
    all
}

/// A device by its text alone.
fn label_of(spec: &str) -> String {
    let file = |path: &std::path::Path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        format!("The file {}", name.to_string_lossy())
    };
    match (spec.parse(), spec.parse()) {
        (_, Ok(CameraSpec::Pattern { shape, .. })) => {
            format!("Test pattern, {} × {}", shape.width, shape.height)
        }
        (Ok(SoundSpec::File(path)), _) | (_, Ok(CameraSpec::File(path))) => file(&path),
        (Ok(SoundSpec::Tone(hz)), _) => format!("Test tone, {hz} Hz"),
        (Ok(SoundSpec::Pips(_)), _) => "Test pips".to_owned(),
        (Ok(SoundSpec::Device { name, .. }), _) => name,
        _ => spec.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(name: &str, place: &str) -> CameraInfo {
        CameraInfo { name: name.into(), place: place.into(), modes: Ok(Vec::new()) }
    }

    #[test]
    fn cameras_go_by_their_names_where_these_mean_one_alone() {
        let listed = of_cameras(&[
            camera("BRIO", "/dev/video0"),
            camera("Brio 4K", "/dev/video2"),
            camera("none", "/dev/video4"),
            camera("Twin", "/dev/video6"),
            camera("Twin", "/dev/video8"),
        ]);
        let specs: Vec<_> = listed.iter().map(|choice| choice.spec.as_str()).collect();
        assert_eq!(specs, ["/dev/video0", "Brio 4K", "/dev/video4", "/dev/video6", "/dev/video8"]);
        assert_eq!(listed[3].label, "Twin (/dev/video6)");
    }

    fn sound(name: &str, default: bool, monitor: bool) -> SoundDevice {
        SoundDevice {
            name: name.into(),
            description: name.to_uppercase(),
            host: SoundHost::Pulse,
            direction: Direction::Microphone,
            default,
            monitor,
            channels: None,
            rate: None,
            rates: None,
        }
    }

    #[test]
    fn the_default_is_first_none_is_last_and_what_is_chosen_is_always_there() {
        let devices = [sound("hall.monitor", true, true), sound("desk", true, false)];
        let listed = Listed { microphones: of_sound(&devices, Direction::Microphone), ..Listed::default() };
        let labels = |chosen: &str| -> Vec<_> {
            listed.microphones(chosen).into_iter().map(|device| device.label).collect()
        };
        let known = ["The system's microphone (DESK)", "DESK", "HALL.MONITOR", "No microphone"];
        assert_eq!(labels("default"), known);
        assert_eq!(labels("pulse:desk"), known);
        for (chosen, label) in [
            ("pulse:attic", "attic"),
            ("tone", "Test tone, 440 Hz"),
            ("file:/tmp/voice.wav", "The file voice.wav"),
        ] {
            assert_eq!(labels(chosen)[1], label);
        }
        assert_eq!(listed.cameras("pattern:640x360@30")[1].label, "Test pattern, 640 × 360");
        assert_eq!(listed.cameras("default")[0].label, "The first camera");
        assert!(of_sound(&devices, Direction::Loudspeaker).is_empty());
    }
}
