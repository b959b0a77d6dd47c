//! Measures the encoder: CPU time and wall time a picture, and bitrate, at 1080p30 and 18 Mbit/s.
//!
//! `cargo run --release -p hyperzoom-recorder --example encode [SECONDS] [THREADS]`; with OUT=file the stream is written too (Annex B).
#![allow(missing_docs)]

use std::time::Instant;

use hyperzoom_media::I420;
use hyperzoom_recorder::{H264Encoder, RecorderConfig, VideoEncoder, VideoFormat};

/// CPU time of all threads of this process, in milliseconds, from /proc (Linux).
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<f64>().ok()).sum();
    ticks * 10.0
}

/// A talking head's worth of change: a still, textured room, a moving textured oval, and the camera's noise everywhere.
fn picture(shape: I420, number: u64, noise: &[i8], out: &mut [u8]) {
    let [y, u, v] = shape.planes_mut(out);
    let (w, h) = (shape.width as usize, shape.height as usize);
    let phase = number as f32 / 30.0;
    let (cx, cy) =
        (w as f32 * (0.5 + 0.03 * (phase * 1.3).sin()), h as f32 * (0.55 + 0.02 * (phase * 2.1).cos()));
    let shift = (number as usize * 7919) % 65_536;
    for row in 0..h {
        for col in 0..w {
            let (dx, dy) = ((col as f32 - cx) / (w as f32 * 0.16), (row as f32 - cy) / (h as f32 * 0.38));
            let inside = dx * dx + dy * dy < 1.0;
            let texture = if inside {
                150.0 + 40.0 * (dx * 9.0).sin() * (dy * 11.0 + phase).cos()
            } else {
                90.0 + 30.0 * (col as f32 * 0.011).sin() + 20.0 * ((row / 24 + col / 40) % 2) as f32
            };
            let grain = noise[(row * w + col + shift) % noise.len()];
            y[row * w + col] = (texture as i32 + i32::from(grain)).clamp(16, 235) as u8;
        }
    }
    for (i, (u, v)) in u.iter_mut().zip(v.iter_mut()).enumerate() {
        *u = 120 + ((i / 64) % 8) as u8;
        *v = 130 + ((i / 48) % 8) as u8;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).map(|it| it.parse::<u64>());
    let seconds = args.next().transpose()?.unwrap_or(10);
    let threads = args.next().transpose()?.unwrap_or(0) as u16;
    let shape = I420 { width: 1920, height: 1080 };
    let mut state = 88_172_645_463_325_252_u64;
    let noise: Vec<i8> = (0..1 << 21)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Roughly normal, standard deviation 2.
            ((state & 7) as i8 + (state >> 8 & 7) as i8 - 7) / 2
        })
        .collect();
    let clip: Vec<Vec<u8>> = (0..30)
        .map(|number| {
            let mut data = vec![0; shape.len()];
            picture(shape, number, &noise, &mut data);
            data
        })
        .collect();

    let bitrate_kbps = RecorderConfig::BITRATE_KBPS;
    let format = VideoFormat { shape, bitrate_kbps, max_bitrate_kbps: bitrate_kbps * 10 / 9 };
    let mut encoder = H264Encoder::new(format, threads)?;
    let out = std::env::var_os("OUT").map(std::fs::File::create).transpose()?;
    let mut out = out.map(std::io::BufWriter::new);
    write_nals(&mut out, [&encoder.parameter_sets().sps[..], &encoder.parameter_sets().pps[..]])?;
    let (cpu, wall) = (cpu_ms(), Instant::now());
    let (mut bytes, mut worst) = (0, 0.0_f64);
    for position in 0..seconds * 30 {
        let began = Instant::now();
        // There and back, so that the clip has no cut.
        let turn = (position % 58) as usize;
        encoder.submit(position, &clip[if turn < 30 { turn } else { 58 - turn }])?;
        while let Some(picture) = encoder.poll()? {
            bytes += picture.data.len();
            let mut rest = &picture.data[..];
            while let Some((len, after)) = rest.split_first_chunk::<4>() {
                let (nal, after) = after.split_at(u32::from_be_bytes(*len) as usize);
                write_nals(&mut out, [nal])?;
                rest = after;
            }
        }
        worst = worst.max(began.elapsed().as_secs_f64() * 1000.0);
    }
    let pictures = (seconds * 30) as f64;
    println!(
        "{}: {:.1} ms of CPU a picture, {:.1} ms of wall time, {worst:.1} ms at worst, {:.1} Mbit/s",
        encoder.name(),
        (cpu_ms() - cpu) / pictures,
        wall.elapsed().as_secs_f64() * 1000.0 / pictures,
        bytes as f64 * 8.0 / seconds as f64 / 1e6,
    );
    Ok(())
}

fn write_nals<'a>(
    out: &mut Option<impl std::io::Write>,
    nals: impl IntoIterator<Item = &'a [u8]>,
) -> std::io::Result<()> {
    let Some(out) = out else { return Ok(()) };
    nals.into_iter().try_for_each(|nal| {
        out.write_all(&[0, 0, 0, 1])?;
        out.write_all(nal)
    })
}
