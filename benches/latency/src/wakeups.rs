//! The part of a call's cost that is the machine's: to wake threads and to carry datagrams, with no sound in them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What the names of the threads begin with that stand for ours.
pub(crate) const OURS: &str = "bare-";

/// Bytes of a datagram, those of a frame of sound.
const DATAGRAM: usize = 60;

/// How long a read waits, so that its thread ends.
const READ_TIMEOUT: Duration = Duration::from_millis(5);

/// The threads of a call without what they are there for: with each frame a microphone wakes the live thread, which sends a
/// datagram to each of the others, and a loudspeaker wakes up; another waits for the datagrams of the others.
pub(crate) struct Wakeups {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Wakeups {
    /// Starts them, and threads of other names for the others, until this is dropped.
    pub(crate) fn start(frame: Duration, others: usize) -> io::Result<Self> {
        let mut all = Self { stop: Arc::default(), threads: Vec::new() };
        let ours = socket()?;
        let mut ears = Vec::new();
        for _ in 0..others {
            let ear = socket()?;
            ears.push(ear.local_addr()?);
            all.every(frame, "other-live", send(ear.clone(), vec![ours.local_addr()?]))?;
            all.listen("other-net", ear)?;
        }
        let mut to_others = send(ours.clone(), ears);
        let live = all.until_stopped("bare-live", move || {
            thread::park();
            to_others();
        })?;
        all.every(frame, "bare-mic", move || live.unpark())?;
        all.every(frame, "bare-speaker", || {})?;
        all.listen("bare-net", ours)?;
        Ok(all)
    }

    fn listen(&mut self, name: &str, socket: Arc<UdpSocket>) -> io::Result<()> {
        let mut datagram = [0; DATAGRAM];
        self.until_stopped(name, move || drop(socket.recv_from(&mut datagram)))?;
        Ok(())
    }

    fn every(
        &mut self,
        frame: Duration,
        name: &str,
        mut act: impl FnMut() + Send + 'static,
    ) -> io::Result<()> {
        let mut next = Instant::now();
        self.until_stopped(name, move || {
            act();
            next += frame;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        })?;
        Ok(())
    }

    fn until_stopped(
        &mut self,
        name: &str,
        mut act: impl FnMut() + Send + 'static,
    ) -> io::Result<thread::Thread> {
        let stop = self.stop.clone();
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                act();
            }
        })?;
        let thread = started.thread().clone();
        self.threads.push(started);
        Ok(thread)
    }
}

fn socket() -> io::Result<Arc<UdpSocket>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(READ_TIMEOUT))?;
    Ok(Arc::new(socket))
}

fn send(from: Arc<UdpSocket>, to: Vec<SocketAddr>) -> impl FnMut() + Send {
    move || {
        for to in &to {
            // One that does not arrive costs as much.
            let _ = from.send_to(&[0; DATAGRAM], to);
        }
    }
}

impl Drop for Wakeups {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
