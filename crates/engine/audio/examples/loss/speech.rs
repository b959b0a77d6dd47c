//! What is said: phonetically balanced sentences, by espeak-ng.

use std::path::Path;

use hyperzoom_testkit::media;

use crate::Failed;

/// Three sentences each of the Harvard lists (IEEE Recommended Practice for Speech Quality Measurements, 1969): some
/// eight seconds, as P.862 is meant for.
const PASSAGES: [&str; 6] = [
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It's easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish. Rice is often served in round bowls. The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage. Four hours of steady work faced us.",
    "A large size in stockings is hard to sell. The boy was there when the sun rose. A rod is used to catch pink salmon.",
    "The source of the huge river is the clear spring. Kick the ball straight and follow through. Help the woman get back to her feet.",
    "A pot of tea helps to pass the evening. Smoky fires lack flame and heat. The soft cushion broke the man's fall.",
];

/// The pause after a passage, in samples: 0.8 s.
const PAUSE: usize = 38_400;

/// Speech at 48 kHz.
pub(crate) struct Speech {
    pub(crate) samples: Vec<f32>,
    /// Where each passage begins, and the end.
    pub(crate) cuts: Vec<usize>,
}

impl Speech {
    /// Whole passages, from the first and over again, of at least so many seconds.
    pub(crate) fn of(seconds: f64) -> Result<Self, Failed> {
        let mut passages: Vec<Vec<f32>> = Vec::new();
        let mut speech = Self { samples: vec![0.0; PAUSE / 2], cuts: vec![0] };
        for n in 0.. {
            if speech.samples.len() as f64 >= seconds * 48_000.0 {
                break;
            }
            if n < PASSAGES.len() {
                let folder = tempfile::tempdir()?;
                passages.push(read(&media::speech(folder.path(), PASSAGES[n]))?);
            }
            speech.samples.extend_from_slice(&passages[n % PASSAGES.len()]);
            speech.samples.resize(speech.samples.len() + PAUSE, 0.0);
            speech.cuts.push(speech.samples.len() - PAUSE / 2);
        }
        Ok(speech)
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.samples.len() as f64 / 48_000.0
    }

    /// Writes it as a WAV file of 16 bits.
    pub(crate) fn write(&self, file: &Path) -> Result<(), Failed> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 48_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(file, spec)?;
        for sample in &self.samples {
            writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16)?;
        }
        Ok(writer.finalize()?)
    }
}

/// A mono file of 16 bits.
pub(crate) fn read(file: &Path) -> Result<Vec<f32>, Failed> {
    let mut reader = hound::WavReader::open(file)?;
    Ok(reader.samples::<i16>().map(|s| s.map(|s| f32::from(s) / 32_768.0)).collect::<Result<_, _>>()?)
}
