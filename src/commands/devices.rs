//! `hyperzoom devices`.

use hyperzoom_audio::{Direction, SoundDevice};
use hyperzoom_media::I420;
use hyperzoom_video::{CameraInfo, CameraMode, PixelFormat, VideoError};
use serde_json::{Value, json};

use crate::cli::DevicesArgs;
use crate::error::CommandError;

pub(super) fn run(args: &DevicesArgs) -> Result<(), CommandError> {
    let devices = hyperzoom_audio::devices();
    let cameras = hyperzoom_video::cameras();
    if args.json {
        println!("{:#}", list(&devices, &cameras));
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
    println!("Cameras (--camera)");
    match &cameras {
        Ok(cameras) if cameras.is_empty() => println!("  none found"),
        Ok(cameras) => print_cameras(cameras),
        Err(error) => println!("  {error}"),
    }
    println!("  `none`, `pattern`, `pattern:WIDTHxHEIGHT@FPS` and `file:PATH.y4m` always work");
    Ok(())
}

fn print_cameras(cameras: &[CameraInfo]) {
    let default = cameras.iter().position(|camera| camera.best().is_some());
    for (n, camera) in cameras.iter().enumerate() {
        println!("  {}{}", camera.name, if default == Some(n) { "   (default)" } else { "" });
        println!("      {}", camera.place);
        let modes = match &camera.modes {
            Ok(modes) => modes,
            Err(error) => {
                println!("      {error}");
                continue;
            }
        };
        for (shape, format, rates) in by_shape(modes) {
            let rates: Vec<_> = rates.iter().map(u32::to_string).collect();
            let (size, name) = (format!("{}x{}", shape.width, shape.height), format.name());
            println!("      {size:<10} {name:<6} {} fps", rates.join(", "));
        }
        match camera.best() {
            Some(best) => println!("      it is used at {best}, unless another size is asked for"),
            None => println!("      none of these can be recorded"),
        }
    }
}

/// The rates of each shape and format, the fastest first.
fn by_shape(modes: &[CameraMode]) -> Vec<(I420, PixelFormat, Vec<u32>)> {
    let mut grouped: Vec<(I420, PixelFormat, Vec<u32>)> = Vec::new();
    for mode in modes {
        match grouped.iter_mut().find(|(shape, format, _)| (*shape, *format) == (mode.shape, mode.format)) {
            Some((.., rates)) => rates.push(mode.fps),
            None => grouped.push((mode.shape, mode.format, vec![mode.fps])),
        }
    }
    grouped
}

fn list_cameras(cameras: &[CameraInfo]) -> Vec<Value> {
    let mode = |mode: &CameraMode| {
        let CameraMode { shape, fps, format } = mode;
        json!({ "width": shape.width, "height": shape.height, "fps": fps, "format": format.name() })
    };
    let camera = |camera: &CameraInfo| {
        json!({
            "name": camera.name,
            "place": camera.place,
            "best": camera.best().as_ref().map(mode),
            "modes": camera.modes.as_ref().map_or_else(|_| Vec::new(), |modes| modes.iter().map(mode).collect()),
            "error": camera.modes.as_ref().err().map(ToString::to_string),
        })
    };
    cameras.iter().map(camera).collect()
}

fn format(device: &SoundDevice) -> String {
    let rate = device.rate.map(|rate| format!("{rate} Hz"));
    let channels = device.channels.map(|n| if n == 1 { "mono".to_owned() } else { format!("{n} channels") });
    let parts: Vec<String> = rate.into_iter().chain(channels).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn list(devices: &[SoundDevice], cameras: &Result<Vec<CameraInfo>, VideoError>) -> Value {
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
    let found = cameras.as_ref().map_or_else(|_| Vec::new(), |cameras| list_cameras(cameras));
    let error = cameras.as_ref().err().map(ToString::to_string);
    json!({ "sound": sound, "cameras": found, "cameras_error": error })
}
