//! Somebody who sits before a window: a screen, a home with settings of its own, and the program on them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{HyperZoom, command};
use super::screen::Screen;

/// The window's size in all of these tests, and what it draws with: [`hyperzoom_ui_plugin::theme`] in its dark colours.
pub const WINDOW: (usize, usize) = (1280, 800);

/// A person at a computer.
pub struct Sitting {
    pub name: &'static str,
    pub screen: Screen,
    pub home: PathBuf,
    pub program: HyperZoom,
}

/// What somebody chose in earlier runs.
#[derive(Clone)]
pub struct Chosen {
    pub camera: String,
    pub microphone: String,
    pub folder: Option<PathBuf>,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { camera: "pattern:640x360@30".into(), microphone: "tone".into(), folder: None }
    }
}

impl Sitting {
    /// Sits down before the first screen of a window, in `home`, which is this person's alone.
    pub fn down(name: &'static str, home: &Path, chosen: &Chosen) -> Self {
        Self::with(name, home, chosen, &[], |_| {})
    }

    /// The same with arguments for the program, and with more to be changed of how it is started.
    pub fn with(
        name: &'static str,
        home: &Path,
        chosen: &Chosen,
        verb: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let screen = Screen::start(WINDOW.0, WINDOW.1);
        let mut command = prepare(name, home, chosen, verb);
        screen.lend(&mut command);
        change(&mut command);
        let program = HyperZoom::spawn(command);
        screen.window("HyperZoom");
        Self { name, screen, home: home.to_owned(), program }
    }

    /// The take of this person: there is exactly one.
    pub fn take(&self) -> PathBuf {
        let mut takes = std::fs::read_dir(self.home.join("takes")).expect("there are takes");
        let take = takes.next().expect("there is a take").expect("readable").path();
        assert!(takes.next().is_none(), "{} has one take", self.name);
        take
    }

    /// Hosts as a person does: the blue button, and then the line to send to the others.
    pub fn host(&mut self) -> String {
        self.screen.click_primary("the first screen", |_| true);
        let is_card = |(_, y): (usize, usize)| (300..500).contains(&y);
        self.screen.wait_until("the card with the invite", |shot| shot.primary().is_some_and(is_card));
        self.screen.press("i");
        let invite = self.screen.clipboard_with('#');
        self.screen.wait_until("the card with the invite", |shot| shot.primary().is_some_and(is_card));
        invite
    }

    /// Joins as a person does: pastes what was sent, and presses the button that has become the blue one.
    pub fn join(&self, invite: &str) {
        self.screen.wait_until("the first screen", |shot| shot.primary().is_some());
        self.screen.paste(invite);
        self.screen.click_primary("the button that joins", |(x, _)| x > 1150);
    }

    /// Keeps what is to be seen for the gallery in `docs`, where `HZ_GALLERY` says that it is to be made anew.
    pub fn keep(&self, picture: &str) {
        if std::env::var_os("HZ_GALLERY").is_some() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gallery");
            self.screen.keep(&folder.join(format!("{picture}.png")));
        }
    }
}

/// The program with its settings written, not started yet.
pub fn prepare(name: &str, home: &Path, chosen: &Chosen, verb: &[&str]) -> Command {
    let config = home.join("config/hyperzoom");
    std::fs::create_dir_all(&config).expect("a folder");
    let settings = serde_json::json!({
        "name": name,
        "session": "Episode 41",
        "camera": chosen.camera,
        "microphone": chosen.microphone,
        "speaker": "none",
        "folder": chosen.folder.clone().unwrap_or_else(|| home.join("takes")),
        "headphones_known": true,
    });
    std::fs::write(config.join("settings.json"), settings.to_string()).expect("writable");
    let mut command = command(verb);
    // No test asks a router, or is heard of on a network.
    command.args(["--bind", "127.0.0.1", "--no-upnp"]);
    command
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_DATA_HOME", home.join("data"));
    command
}

/// Somebody without a window, who talks and records beside.
pub fn beside(name: &str, home: &Path, invite: &str, more: &[&str]) -> HyperZoom {
    let mut command = command(["join", invite, "--headless", "--json", "--bind", "127.0.0.1", "--no-upnp"]);
    command.args(["--name", name, "--mic", "tone", "--speaker", "none", "--camera", "pattern:640x360@30"]);
    command.arg("--folder").arg(home.join(name)).args(more);
    command.env("XDG_DATA_HOME", home.join(format!("{name}-data")));
    HyperZoom::spawn(command)
}
