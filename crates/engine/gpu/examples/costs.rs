//! What a live picture costs on this machine, step by step: `./x bench video`.
//!
//! The test pattern at 1920x1080, as it is and with a camera's noise, is scaled on the CPU and on the GPU, encoded and decoded;
//! then ffmpeg encodes the same clip with the same library, in turns with the program's own encoder.

#[path = "costs/ffmpeg.rs"]
mod ffmpeg;
#[path = "costs/time.rs"]
mod time;

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use hyperzoom_gpu::{Gpu, GpuScaler, PixelFormat, Software};
use hyperzoom_media::{Downscale, I420};
use hyperzoom_video::vp8::{Decoder, Encoder, EncoderConfig, libvpx_version};
use hyperzoom_video::{FrameRate, Pattern, Scaler};
use time::Costs;

const CAMERA: I420 = I420 { width: 1920, height: 1080 };
const LIVE: I420 = I420 { width: 854, height: 480 };
const SMALL: I420 = I420 { width: 640, height: 360 };
const FPS: u32 = 24;
const KBPS: u32 = 400;
const FRAMES: u64 = 240;

/// How often each encoder gets the clip, in turns.
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "libvpx {}, {FRAMES} frames, {KBPS} kbit/s at {FPS} fps; one thread but for the GPU's driver",
        libvpx_version()
    );
    let gpu = match Gpu::open(Software::Taken) {
        Ok(gpu) => {
            let usable = Gpu::open(Software::Refused).err();
            println!("GPU: {}{}", gpu.name(), usable.map_or(String::new(), |why| format!(" ({why})")));
            Some(gpu)
        }
        Err(error) => {
            println!("GPU: {error}");
            None
        }
    };
    let folder = tempfile::tempdir()?;
    for (name, noise) in [("pattern", 0), ("pattern with sensor noise", 4)] {
        println!("\n{name}");
        println!("  {:<38} {:>9} {:>9} {:>11}", "ms a frame", "median", "95 %", "CPU, mean");
        let clip = folder.path().join("clip.y4m");
        let frames = scale(noise, gpu.as_ref(), &clip)?;
        encode(&frames, &clip, folder.path())?;
    }
    Ok(())
}

/// Draws and scales the clip; returns the small pictures, which it also writes to `clip`.
///
/// `noise` is how far each luma sample may be off, as a camera in dim light would have it.
fn scale(noise: u32, gpu: Option<&Gpu>, clip: &Path) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let pattern = Pattern::new(CAMERA, FrameRate::THIRTY);
    let mut on_cpu = [LIVE, SMALL].map(Scaler::new);
    let mut on_gpu = gpu.map(|gpu| [LIVE, SMALL].map(|to| GpuScaler::new(gpu.clone(), to)));
    let mut file = BufWriter::new(File::create(clip)?);
    writeln!(file, "YUV4MPEG2 W{} H{} F{FPS}:1 Ip A1:1 C420jpeg", LIVE.width, LIVE.height)?;
    let mut picture = vec![0; CAMERA.len()];
    let mut frames = Vec::with_capacity(FRAMES as usize);
    let mut draw = Costs::default();
    let mut cpu = [Costs::default(), Costs::default()];
    let mut gpus = [Costs::default(), Costs::default()];
    let mut random = 1u32;
    let mut off = 0;
    for n in 0..FRAMES {
        draw.of(|| pattern.draw(n, at(n), &mut picture));
        if noise > 0 {
            for sample in &mut picture[..CAMERA.luma_len()] {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let offset = (random >> 16) % (2 * noise + 1);
                *sample = sample.saturating_add(offset as u8).saturating_sub(noise as u8);
            }
        }
        for (n, scaler) in on_cpu.iter_mut().enumerate() {
            let small = cpu[n].of(|| scaler.scale(CAMERA, &picture));
            if let Some(on_gpu) = &mut on_gpu {
                let other = gpus[n].of(|| on_gpu[n].scale(PixelFormat::I420, CAMERA, &picture))?;
                off = small.iter().zip(other).map(|(a, b)| a.abs_diff(*b)).fold(off, u8::max);
            }
            if n == 0 {
                file.write_all(b"FRAME\n")?;
                file.write_all(small)?;
                frames.push(small.to_vec());
            }
        }
    }
    file.flush()?;
    draw.print("draw 1920x1080");
    for (n, to) in [LIVE, SMALL].into_iter().enumerate() {
        cpu[n].print(&format!("CPU: scale to {}x{}", to.width, to.height));
        if gpu.is_some() {
            gpus[n].print(&format!("GPU: scale to {}x{}, with both copies", to.width, to.height));
        }
    }
    if gpu.is_some() {
        println!("  GPU and CPU differ by {off} code values at most");
    }
    Ok(frames)
}

