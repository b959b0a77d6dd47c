//! A take as the app sees it: begun, running, ended at its time, whole.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bevy_app::App;
use bevy_ecs::message::Messages;
use hyperzoom_media::{Ears, HeardPiece, SAMPLE_RATE, mic_tap};
use hyperzoom_record_plugin::{RecordMessage, RecordPlugin, Take, TakeState};
use hyperzoom_recorder::{Inputs, Participant, RecorderConfig};
use hyperzoom_timing::{SessionClock, SharedClock, tick_time_ns};

/// How long something that must come may take before the test fails; nothing takes this long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

fn app() -> App {
    let mut app = App::new();
    app.add_plugins(RecordPlugin);
    app.finish();
    app.cleanup();
    app
}

fn config(folder: &std::path::Path, epoch: Instant) -> RecorderConfig {
    let me = Participant::new(0, "Ada");
    let clock = SharedClock::of(SessionClock::IDENTITY);
    RecorderConfig { epoch, clock, session_id: 77, ..RecorderConfig::new(folder, me) }
}

/// Has heard somebody say something at every session time.
struct Always;

impl Ears for Always {
    fn heard(&self, start_ns: i64, _end_ns: i64) -> Vec<HeardPiece> {
        let (from_ns, to_ns) = (start_ns, start_ns + 199_979_167);
        vec![HeardPiece { speaker: 1, place: "start", samples: vec![0.1; 9600], from_ns, to_ns }]
    }
}

#[test]
fn a_take_ends_at_the_time_that_was_planned_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = app();
    let epoch = Instant::now();
    let (mut feed, tap) = mic_tap(10.0);
    let inputs = Inputs { mic: Some(tap), video: None };
    app.world_mut().resource_mut::<Take>().start(config(folder.path(), epoch), inputs).unwrap();
    assert!(!app.world().resource::<Take>().is_over());
    app.world_mut().resource_mut::<Take>().set_ears(Arc::new(Always));

    let deadline = Instant::now() + PATIENCE;
    let block = [0.25; 480];
    let mut fed = 0;
    let mut said = Vec::new();
    while !app.world().resource::<Take>().is_over() {
        // The microphone delivers a block whenever one is due.
        while u128::from(fed) * 1000 / u128::from(SAMPLE_RATE) < epoch.elapsed().as_millis() {
            feed.push(&block, Duration::from_secs_f64(fed as f64 / f64::from(SAMPLE_RATE)));
            fed += block.len() as u64;
        }
        app.update();
        said.extend(app.world_mut().resource_mut::<Messages<RecordMessage>>().drain());
        if let Some(RecordMessage::Started { start_tick, .. }) = said.last() {
            let mut take = app.world_mut().resource_mut::<Take>();
            take.plan_end(tick_time_ns(start_tick + 15));
            assert!(
                take.mark_at(tick_time_ns(start_tick + 7), "half of it")
                    .is_some_and(|it| it.tick == start_tick + 7)
            );
        }
        std::thread::yield_now();
        assert!(Instant::now() < deadline, "the take never ended: {said:?}");
    }
    let take = app.world().resource::<Take>();
    let TakeState::Done(report) = take.state() else { panic!("{:?}", take.state()) };
    assert_eq!((report.ticks, report.complete), (15, true));
    assert_eq!(report.certificate.as_ref().unwrap().heard.len(), 1);
    assert!(matches!(said.first(), Some(RecordMessage::Started { .. })), "{said:?}");
    assert!(matches!(said.last(), Some(RecordMessage::Finished { .. })), "{said:?}");
    assert!(said.iter().any(|it| it.to_string().ends_with(": half of it")), "{said:?}");
    assert_eq!(app.world_mut().resource_mut::<Take>().mark("too late"), None);
}

#[test]
fn a_folder_that_is_a_file_is_an_error_and_leaves_nothing_running() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut app = app();
    let (_feed, tap) = mic_tap(1.0);
    let inputs = Inputs { mic: Some(tap), video: None };
    let mut take = app.world_mut().resource_mut::<Take>();
    let error = take.start(config(file.path(), Instant::now()), inputs).unwrap_err();
    assert!(error.to_string().contains("--folder"), "{error}");
    assert!(take.is_over());
}
