//! A call, from when its devices are open to when its file is closed: it is turned here, and shown.

mod figures;
mod notices;
mod people;
mod recording;
mod tiles;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bevy_ecs::world::World;
use hyperzoom_audio::AudioEngine;
use hyperzoom_capture_plugin::{Pictures, Sound};
use hyperzoom_media::{FrameRef, I420};
use hyperzoom_net_plugin::Membership;
use hyperzoom_protocol::CameraState;
use hyperzoom_record_plugin::Take;
use hyperzoom_ui_plugin::model::{CallView, Intent, InviteView, SummaryView, Tile, TileCamera, Weight};
use ringbuf::HeapCons;
use ringbuf::traits::Consumer;

use super::meter::Speaking;
use super::published::{OURSELVES, Published};
use super::words::sentence;
use super::{readout, summary};
use crate::call::{Call, CallApp, Engines, Phase, Router, Side};
use crate::console::Console;
use crate::error::CommandError;
use crate::stop::Stop;
use notices::Notices;
pub(super) use people::{Person, all as people};
pub(super) use recording::lost;
use tiles::Tiles;

/// How often the view is made anew where nothing presses.
const EVERY: Duration = Duration::from_millis(50);

/// How often somebody who looks inside sees something new.
const READ_OUT: Duration = Duration::from_millis(250);

/// What a call came to.
pub(super) enum Outcome {
    /// It never began: nobody came, or nobody wanted it any more.
    Nothing,
    /// It could not be had, and why.
    Failed(String),
    /// It took place.
    Over(Box<SummaryView>),
}

/// A running call.
pub(super) struct OnAir {
    call: CallApp,
    stop: Stop,
    own: Option<HeapCons<FrameRef>>,
    shape: Option<I420>,
    /// A picture of ours has come.
    is_seen: bool,
    speaking: Speaking,
    speaks: bool,
    tiles: Tiles,
    notices: Notices,
    people: Vec<Person>,
    /// Which pictures of the others were shown last.
    drawn: BTreeMap<u8, (u64, Duration)>,
    due: Instant,
    /// When it is to be read out next, where somebody looks inside.
    read_out: Instant,
}

impl OnAir {
    /// A call with engines that were opened for it. It ends when `stop` is asked for.
    pub(super) fn start(engines: Engines, console: &Console, stop: Stop) -> Self {
        let mut call = CallApp::new(engines, console, &stop);
        let own = call.own_pictures();
        let pictures = call.world().get_resource_mut::<Pictures>();
        let shape = pictures.map(|mut pictures| pictures.camera().shape());
        Self {
            call,
            stop,
            own,
            shape,
            is_seen: false,
            speaking: Speaking::default(),
            speaks: false,
            tiles: Tiles::default(),
            notices: Notices::default(),
            people: Vec::new(),
            drawn: BTreeMap::new(),
            due: Instant::now(),
            read_out: Instant::now(),
        }
    }

    /// Goes on, and shows the newest pictures. Whether the view is to be made anew.
    pub(super) fn turn(&mut self, now: Instant, published: &Published) -> bool {
        self.call.turn();
        let world = self.call.world();
        self.notices.read(world);
        self.people = people(world);
        let mut sound = world.resource_mut::<Sound>();
        let engine = sound.engine();
        let mut is_news = self.tiles.note(now, &self.people, engine);
        let speaks = self.speaking.note(now, engine.level().take_peak()) && !engine.is_muted();
        is_news |= std::mem::replace(&mut self.speaks, speaks) != speaks;
        self.show_pictures(published);
        if published.is_inspected() && now >= self.read_out {
            self.read_out = now + READ_OUT;
            published.read_out(readout::all(self.call.world(), &self.people));
        }
        if is_news || now >= self.due {
            self.due = now + EVERY;
            return true;
        }
        false
    }

    fn show_pictures(&mut self, published: &Published) {
        let pictures = self.call.world().get_resource::<Pictures>();
        let is_on =
            pictures.is_some_and(|pictures| pictures.is_on() && pictures.state() != CameraState::Lost);
        if let Some(own) = &mut self.own
            && let Some(frame) = std::iter::from_fn(|| own.try_pop()).last()
            && is_on
        {
            self.is_seen = true;
            published.own_picture(frame);
        }
        let mut shown = BTreeMap::new();
        for person in &self.people {
            if let Some(picture) = &person.picture {
                let which = (picture.number, picture.arrived);
                if self.drawn.get(&person.id) != Some(&which) {
                    published.peers_picture(person.id, picture.clone());
                }
                shown.insert(person.id, which);
            }
        }
        self.drawn = shown;
        published.keep_pictures(|id| if id == OURSELVES { is_on } else { self.drawn.contains_key(&id) });
    }

