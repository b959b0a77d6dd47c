//! Sound: from the microphone's tap, laid out on the timeline, through the encoder, to the disk's queue.

use std::sync::Arc;
use std::thread;

use hyperzoom_media::{CaptureMark, MicTap};
use hyperzoom_timing::{SAMPLES_PER_TICK, tick_time_ns};

use super::NAP;
use crate::audio_track::AudioTrack;
use crate::encode::AacEncoder;
use crate::shared::{DiskQueue, Shared, lock};

pub(crate) struct Sound {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tap: MicTap,
    pub(crate) encoder: AacEncoder,
    pub(crate) disk: DiskQueue,
}

impl Sound {
    /// Runs until the take's last sample is encoded.
    pub(crate) fn run(mut self) {
        let mut track = AudioTrack::new(self.shared.start_ns());
        let mut reader = BlockReader::default();
        let mut block = Vec::new();
        let mut out = Vec::new();
        let mut encoded = 0;
        let mut told = (false, false);
        loop {
            if let Some(percent) = self.shared.sound_ring.set(self.tap.available(), self.tap.capacity()) {
                self.shared.warn(format!(
                    "The recording is falling behind: its sound buffer is {percent} % full. Close other programs."
                ));
            }
            while let Some((mark, lost)) = reader.next(&mut self.tap, &mut block) {
                track.note_dropped(lost);
                track.push(mark.sample_index, self.shared.session_ns(mark.at), &block, &mut out);
            }
            let now = self.shared.now_ns();
            track.keep_up(now, &mut out);
            let total = self
                .shared
                .end_tick()
                .map_or(u64::MAX, |end| (end - self.shared.start_tick) * SAMPLES_PER_TICK);
            let ended = total != u64::MAX
                && (track.written() >= total || (self.tap.is_closed() && now >= self.end_ns()));
            if ended {
                track.finish(total, &mut out);
            }
            let room = usize::try_from(total.saturating_sub(encoded)).unwrap_or(usize::MAX);
            out.truncate(room);
            encoded += out.len() as u64;
            let result = self.encoder.encode(&out, |unit| self.disk.unit(unit));
            out.clear();
            let mut counts = track.counts();
            counts.written = encoded;
            *lock(&self.shared.audio) = counts;
            self.tell(&mut told, counts.dropped);
            if let Err(error) = result {
                self.shared
                    .fail(format!("{error}. The recording has ended; what was written stays playable."));
                break;
            }
            if ended {
                break;
            }
            thread::sleep(NAP);
        }
        if let Err(error) = self.encoder.finish(|unit| self.disk.unit(unit)) {
            self.shared.fail(format!("{error}. The last moments of sound are lost."));
        }
        self.disk.done();
    }

    fn end_ns(&self) -> i64 {
        self.shared.end_tick().map_or(i64::MAX, tick_time_ns)
    }

    fn tell(&self, (gone, lost): &mut (bool, bool), dropped: u64) {
        if self.tap.is_closed() && !std::mem::replace(gone, true) && self.shared.end_tick().is_none() {
            self.shared.warn("The microphone is gone: silence is recorded until it comes back.".to_owned());
        }
        if dropped > 0 && !std::mem::replace(lost, true) {
            self.shared.warn(format!(
                "The sound buffer overflowed: {dropped} samples are missing in the recording."
            ));
        }
    }
}

/// Takes blocks out of a tap, each with the mark that says where it belongs.
#[derive(Default)]
struct BlockReader {
    mark: Option<CaptureMark>,
    next_index: u64,
    /// The longest block whose length is certain.
    usual: u64,
}

impl BlockReader {
    /// The next block and how many samples the device lost before it, or none while none is there.
    fn next(&mut self, tap: &mut MicTap, block: &mut Vec<f32>) -> Option<(CaptureMark, u64)> {
        let mark = match self.mark {
            Some(mark) => mark,
            None => tap.next_mark()?,
        };
        self.mark = Some(mark);
        // A mark is pushed before its samples. So without a later mark, all samples that were there before looking for
        // one are this block's; with one, the block reaches up to it, unless blocks in between were lost.
        let available = tap.available() as u64;
        let len = match tap.peek_mark() {
            None => {
                self.usual = self.usual.max(available);
                available
            }
            Some(later) => {
                let reach = later.sample_index.saturating_sub(mark.sample_index);
                let lossy = self.usual > 0 && reach > 2 * self.usual;
                (if lossy { self.usual } else { reach }).min(available)
            }
        };
        if len == 0 {
            return None;
        }
        block.resize(len as usize, 0.0);
        let read = tap.read(block);
        block.truncate(read);
        self.mark = None;
        let first = self.next_index == 0;
        let lost = if first { 0 } else { mark.sample_index.saturating_sub(self.next_index) };
        self.next_index = mark.sample_index + read as u64;
        Some((mark, lost))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyperzoom_media::mic_tap;

    use super::*;

    fn blocks(tap: &mut MicTap, reader: &mut BlockReader) -> Vec<(u64, usize, u64)> {
        let mut block = Vec::new();
        std::iter::from_fn(|| {
            let (mark, lost) = reader.next(tap, &mut block)?;
            Some((mark.sample_index, block.len(), lost))
        })
        .collect()
    }

    #[test]
    fn a_backlog_comes_apart_at_its_marks() {
        let (mut feed, mut tap) = mic_tap(1.0);
        let mut reader = BlockReader::default();
        for (i, len) in [100, 240, 240, 17].into_iter().enumerate() {
            feed.push(&vec![0.5; len], Duration::from_millis(i as u64));
        }
        assert_eq!(blocks(&mut tap, &mut reader), [(0, 100, 0), (100, 240, 0), (340, 240, 0), (580, 17, 0)]);
    }

    #[test]
    fn blocks_that_a_full_ring_lost_are_noticed_where_they_are_missing() {
        let (mut feed, mut tap) = mic_tap(0.01); // 480 samples
        let mut reader = BlockReader::default();
        feed.push(&[0.5; 120], Duration::ZERO);
        assert_eq!(blocks(&mut tap, &mut reader), [(0, 120, 0)]);
        // Four fit, three are lost, and one fits after two were read.
        for i in 1..8 {
            feed.push(&[0.5; 120], Duration::from_millis(i));
        }
        let mut block = Vec::new();
        for expected in [120, 240] {
            assert_eq!(reader.next(&mut tap, &mut block).map(|(mark, _)| mark.sample_index), Some(expected));
        }
        feed.push(&[0.25; 120], Duration::from_millis(8));
        assert_eq!(blocks(&mut tap, &mut reader), [(360, 120, 0), (480, 120, 0), (960, 120, 360)]);
    }
}
