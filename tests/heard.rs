//! What two people have heard of each other in a call is kept beside their recordings, and is found in them where their timecode says.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use common::process::{Ended, HyperZoom, run};
use serde_json::Value;

/// A WAV file of half a minute of noise in a voice's band that swells as syllables do (Marsaglia's xorshift, 2003).
fn speech_like(path: &Path) {
    let (mut state, mut low, mut lower) = (0x2545_f491_4f6c_dd1d_u64, 0.0_f32, 0.0_f32);
    let samples = (0..30 * 48_000_u32).flat_map(|n| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        low += 0.15 * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0 - low);
        lower += 0.02 * (low - lower);
        let loud = 0.6 + 0.4 * (n as f32 / 48_000.0 * 4.0 * std::f32::consts::TAU).sin();
        (((low - lower) * loud * 16_000.0) as i16).to_le_bytes()
    });
    let samples: Vec<u8> = samples.collect();
    let len = samples.len() as u32;
    // Mono, 48 kHz, 16 bit.
    let mut file = [b"RIFF", &(len + 36).to_le_bytes()[..], b"WAVEfmt ", &16_u32.to_le_bytes()].concat();
    for word in [1_u16, 1] {
        file.extend(word.to_le_bytes());
    }
    file.extend(48_000_u32.to_le_bytes());
    file.extend(96_000_u32.to_le_bytes());
    for word in [2_u16, 16] {
        file.extend(word.to_le_bytes());
    }
    file.extend([b"data", &len.to_le_bytes()[..], &samples].concat());
    std::fs::write(path, file).unwrap();
}

fn take_of(ended: &Ended) -> PathBuf {
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    ended.report()["recording"]["folder"].as_str().unwrap().into()
}

fn verify(takes: &[PathBuf]) -> Value {
    let args = [OsStr::new("verify"), OsStr::new("--json")];
    let checked = run(args.into_iter().chain(takes.iter().map(|take| take.as_os_str())));
    assert_eq!(checked.code(), 0, "{}\n{}", checked.stdout, checked.stderr);
    serde_json::from_str(&checked.stdout).unwrap()
}

#[test]
fn a_voice_is_found_in_its_own_master_where_the_other_heard_it_and_a_tone_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let wav = folder.path().join("speech.wav");
    speech_like(&wav);
    let person = |name: &str, mic: &str, verb: &[&str]| {
        let takes = folder.path().join(name).to_string_lossy().into_owned();
        let all = ["--name", name, "--mic", mic, "--speaker", "none", "--folder", &takes, "--for", "14"];
        HyperZoom::start(
            [verb, &all, &["--headless", "--json", "--no-upnp", "--bind", "127.0.0.1", "--no-flac"]].concat(),
        )
    };
    let voice = format!("file:{}", wav.display());
    let mut host = person("Ada", &voice, &["host", "--port", "0"]);
    let invite = host.invite();
    let guest = person("Bob", "tone:700", &["join", &invite]).wait();
    let takes = [take_of(&host.wait()), take_of(&guest)];

    let certificate = std::fs::read(takes[1].join("sync_certificate.json")).unwrap();
    let certificate: Value = serde_json::from_slice(&certificate).unwrap();
    let kept = certificate["heard"].as_array().unwrap();
    assert!(kept.len() >= 2 && kept.iter().all(|piece| piece["name"] == "Ada"), "{certificate:#}");

    let found = verify(&takes);
    let pair = &found[0]["sync"][0];
    println!("{pair:#}");
    assert_eq!(pair["grade"], "green", "{pair:#}");
    let heard = pair["heard"].as_array().unwrap();
    let of = |take: usize| {
        let folder = takes[take].as_path();
        heard.iter().filter(move |it| Path::new(it["speaker"].as_str().unwrap()) == folder)
    };
    assert!(of(0).count() >= 2 && of(1).count() >= 2, "{pair:#}");
    for piece in of(0) {
        assert!(piece["correlation"].as_f64().unwrap() > 0.6, "{pair:#}");
        assert!(piece["offset_ms"].as_f64().unwrap().abs() < 1.0, "{pair:#}");
    }
    // The tone is everywhere in its master.
    assert!(of(1).all(|piece| piece["offset_ms"].is_null()), "{pair:#}");

    // Without it the tones still say how the takes lie.
    std::fs::remove_file(takes[1].join("heard.flac")).unwrap();
    let found = verify(&takes);
    assert!(found[1]["heard_error"].as_str().unwrap().contains("heard.flac is missing"), "{found:#}");
    assert_eq!(found[0]["sync"][0]["grade"], "green", "{found:#}");
}
