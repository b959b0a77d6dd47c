//! A process that is killed in mid-call loses next to nothing, and the other side notices and goes on.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::process::{HyperZoom, command, run};
use hyperzoom_recorder::{METADATA, RECORDING, SessionMetadata};
use hyperzoom_testkit::media::{decode_errors, ffprobe, number, only_take, stream};

#[test]
fn a_killed_recording_plays_to_its_last_fragment_and_the_other_side_records_on() {
    if !hyperzoom_testkit::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let person = |verb: &[&str], name: &str| {
        let mut command = command(verb);
        command.args([
            "--headless",
            "--json",
            "--bind",
            "127.0.0.1",
            "--name",
            name,
            "--camera",
            "pattern:1280x720@30",
        ]);
        command.args(["--mic", "tone", "--speaker", "none"]).arg("--folder").arg(folder.path().join(name));
        command.env("HZ_LOG", "hyperzoom_recorder=debug,warn");
        HyperZoom::spawn(command)
    };
    let mut host = person(&["host", "--port", "0"], "host");
    let invite = host.invite();
    let mut guest = person(&["join", &invite], "guest");
    guest.wait_for("recording into");
    let since = Instant::now();
    host.wait_for("recording into");
    // Three whole seconds are on the disk.
    for _ in 0..3 {
        guest.wait_for("fragment on disk");
    }
    guest.kill();
    let lived = since.elapsed().as_secs_f64();
    let guest = guest.wait();
    let fragments = guest.stderr.matches("fragment on disk").count();

    let line = host.wait_for("disconnected");
    assert!(line.contains("guest"), "{line}");
    // It goes on recording after that.
    host.wait_for("fragment on disk");
    host.interrupt();
    let host = host.wait();
    assert_eq!(host.code(), 0, "{}", host.stderr);
    assert_eq!(host.report()["recording"]["frames_dropped"], 0);

    let file = only_take(&folder.path().join("guest")).join("local_recording.mp4");
    assert_eq!(decode_errors(&file), "");
    let probe = ffprobe(&file);
    let frames = number(&stream(&probe, "video")["nb_read_packets"]);
    println!(
        "killed {lived:.2} s after it said that it records; {fragments} fragments on disk; the file plays {:.2} s",
        frames / 30.0
    );
    assert!(frames >= 30.0 * fragments as f64, "{frames} frames in {fragments} fragments");
    assert!(number(&probe["format"]["duration"]) * 30.0 >= frames - 1.0, "{probe:#}");

    let finished = only_take(&folder.path().join("host")).join("local_recording.mp4");
    assert_eq!(decode_errors(&finished), "");
}

/// A number generator whose seed is printed, so that what it made can be made again.
struct Dice(u64);

impl Dice {
    /// Seeded by `HZ_SEED`, or by the time.
    fn new() -> Self {
        let given = std::env::var("HZ_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| now_utc_ms() as u64 | 1);
        println!("HZ_SEED={seed}");
        Self(seed)
    }

    /// A length of time below `limit`.
    fn below(&mut self, limit: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % limit.as_micros() as u64)
    }
}

fn now_utc_ms() -> i64 {
    std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis() as i64
}

/// A person in a call, whose recording will be cut off.
struct Victim {
    process: HyperZoom,
    folder: PathBuf,
    markers: usize,
    /// When it was cut off, or asked to end before that.
    ended_utc_ms: i64,
}

impl Victim {
    fn start(verb: &[&str], name: &str, camera: &str, folder: &Path) -> Self {
        let folder = folder.join(name);
        let mut command = command(verb);
        command.args(["--headless", "--markers", "--bind", "127.0.0.1", "--name", name]);
        command.args(["--mic", "tone", "--speaker", "none", "--camera", camera]).arg("--folder").arg(&folder);
        command.env("HZ_LOG", "hyperzoom_recorder=debug,warn").stdin(Stdio::piped());
        Self { process: HyperZoom::spawn(command), folder, markers: 0, ended_utc_ms: 0 }
    }

    /// Sets a marker and waits until it is said to be safe.
    fn mark(&mut self) {
        self.markers += 1;
        self.process.type_line(&format!("marker {}", self.markers));
        self.process.wait_for("marker at");
    }

    fn kill(&mut self) {
        if self.ended_utc_ms == 0 {
            self.ended_utc_ms = now_utc_ms();
        }
        self.process.kill();
    }

