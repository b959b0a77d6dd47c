//! Opening everything that a call needs, in the order in which a person wants to hear of what is missing.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Instant;

use hyperzoom_audio::{AudioConfig, AudioEngine, AudioEvents, FrameSize, SoundSpec};
use hyperzoom_capture_plugin::VoiceCare;
use hyperzoom_gpu::SharedGpu;
use hyperzoom_protocol::{Invite, InviteKey};
use hyperzoom_recorder::RecordError;
use hyperzoom_session::Config;
use hyperzoom_timing::SharedClock;
use hyperzoom_transport::{Bound, Role, StreamSender, Transport, TransportError, TransportEvents};
use hyperzoom_video::{
    Camera, CameraConfig, CameraEvents, CameraSpec, LiveConfig, LiveVideo, MakeScaler, Scaler,
};

use super::hosted::Hosted;
use super::identity::Identity;
use super::router::Router;
use crate::console::Console;
use crate::error::CommandError;

/// The port that a host waits at where none is asked for.
pub const DEFAULT_PORT: u16 = 47_800;

/// How many people a session holds (spec §4.1).
const CAPACITY: u8 = 4;

/// Bits a second of the voice that is sent in frames of 5 ms. The spec's 32 kbit/s (§4.2.1) are for a voice that is clear, and at this
/// delay they are not enough: `./x bench loss --bitrate` prints the PESQ of each.
const VOICE_BITRATE: u32 = 64_000;

/// Which side of the call this is.
#[derive(Debug, Clone)]
pub enum Side {
    /// Opens a session.
    Host {
        /// The port to wait at.
        port: Option<u16>,
        /// Without a key.
        open: bool,
        /// The session that was cut off last, at its port and with its key.
        resume: bool,
    },
    /// Joins one.
    Guest(Invite),
}

/// Everything there is to choose about a call.
#[derive(Debug, Clone)]
pub struct CallOptions {
    /// Host or guest.
    pub side: Side,
    /// The name that others see.
    pub name: String,
    /// What the session is called, in the name of the take's folder; none names it by its time alone.
    pub session: Option<String>,
    /// The address of the network interface to use.
    pub bind: Option<IpAddr>,
    /// End the call this long after it began.
    pub length: Option<std::time::Duration>,
    /// The microphone.
    pub mic: SoundSpec,
    /// The loudspeaker.
    pub speaker: SoundSpec,
    /// The picture.
    pub camera: CameraSpec,
    /// Where that camera is not there the call does without, instead of failing.
    pub camera_may_miss: bool,
    /// Begin with the camera off for the others: it is recorded, and not sent.
    pub camera_off: bool,
    /// The length of a frame of live audio; `None` goes by the network and this machine.
    pub frame: Option<FrameSize>,
    /// Where takes are kept; `None` does not record.
    pub folder: Option<PathBuf>,
    /// Whether the microphone is kept as it came as well, where a take is kept.
    pub flac: bool,
    /// How long the router is asked to let others in at a time; none does not ask it.
    pub router_lease: Option<std::time::Duration>,
    /// Set a marker for each line of standard input, also where that is no terminal.
    pub markers: bool,
}

/// The camera and what its pictures go through.
pub(super) struct PictureEngines {
    pub(super) camera: Camera,
    pub(super) events: CameraEvents,
    pub(super) live: LiveVideo,
}

/// All that runs during a call.
pub(crate) struct Engines {
    pub(super) options: CallOptions,
    pub(super) epoch: Instant,
    pub(super) clock: SharedClock,
    pub(super) invite: Option<String>,
    pub(super) identity: Identity,
    pub(super) hosted: Option<Hosted>,
    pub(super) router: Router,
    pub(super) transport: (Transport, TransportEvents),
    pub(super) sound: (AudioEngine, AudioEvents),
    pub(super) pictures: Option<PictureEngines>,
}

