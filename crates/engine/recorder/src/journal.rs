//! The take's journal: what must survive a crash and has no place in the growing file.
//!
//! `take_journal.jsonl` lies in the take's folder while it runs, one JSON object a line: a header, a line for each marker (on
//! the disk before anybody is told of it), and after each fragment what the counts have come to. It goes once the final
//! metadata is written; where it is found, the program was cut off. Readers pass over lines that are torn or damaged.
//!
//! Of the sound's gaps each line has only what differs from the line before, so that the journal of a long take with many of them stays
//! short; all of them come again whenever as many have been written since, so that a damaged line does not cost all that follow. Of the
//! pictures' gaps each line has the last: there is none between two lines that neither of them has, since black comes after two seconds.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::folder::sync_folder;
use crate::ledger::{AudioCounts, Gap, PictureGap, VideoCounts};
use crate::marker::Marker;
use crate::metadata::SessionMetadata;

/// The journal's file name.
pub const JOURNAL: &str = "take_journal.jsonl";

/// The version of the lines' form that this program writes.
const VERSION: u32 = 1;

/// Longer lines than this are none of ours: the longest holds the metadata of a session's start.
const LINE_LIMIT: u64 = 1 << 20;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Header { version: u32, metadata: Box<SessionMetadata> },
    Marker(Marker),
    Progress(ProgressLine),
}

/// What the counts have come to, for a file of so many ticks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Progress {
    /// Ticks in the file.
    pub(crate) ticks: u64,
    pub(crate) video: VideoCounts,
    pub(crate) picture_gaps: Vec<PictureGap>,
    pub(crate) audio: AudioCounts,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) microphone_drift_ppm: Option<f64>,
}

/// The same as a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ProgressLine {
    ticks: u64,
    video: VideoCounts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picture_gap: Option<PictureGap>,
    audio: AudioCounts,
    /// Gaps that are as they were in the line for `gaps_after` ticks; 0 where `gaps` has them all.
    #[serde(default, skip_serializing_if = "is_zero")]
    gaps_from: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gaps_after: Option<u64>,
    /// Those behind them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<Gap>,
    microphone_drift_ppm: Option<f64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The gaps of the last line that was written.
#[derive(Default)]
struct Said {
    ticks: u64,
    gaps: Vec<Gap>,
    /// Gaps written since all were.
    since_all: usize,
}

/// A journal that is written.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Whether the last line may lack its end.
    torn: bool,
    said: Said,
}

impl Journal {
    /// Begins the journal of the take in `folder`: its header is on the disk when this returns.
    pub(crate) fn create(folder: &Path, metadata: &SessionMetadata) -> io::Result<Self> {
        let path = folder.join(JOURNAL);
        let file = File::options().append(true).create_new(true).open(&path)?;
        let mut journal = Self { path, file, torn: false, said: Said::default() };
        journal.append(&Line::Header { version: VERSION, metadata: Box::new(metadata.clone()) })?;
        journal.file.sync_data()?;
        sync_folder(folder);
        Ok(journal)
    }

    /// Enters a marker. It is on the disk after the next [`sync`](Self::sync).
    pub(crate) fn marker(&mut self, marker: &Marker) -> io::Result<()> {
        self.append(&Line::Marker(marker.clone()))
    }

    /// Waits until all lines are on the disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Enters what the counts have come to. It gets to the disk when the system sees fit.
    pub(crate) fn progress(&mut self, progress: Progress) -> io::Result<()> {
        let Progress { ticks, video, picture_gaps, audio, gaps, microphone_drift_ppm } = progress;
        // After a line that failed, nothing is relied on.
        let mut said = std::mem::take(&mut self.said);
        let same = said.gaps.iter().zip(&gaps).take_while(|(said, now)| said == now).count();
        let changed = gaps.len() - same;
        let from = if said.since_all + changed > gaps.len() { 0 } else { same };
        self.append(&Line::Progress(ProgressLine {
            ticks,
            video,
            picture_gap: picture_gaps.last().copied(),
            audio,
            gaps_from: from,
            gaps_after: (from > 0).then_some(said.ticks),
            gaps: gaps[from..].to_vec(),
            microphone_drift_ppm,
        }))?;
        said.since_all = if from == 0 { 0 } else { said.since_all + changed };
        self.said = Said { ticks, gaps, since_all: said.since_all };
        Ok(())
    }

    /// The take's metadata is final, and the journal of no more use.
    pub(crate) fn remove(self) -> io::Result<()> {
        // Windows removes no file that is open.
        drop(self.file);
        std::fs::remove_file(&self.path)?;
        // A journal that came back after a loss of power would make a take that ended well look cut off.
        if let Some(folder) = self.path.parent() {
            sync_folder(folder);
        }
        Ok(())
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = Vec::new();
        if std::mem::replace(&mut self.torn, true) {
            // What a full disk cut off must not take this line with it.
            bytes.push(b'\n');
        }
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        self.torn = false;
        Ok(())
    }
}

