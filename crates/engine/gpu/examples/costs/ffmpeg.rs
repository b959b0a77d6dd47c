//! The same clip through ffmpeg's libvpx.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::time::{Whose, processor_time};
use crate::{FPS, KBPS, Outcome};

/// Whether ffmpeg can be started and has libvpx.
pub(crate) fn is_there() -> bool {
    Command::new("ffmpeg")
        .args(["-hide_banner", "-encoders"])
        .output()
        .is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("libvpx "))
}

/// Encodes the clip in real time and as fast as libvpx goes, on one thread, with a keyframe every two seconds.
pub(crate) fn encode(clip: &Path, folder: &Path, frames: usize) -> Result<Outcome, Box<dyn Error>> {
    let out = folder.join("ffmpeg.ivf");
    let rate = format!("{KBPS}k");
    let keyframes = (2 * FPS).to_string();
    let mut options = vec!["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-threads", "1"];
    options.extend([
        "-b:v",
        &rate,
        "-minrate",
        &rate,
        "-maxrate",
        &rate,
        "-lag-in-frames",
        "0",
        "-g",
        &keyframes,
    ]);
    let encoding = cost(ffmpeg(clip).args(options).arg(&out))?;
    // Starting and reading the clip is no encoding.
    let reading = cost(ffmpeg(clip).args(["-f", "null", "-"]))?;
    let seconds = frames as f64 / f64::from(FPS);
    Ok(Outcome {
        cost: encoding.saturating_sub(reading) / frames as u32,
        kbps: std::fs::metadata(&out)?.len() as f64 * 8.0 / seconds / 1000.0,
        psnr: psnr(&out, clip)?,
    })
}

fn ffmpeg(input: &Path) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-y", "-i"]).arg(input).stdin(Stdio::null());
    command
}

/// Processor time of a command that must succeed.
fn cost(command: &mut Command) -> Result<Duration, Box<dyn Error>> {
    let (began, before) = (Instant::now(), processor_time(Whose::Children));
    let status = command.status()?;
    if !status.success() {
        return Err(format!("ffmpeg failed: {status}").into());
    }
    let used = processor_time(Whose::Children).zip(before).map(|(now, then)| now.saturating_sub(then));
    Ok(used.unwrap_or_else(|| began.elapsed()))
}

/// Mean of the frames' luma PSNR, as the program's own is counted.
fn psnr(encoded: &Path, clip: &Path) -> Result<f64, Box<dyn Error>> {
    let list = encoded.with_extension("psnr");
    let filter = format!("psnr=stats_file={}", list.display());
    let mut command = ffmpeg(encoded);
    cost(command.arg("-i").arg(clip).args(["-lavfi", &filter, "-f", "null", "-"]))?;
    let values: Vec<f64> = std::fs::read_to_string(&list)?
        .lines()
        .filter_map(|line| line.split_once("psnr_y:")?.1.split_whitespace().next()?.parse().ok())
        .collect();
    if values.is_empty() {
        return Err("ffmpeg compared no frame".into());
    }
    Ok(values.iter().sum::<f64>() / values.len() as f64)
}
