//! PESQ, wide band (ITU-T P.862.2), by the Python package `pesq`: there is none in Rust, and the ITU's own code may not be
//! handed on.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use hyperzoom_testkit::signal;

use crate::Failed;
use crate::speech::Speech;

/// Reads two names of files of 32-bit floats at 16 kHz a line, prints their score; below 0 where there is none.
const SCRIPT: &str = "
import sys, numpy
from pesq import pesq
print('ready', flush=True)
for line in sys.stdin:
    clean, heard = (numpy.fromfile(name, dtype='<f4') for name in line.rstrip('\\n').split('\\t'))
    print(pesq(16000, clean, heard, 'wb', on_error=1), flush=True)
";

/// From 48 to 16 kHz.
const FACTOR: usize = 3;
/// Half the low-pass filter's length, in samples at 48 kHz.
const HALF: usize = 72;

/// A Python that has the package, waiting.
pub(crate) struct Pesq {
    python: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

impl Pesq {
    /// None where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let mut python = Command::new("python3")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (ask, answers) = (python.stdin.take()?, python.stdout.take()?);
        let mut pesq =
            Self { python, ask, answers: BufReader::new(answers), folder: tempfile::tempdir().ok()? };
        (pesq.answer().ok()? == "ready").then_some(pesq)
    }

    /// What `heard`, which began as `speech` did, scores on average over the passages: 1.02 to 4.64.
    pub(crate) fn score(&mut self, speech: &Speech, heard: &[f32]) -> Result<f64, Failed> {
        let (clean, heard) = (decimate(&speech.samples), decimate(heard));
        let delay = signal::best_delay(&clean, &heard).max(0) as usize;
        let names: [PathBuf; 2] = ["clean", "heard"].map(|name| self.folder.path().join(name));
        let mut scores = Vec::new();
        for cut in speech.cuts.windows(2) {
            let (from, to) = (cut[0] / FACTOR, cut[1] / FACTOR);
            let there = &heard[(from + delay).min(heard.len())..(to + delay).min(heard.len())];
            let mut there = there.to_vec();
            there.resize(to - from, 0.0);
            for (name, samples) in names.iter().zip([&clean[from..to], &there]) {
                std::fs::write(name, samples.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>())?;
            }
            writeln!(self.ask, "{}\t{}", names[0].display(), names[1].display())?;
            let score: f64 = self.answer()?.parse()?;
            if score < 0.0 {
                return Err(format!("PESQ found no speech between {from} and {to}").into());
            }
            scores.push(score);
        }
        Ok(scores.iter().sum::<f64>() / scores.len().max(1) as f64)
    }

    fn answer(&mut self) -> Result<String, Failed> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Pesq {
    fn drop(&mut self) {
        let _ = self.python.kill();
        let _ = self.python.wait();
    }
}

/// Every third sample, after a low-pass filter (a sinc under a Blackman window) that ends below 8 kHz.
fn decimate(samples: &[f32]) -> Vec<f32> {
    let cutoff = 7_500.0 / 48_000.0;
    let taps: Vec<f64> = (0..=2 * HALF)
        .map(|n| {
            let x = n as f64 - HALF as f64;
            let turn = std::f64::consts::PI * n as f64 / HALF as f64;
            let window = 0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos();
            let angle = 2.0 * std::f64::consts::PI * cutoff * x;
            window * 2.0 * cutoff * if x == 0.0 { 1.0 } else { angle.sin() / angle }
        })
        .collect();
    let at = |i: usize| i.checked_sub(HALF).and_then(|i| samples.get(i)).copied().unwrap_or(0.0);
    (0..samples.len() / FACTOR)
        .map(|n| {
            taps.iter().enumerate().map(|(k, tap)| tap * f64::from(at(n * FACTOR + k))).sum::<f64>() as f32
        })
        .collect()
}
