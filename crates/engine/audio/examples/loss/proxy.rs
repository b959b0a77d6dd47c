//! A bad network between two UDP ports of this machine, in real time.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_netem::{Link, LinkStats};

/// How long the proxy sleeps where nothing is to be done: what it adds to the link's own delay at most, but for the
/// scheduler's share.
const NAP: Duration = Duration::from_micros(200);
/// Longer than any datagram of a voice.
const MAX_DATAGRAM: usize = 2048;

/// Forwards what comes to [`port`](Self::port) through a [`Link`] whose time begins with the first datagram.
pub(crate) struct Proxy {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<LinkStats>,
}

impl Proxy {
    /// Starts to forward to `target`, a port of this machine.
    ///
    /// # Errors
    /// Where there is no socket to be had.
    pub(crate) fn start(link: Link, target: u16) -> std::io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let port = socket.local_addr()?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
        let told = stop.clone();
        let thread = std::thread::spawn(move || forward(&socket, link, target, &told));
        Ok(Self { port, stop, thread })
    }

    /// Where to send to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it, and says what became of the datagrams.
    pub(crate) fn stop(self) -> LinkStats {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn forward(socket: &UdpSocket, mut link: Link, target: SocketAddr, stop: &AtomicBool) -> LinkStats {
    let mut epoch = None;
    let mut datagram = [0; MAX_DATAGRAM];
    while !stop.load(Ordering::Relaxed) {
        // A listener that is not there yet, or no more, makes errors here: as good as lost.
        while let Ok((len, _)) = socket.recv_from(&mut datagram) {
            let now = epoch.get_or_insert_with(Instant::now).elapsed();
            link.send(now, datagram[..len].to_vec());
        }
        let now = epoch.map_or(Duration::ZERO, |epoch| epoch.elapsed());
        while let Some(datagram) = link.poll(now) {
            let _ = socket.send_to(&datagram, target);
        }
        let next = link.next_at().map_or(NAP, |next| next.saturating_sub(now));
        std::thread::sleep(next.min(NAP));
    }
    link.stats()
}

/// A UDP port of this machine that nobody has.
pub(crate) fn free_port() -> std::io::Result<u16> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
