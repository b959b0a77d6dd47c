//! Audio and video pass through; requests for keyframes do not flood anybody.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use common::{World, addr, ms};
use hyperzoom_netem::Conditions;
use hyperzoom_protocol::{
    AudioReport, CameraState, MAX_DATAGRAM, PacketType, Stream, StreamSealer, VideoNack,
};
use hyperzoom_session::Event;

fn guests_key(world: &World) -> hyperzoom_protocol::SecretKey {
    let connected = world.parties[1].events.iter().find_map(|(_, event)| match event {
        Event::PeerConnected { send_key, .. } => Some(*send_key),
        _ => None,
    });
    connected.unwrap()
}

#[test]
fn audio_and_video_keep_their_own_numbers() {
    let mut world = World::pair();
    let key = guests_key(&world);
    let mut audio = StreamSealer::new(key, Stream::Audio, 1);
    let mut video = StreamSealer::new(key, Stream::Video, 1);
    let mut out = [0; MAX_DATAGRAM];
    for (kind, fragment, fragments) in [
        (PacketType::Audio, 0, 0),
        (PacketType::VideoKeyframe, 0, 2),
        (PacketType::Audio, 0, 0),
        (PacketType::VideoKeyframe, 1, 2),
        (PacketType::VideoDelta, 0, 0),
    ] {
        let sealer = if kind == PacketType::Audio { &mut audio } else { &mut video };
        let expected = sealer.next_sequence();
        let len = sealer.seal(kind, 77, fragment, fragments, b"media", &mut out);
        let media = world.parties[0].session.handle_datagram(world.now, addr(1), &mut out[..len]).unwrap();
        assert_eq!((media.peer, media.sequence, media.payload), (1, expected, &b"media"[..]));
        assert_eq!(
            (media.header.kind, media.header.fragment, media.header.timestamp_ms),
            (kind, fragment, 77)
        );
    }
    let stats = world.parties[0].session.peers().next().unwrap().stats;
    assert_eq!((stats.audio, stats.video), (2, 3));
}

#[test]
fn audio_goes_on_past_the_wrap_of_its_numbers() {
    let mut world = World::pair();
    let mut audio = StreamSealer::new(guests_key(&world), Stream::Audio, 1);
    let mut out = [0; MAX_DATAGRAM];
    for expected in 0..150_000_u64 {
        let len = audio.seal(PacketType::Audio, 0, 0, 0, b"x", &mut out);
        if expected % 20 == 0 {
            continue;
        }
        let media = world.parties[0].session.handle_datagram(world.now, addr(1), &mut out[..len]).unwrap();
        assert_eq!(media.sequence, expected);
    }
}

#[test]
fn an_empty_payload_counts_and_goes_no_further() {
    let mut world = World::pair();
    world.speak(1, b"");
    world.run(ms(20));
    assert_eq!(world.parties[0].media, []);
    world.speak(1, b"x");
    world.run(ms(20));
    assert_eq!(world.parties[0].media, [(1, 1, b"x".to_vec())]);
}

#[test]
fn a_keyframe_is_asked_for_at_most_four_times_a_second() {
    let mut world = World::pair();
    for _ in 0..1000 {
        let now = world.now;
        world.parties[0].session.request_keyframe(now, 1);
        world.run(ms(1));
    }
    world.run(ms(50));
    assert_eq!(world.parties[1].saw(|event| *event == Event::KeyframeRequested { by: 0 }), 4);
}

#[test]
fn over_a_long_way_the_answer_is_waited_for_before_a_keyframe_is_asked_for_again() {
    let mut world = World::with(Conditions { delay: ms(400), ..Conditions::PERFECT }, 1);
    world.join();
    world.run(ms(5000));
    assert_eq!(world.parties[0].connected(), [1]);
    for _ in 0..3300 {
        let now = world.now;
        world.parties[0].session.request_keyframe(now, 1);
        world.run(ms(1));
    }
    world.run(ms(500));
    assert_eq!(world.parties[1].saw(|event| *event == Event::KeyframeRequested { by: 0 }), 3);
}

#[test]
fn a_peer_learns_which_of_its_video_is_missing() {
    let mut world = World::pair();
    let missed = VideoNack { first: 65_535, following: 0b11 };
    let now = world.now;
    world.parties[0].session.request_video(now, 1, missed);
    world.parties[0].session.request_video(now, 2, missed);
    world.run(ms(50));
    assert_eq!(world.parties[1].saw(|event| *event == Event::VideoMissed { by: 0, missed }), 1);
}

#[test]
fn a_peer_that_asks_for_keyframes_without_end_gets_four_a_second() {
    let mut world = World::pair();
    let mut control = StreamSealer::new(guests_key(&world), Stream::Control, 1);
    // Past all numbers that the guest's own session has used.
    for _ in 0..500 {
        control.skip();
    }
    let mut buffer = [0; hyperzoom_protocol::MAX_CONTROL];
    let nack = hyperzoom_protocol::Control::Nack(hyperzoom_protocol::Nack::Keyframe);
    let payload = nack.encode(&mut buffer);
    for _ in 0..1000 {
        let mut out = [0; MAX_DATAGRAM];
        let len = control.seal(PacketType::Control, 0, 0, 0, payload, &mut out);
        world.inject(0, addr(1), &out[..len]);
        world.now += ms(1);
    }
    assert_eq!(world.parties[0].saw(|event| *event == Event::KeyframeRequested { by: 1 }), 4);
}