/// What a journal holds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Journalled {
    /// The metadata of the take's start.
    pub(crate) metadata: Option<SessionMetadata>,
    pub(crate) markers: Vec<Marker>,
    progress: Vec<ProgressLine>,
}

impl Journalled {
    /// The counts of the largest part of the take that lies within a file of `ticks` ticks. Behind a damaged line its gaps may be
    /// those of before it, until a line has all of them.
    pub(crate) fn progress_within(&self, ticks: u64) -> Option<Progress> {
        let at = self.progress.iter().rposition(|it| it.ticks <= ticks)?;
        let mut gaps = Vec::new();
        let mut picture_gaps = Vec::<PictureGap>::new();
        let mut known = None;
        for line in &self.progress[..=at] {
            if let Some(gap) = line.picture_gap {
                picture_gaps.pop_if(|last| last.start_frame == gap.start_frame);
                picture_gaps.push(gap);
            }
            if line.gaps_from == 0 || line.gaps_after == known && line.gaps_from <= gaps.len() {
                gaps.truncate(line.gaps_from);
                gaps.extend_from_slice(&line.gaps);
                known = Some(line.ticks);
            }
        }
        let ProgressLine { ticks, video, audio, microphone_drift_ppm, .. } = self.progress[at].clone();
        Some(Progress { ticks, video, picture_gaps, audio, gaps, microphone_drift_ppm })
    }
}

/// Reads the journal of the take in `folder`, as far as it can be read; nothing where there is none.
pub(crate) fn read(folder: &Path) -> Journalled {
    File::open(folder.join(JOURNAL))
        .map_or_else(|_| Journalled::default(), |file| parse(BufReader::new(file)))
}

