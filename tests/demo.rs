//! The demo is a whole call: two processes, two recordings, nothing lost.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::path::Path;

use common::process::run;
use hyperzoom_testkit::media::{decode_errors, ffprobe, number, stream};

#[test]
fn two_people_talk_for_ten_seconds_and_have_ten_seconds_each() {
    if !hyperzoom_testkit::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let args = ["demo", "--people", "2", "--seconds", "10", "--json", "--folder"];
    let ended = run(args.iter().map(AsRef::as_ref).chain([folder.path().as_os_str()]));
    assert_eq!(ended.code(), 0, "{}\n{}", ended.stdout, ended.stderr);
    let outcome = ended.report();
    assert_eq!(outcome["ok"], true, "{outcome:#}");
    let people = outcome["people"].as_array().unwrap();
    assert_eq!(people.len(), 2);
    // The tone is in both masters at the same moment, by what is heard in them.
    let pair = &outcome["pairs"][0];
    assert_eq!(pair["grade"], "green", "{pair:#}");
    assert!(pair["tones"].as_u64() >= Some(1) && pair["worst_ms"].as_f64().unwrap().abs() < 1.0, "{pair:#}");
    for person in people {
        let recording = &person["report"]["recording"];
        assert_eq!(recording["frames_dropped"], 0, "{recording:#}");
        assert_eq!(recording["samples_dropped"], 0, "{recording:#}");
        let take = Path::new(recording["folder"].as_str().unwrap());
        let certificate = &recording["certificate"];
        assert_eq!(certificate["grade"], "green", "{certificate:#}");
        let written = std::fs::read(take.join("sync_certificate.json")).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&written).unwrap(), *certificate);
        let readable = std::fs::read_to_string(take.join("sync_timecodes.txt")).unwrap();
        for line in ["Sync tone", "Sync certificate        GREEN"] {
            assert!(readable.contains(line), "{line:?} is not in\n{readable}");
        }
        let file = take.join("local_recording.mp4");
        let probe = ffprobe(&file);
        let video = stream(&probe, "video");
        assert_eq!((&video["codec_name"], &video["profile"]), (&"h264".into(), &"High".into()));
        assert_eq!((&video["r_frame_rate"], &video["avg_frame_rate"]), (&"30/1".into(), &"30/1".into()));
        assert_eq!((&video["width"], &video["height"]), (&1920.into(), &1080.into()));
        assert_eq!(number(&video["nb_read_packets"]), 300.0);
        let audio = stream(&probe, "audio");
        assert_eq!(
            (&audio["codec_name"], &audio["sample_rate"], &audio["channels"]),
            (&"aac".into(), &"48000".into(), &1.into())
        );
        for what in [video, audio, &probe["format"]] {
            let seconds = number(&what["duration"]);
            assert!((seconds - 10.0).abs() <= 1.0 / 30.0, "{seconds} s: {what:#}");
        }
        assert_eq!(decode_errors(&file), "");
    }
    let takes: Vec<_> =
        people.iter().map(|it| it["report"]["recording"]["folder"].as_str().unwrap()).collect();
    let checked = run(["verify", "--json", takes[0], takes[1]].map(std::ffi::OsStr::new));
    assert_eq!(checked.code(), 0, "{}\n{}", checked.stdout, checked.stderr);
    assert_eq!(checked.report()[0]["sync"][0]["grade"], "green", "{}", checked.stdout);
    // One of them is damaged: that is said, and the other is still judged.
    let file = Path::new(takes[1]).join("local_recording.mp4");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let checked = run(["verify", "--json", takes[0], takes[1]].map(std::ffi::OsStr::new));
    assert_eq!(checked.code(), 1, "{}", checked.stdout);
    let found = checked.report();
    assert_eq!((&found[0]["ok"], &found[1]["ok"]), (&true.into(), &false.into()), "{found:#}");
    assert!(found[1]["error"].as_str().unwrap().contains("is damaged"), "{found:#}");
}
