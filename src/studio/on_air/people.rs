//! The others, as the call's app has them right now.

use std::time::Duration;

use bevy_ecs::entity::Entity;
use bevy_ecs::world::World;
use hyperzoom_capture_plugin::{MouthToEar, NewestPicture, VideoCare, Voice};
use hyperzoom_net_plugin::{Link, Peer, PeerCamera, Presence, Route};
use hyperzoom_protocol::CameraState;
use hyperzoom_video::Picture;

/// Somebody who is, or was, in the call.
#[derive(Debug, Clone)]
pub(in crate::studio) struct Person {
    /// Who keeps it when it goes and comes back.
    pub(in crate::studio) entity: Entity,
    pub(in crate::studio) id: u8,
    pub(in crate::studio) name: String,
    pub(in crate::studio) presence: Presence,
    pub(in crate::studio) route: Route,
    pub(in crate::studio) camera: Option<CameraState>,
    pub(in crate::studio) link: Link,
    /// None before its voice was taken on.
    pub(in crate::studio) voice: Option<Voice>,
    pub(in crate::studio) mouth_to_ear: Option<Duration>,
    pub(in crate::studio) picture: Option<Picture>,
    /// What it is sent: height, pictures a second; `Some(None)` is no picture, and `None` not known.
    pub(in crate::studio) sent: Option<Option<(u32, u32)>>,
}

impl Person {
    /// From its mouth to our ear, in ms.
    pub(in crate::studio) fn ear_ms(&self) -> Option<f32> {
        self.mouth_to_ear.map(|time| time.as_secs_f32() * 1e3)
    }
}

/// Everybody, in the order of their numbers.
pub(in crate::studio) fn all(world: &mut World) -> Vec<Person> {
    type Parts<'a> = (
        Entity,
        &'a Peer,
        &'a Presence,
        &'a Route,
        &'a PeerCamera,
        &'a Link,
        Option<&'a Voice>,
        Option<&'a MouthToEar>,
        Option<&'a NewestPicture>,
    );
    let mut parts = world.query::<Parts<'_>>();
    let care = world.resource::<VideoCare>();
    let (height, fps) = (care.encoded().size().1, care.encoded().fps());
    let mut people: Vec<_> = parts
        .iter(world)
        .map(|(entity, peer, presence, route, camera, link, voice, latency, picture)| Person {
            entity,
            id: peer.id,
            name: peer.name.clone(),
            presence: *presence,
            route: *route,
            camera: camera.0,
            link: *link,
            voice: voice.copied(),
            mouth_to_ear: latency.and_then(|latency| latency.now).map(|now| now.total()),
            picture: picture.and_then(|picture| picture.0.clone()),
            sent: care.rung(peer.id).map(|rung| (rung.kbps() > 0).then_some((height, fps))),
        })
        .collect();
    people.sort_by_key(|person| (person.id, person.entity));
    people
}
