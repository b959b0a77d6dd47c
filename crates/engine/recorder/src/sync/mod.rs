//! What becomes of time in a take, looked for in the finished file: its certificate, and how takes of one session lie to each other.
//!
//! Both decode the master's sound and find the sync tones by correlation, whatever the metadata says of them. What a take's folder has of
//! the others' voices ([`heard`]) is looked for in theirs.

mod certificate;
mod certify;
mod compare;
mod heard;
mod kept;
mod sound;

pub use certificate::{CertifiedPoint, CertifiedTone, Grade, SyncCertificate};
pub(crate) use certify::{Facts, certify};
pub use compare::{Comparison, HeardOffset, Listened, compare, listen};
pub use heard::HeardVoice;
pub(crate) use heard::keep;
pub(crate) use kept::Kept;
