use bevy_app::{App, Update};
use hyperzoom_audio::{AudioConfig, SoundSpec};
use hyperzoom_protocol::PathReport;
use hyperzoom_timing::SharedClock;

use super::*;

const PEER: u8 = 1;

/// An app that does nothing but send its voice with care, to one peer, as if it had for a while.
fn talking() -> App {
    let (_bound, audio, _video) = hyperzoom_transport::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = AudioConfig {
        epoch: Instant::now(),
        mic: SoundSpec::None,
        speaker: SoundSpec::None,
        frame: VoiceCare::FIRST_FRAME,
        bitrate: 32_000,
        clock: SharedClock::new(),
    };
    let (engine, events) = hyperzoom_audio::start(config, Box::new(audio)).unwrap();
    let mut app = App::new();
    app.add_message::<NetMessage>()
        .insert_resource(Sound::new(engine, events))
        .insert_resource(VoiceCare::choosing_frames())
        .insert_resource(VideoCare::talking_to(PEER))
        .add_systems(Update, heed);
    app
}

fn hear(app: &mut App, message: NetMessage) {
    app.world_mut().write_message(message);
    app.update();
}

/// A second has passed.
fn turn(app: &mut App) {
    app.world_mut().resource_mut::<VoiceCare>().next = Duration::ZERO;
    app.update();
}

fn path_with_a_queue_of(queue: Duration) -> NetMessage {
    let queue_us = queue.as_micros() as u32;
    NetMessage::PathReported { by: PEER, report: PathReport { queue_us, ..PathReport::default() } }
}

fn frame(app: &mut App) -> FrameSize {
    app.world_mut().resource_mut::<Sound>().engine().frame_size()
}

fn copies(app: &App) -> Repair {
    app.world().resource::<VoiceCare>().repair()
}

#[test]
fn the_frame_becomes_longer_where_a_path_is_full_with_the_voice_alone() {
    let mut app = talking();
    hear(&mut app, path_with_a_queue_of(ALARM));
    assert_eq!(frame(&mut app), VoiceCare::FIRST_FRAME, "video is what fills it, and gives way first");
    app.world_mut().resource_mut::<VideoCare>().turn_off(PEER, Duration::ZERO);
    hear(&mut app, path_with_a_queue_of(ALARM));
    assert_eq!(frame(&mut app), VoiceCare::FIRST_FRAME, "what video has left behind is still in it");
    app.world_mut().resource_mut::<VideoCare>().turn_off(PEER, DRAINED);
    hear(&mut app, path_with_a_queue_of(ALARM - Duration::from_millis(1)));
    assert_eq!(frame(&mut app), VoiceCare::FIRST_FRAME, "it is not full");
    hear(&mut app, path_with_a_queue_of(ALARM));
    assert_eq!(frame(&mut app), FrameSize::Ms10);
}

#[test]
fn a_full_path_gets_no_copies_of_the_voice_and_again_some_when_it_is_free() {
    let mut app = talking();
    let report =
        AudioReport { lost_permille: 50, burst_us: 10_000, reach_us: 10_000, ..AudioReport::default() };
    hear(&mut app, NetMessage::AudioReported { by: PEER, report });
    turn(&mut app);
    let wanted = copies(&app);
    assert_ne!(wanted, Repair::NONE);
    app.world_mut().resource_mut::<VideoCare>().fill(PEER, true);
    app.update();
    assert_eq!(copies(&app), Repair::NONE, "at once");
    turn(&mut app);
    assert_eq!(copies(&app), Repair::NONE, "and as long as it is full");
    app.world_mut().resource_mut::<VideoCare>().fill(PEER, false);
    turn(&mut app);
    assert_eq!(copies(&app), wanted);
}
