//! One side of the call: the engines, and of an app what decides how fast the picture may leave.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyperzoom_congestion::{PathReport, PeerLadder};
use hyperzoom_protocol::InviteKey;
use hyperzoom_session::Config;
use hyperzoom_timing::SharedClock;
use hyperzoom_transport::{LinkStats, Role, StreamSender, Transport, TransportEvent, TransportEvents, bind};
use hyperzoom_video::{
    Camera, CameraConfig, CameraEvents, LiveConfig, LiveVideo, VideoDecoder, start_camera, start_decoder,
    start_live,
};

use crate::sink::{DecodingSink, Truth};
use crate::voice::Voice;

type Failure = Box<dyn std::error::Error>;

pub(crate) struct Person {
    addr: SocketAddr,
    transport: Transport,
    events: TransportEvents,
    pictures: Option<Pictures>,
    /// A guest only looks on; its senders keep the streams open.
    _idle: Option<(StreamSender, StreamSender)>,
    /// By its delay the other side sees what the path holds, which the pace of the picture goes by.
    _voice: Option<Voice>,
    epoch: Instant,
    ladder: PeerLadder,
    peer: Option<u8>,
    stats: LinkStats,
}

struct Pictures {
    _camera: Camera,
    _events: CameraEvents,
    live: LiveVideo,
}

impl Person {
    /// One who is seen, and whose pictures `truth` knows.
    pub(crate) fn host(epoch: Instant, truth: &Truth) -> Result<Self, Failure> {
        let (bound, audio, video) = bind("127.0.0.1:0".parse()?)?;
        let (addr, clock) = (bound.local_addr(), SharedClock::new());
        let (transport, events) = bound.start(Role::Host, config("Ada", 1), epoch, clock.clone())?;
        let (camera, camera_events) =
            start_camera(CameraConfig { epoch, spec: "pattern:1280x720@30".parse()? })?;
        let sink = DecodingSink::new(video, truth.clone())?;
        let live = start_live(LiveConfig::new(epoch, clock), camera.live_tap(), Box::new(sink))?;
        let pictures = Pictures { _camera: camera, _events: camera_events, live };
        Ok(Self {
            addr,
            transport,
            events,
            pictures: Some(pictures),
            _idle: None,
            _voice: Some(Voice::start(audio, epoch)),
            epoch,
            ladder: PeerLadder::new(epoch.elapsed()),
            peer: None,
            stats: LinkStats::default(),
        })
    }

    /// One who looks on, and takes `host` for the host.
    pub(crate) fn guest(epoch: Instant, host: SocketAddr) -> Result<Self, Failure> {
        let (bound, audio, video) = bind("127.0.0.1:0".parse()?)?;
        let addr = bound.local_addr();
        let (transport, events) =
            bound.start(Role::Guest(host), config("Bob", 2), epoch, SharedClock::new())?;
        Ok(Self {
            addr,
            transport,
            events,
            pictures: None,
            _idle: Some((audio, video)),
            _voice: None,
            epoch,
            ladder: PeerLadder::new(epoch.elapsed()),
            peer: None,
            stats: LinkStats::default(),
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits until both are connected; the decoder of what this one sees.
    pub(crate) fn meet(&mut self, other: &mut Self, patience: Duration) -> Result<VideoDecoder, Failure> {
        let deadline = Instant::now() + patience;
        let mut inbox = None;
        while Instant::now() < deadline {
            inbox = inbox.or_else(|| self.take_events());
            other.turn(None);
            match inbox.take() {
                Some(inbox) if other.peer.is_some() => return Ok(start_decoder(inbox.video)?),
                waiting => inbox = waiting,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err("the two do not find each other".into())
    }

    /// What the app's thread does in a call: listens to the network, and passes on what a decoder or a peer needs.
    pub(crate) fn turn(&mut self, decoder: Option<&VideoDecoder>) {
        self.take_events();
        self.ladder.advance(self.epoch.elapsed());
        // The size of the picture stays: what is compared are networks and not pictures.
        self.transport.set_pace(self.ladder.pace_kbps());
        if let (Some(peer), Some(true)) = (self.peer, decoder.map(VideoDecoder::wants_keyframe)) {
            self.transport.request_keyframe(peer);
        }
    }

    fn take_events(&mut self) -> Option<hyperzoom_transport::PeerInbox> {
        while let Some(event) = self.events.poll() {
            match event {
                TransportEvent::PeerConnected { id, inbox, .. } => {
                    self.peer = Some(id);
                    self.keyframe();
                    return Some(inbox);
                }
                TransportEvent::KeyframeRequested { .. } => self.keyframe(),
                TransportEvent::PathReported { report, .. } => {
                    self.ladder.handle_report(self.epoch.elapsed(), &PathReport::from(&report));
                }
                TransportEvent::Stats(stats) => {
                    if let Some(trip) = stats.round_trip {
                        self.ladder.handle_round_trip(self.epoch.elapsed(), trip);
                    }
                    self.stats = stats;
                }
                _ => {}
            }
        }
        None
    }

    fn keyframe(&self) {
        if let Some(pictures) = &self.pictures {
            pictures.live.request_keyframe();
        }
    }

    /// What the link has carried, as of the last second.
    pub(crate) fn stats(&self) -> LinkStats {
        self.stats
    }

    /// How many keyframes it sent.
    pub(crate) fn keyframes(&self) -> u64 {
        self.pictures.as_ref().map_or(0, |pictures| pictures.live.stats().keyframes)
    }
}

fn config(name: &str, instance: u128) -> Config {
    Config { name: name.into(), key: Some(InviteKey([5; 32])), session_id: 77, instance, capacity: 2 }
}
