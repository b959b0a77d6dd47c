//! The headless app: the plugins, the call's systems, and the loop that turns them.

use std::time::Duration;

use bevy_app::{App, Update};
use bevy_ecs::world::World;
use hyperzoom_capture_plugin::{CapturePlugin, Pictures, Sound, VoiceCare};
use hyperzoom_media::FrameRef;
use hyperzoom_net_plugin::{Membership, Net, NetPlugin};
use hyperzoom_record_plugin::RecordPlugin;
use hyperzoom_sync_plugin::{Clock, SyncPlugin};
use ringbuf::HeapCons;

use super::budget;
use super::flow::{self, Call, Phase};
use super::hosted::Hosted;
use super::identity::Identity;
use super::markers::Prompt;
use super::report::{self, CallReport};
use super::setup::{Engines, PictureEngines};
use super::unfinished;
use crate::console::Console;
use crate::error::CommandError;
use crate::stop::Stop;

/// How often the app turns. Nothing that is heard, seen or recorded waits for it.
pub(crate) const TURN: Duration = Duration::from_millis(10);

/// Runs a call to its end, with markers from the keyboard.
pub(super) fn run(
    engines: Engines,
    console: &Console,
    stop: &Stop,
    dress: impl FnOnce(&mut App),
) -> Result<CallReport, CommandError> {
    let (folder, markers) = (engines.options.folder.clone(), engines.options.markers);
    let mut call = CallApp::dressed(engines, console, stop, dress);
    if let Some(folder) = folder {
        if let Some(prompt) = Prompt::open(markers) {
            call.world().insert_resource(prompt);
        }
        unfinished::recover_in_background(folder, console.clone());
    }
    loop {
        call.turn();
        if call.is_over() {
            return call.finish();
        }
        std::thread::park_timeout(TURN);
    }
}

/// A call that goes on as often as it is turned.
pub(crate) struct CallApp {
    app: App,
    identity: Identity,
    console: Console,
    is_recorded: bool,
}

impl CallApp {
    /// A call with the engines that were [opened](super::open) for it. It ends when `stop` is asked for.
    pub(crate) fn new(engines: Engines, console: &Console, stop: &Stop) -> Self {
        Self::dressed(engines, console, stop, |_| {})
    }

    /// The same, with what `dress` adds to its app.
    fn dressed(engines: Engines, console: &Console, stop: &Stop, dress: impl FnOnce(&mut App)) -> Self {
        let Engines {
            options,
            epoch,
            clock,
            invite: _,
            identity,
            hosted,
            router,
            transport,
            sound,
            pictures,
        } = engines;
        let care = if options.frame.is_none() { VoiceCare::choosing_frames() } else { VoiceCare::default() };
        let (camera_off, is_recorded) = (options.camera_off, options.folder.is_some());
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
        if let Some(hosted) = hosted {
            app.insert_resource(hosted);
        }
        dress(&mut app);
        app.finish();
        app.cleanup();
        Self { app, identity, console: console.clone(), is_recorded }
    }

    /// Goes on. To be called every [`TURN`].
    pub(crate) fn turn(&mut self) {
        self.app.update();
        let is_in = self.app.world().resource::<Membership>().me.is_some();
        if is_in && self.identity.enter() && self.identity.comes_back() {
            let takes = if self.is_recorded { ", and a new take begins" } else { "" };
            self.console.say(format!("you were cut off from this call: you come back as yourself{takes}"));
        }
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.app.world().resource::<Call>().phase == Phase::Over
    }

    /// Everything that is known of it.
    pub(crate) fn world(&mut self) -> &mut World {
        self.app.world_mut()
    }

    /// The pictures of our own camera, for who shows them: up to [`SHOWN`](budget::SHOWN) of them may be held at a time. To be taken before the
    /// call begins; `None` without a camera.
    pub(crate) fn own_pictures(&mut self) -> Option<HeapCons<FrameRef>> {
        let world = self.app.world_mut();
        let tap = world.get_resource_mut::<Pictures>()?.camera().live_tap();
        world.resource_mut::<Call>().shown = budget::SHOWN;
        Some(tap)
    }

    /// What it came to, once it [is over](Self::is_over).
    ///
    /// # Errors
    /// [`CommandError`] where no call came about.
    pub(crate) fn finish(self) -> Result<CallReport, CommandError> {
        let Self { mut app, identity, .. } = self;
        let world = app.world_mut();
        let error = world.resource_mut::<Call>().error.take();
        identity.leave(error.is_none());
        match error {
            Some(error) => Err(error),
            None => {
                if let Some(hosted) = world.remove_resource::<Hosted>() {
                    hosted.forget();
                }
                Ok(report::collect(world))
            }
        }
    }
}
