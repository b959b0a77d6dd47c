//! `hyperzoom devices`.

use hyperzoom_audio::{Direction, SoundDevice};
use serde_json::{Value, json};

use crate::cli::DevicesArgs;
use crate::error::CommandError;

pub(super) fn run(args: &DevicesArgs) -> Result<(), CommandError> {
    let devices = hyperzoom_audio::devices();
    if args.json {
        println!("{:#}", list(&devices));
        return Ok(());
    }
    for (direction, title, option) in [
        (Direction::Microphone, "Microphones", "--mic"),
        (Direction::Loudspeaker, "Loudspeakers", "--speaker"),
    ] {
        println!("{title} ({option})");
        let mut none = true;
        // What hears a loudspeaker is rarely meant where somebody looks for a microphone, so it comes last.
        let monitors =
            |monitor| devices.iter().filter(move |d| d.direction == direction && d.monitor == monitor);
        for device in monitors(false).chain(monitors(true)) {
            none = false;
            let mark = match device {
                SoundDevice { default: true, .. } => "   (default)",
                SoundDevice { monitor: true, .. } => "   (hears what a loudspeaker plays)",
                _ => "",
            };
            println!("  {}{mark}", device.spec());
            println!("      {}{}", device.description, format(device));
        }
        if none {
            println!("  none found; `none`, and a file as file:PATH.wav, always work");
        }
    }
    println!("Pictures (--camera)");
    println!("  pattern, pattern:WIDTHxHEIGHT@FPS, file:PATH.y4m   (this version has no cameras yet)");
    Ok(())
}

fn format(device: &SoundDevice) -> String {
    let rate = device.rate.map(|rate| format!("{rate} Hz"));
    let channels = device.channels.map(|n| if n == 1 { "mono".to_owned() } else { format!("{n} channels") });
    let parts: Vec<String> = rate.into_iter().chain(channels).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn list(devices: &[SoundDevice]) -> Value {
    let sound: Vec<Value> = devices
        .iter()
        .map(|d| {
            json!({
                "spec": d.spec().to_string(),
                "name": d.name,
                "description": d.description,
                "system": d.host.prefix(),
                "direction": match d.direction { Direction::Microphone => "input", Direction::Loudspeaker => "output" },
                "default": d.default,
                "monitor": d.monitor,
                "channels": d.channels,
                "sample_rate": d.rate,
            })
        })
        .collect();
    json!({ "sound": sound, "cameras": [] })
}