#[test]
fn a_peer_that_asks_for_lost_video_without_end_is_heard_two_hundred_times_a_second() {
    let mut world = World::pair();
    let mut control = StreamSealer::new(guests_key(&world), Stream::Control, 1);
    for _ in 0..500 {
        control.skip();
    }
    let mut buffer = [0; hyperzoom_protocol::MAX_CONTROL];
    let missed = VideoNack { first: 0, following: u32::MAX };
    let nack = hyperzoom_protocol::Control::Nack(hyperzoom_protocol::Nack::Video(missed));
    let payload = nack.encode(&mut buffer);
    for _ in 0..4 {
        for _ in 0..1000 {
            let mut out = [0; MAX_DATAGRAM];
            let len = control.seal(PacketType::Control, 0, 0, 0, payload, &mut out);
            world.inject(0, addr(1), &out[..len]);
        }
        world.now += ms(250);
    }
    // A second of them in four bursts, each of which is cut off.
    let heard = world.parties[0].saw(|event| matches!(event, Event::VideoMissed { by: 1, .. }));
    assert_eq!(heard, 4 * 9, "eight at once, and the one that is due");
}

#[test]
fn a_peer_that_asks_for_lost_video_as_it_should_is_always_heard() {
    let mut world = World::pair();
    let missed = VideoNack { first: 0, following: 0 };
    for _ in 0..200 {
        let now = world.now;
        world.parties[1].session.request_video(now, 0, missed);
        world.run(ms(5));
    }
    world.run(ms(50));
    assert_eq!(world.parties[0].saw(|event| matches!(event, Event::VideoMissed { by: 1, .. })), 200);
}

#[test]
fn a_peer_that_asks_for_the_time_without_end_fills_no_memory() {
    let mut world = World::pair();
    let mut control = StreamSealer::new(guests_key(&world), Stream::Control, 1);
    for _ in 0..500 {
        control.skip();
    }
    let mut buffer = [0; hyperzoom_protocol::MAX_CONTROL];
    let payload = hyperzoom_protocol::Control::TimePing { token: 1 }.encode(&mut buffer);
    for _ in 0..1000 {
        let mut out = [0; MAX_DATAGRAM];
        let len = control.seal(PacketType::Control, 0, 0, 0, payload, &mut out);
        world.inject(0, addr(1), &out[..len]);
    }
    let queued = std::iter::from_fn(|| world.parties[0].session.poll_transmit()).count();
    assert!(queued <= 64, "{queued} answers are queued");
}

#[test]
fn a_request_to_nobody_is_harmless() {
    let mut world = World::pair();
    let now = world.now;
    for peer in [0, 2, 3, 4, 255] {
        world.parties[0].session.request_keyframe(now, peer);
    }
    assert_eq!(world.parties[0].session.poll_transmit(), None);
}

#[test]
fn others_learn_of_a_camera_that_goes_off_and_cannot_be_flooded_with_it() {
    let mut world = World::pair();
    let said = |world: &World| -> Vec<_> {
        let told = world.parties[1].events.iter().filter_map(|(_, event)| match event {
            Event::CameraChanged { id: 0, camera } => Some(*camera),
            _ => None,
        });
        told.collect()
    };
    for camera in [CameraState::On, CameraState::Off] {
        let now = world.now;
        world.parties[0].session.set_camera(now, camera);
        world.run(ms(3000));
    }
    assert_eq!(said(&world), [CameraState::On, CameraState::Off], "each once, however often it is repeated");

    for n in 0..2000 {
        let now = world.now;
        let camera = if n % 2 == 0 { CameraState::On } else { CameraState::Lost };
        world.parties[0].session.set_camera(now, camera);
        world.run(ms(1));
    }
    world.run(ms(2000));
    let said = said(&world);
    assert!(said.len() <= 2 + 2 * 4 + 2, "{said:?}");
    assert_eq!(said.last(), Some(&CameraState::Lost), "the last word comes through");
}

#[test]
fn a_peer_learns_how_it_is_heard_and_cannot_be_flooded_with_it() {
    let mut world = World::pair();
    let report = AudioReport { lost_permille: 50, reach_us: 15_000, ..AudioReport::default() };
    for _ in 0..2000 {
        let now = world.now;
        let lie = AudioReport { burst_us: u32::MAX, ..report };
        world.parties[1].session.report_audio(now, 0, lie);
        world.parties[1].session.report_audio(now, 3, report);
        world.run(ms(1));
    }
    world.run(ms(50));
    let heard: Vec<_> = world.parties[0]
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::AudioReported { by, report } => Some((*by, *report)),
            _ => None,
        })
        .collect();
    assert_eq!(heard, [(1, AudioReport { burst_us: AudioReport::MAX_US, ..report }); 4]);
    assert!(world.parties[1].events.iter().all(|(_, event)| !matches!(event, Event::AudioReported { .. })));
}
