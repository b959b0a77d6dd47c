//! What a test does to a window that no person would: it stands still, loses its graphics card, or fails.
//!
//! `HZ_WINDOW_TRIAL` names a file; what is in it, while it is there, is done. Nobody sets it by accident, and nothing of it touches the call.
#![allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]

use std::path::PathBuf;
use std::time::Duration;

use bevy::ecs::resource::Resource;
use bevy::ecs::system::Res;
use bevy::render::renderer::RenderDevice;

/// How often a window that stands still looks whether it may go on.
const LOOK: Duration = Duration::from_millis(20);

/// Where it is said what is to be done.
#[derive(Resource)]
pub(super) struct Trial(PathBuf);

impl Trial {
    /// What the environment asks for; hardly ever anything.
    pub(super) fn asked_for() -> Option<Self> {
        std::env::var_os("HZ_WINDOW_TRIAL").map(|file| Self(file.into()))
    }

    fn wanted(&self) -> Option<String> {
        std::fs::read_to_string(&self.0).ok()
    }
}

/// Does it.
pub(super) fn undergo(trial: Option<Res<'_, Trial>>, device: Res<'_, RenderDevice>) {
    let Some(trial) = trial else { return };
    match trial.wanted().as_deref().map(str::trim) {
        Some("stand still") => {
            while trial.wanted().is_some() {
                std::thread::sleep(LOOK);
            }
        }
        Some("lose the graphics card") => {
            // Whether it could be taken away or not: it happens once.
            let _ = std::fs::remove_file(&trial.0);
            device.wgpu_device().destroy();
        }
        Some("fail") => {
            let _ = std::fs::remove_file(&trial.0);
            panic!("a trial: the window fails");
        }
        _ => {}
    }
}
