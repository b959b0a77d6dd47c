//! One who has no key, knows the port, and sends it everything that looks like ours.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_protocol::{
    Capabilities, Control, Header, Hello, Initiator, InviteKey, Name, PROTOCOL_VERSION, PacketType,
};

use crate::Failure;

/// Ports that it sends from.
const PORTS: usize = 4;
/// What it has not sent in time for so long is not made up for: a network in between would not deliver that at once either.
const BEHIND_MOST: Duration = Duration::from_millis(2);
/// How many different datagrams of each kind it has.
const OF_EACH: usize = 64;

/// A running flood; it ends when this is dropped.
pub(crate) struct Stranger {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    began: Instant,
    thread: Option<JoinHandle<()>>,
}

impl Stranger {
    /// Sends `rate` datagrams a second to `target` from now on, those of `open` sessions with handshakes that can be read.
    pub(crate) fn start(target: SocketAddr, rate: u32, open: bool) -> Result<Self, Failure> {
        let sockets = (0..PORTS)
            .map(|_| {
                let socket = UdpSocket::bind((target.ip(), 0))?;
                socket.set_nonblocking(true)?;
                socket.connect(target)?;
                Ok(socket)
            })
            .collect::<Result<Vec<_>, std::io::Error>>()?;
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut datagrams = datagrams(open)?;
        let (ends, count) = (stop.clone(), sent.clone());
        let each = Duration::from_secs(1) / rate;
        let thread = std::thread::Builder::new().name("stranger".into()).spawn(move || {
            let (began, mut due, mut n) = (Instant::now(), Duration::ZERO, 0_usize);
            while !ends.load(Ordering::Relaxed) {
                let now = began.elapsed();
                due = due.max(now.saturating_sub(BEHIND_MOST));
                while due <= now {
                    due += each;
                    n += 1;
                    let at = n % datagrams.len();
                    let datagram = &mut datagrams[at];
                    // Another number each time, or most would be refused for their numbers alone.
                    if let Some(sequence) = datagram.get_mut(2..4) {
                        sequence.copy_from_slice(&((n / 64) as u16).to_be_bytes());
                    }
                    // What the system has no room for is not sent, and not counted.
                    if sockets[n % PORTS].send(datagram).is_ok() {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
                std::thread::sleep(Duration::from_micros(500));
            }
        })?;
        Ok(Self { stop, sent, began: Instant::now(), thread: Some(thread) })
    }

    /// Datagrams that were sent a second.
    pub(crate) fn rate(&self) -> f64 {
        self.sent.load(Ordering::Relaxed) as f64 / self.began.elapsed().as_secs_f64()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Bytes that nobody would call a pattern (xorshift, Marsaglia 2003).
fn noise(state: &mut u64, len: usize) -> Vec<u8> {
    (0..len)
        .map(|_| {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            *state as u8
        })
        .collect()
}

/// One of each kind after the other, again and again: sealed-looking voice, video, control and goodbyes under the numbers of those who
/// are in the call, handshakes of all sorts, probes, and what is too long, too short or nothing at all.
fn datagrams(open: bool) -> Result<Vec<Vec<u8>>, Failure> {
    let mut state = 0x2545_f491_4f6c_dd1d;
    let key = (!open).then_some(InviteKey([9; 32]));
    let mut all = Vec::new();
    for n in 0..OF_EACH {
        let guest = 1 + (n % 3) as u8;
        let mut shaped = |kind, first: &[u8], len| {
            let payload = [first, &noise(&mut state, len)].concat();
            let header = Header { kind, ..Header::control(guest, 0, payload.len() as u16) };
            [&header.encode()[..], &payload].concat()
        };
        all.extend([
            shaped(PacketType::Audio, &[], 62),
            shaped(PacketType::Audio, &[], 130),
            shaped(PacketType::VideoKeyframe, &[], 1188),
            shaped(PacketType::VideoDelta, &[], 700),
            // Envelopes: 0 a probe, 1 and 2 the two messages of a handshake, 3 a sealed message, 4 a cookie.
            shaped(PacketType::Control, &[3], 40),
            shaped(PacketType::Control, &[3], 1186),
            shaped(PacketType::Control, &[0], 0),
            shaped(PacketType::Control, &[1], 500),
            shaped(PacketType::Control, &[2], 120),
            shaped(PacketType::Control, &[4], 32),
            shaped(PacketType::Bye, &[3], 17),
            shaped(PacketType::Audio, &[], 1400),
            shaped(PacketType::VideoDelta, &[], 8000),
        ]);
        let hello = Control::Hello(Hello {
            version: PROTOCOL_VERSION,
            instance: n as u128,
            name: Name::clean("Eve"),
            capabilities: Capabilities::OURS,
            session_id: None,
            participant: None,
            cookie: None,
        });
        all.push(Initiator::start(key.as_ref(), 0xFF, n as u16, &hello)?.1);
        all.push(noise(&mut state, n % 12));
        all.push(noise(&mut state, 20 * n));
    }
    Ok(all)
}
