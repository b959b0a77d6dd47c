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
    for person in people {
        let recording = &person["report"]["recording"];
        assert_eq!(recording["frames_dropped"], 0, "{recording:#}");
        assert_eq!(recording["samples_dropped"], 0, "{recording:#}");
        let file = Path::new(recording["folder"].as_str().unwrap()).join("local_recording.mp4");
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
}
