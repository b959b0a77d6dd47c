//! The log, for those who look into a problem: `HZ_LOG=debug hyperzoom …`.

use tracing_subscriber::EnvFilter;

/// Libraries that complain of what is no trouble to anybody: that there is no JACK server, no X settings manager, no fast GPU (which the
/// window itself says).
const USUAL: &str = "warn,jack=off,winit=error,bevy_winit=error,bevy_render=error,bevy_egui=error,egui=error,wgpu_hal=error,naga=error";

/// Starts the log on standard error: warnings and worse, unless `HZ_LOG` asks for more in the words of
/// [`EnvFilter`].
pub fn start() {
    let filter = EnvFilter::try_from_env("HZ_LOG").unwrap_or_else(|_| EnvFilter::new(USUAL));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // A closed terminal must not take a recording's thread with it.
        .log_internal_errors(false)
        .compact()
        .init();
}
