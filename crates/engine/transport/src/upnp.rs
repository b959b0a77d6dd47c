//! Asking the router to let others in: a port mapping by UPnP (Internet Gateway Device).
//!
//! [`PortMapping::start`] returns at once. Its thread looks for the router, has it map the port for a lease of a few minutes, renews that at half of
//! its time, and takes it back when the [`PortMapping`] is dropped. After a crash the router forgets it at the end of the lease. Nothing in
//! the call waits for any of it: the network thread and the media know nothing of routers.

mod mapper;
mod router;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use mapper::Mapper;
use router::Igd;

/// How long a mapping lasts where nobody renews it.
pub const LEASE: Duration = Duration::from_secs(300);

/// How long the end of a call waits for the router to take a mapping back. They answer within milliseconds; one that does not forgets it
/// at the end of the lease.
const REMOVAL_LIMIT: Duration = Duration::from_secs(2);

/// What there is to know of the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouterEvent {
    /// Others reach the socket at this address. Comes again where the address changes.
    Mapped {
        /// The router's address on the internet, and the port there.
        external: SocketAddr,
        /// The router knows no leases: after a crash the mapping stays until somebody removes it.
        permanent: bool,
    },
    /// There is no mapping, or no longer.
    NotMapped(NotMapped),
}

/// Why the router does not let others in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMapped {
    /// No router answers.
    #[error(
        "no router here opens ports by itself (UPnP): people outside this network get in only if the router forwards UDP port {port} \
         to this machine"
    )]
    NoRouter {
        /// Our port.
        port: u16,
    },
    /// The router has no public address itself.
    #[error(
        "the router's own address is {external}, which is not on the internet: its provider or another router stands between, so \
         people outside this network may not get in"
    )]
    BehindAnother {
        /// The router's outer address.
        external: IpAddr,
    },
    /// The router said no.
    #[error(
        "the router does not open port {port} ({why}): forward UDP port {port} to this machine by hand, or turn UPnP on in the router"
    )]
    Refused {
        /// Our port.
        port: u16,
        /// What the router said.
        why: String,
    },
}

/// A port mapping as long as this is kept. Dropping it takes the mapping back, which waits for the router for two seconds at the longest.
#[derive(Debug)]
pub struct PortMapping {
    stop: Option<Sender<()>>,
    done: Receiver<()>,
    /// The router has a mapping of ours, or may have.
    held: Arc<AtomicBool>,
}

impl PortMapping {
    /// Begins to look for a router that leads datagrams to `local`, the socket's address on the interface that others reach it by. What comes of it is in
    /// the receiver. None where no router is needed: the address is a public one, or that of this machine only, or no thread can be had.
    #[must_use]
    pub fn start(local: SocketAddr, lease: Duration) -> Option<(Self, Receiver<RouterEvent>)> {
        let SocketAddr::V4(local) = local else { return None };
        is_behind_router(*local.ip()).then_some(())?;
        let held = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = channel();
        let (done_in, done) = channel();
        let (events_in, events) = channel();
        let mapper = Mapper::new(Igd::new(*local.ip()), local, lease, held.clone());
        std::thread::Builder::new()
            .name("hz-upnp".into())
            .spawn(move || {
                run(mapper, &stopped, &events_in);
                drop(done_in);
            })
            .inspect_err(|error| tracing::warn!(%error, "no thread for the router"))
            .ok()?;
        Some((Self { stop: Some(stop), done, held }, events))
    }
}

impl Drop for PortMapping {
    fn drop(&mut self) {
        self.stop = None;
        if self.held.load(Ordering::Acquire) {
            // Its end is that the other side of the channel goes.
            let _ = self.done.recv_timeout(REMOVAL_LIMIT);
        }
    }
}

fn run(mut mapper: Mapper<Igd>, stopped: &Receiver<()>, events: &Sender<RouterEvent>) {
    loop {
        let step = mapper.step();
        if let Some(event) = step.event {
            // Whoever does not listen has the mapping all the same.
            let _ = events.send(event);
        }
        let Some(wait) = step.again_in else { break };
        if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    mapper.remove();
}

/// Whether an address is one that only its own network reaches: private (RFC 1918), shared by a provider (RFC 6598) or link-local (RFC 3927).
fn is_behind_router(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    ip.is_private() || ip.is_link_local() || (a == 100 && b & 0xC0 == 64)
}

/// An address that is nobody's on the internet.
fn is_not_public(ip: Ipv4Addr) -> bool {
    is_behind_router(ip) || ip.is_loopback() || ip.is_unspecified()
}

/// The mapping is asked for again after this where that failed.
const RETRY: Duration = Duration::from_secs(10);

type Internal = SocketAddrV4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_behind_a_router_is_mapped() {
        for (ip, behind) in [
            ("192.168.1.2", true),
            ("10.0.0.1", true),
            ("172.16.0.1", true),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("169.254.1.1", true),
            ("100.128.0.1", false),
            ("100.63.255.255", false),
            ("11.0.0.11", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(is_behind_router(ip.parse().unwrap()), behind, "{ip}");
        }
        for none in ["127.0.0.1:5000", "11.0.0.11:5000", "[::1]:5000", "[2001:db8::1]:5000"] {
            assert!(PortMapping::start(none.parse().unwrap(), LEASE).is_none(), "{none}");
        }
    }
}