fn parse(mut from: impl BufRead) -> Journalled {
    let mut found = Journalled::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        match from.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line) {
            // A damaged sector ends it, like the file's end.
            Ok(0) | Err(_) => return found,
            Ok(_) => (),
        }
        match serde_json::from_slice(&line) {
            Ok(Line::Header { metadata, .. }) => found.metadata = Some(*metadata),
            Ok(Line::Marker(marker)) => found.markers.push(marker),
            Ok(Line::Progress(progress)) => found.progress.push(progress),
            Err(error) if line.ends_with(b"\n") => {
                tracing::debug!("a line of the journal is damaged: {error}");
            }
            Err(_) => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metadata::tests::metadata;

    fn marker(name: &str, tick: u64) -> Marker {
        Marker { name: name.into(), tick, session_ns: hyperzoom_timing::tick_time_ns(tick) }
    }

    fn progress(ticks: u64) -> Progress {
        let video = VideoCounts { captured: ticks, written: ticks, ..VideoCounts::default() };
        Progress { ticks, video, microphone_drift_ppm: Some(1.5), ..Progress::default() }
    }

    fn written(folder: &Path) -> Vec<u8> {
        let mut journal = Journal::create(folder, &metadata()).unwrap();
        journal.marker(&marker("Intro", 12)).unwrap();
        journal.progress(progress(30)).unwrap();
        journal.marker(&marker("Ä \"quote\" \\", 40)).unwrap();
        journal.progress(progress(60)).unwrap();
        std::fs::read(folder.join(JOURNAL)).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let read = read(dir.path());
        assert_eq!(read.metadata, Some(metadata()));
        assert_eq!(read.markers, [marker("Intro", 12), marker("Ä \"quote\" \\", 40)]);
        let ticks = |within| read.progress_within(within).map(|it| it.ticks);
        assert_eq!((ticks(29), ticks(30), ticks(59), ticks(1000)), (None, Some(30), Some(30), Some(60)));
    }

    #[test]
    fn torn_anywhere_it_keeps_the_lines_before() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = written(dir.path());
        for len in 0..bytes.len() {
            let read = parse(&bytes[..len]);
            let whole = bytes[..len].iter().filter(|byte| **byte == b'\n').count();
            let lines = usize::from(read.metadata.is_some()) + read.markers.len() + read.progress.len();
            // A line that lacks nothing but its end counts.
            assert!(
                lines == whole || lines == whole + 1 && bytes[len] == b'\n',
                "{lines} of {whole} at {len}"
            );
        }
    }

    #[test]
    fn a_line_after_a_torn_one_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path(), &metadata()).unwrap();
        journal.file.write_all(b"{\"line\":\"marker\",\"na").unwrap();
        journal.torn = true;
        journal.marker(&marker("after", 5)).unwrap();
        assert_eq!(read(dir.path()).markers, [marker("after", 5)]);
    }

    /// So many gaps, the last of which is still open.
    fn gaps(count: u64, open: u64) -> Vec<Gap> {
        let gap = |at| Gap {
            start_sample: at * 5000,
            samples: if at + 1 == count { open } else { 4000 },
            kind: crate::ledger::GapKind::Silent,
        };
        (0..count).map(gap).collect()
    }

    /// A journal of so many lines, with a gap more in every second one.
    fn with_gaps(folder: &Path, lines: u64) -> Vec<u8> {
        let mut journal = Journal::create(folder, &metadata()).unwrap();
        for line in 1..=lines {
            let gaps = gaps(line / 2, 100 + line % 2);
            journal.progress(Progress { gaps, ..progress(line) }).unwrap();
        }
        std::fs::read(folder.join(JOURNAL)).unwrap()
    }

    #[test]
    fn gaps_are_read_back_and_take_room_in_proportion() {
        let (short, long) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let size = with_gaps(short.path(), 200).len();
        assert!(with_gaps(long.path(), 1600).len() < 10 * size);
        let read = read(long.path());
        for line in 1..=1600 {
            assert_eq!(read.progress_within(line).unwrap().gaps, gaps(line / 2, 100 + line % 2), "{line}");
        }
    }

    #[test]
    fn a_damaged_line_leaves_gaps_as_they_were_until_all_come_again() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = with_gaps(dir.path(), 60);
        let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let all = |line: u64| gaps(line / 2, 100 + line % 2);
        for lost in 1..40 {
            let rest = [&lines[..lost], &lines[lost + 1..]].concat().concat();
            let read = parse(&rest[..]);
            for line in (1..=60).filter(|line| *line != lost as u64) {
                let found = read.progress_within(line).unwrap().gaps;
                assert!(found == all(line) || found == all(lost as u64 - 1), "{line} without {lost}");
            }
            assert_eq!(read.progress_within(60).unwrap().gaps, all(60), "without {lost}");
        }
    }

    #[test]
    fn a_line_that_failed_is_not_built_upon() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path(), &metadata()).unwrap();
        journal.progress(Progress { gaps: gaps(4, 100), ..progress(30) }).unwrap();
        let good = std::mem::replace(&mut journal.file, File::open(dir.path().join(JOURNAL)).unwrap());
        journal.progress(Progress { gaps: gaps(5, 100), ..progress(60) }).unwrap_err();
        journal.file = good;
        journal.progress(Progress { gaps: gaps(6, 100), ..progress(90) }).unwrap();
        assert_eq!(read(dir.path()).progress_within(90).unwrap().gaps, gaps(6, 100));
    }

    #[test]
    fn lines_with_all_gaps_as_older_takes_have_them_are_read() {
        let line = |ticks, count| {
            let mut value = serde_json::to_value(Line::Progress(ProgressLine {
                ticks,
                video: VideoCounts::default(),
                picture_gap: None,
                audio: AudioCounts::default(),
                gaps_from: 0,
                gaps_after: None,
                gaps: Vec::new(),
                microphone_drift_ppm: None,
            }))
            .unwrap();
            value["gaps"] = serde_json::to_value(gaps(count, 100)).unwrap();
            format!("{value}\n")
        };
        let read = parse(format!("{}{}", line(30, 2), line(60, 3)).as_bytes());
        assert_eq!(read.progress_within(30).unwrap().gaps, gaps(2, 100));
        assert_eq!(read.progress_within(60).unwrap().gaps, gaps(3, 100));
    }

    #[test]
    fn the_pictures_gaps_are_put_together_from_the_last_of_each_line() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path(), &metadata()).unwrap();
        let (first, second) =
            (PictureGap { start_frame: 70, frames: 20 }, PictureGap { start_frame: 200, frames: 7 });
        let grown = PictureGap { frames: 40, ..first };
        for (ticks, picture_gaps) in [
            (60, vec![]),
            (90, vec![first]),
            (120, vec![grown]),
            (150, vec![grown]),
            (210, vec![grown, second]),
        ] {
            journal.progress(Progress { picture_gaps, ..progress(ticks) }).unwrap();
        }
        let read = read(dir.path());
        let within = |ticks| read.progress_within(ticks).unwrap().picture_gaps;
        assert_eq!((within(60), within(90), within(150)), (vec![], vec![first], vec![grown]));
        assert_eq!(within(1000), [grown, second]);
    }

    #[test]
    fn without_a_journal_there_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), Journalled::default());
    }

    #[test]
    fn a_removed_journal_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        Journal::create(dir.path(), &metadata()).unwrap().remove().unwrap();
        assert!(!dir.path().join(JOURNAL).exists());
    }

    proptest! {
        #[test]
        fn damage_costs_the_lines_that_it_hits_and_no_more(hits in prop::collection::vec((0_usize..4000, any::<u8>()), 1..4)) {
            let dir = tempfile::tempdir().unwrap();
            let original = written(dir.path());
            let mut bytes = original.clone();
            for (at, byte) in &hits {
                let at = at % bytes.len();
                bytes[at] = *byte;
            }
            let read = parse(&bytes[..]);
            let hit = |text: &str| {
                let start = original.windows(text.len()).position(|it| it == text.as_bytes()).unwrap();
                let line = original[..start].iter().rposition(|byte| *byte == b'\n').unwrap()..;
                let end = start + original[start..].iter().position(|byte| *byte == b'\n').unwrap();
                (line.start..=end).any(|at| bytes[at] != original[at])
            };
            prop_assert!(hit("Intro") || read.markers.contains(&marker("Intro", 12)));
        }
    }
}
