//! The router's part in a call: which address the invite has, and what the person is told.
#![allow(clippy::needless_pass_by_value, reason = "the ECS hands systems their parameters by value")]

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Res, ResMut};
use hyperzoom_net_plugin::Net;
use hyperzoom_protocol::{Invite, InviteKey};
use hyperzoom_transport::{Interface, NotMapped, PortMapping, RouterEvent};

use super::flow::Call;
use crate::console::Console;

/// So long after the socket was opened the invite waits for the router. Opening the devices takes part of it; most routers answer within
/// some tens of milliseconds.
const INVITE_WAITS: Duration = Duration::from_secs(2);

/// The mapping, as long as the call lasts, and where it leads.
#[derive(Resource)]
pub(crate) struct Router {
    /// None where no router is asked: `--no-upnp`, a public address, this machine alone.
    mapping: Option<Mutex<(PortMapping, Receiver<RouterEvent>)>>,
    /// Where we are on our own network.
    local: SocketAddr,
    key: Option<InviteKey>,
    is_host: bool,
    began: Instant,
    /// Where the router lets others in, as long as it does.
    external: Option<SocketAddr>,
    /// The last place where it did.
    last_external: Option<SocketAddr>,
    /// Why it does not, as it last said.
    refusal: Option<NotMapped>,
    /// Whether it may be asked.
    may_ask: bool,
}

impl Router {
    /// Begins to ask the router for `lease` after `lease` for the port of a socket that is bound to `bound`.
    pub(super) fn start(
        bound: SocketAddr,
        lease: Option<Duration>,
        is_host: bool,
        key: Option<InviteKey>,
        console: &Console,
    ) -> Self {
        let interface = match bound.ip() {
            IpAddr::V6(ip) if ip.is_unspecified() => hyperzoom_transport::local_address_of_both(),
            ip => hyperzoom_transport::local_address(ip),
        };
        if interface == Interface::LoopbackOnly && is_host {
            console.say("this machine has no network: only programs on it can join");
        }
        let local = SocketAddr::new(interface.ip(), bound.port());
        let mapping = lease.and_then(|lease| PortMapping::start(local, lease)).map(Mutex::new);
        Self {
            mapping,
            local,
            key,
            is_host,
            began: Instant::now(),
            external: None,
            last_external: None,
            refusal: None,
            may_ask: lease.is_some(),
        }
    }

    /// The invite: to where the router lets others in, if it does by now.
    pub(super) fn invite(&mut self, console: &Console) -> String {
        if let Some(mapping) = &self.mapping {
            let (_, events) = &*mapping.lock().unwrap_or_else(PoisonError::into_inner);
            let left = INVITE_WAITS.saturating_sub(self.began.elapsed());
            if let Ok(event) = events.recv_timeout(left) {
                match event {
                    RouterEvent::Mapped { external, permanent } => {
                        self.external = Some(external);
                        self.last_external = Some(external);
                        console.say(format!(
                            "the router lets others in at {external} (UPnP){}; on your own network the invite is {}",
                            after_a_crash(permanent),
                            Invite { addr: self.local, key: self.key }
                        ));
                    }
                    RouterEvent::NotMapped(why) => {
                        console.say(why.to_string());
                        self.refusal = Some(why);
                    }
                }
            }
        }
        self.invite_now()
    }

    /// The invite that works for most people, as of now.
    pub(crate) fn invite_now(&self) -> String {
        Invite { addr: self.external.unwrap_or(self.local), key: self.key }.to_string()
    }

    /// Whether anybody can join who can reach this machine.
    pub(crate) fn is_open(&self) -> bool {
        self.key.is_none()
    }

    /// Who can reach this machine by the invite, as a sentence or two for its host.
    pub(crate) fn reach(&self) -> String {
        let port = self.local.port();
        let home = "People on your own network can join.";
        match &self.refusal {
            _ if self.external.is_some() => "Your router lets people in from anywhere.".to_owned(),
            _ if self.local.ip().is_loopback() => {
                "This computer has no network: only programs on it can join.".to_owned()
            }
            Some(NotMapped::BehindAnother { .. }) => {
                format!("{home} Others may not get in: your router is not on the internet itself.")
            }
            Some(NotMapped::NoRouter { .. } | NotMapped::Refused { .. }) => {
                format!("{home} For others, let your router forward UDP port {port} to this computer.")
            }
            None if self.mapping.is_some() => format!("{home} Your router has not answered yet."),
            None if self.may_ask => "This computer has an address of its own on the internet.".to_owned(),
            None => format!("{home} Your router was not asked to let in others."),
        }
    }