/// Opens everything that a call needs, and begins to wait for others, or to look for the host.
///
/// # Errors
/// [`CommandError`] for the first thing that is missing. Nothing runs then.
pub(crate) fn start(options: CallOptions, console: &Console) -> Result<Engines, CommandError> {
    let epoch = Instant::now();
    let clock = SharedClock::new();
    if let Some(folder) = &options.folder {
        check_folder(folder)?;
        if options.mic == SoundSpec::None && options.camera.is_none() {
            return Err(CommandError::Usage(RecordError::Nothing.to_string()));
        }
    }
    let again = cut_off(&options.side, console)?;
    let key = match (&options.side, &again) {
        (_, Some(hosted)) => hosted.key(),
        (Side::Host { open: false, .. }, None) => Some(InviteKey(random()?)),
        (Side::Host { open: true, .. }, None) => None,
        (Side::Guest(invite), None) => invite.key,
    };
    let is_host = matches!(options.side, Side::Host { .. });
    if is_host && key.is_none() {
        console.say("this session is OPEN: anybody who can reach this machine can join and listen");
    }
    let (bound, audio_out, video_out) = bind(&options, again.as_ref().map(Hosted::port))?;
    // The router has until the devices are open, and somewhat longer.
    let mut router = Router::start(bound.local_addr(), options.router_lease, is_host, key, console);
    let sound = hyperzoom_audio::start(
        AudioConfig {
            epoch,
            mic: options.mic.clone(),
            speaker: options.speaker.clone(),
            frame: options.frame.unwrap_or(VoiceCare::FIRST_FRAME),
            bitrate: VOICE_BITRATE,
            clock: clock.clone(),
        },
        Box::new(audio_out),
    )?;
    let pictures = start_pictures(&options.camera, options.camera_may_miss, epoch, &clock, video_out)?;

    let role = match (&options.side, &again) {
        (_, Some(hosted)) => Role::HostAgain(hosted.about_ns()),
        (Side::Host { .. }, None) => Role::Host,
        (Side::Guest(invite), None) => Role::Guest(invite.addr),
    };
    let invite = is_host.then(|| router.invite(console));
    let identity = match options.side {
        Side::Host { .. } => Identity::new()?,
        Side::Guest(ref invite) => Identity::of_guest(invite, &options.name)?,
    };
    let session_id = match &again {
        Some(hosted) => hosted.session_id(),
        None => u64::from_be_bytes(random()?),
    };
    let session = Config {
        name: options.name.clone(),
        key,
        session_id,
        instance: identity.instance(),
        capacity: CAPACITY,
    };
    let port = bound.local_addr().port();
    let transport = bound.start(role, session, epoch, clock.clone())?;
    let hosted = again.or_else(|| is_host.then(|| Hosted::begin(session_id, key.as_ref(), port)));
    Ok(Engines { options, epoch, clock, invite, identity, hosted, router, transport, sound, pictures })
}

/// The session to go on with, where that is asked for; where it is not, a host is told of one.
fn cut_off(side: &Side, console: &Console) -> Result<Option<Hosted>, CommandError> {
    let Side::Host { resume, .. } = side else { return Ok(None) };
    let found = Hosted::cut_off();
    if *resume {
        return found.map(Some).ok_or_else(|| {
            CommandError::Usage(
                "no session of yours was cut off within the last hour: `hyperzoom host` begins one".into(),
            )
        });
    }
    if let Some(hosted) = found {
        let minutes = hosted.away().as_secs() / 60;
        console.say(format!(
            "a session of yours was cut off {minutes} min ago: `hyperzoom host --resume` goes on with it, should its guests \
             still be there"
        ));
    }
    Ok(None)
}

fn start_pictures(
    spec: &CameraSpec,
    may_miss: bool,
    epoch: Instant,
    clock: &SharedClock,
    video_out: StreamSender,
) -> Result<Option<PictureEngines>, CommandError> {
    if spec.is_none() {
        return Ok(None);
    }
    let started = hyperzoom_video::start_camera(CameraConfig { epoch, spec: spec.clone() });
    if may_miss && matches!(started, Err(hyperzoom_video::VideoError::NotFound { .. })) {
        return Ok(None);
    }
    let (camera, events) = started?;
    let gpu = SharedGpu::open();
    let scaler = MakeScaler::new(move |to| Box::new(gpu.scaler(to, Box::new(Scaler::new(to)))));
    let live = hyperzoom_video::start_live(
        LiveConfig { scaler, ..LiveConfig::new(epoch, clock.clone()) },
        camera.live_tap(),
        Box::new(video_out),
    )?;
    Ok(Some(PictureEngines { camera, events, live }))
}

fn bind(
    options: &CallOptions,
    again_at: Option<u16>,
) -> Result<(Bound, StreamSender, StreamSender), TransportError> {
    // All addresses of both families: others may come by either.
    let ip = options.bind.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
    if let Some(port) = again_at {
        return hyperzoom_transport::bind(SocketAddr::new(ip, port));
    }
    match options.side {
        Side::Host { port: Some(port), .. } => hyperzoom_transport::bind(SocketAddr::new(ip, port)),
        Side::Host { port: None, .. } => match hyperzoom_transport::bind(SocketAddr::new(ip, DEFAULT_PORT)) {
            Err(TransportError::PortTaken { .. }) => hyperzoom_transport::bind(SocketAddr::new(ip, 0)),
            bound => bound,
        },
        Side::Guest(_) => hyperzoom_transport::bind(SocketAddr::new(ip, 0)),
    }
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], CommandError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| CommandError::Failed(format!("the system gives no random numbers: {e}")))?;
    Ok(bytes)
}

/// Where takes are kept unless another folder is asked for: `~/HyperZoom/recordings` (spec §7).
///
/// # Errors
/// [`CommandError::Device`] where the system knows of no home folder.
pub fn recordings_folder() -> Result<PathBuf, CommandError> {
    let user = directories::UserDirs::new();
    let home =
        user.ok_or_else(|| CommandError::Device("no home folder: say where to record with --folder".into()))?;
    Ok(home.home_dir().join("HyperZoom").join("recordings"))
}

/// Makes the folder where it is missing, and makes sure that it can be written to before anybody talks.
fn check_folder(folder: &Path) -> Result<(), CommandError> {
    let refused = |e: std::io::Error| {
        CommandError::Device(format!(
            "cannot record into {}: {e}. Choose another folder with --folder, or talk without recording with --no-record",
            folder.display()
        ))
    };
    std::fs::create_dir_all(folder).map_err(refused)?;
    tempfile::tempfile_in(folder).map_err(refused).map(drop)
}
