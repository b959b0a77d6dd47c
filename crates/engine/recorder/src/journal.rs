//! The take's journal: what must survive a crash and has no place in the growing file.
//!
//! `take_journal.jsonl` lies in the take's folder while it runs, one JSON object a line: a header, a line for each marker (on
//! the disk before anybody is told of it), and after each fragment what the counts have come to. It goes once the final
//! metadata is written; where it is found, the program was cut off. Readers pass over lines that are torn or damaged.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::folder::sync_folder;
use crate::ledger::{AudioCounts, Gap, VideoCounts};
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
    Progress(Progress),
}

/// What the counts have come to, for a file of so many ticks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Ticks in the file.
    pub(crate) ticks: u64,
    pub(crate) video: VideoCounts,
    pub(crate) audio: AudioCounts,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) gaps: Vec<Gap>,
    pub(crate) microphone_drift_ppm: Option<f64>,
}

/// A journal that is written.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Whether the last line may lack its end.
    torn: bool,
}

impl Journal {
    /// Begins the journal of the take in `folder`: its header is on the disk when this returns.
    pub(crate) fn create(folder: &Path, metadata: &SessionMetadata) -> io::Result<Self> {
        let path = folder.join(JOURNAL);
        let file = File::options().append(true).create_new(true).open(&path)?;
        let mut journal = Self { path, file, torn: false };
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
        self.append(&Line::Progress(progress))
    }

    /// The take's metadata is final, and the journal of no more use.
    pub(crate) fn remove(self) -> io::Result<()> {
        // Windows removes no file that is open.
        drop(self.file);
        std::fs::remove_file(self.path)
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
    progress: Vec<Progress>,
}

impl Journalled {
    /// The counts of the largest part of the take that lies within a file of `ticks` ticks.
    pub(crate) fn progress_within(&self, ticks: u64) -> Option<Progress> {
        self.progress.iter().rev().find(|it| it.ticks <= ticks).cloned()
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
        Progress {
            ticks,
            video,
            audio: AudioCounts::default(),
            gaps: Vec::new(),
            microphone_drift_ppm: Some(1.5),
        }
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
