//! Devices as people have them: they are switched, unplugged, plugged in again, of odd rates, and dead.

use std::time::{Duration, Instant};

use hyperzoom_audio::{AudioEngine, AudioEvent, AudioEvents, Direction, start};
use hyperzoom_testkit::have;

use crate::rig::{Nobody, amplitude, config, hear, is_heard, is_silent, listener, server, talker};

/// Waits for an event that `fits`.
pub(crate) fn told(events: &mut AudioEvents, what: &str, fits: impl Fn(&AudioEvent) -> bool) -> AudioEvent {
    let patience = Instant::now() + Duration::from_secs(20);
    let mut seen = Vec::new();
    loop {
        match events.poll() {
            Some(event) if fits(&event) => return event,
            Some(event) => seen.push(event),
            None => std::thread::park_timeout(Duration::from_millis(5)),
        }
        assert!(Instant::now() < patience, "{what} was not told, but {seen:?}");
    }
}

fn node(engine: &AudioEngine, direction: Direction) -> Option<String> {
    let described = engine.describe();
    let shape = match direction {
        Direction::Microphone => described.mic,
        Direction::Loudspeaker => described.speaker,
    };
    shape.map(|shape| shape.node)
}

#[test]
fn devices_are_switched_while_people_talk() {
    let Some(_pulse) = server(&[("first", 2), ("second", 2)]) else { return };
    let epoch = Instant::now();
    let (engine, mut events, said) = talker(epoch, "tone:800", "pulse:first");
    engine.add_peer(1, said).unwrap();
    let (_one, mut first) = listener(epoch, "pulse:first.monitor");
    let (_two, mut second) = listener(epoch, "pulse:second.monitor");
    hear(&mut first, "the first loudspeaker", |heard| is_heard(heard, 800.0));

    engine.set_device(Direction::Loudspeaker, "pulse:second".parse().unwrap()).unwrap();
    hear(&mut second, "the second loudspeaker", |heard| is_heard(heard, 800.0));
    hear(&mut first, "silence at the first", |heard| is_silent(heard, 800.0));
    let event = told(&mut events, "the switch", |event| matches!(event, AudioEvent::Switched { .. }));
    assert!(matches!(event, AudioEvent::Switched { shape, .. } if shape.node == "second"));

    engine.set_device(Direction::Loudspeaker, "pulse:cellar".parse().unwrap()).unwrap();
    let event = told(&mut events, "the failure", |event| matches!(event, AudioEvent::NotSwitched { .. }));
    let AudioEvent::NotSwitched { wanted, reason, .. } = event else { unreachable!() };
    assert_eq!(wanted, "pulse:cellar");
    assert_eq!(reason, "no loudspeaker is called \"cellar\": choose one of these: first, second");
    while second.read(&mut [0.0; 4800]) > 0 {}
    hear(&mut second, "the second loudspeaker, still", |heard| is_heard(heard, 800.0));

    engine.set_device(Direction::Microphone, "tone:1500".parse().unwrap()).unwrap();
    hear(&mut second, "the other microphone", |heard| is_heard(heard, 1500.0));
    engine.set_device(Direction::Microphone, "none".parse().unwrap()).unwrap();
    hear(&mut second, "no microphone", |heard| is_silent(heard, 1500.0) && is_silent(heard, 800.0));
    let skipped = engine.live_stats().skipped_frames;
    engine.set_device(Direction::Microphone, "tone:800".parse().unwrap()).unwrap();
    hear(&mut second, "the first microphone again", |heard| is_heard(heard, 800.0));
    assert!(skipped > 0, "nothing is sent of a microphone that is none");
}