    /// Where the router let others in, if it ever did.
    pub(super) fn reported(&self) -> Option<SocketAddr> {
        self.last_external
    }

    fn news(&mut self) -> Option<RouterEvent> {
        let (_, events) = self.mapping.as_mut()?.get_mut().unwrap_or_else(PoisonError::into_inner);
        events.try_recv().ok()
    }

    /// What a person is to be told of an event that came after the invite was printed.
    fn tell(&mut self, event: RouterEvent) -> Option<String> {
        match event {
            RouterEvent::Mapped { external, permanent } => {
                (self.external, self.refusal) = (Some(external), None);
                let same = self.last_external.replace(external) == Some(external);
                let what = if self.is_host && !same {
                    let invite = Invite { addr: external, key: self.key };
                    format!(
                        "the router lets others in now: for people outside this network the invite is {invite}"
                    )
                } else {
                    format!("the router lets others in at {external} (UPnP)")
                };
                Some(what + after_a_crash(permanent))
            }
            RouterEvent::NotMapped(why) => {
                let was_open = self.external.take().is_some();
                let text = why.to_string();
                self.refusal = Some(why);
                // A guest gets on without.
                (self.is_host || was_open).then_some(text)
            }
        }
    }
}

fn after_a_crash(permanent: bool) -> &'static str {
    if permanent {
        ", and knows no end of that: should this program crash, take the port out of its list by hand"
    } else {
        ""
    }
}

/// Says what the router does.
pub(super) fn announce(mut router: ResMut<'_, Router>, call: Res<'_, Call>, mut net: ResMut<'_, Net>) {
    while let Some(event) = router.news() {
        if let Some(line) = router.tell(event) {
            call.console.say(line);
        }
        // The others are told, so that they look for us where we can be found.
        net.transport().set_reachable(router.external);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(is_host: bool) -> Router {
        Router {
            mapping: None,
            local: ([192, 168, 1, 2], 47_800).into(),
            key: None,
            is_host,
            began: Instant::now(),
            external: None,
            last_external: None,
            refusal: None,
            may_ask: false,
        }
    }

    fn mapped(last: u8) -> RouterEvent {
        RouterEvent::Mapped { external: ([11, 0, 0, last], 47_800).into(), permanent: false }
    }

    #[test]
    fn a_host_is_told_the_invite_that_works_from_now_on() {
        let mut host = router(true);
        assert!(host.tell(mapped(11)).unwrap().ends_with("the invite is 11.0.0.11:47800"));
        let gone = RouterEvent::NotMapped(NotMapped::NoRouter { port: 47_800 });
        assert!(host.tell(gone).unwrap().contains("port 47800"));
        assert_eq!(host.tell(mapped(11)).unwrap(), "the router lets others in at 11.0.0.11:47800 (UPnP)");
        assert!(host.tell(mapped(12)).unwrap().ends_with("the invite is 11.0.0.12:47800"));
        assert_eq!(host.reported(), Some(([11, 0, 0, 12], 47_800).into()));
    }

    #[test]
    fn a_host_is_told_who_can_reach_it() {
        let mut host = router(true);
        assert!(host.reach().contains("was not asked"));
        host.tell(RouterEvent::NotMapped(NotMapped::NoRouter { port: 47_800 }));
        assert!(host.reach().ends_with("forward UDP port 47800 to this computer."));
        host.tell(mapped(11));
        assert_eq!(host.reach(), "Your router lets people in from anywhere.");
        assert_eq!((host.invite_now().as_str(), host.is_open()), ("11.0.0.11:47800", true));
        host.local = ([127, 0, 0, 1], 47_800).into();
        host.tell(RouterEvent::NotMapped(NotMapped::BehindAnother { external: [10, 0, 0, 1].into() }));
        assert!(host.reach().contains("only programs on it"));
    }

    #[test]
    fn a_guest_is_not_bothered_with_a_router_that_does_nothing() {
        let none = RouterEvent::NotMapped(NotMapped::NoRouter { port: 47_800 });
        assert_eq!(router(false).tell(none), None);
    }

    #[test]
    fn without_a_router_the_invite_is_our_own_address() {
        assert_eq!(router(true).invite(&Console::new()), "192.168.1.2:47800");
    }
}
