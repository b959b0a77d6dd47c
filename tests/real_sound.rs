//! Two processes talk through a sound server, as two people would through their cards.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::time::Duration;

use common::process::{HyperZoom, command};
use hyperzoom_testkit::media::{only_take, sound, speech};
use hyperzoom_testkit::signal::{rigid_correlation, rms, speech_correlation};
use hyperzoom_testkit::{Pulse, Stalls};

const TEXT: &str = "Good evening, and welcome to the programme. Tonight two people talk to each other from two rooms, \
                    and nobody has to wait for the other to finish.";

#[test]
fn speech_into_one_microphone_comes_out_of_the_other_loudspeaker_and_lands_in_the_recording() {
    if !hyperzoom_testkit::have(&["pulseaudio", "paplay", "parec", "espeak-ng", "ffmpeg"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let speech_file = speech(folder.path(), TEXT);
    let spoken = sound(&speech_file);
    let pulse = Pulse::start(&[("mic_a", 1), ("spk_a", 1), ("mic_b", 1), ("spk_b", 2)]);
    let person = |verb: &[&str], name: &str| {
        let mut command = command(verb);
        command.args(["--headless", "--json", "--bind", "127.0.0.1", "--name", name, "--camera", "none"]);
        command.args([
            "--mic",
            &format!("pulse:mic_{name}.monitor"),
            "--speaker",
            &format!("pulse:spk_{name}"),
        ]);
        command.arg("--folder").arg(folder.path().join(name));
        pulse.enter(&mut command);
        HyperZoom::spawn(command)
    };

    let mut a = person(&["host", "--port", "0"], "a");
    let invite = a.invite();
    let mut b = person(&["join", &invite], "b");
    a.wait_for("recording into");
    b.wait_for("recording into");
    let ear_a = pulse.record("spk_a");
    let ear_b = pulse.record("spk_b");
    let stalls = Stalls::watch();
    pulse.play("mic_a", &speech_file);
    let stalled = stalls.total();
    let (heard_by_a, heard_by_b) = (ear_a.samples(), ear_b.samples());
    b.interrupt();
    let b = b.wait();
    a.interrupt();
    let a = a.wait();
    assert_eq!((a.code(), b.code()), (0, 0), "a: {}\nb: {}", a.stderr, b.stderr);

    let at_b = speech_correlation(&spoken, &heard_by_b);
    let take = only_take(&folder.path().join("a"));
    let recorded = speech_correlation(&spoken, &sound(&take.join("local_recording.mp4")));
    let microphone = speech_correlation(&spoken, &sound(&take.join("microphone.flac")));
    let rigidly = rigid_correlation(&spoken, &heard_by_b);
    let at_a = speech_correlation(&spoken, &heard_by_a);
    println!(
        "correlation in the speech band: at b's loudspeaker {at_b:.3} ({rigidly:.3} at one delay for all of it), in a's recording {recorded:.3} with the sync tone in it, in a's microphone.flac {microphone:.3}, at a's loudspeaker {at_a:.3}"
    );
    println!("the computer stood still for {stalled:?} meanwhile");
    // Nobody is heard clearly through a computer that stands still: by then it has to be that speech still, and no noise (below 0.3).
    // The player that stands in for a mouth stalls as well, and leaves holes in what the microphone hears.
    let (clear, kept) = if stalled < Duration::from_millis(100) { (0.9, 0.99) } else { (0.3, 0.9) };
    assert!(at_b > clear, "b hears a: {at_b:.3}\n{}\n{}", a.stdout, b.stdout);
    assert!(microphone > kept, "a's microphone.flac has a: {microphone:.3}");
    // The sync tone lies over a fifth of a second of it: over a loud syllable or a pause, as it happens.
    assert!(recorded > kept - 0.04, "a's recording has a: {recorded:.3}");
    // The sync tone is heard, and is over within less than a second.
    let level = usual_level(&heard_by_a);
    assert!(at_a < 0.1 && level < 0.01 * rms(&spoken), "a must not hear itself: {at_a:.3}, {level:.5}");
    assert_eq!(a.report()["recording"]["samples_dropped"], 0);
}

/// How loud it is at most for half of the time.
fn usual_level(heard: &[f32]) -> f64 {
    let mut levels: Vec<f64> = heard.chunks(2400).map(rms).collect();
    levels.sort_by(f64::total_cmp);
    levels[levels.len() / 2]
}
