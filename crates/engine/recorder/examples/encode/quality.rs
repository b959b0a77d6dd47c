//! How near a stream comes to its clip, by ffmpeg's filters for every encoder alike.

use std::path::Path;
use std::process::Command;

use crate::clip::Clip;
use crate::{Failed, x264};

/// Of luma, over the whole clip.
pub(crate) struct Quality {
    /// In dB.
    pub(crate) psnr: f64,
    pub(crate) ssim: f64,
}

pub(crate) fn of(clip: &Clip, stream: &Path) -> Result<Quality, Failed> {
    // Both get timestamps by counting, so that picture meets picture. In a time base where they are whole: N/30/TB is rounded down
    // for some of them, and then two pictures share a moment.
    let graph = "[0:v]settb=1/30,setpts=N,split[a][b];[1:v]settb=1/30,setpts=N,split[c][d];\
                 [a][c]psnr[e];[b][d]ssim,nullsink";
    let run = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-nostats", "-f", "h264", "-framerate", "30", "-i"])
        .arg(stream)
        .args(x264::input(clip))
        .args(["-lavfi", graph, "-map", "[e]", "-f", "null", "-"])
        .output()?;
    let said = String::from_utf8_lossy(&run.stderr);
    let find =
        |before: &str| -> Option<f64> { said.rsplit_once(before)?.1.split_whitespace().next()?.parse().ok() };
    match (find("PSNR y:"), find("SSIM Y:")) {
        (Some(psnr), Some(ssim)) if run.status.success() => Ok(Quality { psnr, ssim }),
        _ => Err(format!("ffmpeg measured nothing: {said}").into()),
    }
}
