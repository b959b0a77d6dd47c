//! The receive thread's events become components and messages.

use bevy_ecs::entity::Entity;
use bevy_ecs::message::MessageWriter;
use bevy_ecs::system::{Commands, Query, ResMut};
use hyperzoom_transport::TransportEvent;

use crate::{
    Hearing, Incoming, JoinFailure, Link, Membership, Net, NetMessage, Peer, PeerCamera, Presence, Route,
};

pub(crate) fn drain(
    net: Option<ResMut<'_, Net>>,
    mut membership: ResMut<'_, Membership>,
    mut peers: Query<'_, '_, (Entity, &Peer, &mut Presence, &mut Link)>,
    mut hearing: Query<'_, '_, &mut Hearing>,
    mut shown: Query<'_, '_, (&mut PeerCamera, &mut Route)>,
    mut messages: MessageWriter<'_, NetMessage>,
    mut commands: Commands<'_, '_>,
) {
    let Some(mut net) = net else { return };
    // What is spawned here is seen by the query only in the next frame, so events after a new peer wait until then.
    while let Some(event) = net.events().poll() {
        match event {
            TransportEvent::Joined { me, session_id } => {
                membership.me = Some(me);
                membership.session_id = Some(session_id);
                messages.write(NetMessage::Joined);
            }
            TransportEvent::ClockReady => {
                membership.clock_ready = true;
                messages.write(NetMessage::ClockReady);
            }
            TransportEvent::PeerConnected { id, name, addr, relayed, rejoined, inbox } => {
                let peer = Peer { id, name: name.clone(), addr };
                // The number of one who has left may be given to a newcomer; who left stays as it was, for the report.
                let entity = peers
                    .iter()
                    .filter(|(_, p, presence, _)| p.id == id && (rejoined || !is_gone(presence)))
                    .max_by_key(|(_, _, presence, _)| !is_gone(presence))
                    .map(|(entity, ..)| entity);
                let mut entity = match entity {
                    Some(entity) => commands.entity(entity),
                    None => commands.spawn_empty(),
                };
                entity.insert((
                    peer,
                    Presence::Here,
                    Hearing(None),
                    PeerCamera(None),
                    Route::relayed(relayed),
                    Incoming::new(inbox),
                ));
                messages.write(NetMessage::PeerConnected { id, name, rejoined, relayed });
                break;
            }
            TransportEvent::PeerRelayed { id, relayed } => {
                let here = peers.iter().find(|(_, p, presence, _)| p.id == id && !is_gone(presence));
                if let Some((entity, ..)) = here
                    && let Ok((_, mut route)) = shown.get_mut(entity)
                {
                    *route = Route::relayed(relayed);
                }
                messages.write(NetMessage::PeerRelayed { id, relayed });
            }
            TransportEvent::PeerSilent { id } => {
                set_presence(&mut peers, id, Presence::Silent);
                messages.write(NetMessage::PeerSilent { id });
            }
            TransportEvent::PeerBack { id } => {
                set_presence(&mut peers, id, Presence::Here);
                messages.write(NetMessage::PeerBack { id });
            }
            TransportEvent::PeerLeft { id, reason } => {
                set_presence(&mut peers, id, Presence::Gone(reason));
                messages.write(NetMessage::PeerLeft { id, reason });
            }
            TransportEvent::Stats(stats) => {
                if let Some((.., mut link)) =
                    peers.iter_mut().find(|(_, p, presence, _)| p.id == stats.id && !is_gone(presence))
                {
                    link.0 = stats;
                }
            }
            TransportEvent::KeyframeRequested { by } => {
                messages.write(NetMessage::KeyframeRequested { by });
            }
            TransportEvent::AudioReported { by, report } => {
                // Of all that have had this number one is here.
                let here = peers.iter().find(|(_, p, presence, _)| p.id == by && !is_gone(presence));
                if let Some((entity, ..)) = here
                    && let Ok(mut hearing) = hearing.get_mut(entity)
                {
                    hearing.0 = Some(report);
                }
                messages.write(NetMessage::AudioReported { by, report });
            }
            TransportEvent::CameraChanged { id, camera } => {
                let here = peers.iter().find(|(_, p, presence, _)| p.id == id && !is_gone(presence));
                if let Some((entity, ..)) = here
                    && let Ok((mut it, _)) = shown.get_mut(entity)
                {
                    it.0 = Some(camera);
                }
                messages.write(NetMessage::CameraChanged { id, camera });
            }
            TransportEvent::SyncTone { at_ns } => {
                messages.write(NetMessage::SyncTone { at_ns });
            }
            TransportEvent::PathReported { by, report } => {
                messages.write(NetMessage::PathReported { by, report });
            }
            TransportEvent::Refused { reason } => {
                fail(JoinFailure::Refused(reason), &mut membership, &mut messages);
            }
            TransportEvent::Unreachable => fail(JoinFailure::Unreachable, &mut membership, &mut messages),
            TransportEvent::Ended => {
                membership.ended = true;
                messages.write(NetMessage::Ended);
            }
        }
    }
}

fn set_presence(peers: &mut Query<'_, '_, (Entity, &Peer, &mut Presence, &mut Link)>, id: u8, to: Presence) {
    let of = |p: &Peer, presence: &Presence| p.id == id && !is_gone(presence);
    if let Some((_, _, mut presence, _)) = peers.iter_mut().find(|(_, p, presence, _)| of(p, presence)) {
        *presence = to;
    }
}

fn is_gone(presence: &Presence) -> bool {
    matches!(presence, Presence::Gone(_))
}

fn fail(failure: JoinFailure, membership: &mut Membership, messages: &mut MessageWriter<'_, NetMessage>) {
    membership.failure = Some(failure.clone());
    messages.write(NetMessage::Failed(failure));
}
