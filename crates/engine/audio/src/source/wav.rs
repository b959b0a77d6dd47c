//! A sound file that plays over and over.

use std::path::Path;

use hound::{SampleFormat, WavReader};
use hyperzoom_media::SAMPLE_RATE;

use crate::convert::downmix;
use crate::error::AudioError;
use crate::resample::resample_all;

/// The longest file that is held in memory, in samples of one channel: an hour at 48 kHz, 691 MB.
const LONGEST: u64 = 3600 * SAMPLE_RATE as u64;

/// A WAV file as mono samples at 48 kHz.
pub(crate) struct Wav {
    samples: Vec<f32>,
    next: usize,
}

impl Wav {
    /// Reads the whole file, so that playing it reads no disk.
    pub(crate) fn open(path: &Path) -> Result<Self, AudioError> {
        let error = |reason: String| AudioError::File { path: path.to_owned(), reason };
        let mut reader = WavReader::open(path).map_err(|e| match e {
            hound::Error::IoError(e) => error(format!("the sound file cannot be read: {e}")),
            e => error(format!("this is no WAV file that can be played: {e}")),
        })?;
        let spec = reader.spec();
        if u64::from(reader.duration()) > LONGEST {
            return Err(error("the sound file is longer than an hour".to_owned()));
        }
        let interleaved: Result<Vec<f32>, hound::Error> = match spec.sample_format {
            SampleFormat::Float => reader.samples::<f32>().collect(),
            SampleFormat::Int => {
                let scale = 1.0 / (1_i64 << (spec.bits_per_sample - 1)) as f32;
                reader.samples::<i32>().map(|sample| sample.map(|s| s as f32 * scale)).collect()
            }
        };
        let interleaved = interleaved.map_err(|e| error(format!("the sound file is damaged: {e}")))?;
        let channels = usize::from(spec.channels);
        let mono: Vec<f32> = interleaved.chunks_exact(channels).map(downmix).collect();
        if mono.is_empty() {
            return Err(error("the sound file has no samples".to_owned()));
        }
        let samples =
            if spec.sample_rate == SAMPLE_RATE { mono } else { resample_all(&mono, spec.sample_rate) };
        Ok(Self { samples, next: 0 })
    }

    pub(crate) fn fill(&mut self, mut out: &mut [f32]) {
        while !out.is_empty() {
            let n = out.len().min(self.samples.len() - self.next);
            let (now, later) = out.split_at_mut(n);
            now.copy_from_slice(&self.samples[self.next..self.next + n]);
            self.next = (self.next + n) % self.samples.len();
            out = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, spec: hound::WavSpec, samples: impl Iterator<Item = i32>) {
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        samples.for_each(|sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
    }

    const STEREO_16: hound::WavSpec = hound::WavSpec {
        channels: 2,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };

    #[test]
    fn a_file_plays_over_and_over_in_mono() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write(&path, STEREO_16, [16384, 0, -16384, -16384, 8192, 8192].into_iter());
        let mut out = [0.0; 7];
        Wav::open(&path).unwrap().fill(&mut out);
        assert_eq!(out, [0.25, -0.5, 0.25, 0.25, -0.5, 0.25, 0.25]);
    }

    #[test]
    fn another_rate_becomes_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let rate = 16_000;
        let tone = (0..rate)
            .map(|n| ((n as f32 / rate as f32 * std::f32::consts::TAU * 440.0).sin() * 10_000.0) as i32);
        write(&path, hound::WavSpec { channels: 1, sample_rate: rate as u32, ..STEREO_16 }, tone);
        let mut second = vec![0.0; SAMPLE_RATE as usize];
        Wav::open(&path).unwrap().fill(&mut second);
        let crossings = second.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        assert!((438..=441).contains(&crossings), "{crossings} periods in a second");
    }

    #[test]
    fn a_file_that_is_no_sound_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("a.wav");
        std::fs::write(&text, "not sound").unwrap();
        assert!(Wav::open(&text).err().unwrap().to_string().contains("no WAV file"));
        assert!(
            Wav::open(&folder.path().join("b.wav")).err().unwrap().to_string().contains("cannot be read")
        );
        let empty = folder.path().join("c.wav");
        write(&empty, STEREO_16, std::iter::empty());
        assert!(Wav::open(&empty).err().unwrap().to_string().contains("no samples"));
    }
}
