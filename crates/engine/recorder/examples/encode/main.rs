//! What the master recording's encoder costs and how good it is, beside x264 through ffmpeg where that is installed.
//!
//! `./x bench encode [FILE.y4m]`, or `cargo run -p hyperzoom-recorder --example encode [SECONDS] [ROUNDS] [FILE.y4m]`. Every encoder gets the same raw
//! pictures from the same file, in turns; figures are the median over the rounds. With KEEP=FOLDER the streams stay there (Annex B).
#![allow(missing_docs)]

mod clip;
mod ours;
mod quality;
mod x264;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clip::Clip;
use hyperzoom_recorder::{Effort, RecorderConfig};

pub(crate) type Failed = Box<dyn std::error::Error>;

/// Bits a second, and the most.
const BITRATE_KBPS: u32 = RecorderConfig::BITRATE_KBPS;
const MAX_BITRATE_KBPS: u32 = BITRATE_KBPS * 10 / 9;
const THREADS: u16 = 2;

/// Longer than this and the next picture has to wait.
const A_PICTURE_MS: f64 = 1000.0 / 30.0;

/// What one run measured; times in milliseconds.
pub(crate) struct Run {
    /// User and system time of all threads a picture, without reading the pictures.
    pub(crate) cpu: f64,
    /// Time on the wall a picture: the median of each submission, or where pictures overlap the whole run's mean.
    pub(crate) wall: f64,
    /// Each submission's, where they are one by one.
    pub(crate) walls: Option<Vec<f64>>,
}

#[derive(Clone, Copy)]
enum Contender {
    Ours(Effort),
    X264(&'static str),
}

impl Contender {
    fn name(self) -> String {
        match self {
            Self::Ours(Effort::Full) => "openh264".to_owned(),
            Self::Ours(Effort::Hurry) => "openh264, hurrying".to_owned(),
            Self::X264(preset) => format!("x264 {preset}"),
        }
    }

    fn run(self, clip: &Clip, stream: &Path) -> Result<Run, Failed> {
        match self {
            Self::Ours(effort) => ours::encode(clip, effort, stream),
            Self::X264(preset) => x264::encode(clip, preset, stream),
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("encode: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failed> {
    let (mut numbers, mut given) = (Vec::new(), None);
    for argument in std::env::args().skip(1) {
        match argument.parse::<u64>() {
            Ok(number) => numbers.push(number),
            Err(_) => given = Some(PathBuf::from(argument)),
        }
    }
    let (seconds, rounds) = (*numbers.first().unwrap_or(&5), *numbers.get(1).unwrap_or(&3));
    let folder = tempfile::tempdir()?;
    let pictures = seconds.max(1) * 30;
    if let Some(file) = given {
        return compare(&Clip::read_y4m(folder.path(), &file, pictures)?, folder.path(), rounds.max(1));
    }
    for make in [Clip::talking_head, Clip::pan] {
        let clip = make(folder.path(), pictures)?;
        compare(&clip, folder.path(), rounds.max(1))?;
        std::fs::remove_file(&clip.path)?;
    }
    Ok(())
}

fn compare(clip: &Clip, folder: &Path, rounds: u64) -> Result<(), Failed> {
    let mut contenders = vec![Contender::Ours(Effort::Full), Contender::Ours(Effort::Hurry)];
    if x264::installed() {
        contenders.extend([Contender::X264("ultrafast"), Contender::X264("veryfast")]);
    } else {
        println!("(ffmpeg with libx264 is not installed: no comparison, no PSNR, no SSIM)");
    }
    println!(
        "\n{}: {}x{}, {} pictures at 30 a second, {:.0} Mbit/s asked for, {THREADS} threads, {rounds} rounds",
        clip.name,
        clip.shape.width,
        clip.shape.height,
        clip.pictures,
        f64::from(BITRATE_KBPS) / 1000.0,
    );
    println!(
        "{:<20} {:>7} {:>13} {:>8} {:>9} {:>8} {:>8} {:>8} {:>8}",
        "a picture", "CPU ms", "(least-most)", "wall ms", "worst ms", "over 33", "Mbit/s", "PSNR-Y", "SSIM-Y"
    );
    let mut runs: Vec<Vec<Run>> = contenders.iter().map(|_| Vec::new()).collect();
    let stream = |contender: Contender| folder.join(contender.name().replace([' ', ','], "-") + ".h264");
    for _ in 0..rounds {
        for (contender, runs) in contenders.iter().zip(&mut runs) {
            runs.push(contender.run(clip, &stream(*contender))?);
        }
    }
    for (contender, runs) in contenders.iter().zip(&runs) {
        let path = stream(*contender);
        let mbps = std::fs::metadata(&path)?.len() as f64 * 8.0 * 30.0 / clip.pictures as f64 / 1e6;
        let (cpu, wall) = (sorted(runs.iter().map(|it| it.cpu)), sorted(runs.iter().map(|it| it.wall)));
        let range = format!("({:.1}-{:.1})", cpu[0], cpu[cpu.len() - 1]);
        let worst = sorted(runs.iter().filter_map(|it| it.walls.as_ref()?.iter().copied().reduce(f64::max)));
        let late = sorted(runs.iter().filter_map(|it| {
            Some(it.walls.as_ref()?.iter().filter(|&&it| it > A_PICTURE_MS).count() as f64)
        }));
        let shown =
            |values: &[f64], digits| median(values).map_or("-".to_owned(), |it| format!("{it:.digits$}"));
        let quality = x264::installed().then(|| quality::of(clip, &path)).transpose()?;
        let (psnr, ssim) = quality.map_or(("-".to_owned(), "-".to_owned()), |it| {
            (format!("{:.2}", it.psnr), format!("{:.4}", it.ssim))
        });
        println!(
            "{:<20} {:>7} {range:>13} {:>8} {:>9} {:>8} {mbps:>8.2} {psnr:>8} {ssim:>8}",
            contender.name(),
            shown(&cpu, 2),
            shown(&wall, 2),
            shown(&worst, 1),
            shown(&late, 0),
        );
        if let Some(keep) = std::env::var_os("KEEP") {
            let name = path.file_name().unwrap_or_default();
            std::fs::copy(&path, Path::new(&keep).join(name))?;
        }
    }
    Ok(())
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}
