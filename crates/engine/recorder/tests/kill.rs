//! A process that is killed while it records: what it wrote plays.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hyperzoom_media::{FramePool, I420, mic_tap};
use hyperzoom_recorder::{Inputs, Participant, RECORDING, RecorderConfig, start, verify};
use hyperzoom_timing::tick_time_ns;
use ringbuf::HeapRb;
use ringbuf::traits::{Observer, Producer, Split};

const SHAPE: I420 = I420 { width: 640, height: 360 };
const FOLDER: &str = "HYPERZOOM_TEST_KILL_FOLDER";

/// Records without end, as fast as it encodes, and says how many seconds are on the disk.
fn record_for_ever(folder: &Path) -> ! {
    let (mut frames, frames_out) = HeapRb::new(60).split();
    let (mut mic, tap) = mic_tap(10.0);
    let pool = FramePool::new(SHAPE, 100);
    let config = RecorderConfig {
        session_id: 1,
        video_bitrate_kbps: 2000,
        ..RecorderConfig::new(folder, Participant::new(0, "Alice"))
    };
    let inputs = Inputs { mic: Some(tap), video: Some((SHAPE, frames_out)) };
    let (recorder, _events) = start(config, inputs).unwrap();
    let first = recorder.start_tick();
    let mut said = 0;
    for tick in 0_u64.. {
        while frames.is_full() {
            std::thread::yield_now();
        }
        let at = Duration::from_nanos(tick_time_ns(first + tick) as u64);
        let fill = |data: &mut [u8]| {
            for (i, byte) in data.iter_mut().enumerate() {
                *byte = ((i as u64 / 5 + tick * 3) % 160) as u8 + 30;
            }
        };
        let frame = pool.frame(at, tick, fill).unwrap();
        assert!(frames.try_push(frame).is_ok());
        mic.push(&[0.1; 1600], at);
        let fragments = recorder.progress().fragments;
        if fragments > said {
            println!("\n{fragments} s on the disk");
            said = fragments;
        }
    }
    unreachable!("there are more ticks than time")
}

#[test]
fn a_killed_recording_plays_to_its_last_second() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        record_for_ever(Path::new(&folder));
    }
    for seconds in [1_u64, 2, 5] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_recording_plays_to_its_last_second", "--nocapture"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let reached = said.filter_map(|line| line.strip_suffix(" s on the disk")?.parse().ok());
        let reached = reached.into_iter().find(|it: &u64| *it >= seconds);
        // SIGKILL on Unix.
        child.kill().unwrap();
        child.wait().unwrap();
        let reached = reached.expect("it was killed while it recorded");

        let folder = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let verdict = verify(&folder).unwrap();
        assert!(verdict.unfinished);
        assert!(verdict.pictures >= reached * 30, "{} pictures of {reached} s", verdict.pictures);
        assert_eq!(hyperzoom_testkit::media::decode_errors(&folder.join(RECORDING)), "");
    }
}
