//! A disk that is soon full.

use std::path::Path;
use std::process::{Command, Stdio};

/// A file system of a few MB on a folder. It is unmounted when it is dropped.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None where mounting is not permitted.
    pub fn mount(megabytes: u32) -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "none"])
            .arg(disk.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(disk)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).stderr(Stdio::null()).status();
    }
}

/// A second of noise: what takes the recording's whole bitrate.
pub fn noise(film: &Path) {
    let mut bytes = b"YUV4MPEG2 W320 H180 F30:1 Ip A1:1 C420\n".to_vec();
    let mut state = 1_u64;
    for _ in 0..30 {
        bytes.extend_from_slice(b"FRAME\n");
        bytes.extend((0..320 * 180 * 3 / 2).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        }));
    }
    std::fs::write(film, bytes).unwrap();
}