    fn ask_to_end(&mut self) {
        self.ended_utc_ms = now_utc_ms();
        self.process.interrupt();
    }

    /// Lets `hyperzoom recover` finish what was left, and checks what it made. Returns what was lost, in milliseconds.
    fn recover(self) -> Loss {
        let stderr = self.process.wait().stderr;
        let fragments = stderr.matches("fragment on disk").count();
        let recovered = run([Path::new("recover"), Path::new("--json"), &self.folder]);
        assert_eq!(recovered.code(), 0, "{}{}\nthe victim:\n{stderr}", recovered.stdout, recovered.stderr);
        let outcomes: serde_json::Value = serde_json::from_str(&recovered.stdout).unwrap();

        let take = only_take(&self.folder);
        let metadata: SessionMetadata =
            serde_json::from_slice(&std::fs::read(take.join(METADATA)).unwrap()).unwrap();
        let frames = metadata.recording.video.written;
        // Killed in its last moments it may have ended well.
        assert_ne!(metadata.recovered, metadata.complete, "{metadata:?}");
        assert_eq!(
            outcomes[0]["outcome"],
            if metadata.recovered { "recovered".into() } else { serde_json::Value::Null }
        );
        assert!(frames >= 30 * fragments as u64, "{frames} frames of {fragments} fragments");
        let marked: Vec<_> = metadata.markers.iter().map(|it| it.name.clone()).collect();
        let wanted: Vec<_> = (1..=self.markers).map(|number| format!("marker {number}")).collect();
        assert_eq!(marked[..wanted.len()], wanted, "those that were said to be safe are there");

        if frames > 0 {
            assert_eq!(decode_errors(&take.join(RECORDING)), "");
            let verdict = hyperzoom_recorder::verify(&take).unwrap();
            let wrong: Vec<_> = verdict.checks.iter().filter(|check| !check.ok).collect();
            // On a busy machine it may have dropped pictures before it was cut off, and its counts say so.
            let said =
                |check: &&hyperzoom_recorder::Check| matches!(check.name, "ended well" | "nothing dropped");
            assert!(
                wrong.iter().copied().all(|check| said(&check))
                    && verdict.pictures == frames
                    && !verdict.unfinished,
                "{wrong:?}\n{stderr}"
            );
        }
        // Once more there is nothing to do.
        assert_eq!(run([Path::new("recover"), &take]).code(), 0);
        let held = frames * 1000 / 30;
        let ms = self.ended_utc_ms - metadata.started_at_utc.as_millisecond() - held as i64;
        let salvaged = outcomes[0]["salvaged_frames"].as_u64().unwrap_or(0);
        let dropped = metadata.recording.video.dropped;
        Loss { ms, salvaged, dropped, ended_well: metadata.complete }
    }
}

/// What a kill cost.
#[derive(Debug)]
struct Loss {
    /// Session time at the kill (or when it was asked to end before that) less what the file holds.
    ms: i64,
    /// Pictures from a torn fragment.
    salvaged: u64,
    /// Pictures that the busy machine had dropped before.
    dropped: u64,
    /// Whether it had ended before it was killed.
    ended_well: bool,
}

/// A call of two people who are both killed within `limit` of their first picture, or (`ending`) while they finish their takes.
fn kill_a_pair(dice: &mut Dice, camera: &str, limit: Duration, ending: bool) -> Vec<Loss> {
    let folder = tempfile::tempdir().unwrap();
    let mut host = Victim::start(&["host", "--port", "0"], "host", camera, folder.path());
    let invite = host.process.invite();
    let guest = Victim::start(&["join", &invite], "guest", camera, folder.path());
    cut_off(dice, vec![host, guest], limit, ending)
}

/// As [`kill_a_pair`], but only the host records, so that the machine has nothing else to do.
fn kill_a_host(dice: &mut Dice, camera: &str, limit: Duration, ending: bool) -> Vec<Loss> {
    let folder = tempfile::tempdir().unwrap();
    let mut host = Victim::start(&["host", "--port", "0"], "host", camera, folder.path());
    let invite = host.process.invite();
    let mut guest =
        command(["join", "--headless", &invite, "--no-record", "--mic", "tone", "--speaker", "none"]);
    guest.args(["--bind", "127.0.0.1"]);
    let _guest = HyperZoom::spawn(guest);
    cut_off(dice, vec![host], limit, ending)
}

