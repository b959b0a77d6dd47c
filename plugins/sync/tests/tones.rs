//! A tone that was announced is in the take's master, and in no other place of it.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use std::path::Path;
use std::time::{Duration, Instant};

use bevy_app::App;
use bevy_ecs::message::Messages;
use hyperzoom_media::mic_tap;
use hyperzoom_net_plugin::NetMessage;
use hyperzoom_record_plugin::{RecordPlugin, Take, TakeState};
use hyperzoom_recorder::{Grade, Inputs, Participant, RecorderConfig, listen};
use hyperzoom_sync_plugin::{SyncPlugin, SyncTones};
use hyperzoom_timing::{Timecode, tick_at_or_after, tick_time_ns};

#[test]
fn an_announced_tone_is_in_the_master_at_its_timecode() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = App::new();
    app.add_plugins((RecordPlugin, SyncPlugin)).add_message::<NetMessage>();
    let at_ns = 2_000_000_000;
    // It is announced before the take begins, twice, as the host does.
    for _ in 0..2 {
        app.world_mut().resource_mut::<Messages<NetMessage>>().write(NetMessage::SyncTone { at_ns });
    }
    app.update();
    assert_eq!(app.world().resource::<SyncTones>().announced(), [at_ns]);

    record(&mut app, folder.path(), at_ns);
    // So it is in a take that begins after another has ended.
    record(&mut app, folder.path(), at_ns);
}

/// Records four seconds of session time from 0 on, by a clock of its own, and looks for the tone.
fn record(app: &mut App, folder: &Path, at_ns: i64) {
    let (mut mic, tap) = mic_tap(10.0);
    let config = RecorderConfig::new(folder, Participant::new(0, "Ada"));
    let inputs = Inputs { mic: Some(tap), video: None };
    app.world_mut().resource_mut::<Take>().start(config, inputs).unwrap();
    app.world_mut().resource_mut::<Take>().plan_end(4_000_000_000);
    app.update();
    let TakeState::Recording { start_tick } = *app.world().resource::<Take>().state() else {
        panic!("it does not record");
    };
    let first_ns = tick_time_ns(start_tick);
    for n in 0..420 {
        mic.push(&[0.01; 480], Duration::from_nanos(first_ns as u64) + Duration::from_millis(n * 10));
    }
    let patience = Instant::now() + Duration::from_secs(60);
    let report = loop {
        app.update();
        if let TakeState::Done(report) = app.world().resource::<Take>().state() {
            break report.clone();
        }
        assert!(Instant::now() < patience, "the take does not end");
        std::thread::yield_now();
    };
    let heard = listen(&report.folder).unwrap();
    assert_eq!(heard.tone_timecodes(), [Timecode::from_tick(tick_at_or_after(at_ns))]);
    let certificate = report.certificate.unwrap();
    assert_eq!(certificate.tones.len(), 1);
    assert!(certificate.tones[0].offset_ms.unwrap().abs() < 0.05, "{certificate:?}");
    assert_eq!(certificate.grade, Grade::Green, "{certificate:?}");
}
