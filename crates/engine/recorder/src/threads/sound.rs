//! Sound: from the microphone's tap, laid out on the timeline, through the encoder, to the disk's queue.

use std::sync::Arc;
use std::thread;

use hyperzoom_media::MicTap;
use hyperzoom_timing::{SAMPLES_PER_TICK, tick_time_ns};

use super::NAP;
use crate::audio_track::AudioTrack;
use crate::encode::AudioEncoder;
use crate::error::EncodeError;
use crate::flac::FlacTap;
use crate::folder::MICROPHONE;
use crate::shared::{DiskQueue, Shared, lock};

pub(crate) struct Sound {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tap: MicTap,
    pub(crate) encoder: Box<dyn AudioEncoder>,
    pub(crate) flac: Option<FlacTap>,
    pub(crate) disk: DiskQueue,
}

impl Sound {
    /// Runs until the take's last sample is encoded, or the recording has failed.
    pub(crate) fn run(mut self) {
        let mut track = AudioTrack::new(self.shared.start_ns());
        let mut told = Told::default();
        let mut block = Vec::new();
        let mut out = Vec::new();
        let mut encoded = 0;
        let mut ended = false;
        while !ended && !self.shared.has_failed() {
            // Asked before the tap is emptied, so that what came last is not left in it.
            let gone = self.tap.is_closed();
            self.watch_ring();
            while let Some(mark) = self.tap.next_block(&mut block) {
                let at_ns = self.shared.session_ns(mark.at);
                track.push(mark.sample_index, at_ns, &block, &mut out);
                {
                    let mut kept = lock(&self.shared.kept);
                    kept.push(mark.sample_index, &block);
                    kept.settle(|index| track.session_ns_of(index));
                }
                self.push_flac(&track, mark.sample_index, at_ns, &block);
            }
            let now = self.shared.now_ns();
            track.keep_up(now, &mut out);
            if let Some(end) = self.shared.end_tick() {
                let total = (end - self.shared.start_tick) * SAMPLES_PER_TICK;
                ended = track.written() >= total || (gone && now >= tick_time_ns(end));
                if ended {
                    track.finish(total, &mut out);
                }
                out.truncate(usize::try_from(total.saturating_sub(encoded)).unwrap_or(usize::MAX));
            }
            // After the microphone's own file, which has it as it came.
            lock(&self.shared.tones).mix(encoded, &mut out);
            encoded += out.len() as u64;
            if let Err(error) = self.encoder.encode(&out, &mut |unit| self.disk.unit(unit)) {
                self.shared
                    .fail(format!("{error}. The recording has ended; what was written stays playable."));
            }
            out.clear();
            self.publish(&track);
            self.tell(&mut told, gone, &track);
            if !ended {
                thread::sleep(NAP);
            }
        }
        self.finish_flac(&track);
        if !self.shared.has_failed()
            && let Err(error) = self.encoder.finish(&mut |unit| self.disk.unit(unit))
        {
            self.shared.fail(format!("{error}. The last moments of sound are lost."));
        }
    }

    fn push_flac(&mut self, track: &AudioTrack, index: u64, at_ns: i64, block: &[f32]) {
        let Some(flac) = &mut self.flac else { return };
        let end_ns = self.shared.end_tick().map(tick_time_ns);
        match flac.push(track, index, at_ns, block, end_ns) {
            Ok(()) => {
                if let Some(chunk) = flac.poll(track) {
                    self.disk.flac(chunk);
                }
            }
            Err(error) => {
                self.flac = None;
                self.warn_of_flac(&error);
            }
        }
    }

    fn finish_flac(&mut self, track: &AudioTrack) {
        match self.flac.take().map(|flac| flac.finish(track)) {
            Some(Ok(chunk)) => self.disk.flac(chunk),
            Some(Err(error)) => self.warn_of_flac(&error),
            None => (),
        }
    }

    fn warn_of_flac(&self, error: &EncodeError) {
        self.shared.warn(format!(
            "{error}: {MICROPHONE} has stopped. What was written of it plays, and the recording itself goes on."
        ));
    }

    fn watch_ring(&self) {
        self.shared.sound_ring.set(self.tap.available() as u64, self.tap.capacity() as u64);
        self.shared.press();
    }

    fn publish(&self, track: &AudioTrack) {
        let mut sound = lock(&self.shared.sound);
        sound.ledger.clone_from(track.ledger());
        sound.drift_ppm = track.drift_ppm();
    }

    fn tell(&self, told: &mut Told, gone: bool, track: &AudioTrack) {
        if gone && !std::mem::replace(&mut told.gone, true) && self.shared.end_tick().is_none() {
            self.shared.warn("The microphone is gone: silence is recorded until the end.".to_owned());
        }
        let dropped = track.ledger().counts(u64::MAX).dropped;
        if dropped > 0 && !std::mem::replace(&mut told.dropped, true) {
            self.shared.warn(format!(
                "The sound buffer overflowed: {dropped} samples are missing in the recording."
            ));
        }
    }
}

/// What has been said and is not said again.
#[derive(Default)]
struct Told {
    gone: bool,
    dropped: bool,
}

#[cfg(test)]
mod tests;
