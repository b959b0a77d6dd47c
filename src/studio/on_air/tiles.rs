//! How it stands with each of the others: who speaks, is muted, is seen, is weak, and who is expected back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bevy_ecs::entity::Entity;
use hyperzoom_audio::AudioEngine;
use hyperzoom_net_plugin::{Presence, Route};
use hyperzoom_protocol::CameraState;
use hyperzoom_session::LeaveReason;
use hyperzoom_ui_plugin::model::{PeerFigures, Tile, TileCamera, TileState};
use hyperzoom_video::Picture;

use super::super::meter::Speaking;
use super::figures::{Counts, History};
use super::people::Person;

/// Who sends nothing for so long, and is there, is muted. A muted microphone sends nothing at all.
const MUTED_AFTER: Duration = Duration::from_millis(700);

/// Who has a camera and shows nothing new for so long has no network for it.
const FROZEN_AFTER: Duration = Duration::from_secs(3);

/// So many packets in a hundred are lost where a network is weak.
const WEAK_PERCENT: f32 = 5.0;

/// Who was cut off is expected back for so long.
const EXPECTED: Duration = Duration::from_secs(300);

/// The others.
#[derive(Default)]
pub(super) struct Tiles {
    kept: BTreeMap<Entity, Kept>,
}

/// What is remembered of somebody.
struct Kept {
    speaking: Speaking,
    speaks: bool,
    history: History,
    /// How many packets had come, and since when there are no more.
    packets: (u64, Instant),
    /// Which picture was the newest, and since when there is none newer.
    picture: (Option<u64>, Instant),
    /// What became of its camera, and since when.
    camera: (Option<CameraState>, Instant),
    /// When it was cut off.
    gone: Option<Instant>,
    volume: f32,
}

impl Kept {
    fn new(now: Instant) -> Self {
        Self {
            speaking: Speaking::default(),
            speaks: false,
            history: History::default(),
            packets: (0, now),
            picture: (None, now),
            camera: (None, now),
            gone: None,
            volume: 1.0,
        }
    }

    fn note(&mut self, now: Instant, person: &Person) {
        let packets = person.voice.map_or(0, |voice| voice.0.received);
        if packets != self.packets.0 {
            self.packets = (packets, now);
        }
        let picture = person.picture.as_ref().map(|picture| picture.number);
        if picture != self.picture.0 {
            self.picture = (picture, now);
        }
        if person.camera != self.camera.0 {
            self.camera = (person.camera, now);
        }
        match person.presence {
            Presence::Gone(_) => {
                self.gone.get_or_insert(now);
            }
            Presence::Here | Presence::Silent => self.gone = None,
        }
        if self.gone.is_none() {
            self.history.note(now, counts(person), person.ear_ms());
        }
    }

    fn is_muted(&self, now: Instant, person: &Person) -> bool {
        let is_here = person.presence == Presence::Here && person.voice.is_some();
        is_here && now.saturating_duration_since(self.packets.1) >= MUTED_AFTER
    }

    /// The network holds no more than the voice, or hardly that.
    fn is_weak(&self, now: Instant, person: &Person) -> bool {
        let frozen = person.camera == Some(CameraState::On)
            && now.saturating_duration_since(self.picture.1.max(self.camera.1)) >= FROZEN_AFTER;
        frozen || person.sent == Some(None) || self.history.rates().lost >= WEAK_PERCENT
    }

    fn state(&self, now: Instant, person: &Person) -> TileState {
        match (person.presence, person.route) {
            (Presence::Gone(_), _) => TileState::Rejoining,
            (Presence::Silent, _) => TileState::Silent,
            _ if self.is_weak(now, person) => TileState::Weak,
            (Presence::Here, Route::Relayed) => TileState::Relayed,
            (Presence::Here, Route::Direct) => TileState::Here,
        }
    }
}

impl Tiles {
    /// Looks at everybody, and listens; whether anybody began or ceased to speak.
    pub(super) fn note(&mut self, now: Instant, people: &[Person], sound: &AudioEngine) -> bool {
        let mut is_news = false;
        for person in people {
            let kept = self.kept.entry(person.entity).or_insert_with(|| Kept::new(now));
            kept.note(now, person);
            if !matches!(person.presence, Presence::Gone(_)) {
                let peak = sound.peer_level(person.id).map_or(0.0, |level| level.take_peak());
                let speaks = kept.speaking.note(now, peak);
                is_news |= std::mem::replace(&mut kept.speaks, speaks) != speaks;
            }
        }
        is_news
    }