/// The program's encoder and decoder, and ffmpeg, on the same pictures in turns.
fn encode(frames: &[Vec<u8>], clip: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let have_ffmpeg = ffmpeg::is_there();
    for round in 0..ROUNDS {
        let run = encode_once(frames)?;
        if round == 0 {
            run.encode.print("VP8 encode");
            run.decode.print("VP8 decode and copy out");
        }
        ours.push(run.result());
        if have_ffmpeg {
            theirs.push(ffmpeg::encode(clip, folder, frames.len())?);
        }
    }
    println!("  {:<38} {:>9} {:>9} {:>9} {:>9}", "VP8 encode, CPU", "ms", "one core", "kbit/s", "PSNR Y");
    print("this program", &mut ours);
    if have_ffmpeg {
        print("ffmpeg -deadline realtime -cpu-used 8", &mut theirs);
    } else {
        println!("  no ffmpeg with libvpx is here to compare with");
    }
    Ok(())
}

/// What an encoder made of the clip.
struct Outcome {
    /// CPU time of a frame, or time on the clock where the system does not tell.
    cost: Duration,
    kbps: f64,
    psnr: f64,
}

/// The round of median cost; quality does not differ between rounds.
fn print(name: &str, rounds: &mut [Outcome]) {
    rounds.sort_unstable_by_key(|round| round.cost);
    let Outcome { cost, kbps, psnr } = &rounds[rounds.len() / 2];
    let ms = cost.as_secs_f64() * 1e3;
    let share = cost.as_secs_f64() * f64::from(FPS) * 100.0;
    println!("  {name:<38} {ms:>9.2} {share:>7.1} % {kbps:>9.0} {psnr:>6.1} dB");
}

struct Run {
    encode: Costs,
    decode: Costs,
    bytes: usize,
    psnr: Vec<f64>,
}

impl Run {
    fn result(&self) -> Outcome {
        let seconds = self.psnr.len() as f64 / f64::from(FPS);
        Outcome {
            cost: self.encode.mean(),
            kbps: self.bytes as f64 * 8.0 / seconds / 1000.0,
            psnr: self.psnr.iter().sum::<f64>() / self.psnr.len() as f64,
        }
    }
}

fn encode_once(frames: &[Vec<u8>]) -> Result<Run, Box<dyn Error>> {
    let mut encoder = Encoder::new(EncoderConfig { shape: LIVE, fps: FPS, bitrate_kbps: KBPS })?;
    let mut decoder = Decoder::new()?;
    let mut shown = vec![0; LIVE.len()];
    let mut run = Run { encode: Costs::default(), decode: Costs::default(), bytes: 0, psnr: Vec::new() };
    for (n, frame) in (0..).zip(frames) {
        let force = n % u64::from(2 * FPS) == 0;
        let Some(packet) = run.encode.of(|| encoder.encode(frame, at(n).as_millis() as i64, force))? else {
            return Err("the encoder left a frame out".into());
        };
        run.bytes += packet.data.len();
        run.decode.of(|| decoder.decode(packet.data, |decoded| decoded.copy_to(&mut shown)))?;
        run.psnr.push(luma_psnr(&frame[..LIVE.luma_len()], &shown[..LIVE.luma_len()]));
    }
    Ok(run)
}

/// When frame `n` is captured.
fn at(n: u64) -> Duration {
    Duration::from_millis(n * 1000 / u64::from(FPS))
}

fn luma_psnr(one: &[u8], other: &[u8]) -> f64 {
    let squares: u64 = one.iter().zip(other).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (255.0f64.powi(2) * one.len() as f64 / squares.max(1) as f64).log10()
}
