//! What becomes of time in a take, looked for in the finished file: its certificate, and how takes of one session lie to each other.
//!
//! Both decode the master's sound and find the sync tones by correlation, whatever the metadata says of them.

mod certificate;
mod certify;
mod compare;
mod kept;
mod sound;

pub use certificate::{CertifiedPoint, CertifiedTone, Grade, SyncCertificate};
pub(crate) use certify::{Facts, certify};
pub use compare::{Comparison, Listened, compare, listen};
pub(crate) use kept::Kept;
