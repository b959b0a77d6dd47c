//! Our encoder, in this process.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use hyperzoom_recorder::{Effort, H264Encoder, VideoEncoder, VideoFormat};

use crate::clip::Clip;
use crate::{BITRATE_KBPS, Failed, MAX_BITRATE_KBPS, Run, THREADS, median, sorted};

/// CPU time of all threads of this process in milliseconds, from /proc; 0 where there is none.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    // proc(5): utime and stime, in hundredths of a second.
    after.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<f64>().ok()).sum::<f64>() * 10.0
}

pub(crate) fn encode(clip: &Clip, effort: Effort, stream: &Path) -> Result<Run, Failed> {
    // What reading costs, which is taken off.
    let began = cpu_ms();
    clip.each(|_, _| Ok::<_, Failed>(()))?;
    let reading = cpu_ms() - began;

    let format =
        VideoFormat { shape: clip.shape, bitrate_kbps: BITRATE_KBPS, max_bitrate_kbps: MAX_BITRATE_KBPS };
    let mut encoder = H264Encoder::new(format, THREADS)?;
    encoder.set_effort(effort);
    let mut out = BufWriter::new(File::create(stream)?);
    let sets = encoder.parameter_sets().clone();
    write_nals(&mut out, [&sets.sps[..], &sets.pps[..]])?;
    let mut walls = Vec::new();
    let began = cpu_ms();
    clip.each(|position, picture| {
        let began = Instant::now();
        encoder.submit(position, picture)?;
        walls.push(began.elapsed().as_secs_f64() * 1000.0);
        while let Some(picture) = encoder.poll()? {
            let mut rest = &picture.data[..];
            while let Some((len, after)) = rest.split_first_chunk::<4>() {
                let (nal, after) = after.split_at(u32::from_be_bytes(*len) as usize);
                write_nals(&mut out, [nal])?;
                rest = after;
            }
        }
        Ok::<_, Failed>(())
    })?;
    let cpu = (cpu_ms() - began - reading) / clip.pictures as f64;
    out.flush()?;
    let wall = median(&sorted(walls.iter().copied())).unwrap_or_default();
    Ok(Run { cpu, wall, walls: Some(walls) })
}

fn write_nals<'a>(out: &mut impl Write, nals: impl IntoIterator<Item = &'a [u8]>) -> std::io::Result<()> {
    nals.into_iter().try_for_each(|nal| {
        out.write_all(&[0, 0, 0, 1])?;
        out.write_all(nal)
    })
}