    /// Somebody is to be played as loud as this.
    pub(super) fn set_volume(&mut self, people: &[Person], sound: &AudioEngine, id: u8, volume: f32) {
        let here = people.iter().find(|it| it.id == id && !matches!(it.presence, Presence::Gone(_)));
        if let Some(kept) = here.and_then(|person| self.kept.get_mut(&person.entity))
            && sound.set_volume(id, volume)
        {
            kept.volume = volume;
        }
    }

    /// Who is shown: everybody who is here, or who was cut off and may come back.
    pub(super) fn shown<'a>(&self, now: Instant, people: &'a [Person]) -> Vec<&'a Person> {
        let is_here = |person: &Person| !matches!(person.presence, Presence::Gone(_));
        let is_expected = |person: &Person| {
            let since = self.kept.get(&person.entity).and_then(|kept| kept.gone);
            person.presence == Presence::Gone(LeaveReason::TimedOut)
                && since.is_some_and(|since| now.saturating_duration_since(since) < EXPECTED)
                // Its number is another's by now.
                && !people.iter().any(|other| other.id == person.id && is_here(other))
        };
        people.iter().filter(|person| is_here(person) || is_expected(person)).collect()
    }

    /// The tile of somebody.
    pub(super) fn tile(&self, now: Instant, person: &Person) -> Option<Tile> {
        let kept = self.kept.get(&person.entity)?;
        let is_here = kept.gone.is_none();
        let camera = match person.camera {
            Some(CameraState::On) => TileCamera::On,
            Some(CameraState::Off) => TileCamera::Off,
            Some(CameraState::Lost) => TileCamera::Lost,
            None if person.picture.is_some() => TileCamera::On,
            Some(CameraState::None) | None => TileCamera::None,
        };
        let shape = person.picture.as_ref().map(Picture::shape);
        Some(Tile {
            id: person.id,
            name: person.name.clone(),
            is_me: false,
            speaking: is_here && kept.speaks,
            muted: kept.is_muted(now, person),
            camera,
            fault: None,
            state: kept.state(now, person),
            ear_ms: person.ear_ms().filter(|_| is_here && kept.history.is_settled()).map(f32::round),
            volume: kept.volume,
            aspect: shape.map(|shape| shape.width as f32 / shape.height as f32),
        })
    }

    /// The figures of somebody, and what of our upload goes to it, in kbit/s.
    pub(super) fn figures(&self, now: Instant, person: &Person) -> Option<(PeerFigures, f32)> {
        let kept = self.kept.get(&person.entity)?;
        let rates = kept.history.rates();
        let figures = PeerFigures {
            name: person.name.clone(),
            weak: !matches!(kept.state(now, person), TileState::Here | TileState::Relayed),
            ear_ms: person.ear_ms().filter(|_| kept.history.is_settled()),
            round_trip_ms: person.link.0.round_trip.map(|trip| trip.as_secs_f32() * 1e3),
            lost: rates.lost,
            repaired: rates.repaired,
            jitter_ms: person.voice.map_or(0.0, |voice| voice.0.depth.as_secs_f32() * 1e3),
            down_kbps: rates.down_kbps,
            up_kbps: rates.up_kbps,
            picture: match person.sent {
                Some(Some((height, fps))) => format!("{height}p, {fps} fps"),
                Some(None) | None => "none".to_owned(),
            },
            ear_history: kept.history.ear(),
            lost_history: kept.history.lost(),
        };
        Some((figures, rates.wire_kbps))
    }
}

fn counts(person: &Person) -> Counts {
    let (voice, link) = (person.voice.unwrap_or_default().0, &person.link.0);
    Counts {
        received: voice.received,
        lost: voice.lost,
        repaired: voice.repaired,
        down: link.bytes_received,
        up: link.bytes_sent,
        datagrams: link.audio_sent + link.video_sent,
    }
}

#[cfg(test)]
mod tests {
    use bevy_ecs::world::World;
    use hyperzoom_capture_plugin::Voice;
    use hyperzoom_net_plugin::Link;

    use super::*;

    fn person(world: &mut World, id: u8) -> Person {
        Person {
            entity: world.spawn_empty().id(),
            id,
            name: "Bob".into(),
            presence: Presence::Here,
            route: Route::Direct,
            camera: None,
            link: Link::default(),
            voice: Some(Voice::default()),
            mouth_to_ear: None,
            picture: None,
            sent: None,
        }
    }

