//! What a picture costs on this machine, step by step: `cargo run --release -p hyperzoom-video --example costs`.
//!
//! Prints the median and the 95th percentile of one thread's time for each step, in milliseconds a frame.

use std::time::{Duration, Instant};

use hyperzoom_media::I420;
use hyperzoom_video::vp8::{Decoder, Encoder, EncoderConfig, libvpx_version};
use hyperzoom_video::{Converter, FrameRate, Pattern, PixelFormat, Scaler};

const CAMERA: I420 = I420 { width: 1920, height: 1080 };
const LIVE: I420 = I420 { width: 854, height: 480 };
const FRAMES: u64 = 240;

fn main() -> Result<(), hyperzoom_video::VideoError> {
    println!("libvpx {}, {FRAMES} frames, 400 kbit/s at 24 fps", libvpx_version());
    println!("{:<34} {:>9} {:>9}", "ms a frame", "median", "95 %");
    for (name, noise) in [("pattern", 0), ("pattern with sensor noise", 4)] {
        measure(name, noise)?;
    }
    println!("from a 1920x1080 camera");
    for format in [PixelFormat::Nv12, PixelFormat::Yuyv, PixelFormat::Rgb] {
        let mut times = Vec::new();
        // As many bytes as the largest of them has, of no picture in particular: the work is the same for all.
        let camera: Vec<u8> = (0..CAMERA.luma_len() * 3).map(|n| ((n * 31) >> 3) as u8).collect();
        let (mut converter, mut picture) = (Converter::new(format, CAMERA), vec![0; CAMERA.len()]);
        for _ in 0..FRAMES {
            let converted = timed(&mut times, || converter.convert(&camera, &mut picture));
            converted.expect("a picture of raw bytes is never damaged");
        }
        print(&format!("convert {}", format.name()), &mut times);
    }
    Ok(())
}

fn print(step: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |part: f64| times[(times.len() as f64 * part) as usize].as_secs_f64() * 1e3;
    println!("  {step:<32} {:>9.2} {:>9.2}", at(0.5), at(0.95));
}

/// `noise` is how far each luma sample may be off, as a camera in dim light would have it.
fn measure(name: &str, noise: u32) -> Result<(), hyperzoom_video::VideoError> {
    println!("{name}");
    let pattern = Pattern::new(CAMERA, FrameRate::THIRTY);
    let mut scaler = Scaler::new(LIVE);
    let mut encoder = Encoder::new(EncoderConfig { shape: LIVE, fps: 24, bitrate_kbps: 400 })?;
    let mut decoder = Decoder::new()?;
    let mut picture = vec![0; CAMERA.len()];
    let mut small_luma = vec![0; LIVE.luma_len()];
    let mut shown = vec![0; LIVE.len()];
    let mut random = 1u32;
    let [mut draw, mut scale, mut encode, mut decode] = [const { Vec::new() }; 4];
    let (mut bytes, mut biggest) = (0, 0);
    let mut psnr = Vec::new();
    for n in 0..FRAMES {
        let time = Duration::from_millis(n * 1000 / 24);
        timed(&mut draw, || pattern.draw(n, time, &mut picture));
        if noise > 0 {
            for sample in &mut picture[..CAMERA.luma_len()] {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let offset = (random >> 16) % (2 * noise + 1);
                *sample = sample.saturating_add(offset as u8).saturating_sub(noise as u8);
            }
        }
        let small = timed(&mut scale, || scaler.scale(CAMERA, &picture));
        let force = n % 48 == 0;
        let Some(packet) = timed(&mut encode, || encoder.encode(small, time.as_millis() as i64, force))?
        else {
            continue;
        };
        bytes += packet.data.len();
        biggest = biggest.max(packet.data.len());
        small_luma.copy_from_slice(&small[..LIVE.luma_len()]);
        timed(&mut decode, || decoder.decode(packet.data, |decoded| decoded.copy_to(&mut shown)))?;
        psnr.push(luma_psnr(&small_luma, &shown[..LIVE.luma_len()]));
    }
    for (step, times) in [
        ("draw 1920x1080", &mut draw),
        ("scale to 854x480", &mut scale),
        ("VP8 encode", &mut encode),
        ("VP8 decode and copy out", &mut decode),
    ] {
        print(step, times);
    }
    let kbps = bytes as f64 * 8.0 / (FRAMES as f64 / 24.0) / 1000.0;
    let mean_psnr = psnr.iter().sum::<f64>() / psnr.len() as f64;
    println!(
        "  {} of {FRAMES} frames kept, {kbps:.0} kbit/s, largest {biggest} bytes, luma PSNR {mean_psnr:.1} dB",
        decode.len()
    );
    Ok(())
}

fn timed<T>(times: &mut Vec<Duration>, step: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = step();
    times.push(began.elapsed());
    result
}

fn luma_psnr(one: &[u8], other: &[u8]) -> f64 {
    let squares: u64 = one.iter().zip(other).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (255.0f64.powi(2) * one.len() as f64 / squares.max(1) as f64).log10()
}
