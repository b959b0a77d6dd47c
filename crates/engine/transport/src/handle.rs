//! Binding the socket, starting the receive thread, and the control plane's hold on it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use hyperzoom_protocol::{AudioReport, CameraState, Stream};
use hyperzoom_session::{Config, Session};
use hyperzoom_timing::SharedClock;

use crate::gate::VideoGate;
use crate::links::Senders;
use crate::orders::Orders;
use crate::receive::ReceiveThread;
use crate::resend::Resender;
use crate::socket::SocketWire;
use crate::{StreamSender, TransportError, TransportEvents, Turn, events, socket};

/// Which side of the handshake this process is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Waits for others.
    Host,
    /// Goes on with the session that it hosted before it was cut off, whose time is about so many nanoseconds by now.
    HostAgain(i64),
    /// Joins the host at this address.
    Guest(SocketAddr),
}

/// A socket that nobody listens to yet, so that devices can be opened before anybody hears of us.
pub struct Bound {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    senders: Senders,
    resender: Resender,
    gate: Arc<VideoGate>,
}

/// The control plane's hold on the receive thread. Dropping it ends the thread without a goodbye.
pub struct Transport {
    orders: Arc<Orders>,
    gate: Arc<VideoGate>,
    thread: Option<JoinHandle<()>>,
}

/// Binds the socket; port 0 takes any free one. The two senders, for audio and for video, are for the threads that encode:
/// they send to whoever is connected, once the transport is started.
///
/// # Errors
/// [`TransportError`] when the address cannot be had.
pub fn bind(addr: SocketAddr) -> Result<(Bound, StreamSender, StreamSender), TransportError> {
    let socket = Arc::new(socket::bind(addr)?);
    let local = socket.local_addr().map_err(|e| TransportError::from_bind(addr, e))?;
    let turn = Turn::default();
    let gate = Arc::new(VideoGate::default());
    let (audio, audio_link) = StreamSender::new(socket.clone(), Stream::Audio, turn.clone(), gate.clone());
    let (mut video, video_link) =
        StreamSender::new(socket.clone(), Stream::Video, turn.clone(), gate.clone());
    let resender = Resender::new(video.keep_sent(), turn, gate.clone());
    let senders = Senders::new(audio_link, video_link);
    Ok((Bound { socket, local, senders, resender, gate }, audio, video))
}

impl Bound {
    /// The address that the socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Starts the receive thread, which publishes the session clock in `clock` and counts its times from `epoch`.
    ///
    /// # Errors
    /// [`TransportError::Thread`] when the system gives no thread.
    pub fn start(
        self,
        role: Role,
        session: Config,
        epoch: Instant,
        clock: SharedClock,
    ) -> Result<(Transport, TransportEvents), TransportError> {
        let (events_in, events) = events::channel();
        let orders = Arc::new(Orders::default());
        let now = epoch.elapsed();
        let session = match role {
            Role::Host => Session::host(session, now),
            Role::HostAgain(about_ns) => Session::resume(session, now, about_ns),
            Role::Guest(host) => {
                let mut session = Session::guest(session, host, now);
                session.set_local(socket::local_addrs(self.local));
                session
            }
        };
        let wire = SocketWire::new(self.socket, epoch, self.local);
        let thread = ReceiveThread::new(
            wire,
            session,
            clock,
            events_in,
            orders.clone(),
            self.senders,
            self.gate.clone(),
        )
        .with_resender(self.resender.counting_from(epoch));
        let thread = std::thread::Builder::new()
            .name("hz-net".into())
            .spawn(move || thread.run())
            .map_err(TransportError::Thread)?;
        Ok((Transport { orders, gate: self.gate, thread: Some(thread) }, events))
    }
}

impl Transport {
    /// Says goodbye to everybody; [`TransportEvent::Ended`](crate::TransportEvent::Ended) follows.
    pub fn leave(&mut self) {
        self.orders.leave();
    }

    /// Asks `peer` for a video keyframe. The session asks no more often than is useful.
    pub fn request_keyframe(&mut self, peer: u8) {
        self.orders.request_keyframe(peer);
    }

    /// Tells `peer` how its voice was heard in the last second. The session tells it no more often than is useful.
    pub fn report_audio(&mut self, peer: u8, report: AudioReport) {
        self.orders.report_audio(peer, report);
    }

    /// Tells everybody what has become of our pictures, and whoever comes later.
    pub fn set_camera(&mut self, camera: CameraState) {
        self.orders.set_camera(camera);
    }

    /// Where our router lets others in, if it does: the host introduces us with that address.
    pub fn set_reachable(&mut self, addr: Option<SocketAddr>) {
        self.orders.set_reachable(addr);
    }

    /// Sends `peer` video, or none. It is sent some from the next keyframe on.
    pub fn set_video(&mut self, peer: u8, on: bool) {
        self.gate.set_off(peer, !on);
    }

    /// How fast the datagrams of a frame of video follow one another, in kbit/s.
    pub fn set_pace(&mut self, kbps: u32) {
        self.gate.set_pace(kbps);
    }

    /// Sends `peer` so much filling, in kbit/s, to find out whether the path to it holds more; 0 ends it.
    pub fn set_filling(&mut self, peer: u8, kbps: u32) {
        self.orders.set_filling(peer, kbps);
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.orders.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the network thread has panicked");
        }
    }
}
