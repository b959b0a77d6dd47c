//! x264 through the ffmpeg program, which says itself what it took.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::clip::Clip;
use crate::{BITRATE_KBPS, Failed, MAX_BITRATE_KBPS, Run, THREADS};

/// Whether there is an ffmpeg with libx264.
pub(crate) fn installed() -> bool {
    let listed = Command::new("ffmpeg").args(["-hide_banner", "-encoders"]).stderr(Stdio::null()).output();
    listed.is_ok_and(|it| String::from_utf8_lossy(&it.stdout).contains("libx264"))
}

/// ffmpeg's arguments that open the raw clip.
pub(crate) fn input(clip: &Clip) -> Vec<String> {
    let size = format!("{}x{}", clip.shape.width, clip.shape.height);
    let path = clip.path.display().to_string();
    ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", &size, "-r", "30", "-i", &path]
        .map(str::to_owned)
        .to_vec()
}

/// With what we ask of ours: the same mean and most, a keyframe a second, no B-pictures, and High where the preset uses any of it.
pub(crate) fn encode(clip: &Clip, preset: &str, stream: &Path) -> Result<Run, Failed> {
    // What starting and reading costs, which is taken off.
    let nothing = ffmpeg(clip, &["-f".to_owned(), "null".to_owned(), "-".to_owned()])?;
    let (mean, most, threads) =
        (format!("{BITRATE_KBPS}k"), format!("{MAX_BITRATE_KBPS}k"), THREADS.to_string());
    let path = stream.display().to_string();
    let options = [
        "-c:v",
        "libx264",
        "-preset",
        preset,
        "-profile:v",
        "high",
        "-b:v",
        &mean,
        "-maxrate",
        &most,
        "-bufsize",
        &most,
        "-g",
        "30",
        "-keyint_min",
        "30",
        "-sc_threshold",
        "0",
        "-bf",
        "0",
        "-threads",
        &threads,
        "-f",
        "h264",
        "-y",
        &path,
    ];
    let whole = ffmpeg(clip, &options.map(str::to_owned))?;
    let a_picture = |index: usize| (whole[index] - nothing[index]) * 1000.0 / clip.pictures as f64;
    // Its threads work on several pictures at a time, so that there is no time for each.
    Ok(Run { cpu: a_picture(0) + a_picture(1), wall: a_picture(2), walls: None })
}

/// Seconds of user, system and real time that ffmpeg takes.
fn ffmpeg(clip: &Clip, output: &[String]) -> Result<[f64; 3], Failed> {
    let run = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-benchmark"])
        .args(input(clip))
        .args(output)
        .output()?;
    let said = String::from_utf8_lossy(&run.stderr);
    let time = |name: &str| -> Option<f64> {
        let after = said.split("bench: utime=").nth(1).map(|it| format!("utime={it}"))?;
        after.split(&format!("{name}=")).nth(1)?.split('s').next()?.parse().ok()
    };
    match (run.status.success(), time("utime"), time("stime"), time("rtime")) {
        (true, Some(user), Some(system), Some(real)) => Ok([user, system, real]),
        _ => Err(format!("ffmpeg failed: {said}").into()),
    }
}
