//! The first screen: what the chosen devices give, and what is missing, before anybody else hears of us.

mod camera;
mod devices;
mod headphones;
mod sound;
mod storage;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use hyperzoom_protocol::Invite;
use hyperzoom_ui_plugin::model::{Choices, SetupView};

use super::pending::Pending;
use super::published::Published;
use super::words;
use crate::call::{self, CallOptions};
use camera::Picture;
pub(super) use devices::Listed;
use headphones::Headphones;
use sound::Sound;
use storage::Storage;
pub(super) use storage::lines;

/// How often a session that was cut off is looked for.
const LOOK_BACK: Duration = Duration::from_secs(20);

/// The devices of the first screen, and what else it shows.
pub(super) struct Preview {
    choices: Choices,
    sound: Sound,
    headphones: Headphones,
    picture: Picture,
    storage: Storage,
    listed: Listed,
    listing: Option<Pending<Listed>>,
    /// The faults when devices were listed last: where they change, so may the list.
    faults: [bool; 3],
    flac: bool,
    unrecorded: bool,
    error: Option<String>,
    cut_off: Option<u64>,
    looked_back: Option<Instant>,
}

impl Preview {
    /// Begins to open what is chosen. `error` is why the last call came to nothing.
    pub(super) fn start(
        choices: &Choices,
        base: &CallOptions,
        listed: Listed,
        error: Option<String>,
    ) -> Self {
        Self {
            sound: Sound::start([choices.microphone.clone(), choices.speaker.clone()]),
            headphones: Headphones::default(),
            picture: Picture::start(choices.camera.clone()),
            storage: Storage::start(folder(choices, base)),
            listed,
            listing: Some(Pending::start("hz-devices", devices::list)),
            faults: [false; 3],
            flac: base.flac,
            unrecorded: base.folder.is_none(),
            error,
            cut_off: None,
            looked_back: None,
            choices: choices.clone(),
        }
    }

    /// Something else is chosen.
    pub(super) fn choose(&mut self, choices: &Choices, base: &CallOptions) {
        let sound = |of: &Choices| [of.microphone.clone(), of.speaker.clone()];
        if sound(choices) != sound(&self.choices) {
            self.sound.choose(sound(choices));
            self.headphones.forget();
        }
        self.picture.choose(choices.camera.clone());
        let folder = folder(choices, base);
        if folder != self.storage.folder() {
            self.storage = Storage::start(folder);
        }
        // What came of it before is no news for who tries something else.
        let calls = |of: &Choices| {
            let of = of.clone();
            (of.camera, of.microphone, of.speaker, of.folder, of.invite, of.open)
        };
        if calls(choices) != calls(&self.choices) {
            self.error = None;
        }
        self.choices = choices.clone();
    }

    /// Lists the devices anew.
    pub(super) fn look_for_devices(&mut self) {
        if self.listing.is_none() {
            self.listing = Some(Pending::start("hz-devices", devices::list));
        }
    }

    /// Plays the probe, and listens.
    pub(super) fn test_headphones(&mut self, now: Instant) {
        self.headphones.begin(now, self.sound.engine());
    }

    /// Says why something came to nothing.
    pub(super) fn fail(&mut self, error: String) {
        self.error = Some(error);
    }

    /// Goes on, and shows the newest picture.
    pub(super) fn turn(&mut self, now: Instant, published: &Published) {
        self.sound.turn(now);
        self.headphones.turn(now, self.sound.engine());
        self.picture.turn(now);
        self.storage.turn(now);
        if let Some(listed) = self.listing.as_ref().and_then(Pending::poll) {
            self.listing = None;
            if let Ok(listed) = listed {
                self.listed = listed;
            }
        }
        match self.picture.newest() {
            Some(frame) => published.own_picture(frame),
            None if self.picture.shape().is_none() => published.keep_pictures(|_| false),
            None => {}
        }
        if self.looked_back.is_none_or(|at| now.saturating_duration_since(at) >= LOOK_BACK) {
            self.looked_back = Some(now);
            self.cut_off = call::cut_off().map(|away| away.as_secs() / 60);
        }
    }

    /// What is to be drawn.
    pub(super) fn view(&mut self, now: Instant) -> SetupView {
        let [microphone_fault, speaker_fault] = self.sound.faults();
        let camera_fault = self.picture.fault();
        let faults = [&microphone_fault, &speaker_fault, &camera_fault].map(Option::is_some);
        if faults != self.faults {
            self.faults = faults;
            self.look_for_devices();
        }
        let shape = self.picture.shape();
        let invite = self.choices.invite.trim();
        let invite_fault = match invite.parse::<Invite>() {
            _ if invite.is_empty() => None,
            Ok(_) => None,
            Err(error) => Some(words::sentence(&error.to_string())),
        };
        SetupView {
            cameras: self.listed.cameras(&self.choices.camera),
            microphones: self.listed.microphones(&self.choices.microphone),
            speakers: self.listed.speakers(&self.choices.speaker),
            camera: self.picture.describe(),
            camera_fault,
            aspect: shape.map(|shape| shape.width as f32 / shape.height as f32),
            level: self.sound.level(now),
            microphone_fault,
            speaker_fault,
            // The window knows by itself.
            window_note: None,
            unrecorded: self.unrecorded,
            folder: self.storage.folder().to_owned(),
            free: self.storage.free(),
            hour: (
                storage::hour(self.picture.is_wanted(), self.choices.microphone != "none", self.flac),
                shape.map_or_else(String::new, lines),
            ),
            bleed: self.headphones.bleed(),
            busy: None,
            error: self.error.clone(),
            invite_fault,
            cut_off: self.cut_off,
            recovered: self.storage.recovered().to_vec(),
        }
    }

    /// Whether no camera is there, and none in particular is wanted: the call does without.
    pub(super) fn has_no_camera(&self) -> bool {
        self.picture.is_absent()
    }

    /// What was listed, for the next time that this screen is shown.
    pub(super) fn listed(&self) -> Listed {
        self.listed.clone()
    }
}

/// Where recordings go.
pub(super) fn folder(choices: &Choices, base: &CallOptions) -> PathBuf {
    let usual = || base.folder.clone().or_else(|| call::recordings_folder().ok()).unwrap_or_default();
    choices.folder.clone().unwrap_or_else(usual)
}
