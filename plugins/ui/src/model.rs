//! What the panels show, as plain data, and what a person asks for in them.
//!
//! Nobody here knows of an engine: the program fills these in a few times a second, and does what an [`Intent`] says. So every state of
//! every screen can be made up in a test.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a person asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    /// Begin a session, with the [`Choices`] as they are.
    Host,
    /// Go on with the session that was cut off.
    Resume,
    /// Join with the invite that was pasted.
    Join,
    /// Ask where recordings are to go.
    ChooseFolder,
    /// Look for devices again.
    LookForDevices,
    /// Play the short probe, and measure what of it comes back through the microphone.
    TestHeadphones,
    /// Stop or begin to be heard.
    ToggleMute,
    /// Stop or begin to be seen.
    ToggleCamera,
    /// Set a marker in the recording.
    Marker,
    /// How loud a participant is played: 1 is as it comes.
    Volume {
        /// Its participant id.
        id: u8,
        /// From 0 to 4.
        volume: f32,
    },
    /// Put the invite on the clipboard.
    CopyInvite,
    /// End the call.
    End,
    /// Show a folder in the system's file manager.
    OpenFolder(PathBuf),
    /// Back to the first screen.
    NewSession,
}

/// What a person has chosen; kept from one run to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choices {
    /// The name that others see.
    pub name: String,
    /// What the session is called, in the names of folders; may be empty.
    pub session: String,
    /// The [`Device::spec`] of each.
    pub camera: String,
    /// As above.
    pub microphone: String,
    /// As above.
    pub speaker: String,
    /// Where recordings go; none is the usual place.
    pub folder: Option<PathBuf>,
    /// Light instead of dark.
    pub light: bool,
    /// The notice about headphones was put away.
    pub headphones_known: bool,
    /// Let in whoever can reach this machine, without a key.
    #[serde(skip)]
    pub open: bool,
    /// What was pasted to join with.
    #[serde(skip)]
    pub invite: String,
}

impl Default for Choices {
    fn default() -> Self {
        let default = || "default".to_owned();
        Self {
            name: String::new(),
            session: String::new(),
            camera: default(),
            microphone: default(),
            speaker: default(),
            folder: None,
            light: false,
            headphones_known: false,
            open: false,
            invite: String::new(),
        }
    }
}

/// A device that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What chooses it, as on the command line.
    pub spec: String,
    /// Its name, for people.
    pub label: String,
}

/// How loud something is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Loudness {
    /// The highest sample of late, in dB of full scale: -100 to 0.
    pub peak_db: f32,
    /// It was too loud for the converter within the last two seconds.
    pub clipped: bool,
}

/// Whether what the loudspeaker plays comes back through the microphone.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Bleed {
    /// Nobody has measured it.
    #[default]
    Unknown,
    /// The probe is being played.
    Testing,
    /// It does not.
    None,
    /// It does: so many dB below what is played.
    Coupled(f32),
}

/// The first screen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SetupView {
    /// What can be chosen.
    pub cameras: Vec<Device>,
    /// As above.
    pub microphones: Vec<Device>,
    /// As above.
    pub speakers: Vec<Device>,
    /// The camera that runs, in a few words: "Logitech BRIO · 1920 × 1080 · 30 fps". None where none is wanted.
    pub camera: Option<String>,
    /// Why there is no picture, and what to do.
    pub camera_fault: Option<String>,
    /// Width over height of the camera's picture; none while there is none.
    pub aspect: Option<f32>,
    /// How loud the microphone is; none while there is none.
    pub level: Option<Loudness>,
    /// Why there is no sound from it, and what to do.
    pub microphone_fault: Option<String>,
    /// Why the loudspeaker is not the chosen one, and what to do.
    pub speaker_fault: Option<String>,
    /// What is to be known of how the window is drawn.
    pub window_note: Option<String>,
    /// Nothing is recorded: it was asked for so.
    pub unrecorded: bool,
    /// Where recordings go.
    pub folder: PathBuf,
    /// What is free there, in bytes; none where the system would not say.
    pub free: Option<u64>,
    /// What an hour takes, in bytes, and how large its picture is: "1080p".
    pub hour: (u64, String),
    /// Whether the loudspeaker reaches the microphone.
    pub bleed: Bleed,
    /// What is being done, where a call is being opened: "Opening the session".
    pub busy: Option<String>,
    /// Why the last one came to nothing, and what to do.
    pub error: Option<String>,
    /// What is wrong with the invite that was pasted, if anything.
    pub invite_fault: Option<String>,
    /// A session of ours that was cut off so many minutes ago.
    pub cut_off: Option<u64>,
    /// Takes that were cut off, and what of them was saved, a line each.
    pub recovered: Vec<String>,
}

/// The invite, and who can use it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InviteView {
    /// One line to send to the others.
    pub line: String,
    /// How others will reach it: "Your router lets them in."
    pub reach: String,
    /// It has no key: anybody can join.
    pub open: bool,
}

/// What became of somebody's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TileCamera {
    /// They come.
    On,
    /// Turned off.
    Off,
    /// It is meant to be on, and gives none.
    Lost,
    /// There is no camera.
    #[default]
    None,
}

/// How it stands with somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TileState {
    /// All is well.
    #[default]
    Here,
    /// The network holds no more than the voice, or hardly that.
    Weak,
    /// Nothing was heard for a moment.
    Silent,
    /// Cut off; expected back.
    Rejoining,
    /// Reached by way of the host.
    Relayed,
}

