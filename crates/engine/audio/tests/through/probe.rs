//! Whether a loudspeaker reaches a microphone, over a sound server's devices.

use std::time::Instant;

use hyperzoom_audio::{Coupling, coupling};

use crate::rig::{hear, server, talker};

/// What the probe finds from one device to the other.
fn probed(speaker: &str, mic: &str) -> Coupling {
    let (engine, _, _) = talker(Instant::now(), mic, speaker);
    let mut tap = engine.record_tap(10.0).unwrap();
    hear(&mut tap, "anything", |_| true);
    engine.play_probe().unwrap();
    // Each is a second at least.
    let heard: Vec<f32> = (0..2).flat_map(|_| hear(&mut tap, "the probe", |_| true)).collect();
    coupling(&heard)
}

#[test]
fn a_loudspeakers_monitor_hears_all_of_it_and_another_device_nothing() {
    let Some(_pulse) = server(&[("desk", 2), ("attic", 2)]) else { return };
    match probed("pulse:desk", "pulse:desk.monitor") {
        // A computer that stands still now and then tears a hole into it.
        Coupling::At(db) => assert!((-8.0..1.0).contains(&db), "{db} dB"),
        other => panic!("{other:?}"),
    }
    assert_eq!(probed("pulse:desk", "pulse:attic.monitor"), Coupling::None);
}
