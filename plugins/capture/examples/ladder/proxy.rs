//! A path between two UDP ports of this machine, in real time, both ways.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_netem::{Conditions, Link};
use hyperzoom_protocol::{Header, MAX_DATAGRAM, PacketType};

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// How long the proxy sleeps where nothing is to be done.
const NAP: Duration = Duration::from_micros(200);

/// One datagram from the host to the guest.
pub(crate) struct Passage {
    pub(crate) sent: Instant,
    /// When it came out of the path; `None` where it did not.
    pub(crate) arrived: Option<Instant>,
    pub(crate) bytes: usize,
    pub(crate) is_audio: bool,
    pub(crate) is_video: bool,
}

pub(crate) struct Proxy {
    port: u16,
    stop: Arc<AtomicBool>,
    conditions: Arc<Mutex<Option<Conditions>>>,
    thread: JoinHandle<Vec<Passage>>,
}

impl Proxy {
    /// Starts to forward between whoever sends to [`port`](Self::port) and `host`.
    pub(crate) fn start(conditions: Conditions, host: SocketAddr) -> std::io::Result<Self> {
        let socket = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true).map(|()| socket)
        };
        let (outer, inner) = (socket()?, socket()?);
        let port = outer.local_addr()?.port();
        let (stop, wish) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let mut path = Path {
            outer,
            inner,
            host,
            guest: None,
            there: Link::new(conditions, 1),
            back: Link::new(conditions, 2),
            epoch: Instant::now(),
            passages: Vec::new(),
            in_flight: VecDeque::new(),
        };
        let (told, changes) = (stop.clone(), wish.clone());
        let thread = std::thread::spawn(move || {
            make_real_time();
            while !told.load(Ordering::Relaxed) {
                if let Some(conditions) = changes.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    path.there.set_conditions(conditions);
                    path.back.set_conditions(conditions);
                }
                path.turn();
                std::thread::sleep(NAP);
            }
            path.passages
        });
        Ok(Self { port, stop, conditions: wish, thread })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Both ways are like that from here on.
    pub(crate) fn set(&self, conditions: Conditions) {
        *self.conditions.lock().unwrap_or_else(PoisonError::into_inner) = Some(conditions);
    }

    /// Ends it; what went from the host to the guest.
    pub(crate) fn stop(self) -> Vec<Passage> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// A network does not stand still since the machine is busy.
fn make_real_time() {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let set = ThreadPriorityValue::try_from(15).ok().and_then(|value| {
        let priority = ThreadPriority::Crossplatform(value);
        set_thread_priority_and_policy(thread_native_id(), priority, policy).ok()
    });
    if set.is_none() {
        eprintln!("(without real-time priority: a busy machine is part of the path)");
    }
}

struct Path {
    outer: UdpSocket,
    inner: UdpSocket,
    host: SocketAddr,
    guest: Option<SocketAddr>,
    /// From the host to the guest.
    there: Link,
    back: Link,
    epoch: Instant,
    passages: Vec<Passage>,
    /// Which passages are in the link, in order: it loses and reorders none but those that its queue has no room for.
    in_flight: VecDeque<usize>,
}

impl Path {
    fn turn(&mut self) {
        let mut datagram = [0; MAX_DATAGRAM];
        // One who is not there any more makes errors here: as good as lost.
        while let Ok((len, from)) = self.outer.recv_from(&mut datagram) {
            self.guest = Some(from);
            self.back.send(self.epoch.elapsed(), datagram[..len].to_vec());
        }
        while let Ok((len, _)) = self.inner.recv_from(&mut datagram) {
            let now = self.epoch.elapsed();
            let kind = Header::parse(&datagram[..len]).map(|(header, _)| header.kind).ok();
            let full = self.there.stats().overflowed;
            self.there.send(now, datagram[..len].to_vec());
            if self.there.stats().overflowed == full {
                self.in_flight.push_back(self.passages.len());
            }
            self.passages.push(Passage {
                sent: self.epoch + now,
                arrived: None,
                bytes: len,
                is_audio: kind == Some(PacketType::Audio),
                is_video: matches!(kind, Some(PacketType::VideoKeyframe | PacketType::VideoDelta)),
            });
        }
        let now = self.epoch.elapsed();
        while let Some((arrived, datagram)) = self.there.poll_timed(now) {
            if let Some(passage) = self.in_flight.pop_front().and_then(|at| self.passages.get_mut(at)) {
                passage.arrived = Some(self.epoch + arrived);
            }
            if let Some(guest) = self.guest {
                let _ = self.outer.send_to(&datagram, guest);
            }
        }
        while let Some(datagram) = self.back.poll(now) {
            let _ = self.inner.send_to(&datagram, self.host);
        }
    }
}
