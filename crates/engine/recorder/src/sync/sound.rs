//! The sound of a master as it is decoded, by the place of its samples.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use fdk_aac::dec::{Decoder, Transport};
use hyperzoom_timing::{FoundTone, ToneFinder};
use shiguredo_mp4::boxes::SampleEntry;

use crate::encode::{AAC_FRAME, AAC_MAX_UNIT};
use crate::folder::RECORDING;
use crate::verify::VerifyError;
use crate::verify::reader::{self, Problem, Recording, Sample};

/// Units that are decoded before the first that is wanted: AAC's windows overlap by one, and the decoder's limiter looks ahead.
const LEAD: u64 = 4;

/// Samples that are decoded in one go: 20 s.
const STRETCH: u64 = 20 * 48_000;

/// Lays samples that another clock has counted out on a take's: its first at the take's sample `first`, and its last at `last`, both with
/// fractions. Returns the number of the first sample of the take that has one, and what they are.
pub(super) fn on_samples(samples: &[f32], first: f64, last: f64) -> (u64, Vec<f32>) {
    let step = (samples.len().max(1) - 1) as f64 / (last - first).max(1.0);
    let begin = first.max(0.0).ceil();
    // No crystal stretches a sound to twice its length.
    let count = ((last - begin).max(0.0) as usize).min(2 * samples.len());
    let at = |n: usize| {
        let at = ((begin + n as f64 - first) * step).max(0.0);
        let (index, part) = (at as usize, at.fract() as f32);
        let next = samples.get(index + 1).copied().unwrap_or(0.0);
        samples.get(index).map_or(0.0, |sample| sample * (1.0 - part) + next * part)
    };
    (begin as u64, (0..count).map(at).collect())
}

/// The sound of one recording.
pub(super) struct MasterSound {
    file: File,
    units: Vec<Sample>,
    config: Vec<u8>,
    /// Decoded samples before the first of the take.
    skipped: u64,
    /// Samples of the take.
    len: u64,
}

/// Opens a take's recording; its sound is `None` where it has none.
pub(super) fn open(folder: &Path) -> Result<(Recording, Option<MasterSound>), VerifyError> {
    let path = folder.join(RECORDING);
    let unreadable = |source| VerifyError::Read { path: path.clone(), source };
    let mut file = File::open(&path).map_err(unreadable)?;
    let recording = reader::read_tables(&mut file).map_err(|problem| match problem {
        Problem::Io(source) => unreadable(source),
        Problem::Damaged(reason) => VerifyError::Damaged { path: path.clone(), reason },
    })?;
    let Some(track) = recording.tracks.iter().find(|track| &track.handler == b"soun") else {
        return Ok((recording, None));
    };
    let config = match &track.entry {
        SampleEntry::Mp4a(entry) => entry.esds_box.es.dec_config_descr.dec_specific_info.as_ref(),
        _ => None,
    };
    let damaged = |reason: &str| VerifyError::Damaged { path: path.clone(), reason: reason.to_owned() };
    let config = config.ok_or_else(|| damaged("its sound is not AAC"))?.payload.clone();
    if track.timescale != hyperzoom_media::SAMPLE_RATE {
        return Err(damaged("its sound is not at 48 kHz"));
    }
    let skipped = track.skipped.max(0) as u64;
    let decoded = track.samples.len() as u64 * AAC_FRAME as u64;
    let shown = track.shown.map_or(u64::MAX, |seconds| (seconds * f64::from(track.timescale)).round() as u64);
    let len = decoded.saturating_sub(skipped).min(shown);
    let sound = MasterSound { file, units: track.samples.clone(), config, skipped, len };
    Ok((recording, Some(sound)))
}

impl MasterSound {
    /// The take's samples.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The take's samples from `from` on, `count` of them, or as many as there are.
    ///
    /// # Errors
    /// Where the file cannot be read, or holds what no AAC decoder takes.
    pub(super) fn samples(&mut self, from: u64, count: u64) -> Result<Vec<f32>, String> {
        let (from, end) = (from.min(self.len), from.saturating_add(count).min(self.len));
        let frame = AAC_FRAME as u64;
        let first = ((from + self.skipped) / frame).saturating_sub(LEAD);
        let mut decoder = Decoder::new(Transport::Raw);
        let refused = |error| format!("the sound does not decode: {error}");
        decoder.config_raw(&self.config).map_err(refused)?;
        let mut out = Vec::with_capacity((end - from) as usize);
        let mut pcm = [0_i16; 2 * AAC_FRAME];
        let mut unit = Vec::new();
        // What comes out lies behind what went in by the decoder's own delay.
        let mut place: Option<i64> = None;
        let wanted = (from + self.skipped) as i64..(end + self.skipped) as i64;
        for number in first.. {
            // After the last unit the same once more, until what the decoder holds back has come out.
            match self.units.get(number as usize) {
                Some(sample) => {
                    if sample.size as usize > AAC_MAX_UNIT {
                        return Err(format!("unit {number} of the sound claims {} bytes", sample.size));
                    }
                    unit.resize(sample.size as usize, 0);
                    let read = self
                        .file
                        .seek(SeekFrom::Start(sample.at))
                        .and_then(|_| self.file.read_exact(&mut unit));
                    read.map_err(|error| error.to_string())?;
                }
                None if number < self.units.len() as u64 + LEAD && !unit.is_empty() => (),
                None => break,
            }
            decoder.fill(&unit).map_err(refused)?;
            decoder.decode_frame(&mut pcm).map_err(refused)?;
            let info = decoder.stream_info();
            if (info.numChannels, info.frameSize as usize) != (1, AAC_FRAME) {
                return Err("its sound is not mono AAC-LC".to_owned());
            }
            let at = *place.get_or_insert(number as i64 * frame as i64 - i64::from(info.outputDelay));
            for (n, sample) in pcm[..AAC_FRAME].iter().enumerate() {
                if wanted.contains(&(at + n as i64)) {
                    out.push(f32::from(*sample) / 32768.0);
                }
            }
            place = Some(at + frame as i64);
            if at + frame as i64 >= wanted.end {
                break;
            }
        }
        Ok(out)
    }

    /// Every sync tone in the take, found by correlation.
    ///
    /// # Errors
    /// As of [`samples`](Self::samples).
    pub(super) fn tones(&mut self, from: u64, end: u64) -> Result<Vec<FoundTone>, String> {
        let end = end.min(self.len);
        let (mut finder, mut found) = (ToneFinder::new(), Vec::new());
        let mut at = from;
        while at < end {
            let part = self.samples(at, STRETCH.min(end - at))?;
            if part.is_empty() {
                break;
            }
            finder.push(&part, &mut found);
            at += part.len() as u64;
        }
        finder.finish(&mut found);
        found.iter_mut().for_each(|tone| tone.at += from as f64);
        Ok(found)
    }
}
