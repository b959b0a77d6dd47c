//! The two files, written by the disk's thread.

use std::io;
use std::path::Path;

use hyperzoom_timing::{Timecode, tick_time_ns};

use super::encode::Summary;
use super::tap::Chunk;
use super::{head, map};
use crate::folder::{MICROPHONE, MICROPHONE_CLOCK};
use crate::mux::{About, FileStore, Store};

/// Where the two files go.
pub(crate) struct Stores {
    pub(crate) flac: Box<dyn Store>,
    pub(crate) map: Box<dyn Store>,
}

impl Stores {
    /// Both as new files in the take's folder.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            flac: Box::new(FileStore::create(&folder.join(MICROPHONE))?),
            map: Box::new(FileStore::create(&folder.join(MICROPHONE_CLOCK))?),
        })
    }
}

/// `microphone.flac` and its map while they grow: whole after every [`append`](Self::append) that succeeds.
pub(crate) struct FlacFile {
    stores: Stores,
    end: u64,
    map_end: u64,
    /// What the frames on the disk hold.
    summary: Summary,
    open: bool,
}

impl FlacFile {
    /// Starts both files: their heads are on the disk when this returns.
    pub(crate) fn create(mut stores: Stores, about: &About, start_tick: u64) -> io::Result<Self> {
        let timecode = Timecode::from_tick(start_tick).to_string();
        let mut tags = vec![
            ("ARTIST", about.name.clone()),
            ("DATE", about.started_at.clone()),
            ("SESSION_ID", about.session_id.clone()),
            ("TIMECODE", timecode.clone()),
            (
                "DESCRIPTION",
                format!(
                    "The microphone on its own clock; {MICROPHONE_CLOCK} says when each sample was captured"
                ),
            ),
        ];
        if let Some(name) = &about.session_name {
            tags.insert(0, ("TITLE", name.clone()));
        }
        let head = head::head(&tags);
        let map_head = map::head(&timecode, start_tick, tick_time_ns(start_tick));
        stores.flac.write_at(0, &head)?;
        stores.flac.sync()?;
        stores.map.write_at(0, map_head.as_bytes())?;
        stores.map.sync()?;
        let (end, map_end) = (head.len() as u64, map_head.len() as u64);
        Ok(Self { stores, end, map_end, summary: Summary::default(), open: true })
    }

    /// Bytes of both files.
    pub(crate) fn bytes(&self) -> u64 {
        self.end + self.map_end
    }

    /// Samples in the file, on the disk.
    pub(crate) fn samples(&self) -> u64 {
        self.summary.samples
    }

    /// Appends a chunk, and waits until it survives a loss of power.
    ///
    /// # Errors
    /// What the disk said. The file is then closed with what it had, and takes nothing more.
    pub(crate) fn append(&mut self, chunk: &Chunk) -> io::Result<()> {
        if !self.open {
            return Ok(());
        }
        let written = self.write(chunk);
        if written.is_err() {
            self.open = false;
            // Either of these may fail as well. What is on the disk then is what a crash leaves, and `recover` mends it.
            drop(self.stores.flac.truncate(self.end));
            drop(self.stores.map.truncate(self.map_end));
            drop(self.complete());
        }
        written
    }

    fn write(&mut self, chunk: &Chunk) -> io::Result<()> {
        if !chunk.frames.is_empty() {
            self.stores.flac.write_at(self.end, &chunk.frames)?;
            self.stores.flac.sync()?;
            self.end += chunk.frames.len() as u64;
            self.summary = chunk.summary;
        }
        // After the samples that they speak of.
        if !chunk.rows.is_empty() {
            self.stores.map.write_at(self.map_end, chunk.rows.as_bytes())?;
            self.stores.map.sync()?;
            self.map_end += chunk.rows.len() as u64;
        }
        Ok(())
    }

    /// Ends the file: its totals become known.
    ///
    /// # Errors
    /// What the disk said. Without its totals the file plays as well.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.open) { self.complete() } else { Ok(()) }
    }

    fn complete(&mut self) -> io::Result<()> {
        self.stores.flac.write_at(head::INFO_AT, &head::stream_info(&self.summary))?;
        self.stores.flac.sync()
    }
}