    /// Looks at people for so long, as their packets come or do not.
    fn watch(tiles: &mut Tiles, from: Instant, ms: u64, person: &mut Person, packets: bool) -> Instant {
        let mut now = from;
        while now < from + Duration::from_millis(ms) {
            now += Duration::from_millis(10);
            if packets && let Some(voice) = &mut person.voice {
                voice.0.received += 2;
            }
            let kept = tiles.kept.entry(person.entity).or_insert_with(|| Kept::new(now));
            kept.note(now, person);
        }
        now
    }

    #[test]
    fn who_is_there_and_sends_nothing_is_muted() {
        let (mut tiles, mut world, begin) = (Tiles::default(), World::new(), Instant::now());
        let mut bob = person(&mut world, 1);
        let now = watch(&mut tiles, begin, 2000, &mut bob, true);
        assert!(!tiles.tile(now, &bob).unwrap().muted);
        let now = watch(&mut tiles, now, 800, &mut bob, false);
        assert!(tiles.tile(now, &bob).unwrap().muted);
        bob.presence = Presence::Silent;
        let tile = tiles.tile(now, &bob).unwrap();
        assert!(!tile.muted && tile.state == TileState::Silent, "its network is gone");
    }

    #[test]
    fn a_network_is_weak_where_pictures_stand_still_or_packets_are_lost() {
        let (mut tiles, mut world, begin) = (Tiles::default(), World::new(), Instant::now());
        let mut bob = person(&mut world, 1);
        let now = watch(&mut tiles, begin, 4000, &mut bob, true);
        assert_eq!(tiles.tile(now, &bob).unwrap().state, TileState::Here);
        bob.route = Route::Relayed;
        assert_eq!(tiles.tile(now, &bob).unwrap().state, TileState::Relayed);
        bob.camera = Some(CameraState::On);
        let now = watch(&mut tiles, now, 1000, &mut bob, true);
        assert_eq!(tiles.tile(now, &bob).unwrap().state, TileState::Relayed, "it is on since a second");
        let mut now = watch(&mut tiles, now, 3000, &mut bob, true);
        assert_eq!(
            tiles.tile(now, &bob).unwrap().state,
            TileState::Weak,
            "no picture has come for four seconds"
        );
        bob.camera = Some(CameraState::Off);
        assert_eq!(tiles.tile(now, &bob).unwrap().state, TileState::Relayed);
        bob.sent = Some(None);
        assert_eq!(tiles.tile(now, &bob).unwrap().state, TileState::Weak, "it can be sent no picture");
        bob.sent = Some(Some((480, 24)));
        for _ in 0..5 {
            bob.voice.as_mut().unwrap().0.lost += 20;
            now = watch(&mut tiles, now, 1000, &mut bob, true);
        }
        let (figures, _) = tiles.figures(now, &bob).unwrap();
        assert!(figures.weak && figures.lost >= WEAK_PERCENT, "{figures:?}");
        assert_eq!(figures.picture, "480p, 24 fps");
    }

    #[test]
    fn who_was_cut_off_is_expected_and_who_has_left_is_not() {
        let (mut tiles, mut world, begin) = (Tiles::default(), World::new(), Instant::now());
        let [mut bob, mut cy] = [1, 2].map(|id| person(&mut world, id));
        bob.presence = Presence::Gone(LeaveReason::TimedOut);
        cy.presence = Presence::Gone(LeaveReason::Bye);
        let now = watch(&mut tiles, begin, 20, &mut bob, false);
        watch(&mut tiles, begin, 20, &mut cy, false);
        let names = |tiles: &Tiles, now, people: &[Person]| -> Vec<_> {
            tiles.shown(now, people).into_iter().map(|person| person.id).collect()
        };
        let mut people = vec![bob.clone(), cy];
        assert_eq!(names(&tiles, now, &people), [1]);
        assert_eq!(tiles.tile(now, &bob).unwrap().state, TileState::Rejoining);
        assert!(names(&tiles, now + EXPECTED, &people).is_empty());
        // A newcomer has its number.
        people.push(Person { name: "Dan".into(), ..person(&mut world, 1) });
        assert_eq!(tiles.shown(now, &people)[0].name, "Dan");
    }
}
