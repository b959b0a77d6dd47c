//! The log, for those who look into a problem: `HZ_LOG=debug hyperzoom …`.

use tracing_subscriber::EnvFilter;

/// Starts the log on standard error: warnings and worse, unless `HZ_LOG` asks for more in the words of
/// [`EnvFilter`].
pub fn start() {
    let filter = EnvFilter::try_from_env("HZ_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // A closed terminal must not take a recording's thread with it.
        .log_internal_errors(false)
        .compact()
        .init();
}
