//! A bad network between a guest and a host on this machine, both ways, in real time.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_netem::{Conditions, Link};
use hyperzoom_protocol::MAX_DATAGRAM;

/// How long the proxy sleeps where nothing is to be done: what it adds to the link's own delay at most, but for the
/// scheduler's share.
const NAP: Duration = Duration::from_micros(200);

/// Stands between a guest, which takes it for the host, and the host, which takes it for the guest. It ends when it is dropped.
pub(crate) struct Proxy {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts to forward to `host` and back.
    ///
    /// # Errors
    /// Where there is no socket to be had.
    pub(crate) fn start(conditions: Conditions, seed: u64, host: SocketAddr) -> io::Result<Self> {
        let socket = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            io::Result::Ok(socket)
        };
        let (near, far) = (socket()?, socket()?);
        let addr = near.local_addr()?;
        let links = [Link::new(conditions, seed), Link::new(conditions, seed + 1)];
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::Builder::new()
            .name("proxy".into())
            .spawn(move || forward(&near, &far, host, links, &told))?;
        Ok(Self { addr, stop, thread: Some(thread) })
    }

    /// What the guest takes for the host's address.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn forward(near: &UdpSocket, far: &UdpSocket, host: SocketAddr, links: [Link; 2], stop: &AtomicBool) {
    let epoch = Instant::now();
    let [mut up, mut down] = links;
    let mut guest = None;
    let mut datagram = [0; MAX_DATAGRAM];
    while !stop.load(Ordering::Relaxed) {
        while let Ok((len, from)) = near.recv_from(&mut datagram) {
            guest = Some(from);
            up.send(epoch.elapsed(), datagram[..len].to_vec());
        }
        while let Ok((len, _)) = far.recv_from(&mut datagram) {
            down.send(epoch.elapsed(), datagram[..len].to_vec());
        }
        let now = epoch.elapsed();
        // Whoever is not there yet, or no more, makes errors here: as good as lost.
        while let Some(datagram) = up.poll(now) {
            let _ = far.send_to(&datagram, host);
        }
        while let Some(datagram) = down.poll(now) {
            if let Some(guest) = guest {
                let _ = near.send_to(&datagram, guest);
            }
        }
        let next = [&up, &down].into_iter().filter_map(Link::next_at).min();
        std::thread::sleep(next.map_or(NAP, |next| next.saturating_sub(now)).min(NAP));
    }
}
