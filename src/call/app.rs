//! The headless app: the plugins, the call's systems, and the loop that turns them.

use std::time::Duration;

use bevy_app::{App, Update};
use hyperzoom_capture_plugin::{CapturePlugin, Pictures, Sound, VoiceCare};
use hyperzoom_net_plugin::{Net, NetPlugin};
use hyperzoom_record_plugin::RecordPlugin;
use hyperzoom_sync_plugin::{Clock, SyncPlugin};

use super::flow::{self, Call, Phase};
use super::markers::Prompt;
use super::report::{self, CallReport};
use super::setup::{Engines, PictureEngines};
use super::unfinished;
use crate::console::Console;
use crate::error::CommandError;
use crate::stop::Stop;

/// How often the app turns. Nothing that is heard, seen or recorded waits for it.
const FRAME: Duration = Duration::from_millis(10);

pub(super) fn run(engines: Engines, console: &Console, stop: &Stop) -> Result<CallReport, CommandError> {
    let Engines { options, epoch, clock, invite: _, identity, router, transport, sound, pictures } = engines;
    let prompt = options.folder.is_some().then(|| Prompt::open(options.markers)).flatten();
    if let Some(folder) = &options.folder {
        unfinished::recover_in_background(folder.clone(), console.clone());
    }
    let care = if options.frame.is_none() { VoiceCare::choosing_frames() } else { VoiceCare::default() };
    let camera_off = options.camera_off;
    let mut app = App::new();
    app.add_plugins((NetPlugin, CapturePlugin, RecordPlugin, SyncPlugin))
        .insert_resource(Clock::new(clock.clone()))
        .insert_resource(Net::new(transport.0, transport.1))
        .insert_resource(Sound::new(sound.0, sound.1))
        .insert_resource(care)
        .insert_resource(router)
        .insert_resource(Call::new(options, epoch, clock, console.clone(), stop.clone()))
        .add_systems(Update, flow::systems());
    if let Some(PictureEngines { camera, events, live }) = pictures {
        let mut pictures = Pictures::new(camera, events, live);
        pictures.set_on(!camera_off);
        app.insert_resource(pictures);
    }
    if let Some(prompt) = prompt {
        app.insert_resource(prompt);
    }
    app.finish();
    app.cleanup();
    loop {
        app.update();
        if app.world().resource::<Call>().phase == Phase::Over {
            break;
        }
        std::thread::park_timeout(FRAME);
    }
    let world = app.world_mut();
    let error = world.resource_mut::<Call>().error.take();
    match error {
        Some(error) => Err(error),
        None => {
            identity.forget();
            Ok(report::collect(world))
        }
    }
}