#[test]
fn an_unplugged_device_falls_back_to_the_default_and_returns() {
    let Some(pulse) = server(&[("builtin", 2)]) else { return };
    if !have(&["pactl"]) {
        return;
    }
    let headset = pulse.plug_in("headset", 2, 48_000);
    let epoch = Instant::now();
    let (engine, mut events, said) = talker(epoch, "tone:800", "pulse:headset");
    engine.add_peer(1, said).unwrap();
    let (listening, mut listening_events) =
        start(config(epoch, "pulse:headset.monitor", "none"), Box::new(Nobody)).unwrap();
    let (_builtin, mut builtin) = listener(epoch, "pulse:builtin.monitor");
    hear(&mut builtin, "nothing on the default", |heard| is_silent(heard, 800.0));

    pulse.unplug(&headset);
    hear(&mut builtin, "the default loudspeaker", |heard| is_heard(heard, 800.0));
    told(&mut events, "the loss", |event| matches!(event, AudioEvent::DeviceLost { .. }));
    let event = told(&mut events, "the default", |event| matches!(event, AudioEvent::FellBack { .. }));
    assert!(matches!(event, AudioEvent::FellBack { wanted, shape, direction: Direction::Loudspeaker }
        if wanted == "pulse:headset" && shape.node == "builtin"));
    told(&mut listening_events, "the microphone's", |event| matches!(event, AudioEvent::FellBack { .. }));
    assert_eq!(node(&listening, Direction::Microphone).as_deref(), Some("builtin.monitor"));

    let _headset = pulse.plug_in("headset", 2, 48_000);
    for (events, direction) in
        [(&mut events, Direction::Loudspeaker), (&mut listening_events, Direction::Microphone)]
    {
        let event = told(events, "the return", |event| matches!(event, AudioEvent::DeviceBack { .. }));
        assert!(matches!(event, AudioEvent::DeviceBack { shape, .. } if shape.node.starts_with("headset")));
        let engine = if direction == Direction::Loudspeaker { &engine } else { &listening };
        assert!(node(engine, direction).is_some_and(|node| node.starts_with("headset")));
    }
    let (_headset, mut headset) = listener(epoch, "pulse:headset.monitor");
    hear(&mut headset, "the headset again", |heard| is_heard(heard, 800.0));
    hear(&mut builtin, "nothing more on the default", |heard| is_silent(heard, 800.0));
}

#[test]
fn odd_devices_keep_the_pitch() {
    let Some(pulse) = server(&[("plain", 1)]) else { return };
    if !have(&["pactl"]) {
        return;
    }
    let epoch = Instant::now();
    for (channels, rate) in [(8, 44_100), (2, 44_100), (1, 16_000), (6, 192_000)] {
        let sink = pulse.plug_in("odd", channels, rate);
        let (engine, _, said) = talker(epoch, "tone:1000", "pulse:odd");
        engine.add_peer(1, said).unwrap();
        let (ear, mut heard) = listener(epoch, "pulse:odd.monitor");
        let heard = hear(&mut heard, "the odd device", |heard| is_heard(heard, 1000.0));
        let shape = ear.describe().mic.unwrap();
        assert_eq!(shape.channels, u16::from(channels), "{channels} channels at {rate} Hz");
        // A hundredth of a second tells neighbours at 100 Hz apart.
        let loudest = (1..20).map(|n| f64::from(n) * 100.0).max_by(|a, b| {
            let of = |hz: &f64| -> f64 {
                heard[heard.len() - 48_000..].chunks_exact(480).map(|part| amplitude(part, *hz)).sum()
            };
            of(a).total_cmp(&of(b))
        });
        assert_eq!(loudest, Some(1000.0), "{channels} channels at {rate} Hz");
        drop((engine, ear));
        pulse.unplug(&sink);
    }
}

#[test]
fn a_microphone_that_hears_nothing_is_told_once_and_a_muted_one_is_not() {
    let Some(pulse) = server(&[("speaker", 1)]) else { return };
    if !have(&["pactl"]) {
        return;
    }
    let _dead = pulse.plug_in_dead_microphone("dead");
    let epoch = Instant::now();
    let (muted, mut of_muted) = start(config(epoch, "pulse:dead", "none"), Box::new(Nobody)).unwrap();
    muted.set_muted(true);
    let (_monitor, mut of_monitor) =
        start(config(epoch, "pulse:speaker.monitor", "none"), Box::new(Nobody)).unwrap();
    let (engine, mut events) = start(config(epoch, "pulse:dead", "none"), Box::new(Nobody)).unwrap();
    let event = told(&mut events, "the silence", |event| matches!(event, AudioEvent::MicSilent { .. }));
    assert!(matches!(event, AudioEvent::MicSilent { delivers: true, .. }), "{event:?}");
    let heard = engine.live_stats().captured_samples;
    assert!(heard > 48_000, "told after {heard} samples");

    // As long again, and nothing is said a second time, nor by those of whom nothing is expected.
    let mut tap = engine.record_tap(10.0).unwrap();
    hear(&mut tap, "zeros", |_| engine.live_stats().captured_samples > 2 * heard + 48_000);
    for (events, whose) in [(&mut events, "of it"), (&mut of_muted, "muted"), (&mut of_monitor, "monitor")] {
        while let Some(event) = events.poll() {
            assert!(!matches!(event, AudioEvent::MicSilent { .. }), "{whose}");
        }
    }
    muted.set_muted(false);
    told(&mut of_muted, "the silence, unmuted", |event| matches!(event, AudioEvent::MicSilent { .. }));
}