fn cut_off(dice: &mut Dice, mut victims: Vec<Victim>, limit: Duration, ending: bool) -> Vec<Loss> {
    for victim in &mut victims {
        victim.process.wait_for("recording into");
    }
    let since = Instant::now();
    let at = dice.below(limit);
    if at > limit / 2 {
        victims.iter_mut().for_each(Victim::mark);
    }
    // The instant is what is asked for here, and nothing waits for anything to have happened by it.
    std::thread::sleep(at.saturating_sub(since.elapsed()));
    if ending {
        victims.iter_mut().for_each(Victim::ask_to_end);
        std::thread::sleep(dice.below(Duration::from_millis(200)));
    }
    victims.iter_mut().for_each(Victim::kill);
    victims.into_iter().map(Victim::recover).collect()
}

#[test]
fn killed_at_any_instant_a_take_is_recovered_with_its_markers() {
    if !hyperzoom_testkit::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let mut dice = Dice::new();
    for ending in [false, false, false, true, true] {
        for loss in kill_a_pair(&mut dice, "pattern:640x360@30", Duration::from_millis(3500), ending) {
            println!("{loss:?}");
        }
    }
}

#[test]
fn the_next_call_finishes_what_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = Victim::start(&["host", "--port", "0"], "host", "pattern:320x180@30", folder.path());
    let invite = host.process.invite();
    let mut guest = Victim::start(&["join", &invite], "guest", "pattern:320x180@30", folder.path());
    for victim in [&mut host, &mut guest] {
        victim.process.wait_for("recording into");
        victim.mark();
        victim.process.wait_for("fragment on disk");
        victim.kill();
    }
    drop(host.process.wait());
    let take = only_take(&host.folder);
    // And one that somebody else records right now, as far as its lock tells.
    let running = std::fs::File::open(only_take(&guest.folder).join(RECORDING)).unwrap();
    drop(guest.process.wait());
    running.lock().unwrap();
    for folder in [&host.folder, &guest.folder] {
        let mut next = command([
            "host",
            "--headless",
            "--port",
            "0",
            "--mic",
            "tone",
            "--speaker",
            "none",
            "--bind",
            "127.0.0.1",
        ]);
        next.arg("--folder").arg(folder).env("HZ_LOG", "hyperzoom=debug,warn");
        let mut next = HyperZoom::spawn(next);
        if *folder == host.folder {
            let line = next.wait_for("recovered 0:");
            assert!(line.contains(take.to_str().unwrap()) && line.contains("1 marker"), "{line}");
        } else {
            next.wait_for("being recorded");
        }
        next.interrupt();
        assert_eq!(next.wait().code(), 0);
    }
    assert!(hyperzoom_recorder::verify(&take).is_ok_and(|verdict| !verdict.unfinished));
    let locked = hyperzoom_recorder::verify(&only_take(&guest.folder));
    assert!(locked.is_ok_and(|verdict| verdict.unfinished));
}

/// `./x bench crash`: what a kill costs at 1080p.
#[test]
#[ignore = "a benchmark of some minutes: ./x bench crash"]
fn bench_crash() {
    let mut dice = Dice::new();
    let (mut losses, mut ended_well) = (Vec::new(), 0);
    for number in 0..100 {
        let ending = number % 5 == 4;
        for loss in kill_a_host(&mut dice, "pattern:1920x1080@30", Duration::from_secs(4), ending) {
            ended_well += usize::from(loss.ended_well);
            losses.push(loss);
        }
        eprint!("\r{} of 100", losses.len());
    }
    // Each that was not recovered has ended this by now.
    let recovered = losses.len();
    let mut ms: Vec<_> = losses.iter().map(|loss| loss.ms).collect();
    ms.sort_unstable();
    let salvaged = losses.iter().filter(|loss| loss.salvaged > 0).count();
    let dropped: u64 = losses.iter().map(|loss| loss.dropped).sum();
    println!(
        "\nrecovered {recovered} of 100 (20 of them killed while they ended, of which {ended_well} had ended by then; {salvaged} had a torn second)\n\
         dropped by the busy machine before they were killed: {dropped} pictures\n\
         lost a kill: {} ms in the median, {} ms in the 90th percentile, {} ms at worst",
        ms[ms.len() / 2],
        ms[ms.len() * 9 / 10],
        ms[ms.len() - 1],
    );
}