/// One place of the grid.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tile {
    /// Its participant id; 255 for ourselves until we have one.
    pub id: u8,
    /// Its name.
    pub name: String,
    /// It is ourselves: the picture is mirrored.
    pub is_me: bool,
    /// The voice is heard right now.
    pub speaking: bool,
    /// Muted, as far as is known.
    pub muted: bool,
    /// What became of the pictures.
    pub camera: TileCamera,
    /// Why there is no picture of our own camera.
    pub fault: Option<String>,
    /// How it stands.
    pub state: TileState,
    /// From its mouth to our ear, in ms.
    pub ear_ms: Option<f32>,
    /// How loud it is played.
    pub volume: f32,
    /// There is a picture to draw; its width over its height.
    pub aspect: Option<f32>,
}

/// The recording.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum RecView {
    /// None was asked for.
    #[default]
    Off,
    /// It begins with the call.
    Waiting,
    /// It runs.
    On {
        /// So many seconds.
        seconds: u64,
        /// So many bytes.
        bytes: u64,
        /// Pictures that had to be repeated, since the camera was late.
        repeated: u64,
        /// Gaps of the microphone that were filled with silence.
        gaps: u64,
        /// What was lost for good, as a sentence.
        lost: Option<String>,
    },
    /// It ended before its time: why, and what is safe.
    Failed(String),
    /// The file is being closed.
    Finishing,
}

/// How bad a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weight {
    /// Good to know.
    #[default]
    Note,
    /// Something is not as it should be; the recording is safe.
    Warning,
    /// The recording is not safe.
    Alarm,
}

/// Something that happened, and what it means for the recording.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notice {
    /// Never the same twice.
    pub id: u64,
    /// How bad it is.
    pub weight: Weight,
    /// A sentence or two.
    pub text: String,
}

/// One participant's figures.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PeerFigures {
    /// Its name.
    pub name: String,
    /// It needs attention.
    pub weak: bool,
    /// From its mouth to our ear, in ms.
    pub ear_ms: Option<f32>,
    /// There and back, in ms.
    pub round_trip_ms: Option<f32>,
    /// Packets that never came, in percent.
    pub lost: f32,
    /// Those of them that copies made good, in percent of all.
    pub repaired: f32,
    /// How long sound waits for what is late, in ms.
    pub jitter_ms: f32,
    /// What comes, in kbit/s.
    pub down_kbps: f32,
    /// What goes, in kbit/s.
    pub up_kbps: f32,
    /// What picture it is sent: "480p, 24 fps", "none".
    pub picture: String,
    /// `ear_ms` of the last minute, a value a second, the oldest first.
    pub ear_history: Vec<f32>,
    /// `lost` of the last minute, likewise.
    pub lost_history: Vec<f32>,
}

/// The call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CallView {
    /// Nobody else is here yet.
    pub waiting: bool,
    /// It is being ended.
    pub ending: bool,
    /// For a host, and for a guest who came by one.
    pub invite: Option<InviteView>,
    /// The invite was put on the clipboard just now.
    pub copied: bool,
    /// Ourselves first.
    pub tiles: Vec<Tile>,
    /// We are not heard.
    pub muted: bool,
    /// We are seen; none without a camera.
    pub camera_on: Option<bool>,
    /// The recording.
    pub rec: RecView,
    /// Markers so far.
    pub markers: usize,
    /// The newest last.
    pub notices: Vec<Notice>,
    /// Our figures of each of the others.
    pub figures: Vec<PeerFigures>,
    /// What all of it takes of our upload, in Mbit/s.
    pub upload_mbps: f32,
}

/// How well something is in sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grade {
    /// Nobody can say.
    #[default]
    Unknown,
    /// Put the files at zero.
    Green,
    /// Look at it.
    Amber,
    /// It is off.
    Red,
}

/// A participant in the certificate.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SyncRow {
    /// Its name.
    pub name: String,
    /// How far it lies from where it should, in ms.
    pub offset_ms: Option<f64>,
    /// How much that changes, in ppm.
    pub drift_ppm: Option<f64>,
    /// Pictures that were repeated.
    pub repeated: Option<u64>,
    /// Gaps that were filled with silence.
    pub gaps: Option<u64>,
}

/// The last screen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SummaryView {
    /// "Episode 41 is safe", or what happened instead.
    pub title: String,
    /// Something was lost, or nothing was recorded.
    pub bad: bool,
    /// The take's folder; none where nothing was recorded.
    pub folder: Option<PathBuf>,
    /// How long it is, in seconds.
    pub seconds: f64,
    /// "1080p 30"; none without a picture.
    pub picture: Option<String>,
    /// All its files, in bytes.
    pub bytes: u64,
    /// What was lost: "nothing".
    pub lost: String,
    /// Pictures: captured, repeated, decimated, dropped.
    pub frames: Option<[u64; 4]>,
    /// How well it is in sync.
    pub grade: Grade,
    /// "In sync to 0.4 ms, start to end".
    pub sync_title: String,
    /// What to do with the files.
    pub sync_text: String,
    /// Ourselves, and whom we heard.
    pub rows: Vec<SyncRow>,
    /// What went wrong, and what is safe all the same.
    pub error: Option<String>,
}