    /// Does what is asked for.
    pub(super) fn ask(&mut self, intent: &Intent) {
        self.due = Instant::now();
        let world = self.call.world();
        match intent {
            Intent::ToggleMute => {
                let mut sound = world.resource_mut::<Sound>();
                let engine = sound.engine();
                engine.set_muted(!engine.is_muted());
            }
            Intent::ToggleCamera => {
                if let Some(mut pictures) = world.get_resource_mut::<Pictures>() {
                    let is_on = pictures.is_on();
                    pictures.set_on(!is_on);
                }
            }
            Intent::Marker => {
                if world.resource_mut::<Take>().mark("").is_none() {
                    self.notices.add(Weight::Note, "No marker was set: nothing is being recorded.".into());
                }
            }
            Intent::Volume { id, volume } => {
                let mut sound = world.resource_mut::<Sound>();
                let engine: &AudioEngine = sound.engine();
                self.tiles.set_volume(&self.people, engine, *id, *volume);
            }
            // Before anybody is there it is the way back.
            Intent::End | Intent::NewSession => self.stop.ask(),
            // Those of other screens, and what the window does by itself.
            Intent::Host
            | Intent::Resume
            | Intent::Join
            | Intent::ChooseFolder
            | Intent::LookForDevices
            | Intent::TestHeadphones
            | Intent::CopyInvite
            | Intent::OpenFolder(_) => {}
        }
    }

    /// Tells of something that the window could not do.
    pub(super) fn say(&mut self, text: String) {
        self.notices.add(Weight::Warning, text);
        self.due = Instant::now();
    }

    /// Whether we are in: a host at once, a guest when the host has let it in.
    pub(super) fn is_in(&mut self) -> bool {
        self.call.world().resource::<Membership>().me.is_some()
    }

    /// Whether nothing is left to do.
    pub(super) fn is_over(&self) -> bool {
        self.call.is_over()
    }

    /// What is to be drawn.
    pub(super) fn view(&mut self, now: Instant) -> CallView {
        let world = self.call.world();
        let invite = invite(world);
        if matches!(world.resource::<Call>().options.side, Side::Host { .. }) {
            self.notices.note_invite(&invite.line);
        }
        let mut sound = world.resource_mut::<Sound>();
        let muted = sound.engine().is_muted();
        let camera_on = world.get_resource::<Pictures>().map(Pictures::is_on);
        let me = own_tile(world, self.shape.filter(|_| self.is_seen), muted, self.speaks);
        let rec = recording::view(world, self.notices.failure());
        let phase = world.resource::<Call>().phase;

        let shown = self.tiles.shown(now, &self.people);
        let others = shown.iter().filter_map(|person| self.tiles.tile(now, person));
        let tiles = std::iter::once(me).chain(others).collect();
        let (figures, upload): (Vec<_>, Vec<f32>) =
            shown.iter().filter_map(|person| self.tiles.figures(now, person)).unzip();
        CallView {
            waiting: phase == Phase::Waiting,
            ending: matches!(phase, Phase::Ending { .. } | Phase::Over) || self.stop.is_asked(),
            invite: Some(invite),
            copied: false,
            tiles,
            muted,
            camera_on,
            rec,
            markers: self.notices.markers(),
            notices: self.notices.all(),
            figures,
            upload_mbps: upload.iter().sum::<f32>() / 1000.0,
        }
    }

    /// What it came to, once it is over, and what was not as it was asked for.
    pub(super) fn finish(mut self) -> (Outcome, Option<CommandError>) {
        let call = self.call.world().resource::<Call>();
        let (began, session) = (call.began.is_some(), call.options.session.clone());
        match self.call.finish() {
            Err(error) => (Outcome::Failed(sentence(&error.to_string())), None),
            Ok(_) if !began => (Outcome::Nothing, None),
            Ok(report) => {
                let view = summary::of(&report, session.as_deref(), self.shape);
                (Outcome::Over(Box::new(view)), report.failure())
            }
        }
    }
}

/// The invite that works: the host's own, or the one that a guest came by.
fn invite(world: &World) -> InviteView {
    match &world.resource::<Call>().options.side {
        Side::Guest(invite) => {
            InviteView { line: invite.to_string(), reach: String::new(), open: invite.key.is_none() }
        }
        Side::Host { .. } => {
            let router = world.resource::<Router>();
            InviteView { line: router.invite_now(), reach: router.reach(), open: router.is_open() }
        }
    }
}

fn own_tile(world: &World, shape: Option<I420>, muted: bool, speaking: bool) -> Tile {
    let pictures = world.get_resource::<Pictures>();
    let camera = match pictures.map(Pictures::state) {
        Some(CameraState::On) => TileCamera::On,
        Some(CameraState::Off) => TileCamera::Off,
        Some(CameraState::Lost) => TileCamera::Lost,
        Some(CameraState::None) | None => TileCamera::None,
    };
    let shape = shape.filter(|_| camera == TileCamera::On);
    Tile {
        id: world.resource::<Membership>().me.unwrap_or(OURSELVES),
        name: world.resource::<Call>().options.name.clone(),
        is_me: true,
        speaking,
        muted,
        camera,
        fault: pictures.and_then(Pictures::fault).map(sentence),
        volume: 1.0,
        aspect: shape.map(|shape| shape.width as f32 / shape.height as f32),
        ..Tile::default()
    }
}
