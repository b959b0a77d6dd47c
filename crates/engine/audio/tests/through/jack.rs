//! JACK, with its dummy card.

use std::time::Instant;

use hyperzoom_audio::{AudioEvent, Direction, devices, start};

use crate::devices::told;
use crate::rig::{Nobody, config, hear, is_heard, jack, listener, talker};

#[test]
fn a_voice_goes_through_jack_and_is_there_again_after_the_server_was() {
    let Some(mut server) = jack() else { return };
    let listed = devices();
    let specs = |direction| -> Vec<String> {
        listed.iter().filter(|d| d.direction == direction).map(|d| d.spec().to_string()).collect()
    };
    assert_eq!(specs(Direction::Loudspeaker), ["jack:default"]);
    assert_eq!(specs(Direction::Microphone), ["jack:default"]);

    let epoch = Instant::now();
    let (talker, mut events, said) = talker(epoch, "tone:800", "jack:mouth");
    talker.add_peer(1, said).unwrap();
    let (ear, mut heard) = listener(epoch, "jack:ear");
    server.connect("mouth_out:out_0", "ear_in:in_0");
    hear(&mut heard, "the other client", |heard| is_heard(heard, 800.0));
    let shape = talker.describe().speaker.unwrap();
    assert_eq!((shape.rate, shape.period), (48_000, Some(128)));

    server.restart();
    told(&mut events, "the loss", |event| matches!(event, AudioEvent::DeviceLost { .. }));
    told(&mut events, "the return", |event| matches!(event, AudioEvent::DeviceBack { .. }));
    server.connect("mouth_out:out_0", "ear_in:in_0");
    while heard.read(&mut [0.0; 4800]) > 0 {}
    hear(&mut heard, "the other client, again", |heard| is_heard(heard, 800.0));
    drop(ear);
}

#[test]
fn jacks_own_card_is_opened_by_default_and_switched_to() {
    let Some(server) = jack() else { return };
    let (engine, mut events) = start(config(Instant::now(), "none", "none"), Box::new(Nobody)).unwrap();
    engine.set_device(Direction::Microphone, "default".parse().unwrap()).unwrap();
    told(&mut events, "the switch", |event| matches!(event, AudioEvent::Switched { .. }));
    let mut tap = engine.record_tap(10.0).unwrap();
    hear(&mut tap, "the card", |_| true);
    drop(server);
}
