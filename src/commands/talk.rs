//! What hosting and joining have in common: the options of a call, and its report.

use std::io::Write;
use std::time::Duration;

use bevy_app::App;
use hyperzoom_audio::{FrameSize, SoundSpec};
use hyperzoom_video::CameraSpec;

use crate::call::{self, CallOptions, Side};
use crate::cli::{CallArgs, FrameMs};
use crate::console::Console;
use crate::error::CommandError;
use crate::inspect::InspectPlugin;

pub(super) fn run(side: Side, args: CallArgs) -> Result<(), CommandError> {
    let (json, inspect) = (args.json, args.inspect.map(InspectPlugin::at).transpose()?);
    let options = options(side, args)?;
    let console = Console::new();
    let look_inside = |app: &mut App| {
        if let Some(plugin) = inspect {
            console.say(format!("what is inside of this call can be asked for at {}", plugin.url()));
            app.add_plugins(plugin);
        }
    };
    let outcome = call::run(options, &console, look_inside, |invite| {
        // Scripts wait for this line, so it must not stay in a buffer; and they may read no further: a closed
        // pipe is no reason to end the call.
        let mut out = std::io::stdout();
        let _ = writeln!(out, "{invite}").and_then(|()| out.flush());
        console.say("waiting for others: read the invite out to them, or send it");
    });
    console.clear();
    let report = outcome?;
    let text = if json {
        let text = serde_json::to_string_pretty(&report);
        text.map_err(|e| CommandError::Failed(format!("the report has no JSON form: {e}")))? + "\n"
    } else {
        report.to_string()
    };
    let _ = std::io::stdout().write_all(text.as_bytes());
    report.failure().map_or(Ok(()), Err)
}

pub(super) fn options(side: Side, args: CallArgs) -> Result<CallOptions, CommandError> {
    let folder = match (args.media.no_record, args.media.folder) {
        (true, _) => None,
        (false, Some(folder)) => Some(folder),
        (false, None) => Some(call::recordings_folder()?),
    };
    Ok(CallOptions {
        side,
        name: args.name.unwrap_or_else(user_name),
        session: None,
        bind: args.network.bind,
        length: args.for_seconds.map(Duration::from_secs_f64),
        mic: args.media.mic.unwrap_or(SoundSpec::Default { host: None }),
        speaker: args.media.speaker.unwrap_or(SoundSpec::Default { host: None }),
        camera: args.media.camera.unwrap_or(CameraSpec::None),
        camera_may_miss: false,
        camera_off: args.media.camera_off,
        frame: match args.media.frame_ms {
            FrameMs::Auto => None,
            FrameMs::TwoAndAHalf => Some(FrameSize::Ms2_5),
            FrameMs::Five => Some(FrameSize::Ms5),
            FrameMs::Ten => Some(FrameSize::Ms10),
        },
        folder,
        flac: !args.media.no_flac,
        router_lease: (!args.network.no_upnp).then(|| Duration::from_secs(args.network.upnp_lease)),
        markers: args.markers,
    })
}

/// The name that the system knows the user by.
fn user_name() -> String {
    ["USER", "USERNAME", "LOGNAME"]
        .iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "Someone".into())
}
