//! The window's app: what it is made of, and what happens in each of its turns.
#![allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::error_handler::{RenderErrorHandler, RenderErrorPolicy};
use bevy::render::renderer::RenderAdapterInfo;
use bevy::render::settings::{MemoryHints, PowerPreference, RenderCreation, WgpuSettings};
use bevy::window::{ExitCondition, PresentMode, WindowCloseRequested, WindowResolution};
use bevy::winit::{EventLoopProxyWrapper, UpdateMode, WINIT_WINDOWS, WinitSettings, WinitUserEvent};
use bevy_egui::{EguiContexts, EguiPlugin, EguiPrimaryContextPass, egui};
use hyperzoom_ui_plugin::model::{Choices, Intent};
use hyperzoom_ui_plugin::panels::{self, CallOpen};
use hyperzoom_ui_plugin::pictures::{Newest, PicturesPlugin, Place, Places};
use hyperzoom_ui_plugin::theme::{self, Palette};

use super::files::{self, Asking};
use super::inspector::InspectorPlugin;
use super::pace::{self, Pace};
use super::settings::Settings;
use super::trial::{self, Trial};
use super::{Waker, access};
use crate::error::CommandError;
use crate::stop::Stop;
use crate::studio::{Studio, View};

/// The window is never smaller, in points.
const LEAST: (f32, f32) = (640.0, 480.0);
/// And at first so large.
const FIRST: (u32, u32) = (1280, 800);
/// Without any news it is drawn this often: the time of a recording goes on.
const IDLE: Duration = Duration::from_millis(500);
/// "Copied" is shown for so long.
const COPIED: Duration = Duration::from_secs(2);

/// A handler of errors has no state of its own.
static DRAWING_FAILED: AtomicBool = AtomicBool::new(false);

/// Whether the window was given up since it could not be drawn.
pub(super) fn failed_to_draw() -> bool {
    DRAWING_FAILED.load(Ordering::Relaxed)
}

/// When the screens are drawn: what lies over them comes after.
#[derive(SystemSet, Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Drawing;

/// What the window knows beside what the studio says.
#[derive(Resource)]
pub(super) struct Shell {
    studio: Arc<Studio>,
    stop: Stop,
    choices: Choices,
    settings: Settings,
    /// The call panel's own.
    open: CallOpen,
    /// The system asks for a folder.
    asking: Option<Asking>,
    copied: Option<Instant>,
    /// The window is to be closed once the call has ended.
    is_closing: bool,
}

/// Looks for something to draw with, before any device is opened.
///
/// # Errors
/// [`CommandError::Device`] where there is nothing.
pub(super) fn check_graphics() -> Result<(), CommandError> {
    if hyperzoom_gpu::can_draw() {
        return Ok(());
    }
    Err(CommandError::Device(
        "there is nothing here that can draw a window: install a Vulkan driver for your graphics card, or do without a window \
         (`hyperzoom host --headless`, `hyperzoom join INVITE --headless`)"
            .into(),
    ))
}

/// Makes the app; nothing is drawn yet.
///
/// # Errors
/// In words for a person, where there is nothing to draw with.
pub(super) fn app(
    studio: Arc<Studio>,
    choices: Choices,
    settings: Settings,
    stop: Stop,
    waker: &Waker,
) -> Result<App, String> {
    let mut app = App::new();
    let window = Window {
        title: "HyperZoom".into(),
        name: Some("hyperzoom".into()),
        resolution: WindowResolution::new(FIRST.0, FIRST.1),
        resize_constraints: WindowResizeConstraints { min_width: LEAST.0, min_height: LEAST.1, ..default() },
        present_mode: PresentMode::AutoVsync,
        ..default()
    };
    let render = RenderPlugin {
        render_creation: RenderCreation::Automatic(Box::new(WgpuSettings {
            backends: Some(hyperzoom_gpu::BACKENDS),
            // Four small pictures and some text: the integrated GPU does it, and leaves the battery some.
            power_preference: PowerPreference::LowPower,
            memory_hints: MemoryHints::MemoryUsage,
            ..default()
        })),
        ..default()
    };
    app.add_plugins(
        DefaultPlugins
            .set(WindowPlugin {
                primary_window: Some(window),
                exit_condition: ExitCondition::DontExit,
                // In a call it is asked about first.
                close_when_requested: false,
                ..default()
            })
            .set(render)
            // Signals end the call as the button does.
            .disable::<bevy::app::TerminalCtrlCHandlerPlugin>(),
    )
    .add_plugins((EguiPlugin::default(), PicturesPlugin, InspectorPlugin))
    .insert_resource(WinitSettings {
        focused_mode: UpdateMode::reactive(IDLE),
        unfocused_mode: UpdateMode::reactive_low_power(IDLE),
    })
    .insert_resource(RenderErrorHandler(|error, world, _| {
        // A window that cannot be drawn is worse than none. Sound and recording do not depend on it, and go on.
        tracing::error!("drawing failed: {:?}: {}", error.ty, error.description);
        DRAWING_FAILED.store(true, Ordering::Relaxed);
        for mut window in world.query::<&mut Window>().iter_mut(world) {
            window.visible = false;
        }
        world.write_message(AppExit::error());
        RenderErrorPolicy::StopRendering
    }))
    .init_resource::<Pace>()
    .insert_resource(waker.clone())
    .add_systems(First, |waker: Res<'_, Waker>| waker.is_awake())
    .insert_resource(Shell {
        studio,
        stop,
        choices,
        settings,
        open: CallOpen::default(),
        asking: None,
        copied: None,
        is_closing: false,
    })
    .add_systems(Startup, |mut commands: Commands<'_, '_>| {
        commands.spawn((Camera2d, Msaa::Off));
    })
    .add_systems(PreUpdate, access::hand_on.before(bevy_egui::EguiPreUpdateSet::BeginPass))
    .add_systems(Update, (take_pictures, close, trial::undergo))
    .add_systems(Last, pace::keep)
    .add_systems(EguiPrimaryContextPass, draw.in_set(Drawing));
    if let Some(trial) = Trial::asked_for() {
        app.insert_resource(trial);
    }
    if let Some(proxy) = app.world().get_resource::<EventLoopProxyWrapper>() {
        let proxy = (**proxy).clone();
        let wake: Box<dyn Fn() + Send + Sync> = Box::new(move || {
            // The event loop may have ended.
            let _ = proxy.send_event(WinitUserEvent::WakeUp);
        });
        let _ = waker.0.by.set(wake);
    }
    Ok(app)
}

/// The newest pictures go to those who draw them, each of them once.
fn take_pictures(
    shell: Res<'_, Shell>,
    mut newest: ResMut<'_, Newest>,
    mut given: Local<'_, HashMap<u8, u64>>,
) {
    let pictures = shell.studio.pictures();
    given.retain(|id, _| {
        let is_there = pictures.iter().any(|(there, _)| there == id);
        if !is_there {
            newest.forget(*id);
        }
        is_there
    });
    for (id, shown) in pictures {
        if given.insert(id, shown.number()) != Some(shown.number()) {
            newest.show(id, shown.shape(), shown.planes());
        }
    }
}

/// Draws the screen, and does what is asked for on it.
fn draw(
    mut contexts: EguiContexts<'_, '_>,
    mut shell: ResMut<'_, Shell>,
    mut places: ResMut<'_, Places>,
    adapter: Res<'_, RenderAdapterInfo>,
    mut installed: Local<'_, bool>,
) -> Result {
    let ctx = contexts.ctx_mut()?.clone();
    let shell = &mut *shell;
    if !*installed {
        theme::install(&ctx);
        *installed = true;
    }
    if !theme::ready(&ctx) {
        // Fonts count from the next pass on.
        ctx.request_repaint();
        return Ok(());
    }
    theme::apply(&ctx, shell.choices.light);
    // By itself the window has no name for who cannot see it.
    ctx.accesskit_node_builder(egui::accesskit_root_id(), |window| window.set_label("HyperZoom"));
    let before = shell.choices.clone();
    let mut ui = egui::Ui::new(
        ctx.clone(),
        "screen".into(),
        egui::UiBuilder::new().layer_id(egui::LayerId::background()).max_rect(ctx.viewport_rect()),
    );
    let view = shell.studio.view();
    places.list.clear();
    places.screen = ctx.content_rect().size();
    places.ground = Palette::new(shell.choices.light).ground;
    let intents = match &*view {
        View::Setup(setup) => {
            let mut setup = setup.clone();
            setup.window_note = hyperzoom_gpu::is_software(&adapter).then(|| SOFTWARE.to_owned());
            let out = panels::setup(&mut ui, &setup, &mut shell.choices);
            let place = |area| Place { id: OURSELVES, area, mirrored: true, faded: false };
            places.list.extend(out.picture.map(place));
            out.intents
        }
        View::Call(call) => {
            let mut call = call.clone();
            call.copied = shell.copied.is_some_and(|copied| copied.elapsed() < COPIED);
            let out = panels::call(&mut ui, &call, &mut shell.open);
            let me = call.tiles.iter().find(|tile| tile.is_me).map(|tile| tile.id);
            // Our own pictures come under a number of their own: we have none in the call until we are in.
            let of = |place: &Place| Place {
                id: if Some(place.id) == me { OURSELVES } else { place.id },
                ..*place
            };
            places.list.extend(out.places.iter().map(of));
            out.intents
        }
        View::Summary(summary) => panels::summary(&mut ui, summary),
    };
    for intent in intents {
        shell.act(&ctx, &view, intent);
    }
    if let Some(folder) = shell.asking.as_ref().and_then(Asking::answer) {
        shell.asking = None;
        if folder.is_some() {
            shell.choices.folder = folder;
        }
    }
    if shell.choices != before {
        shell.studio.choose(&shell.choices);
    }
    shell.settings.keep(Instant::now(), &shell.choices);
    Ok(())
}

/// What the first screen says where the processor draws.
const SOFTWARE: &str = "No graphics card can be used: the processor draws this window, at ten pictures a second. What others see and what \
                        is recorded stays smooth.";

/// The number under which the studio gives our own picture.
const OURSELVES: u8 = u8::MAX;

impl Shell {
    /// What is shown, and who does what is asked for.
    pub(super) fn studio(&self) -> &Studio {
        &self.studio
    }

    fn act(&mut self, ctx: &egui::Context, view: &View, intent: Intent) {
        match intent {
            Intent::CopyInvite => {
                if let View::Call(call) = view
                    && let Some(invite) = &call.invite
                {
                    ctx.copy_text(invite.line.clone());
                    self.copied = Some(Instant::now());
                }
            }
            Intent::OpenFolder(folder) => {
                if let Err(why) = files::show(&folder) {
                    self.studio.say(why);
                }
            }
            Intent::ChooseFolder => {
                if self.asking.is_none()
                    && let View::Setup(setup) = view
                {
                    self.asking = Some(Asking::begin(&setup.folder));
                }
            }
            Intent::Host | Intent::Resume | Intent::Join => {
                // What was typed in this turn counts.
                self.studio.choose(&self.choices);
                self.open = CallOpen::default();
                self.studio.ask(intent);
            }
            intent => self.studio.ask(intent),
        }
    }
}

/// Closing the window asks first where a call is recorded, and ends it properly.
fn close(
    mut shell: ResMut<'_, Shell>,
    mut requests: MessageReader<'_, '_, WindowCloseRequested>,
    mut exit: MessageWriter<'_, AppExit>,
) {
    let is_wanted = shell.stop.is_asked();
    if shell.studio.has_failed() && !is_wanted {
        // Nothing that is shown is true any more.
        exit.write(AppExit::error());
        return;
    }
    let view = shell.studio.view();
    let is_in_call = shell.studio.is_in_call();
    let is_asked = requests.read().fold(false, |_, _| {
        if !is_in_call || matches!(&*view, View::Call(call) if call.ending) {
            shell.is_closing = true;
        } else if shell.open.asks_to_end {
            // Asked twice: somebody means it.
            shell.studio.ask(Intent::End);
            shell.is_closing = true;
        } else {
            shell.open.asks_to_end = true;
        }
        true
    });
    if matches!(&*view, View::Summary(summary) if summary.bad) && !is_asked {
        // What was lost is to be read before the window goes.
        shell.is_closing = false;
    }
    if !is_in_call && (is_wanted || shell.is_closing) {
        shell.settings.save();
        exit.write(AppExit::Success);
    }
}

/// Takes the window from the screen where drawing has failed in the midst of it: what it shows is not true any more.
pub(super) fn take_away() {
    WINIT_WINDOWS.with(|windows| {
        if let Ok(mut windows) = windows.try_borrow_mut() {
            // What is only given back stays on the screen until somebody speaks to the X server again.
            windows.windows.values().for_each(|window| window.set_visible(false));
            windows.windows.clear();
        }
    });
}
