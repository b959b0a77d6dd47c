//! What is asked of the router, and when: without a router, a network or a clock of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Internal, NotMapped, RETRY, RouterEvent, is_not_public};

/// A mapping that lasts for ever is looked after as often as if it did not: the router may have been restarted.
const PERMANENT_CHECK: Duration = Duration::from_secs(150);

/// So many other ports are tried where somebody else has ours.
const OTHER_PORTS: u16 = 5;

/// What a router can be asked for.
pub(crate) trait Router {
    /// Looks for the router. False where there is none.
    fn find(&mut self) -> bool;

    /// Its address on the internet.
    fn external_ip(&mut self) -> Result<IpAddr, String>;

    /// Asks for a mapping of a UDP port; a lease of 0 s is for ever.
    fn add(&mut self, external: u16, internal: Internal, lease: Duration) -> Result<(), AddError>;

    /// Takes a mapping back.
    fn remove(&mut self, external: u16) -> Result<(), String>;
}

/// Why a port was not mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AddError {
    /// Somebody else has it.
    Taken,
    /// It maps for ever or not at all.
    PermanentOnly,
    /// Anything else.
    Refused(String),
}

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// What is new.
    pub(crate) event: Option<RouterEvent>,
    /// When the next step is due; none where there is nothing left to try.
    pub(crate) again_in: Option<Duration>,
}

pub(crate) struct Mapper<R: Router> {
    router: R,
    internal: Internal,
    lease: Duration,
    found: bool,
    /// The port on the router that is ours.
    external: Option<u16>,
    permanent: bool,
    /// What was said last.
    said: Option<RouterEvent>,
    held: Arc<AtomicBool>,
}

impl<R: Router> Mapper<R> {
    pub(crate) fn new(router: R, internal: Internal, lease: Duration, held: Arc<AtomicBool>) -> Self {
        Self { router, internal, lease, found: false, external: None, permanent: false, said: None, held }
    }

    /// Maps the port, or renews the mapping.
    pub(crate) fn step(&mut self) -> Step {
        let outcome = self.map();
        let event = match &outcome {
            Ok(external) => RouterEvent::Mapped { external: *external, permanent: self.permanent },
            Err(why) => RouterEvent::NotMapped(why.clone()),
        };
        let was_mapped = self.external.is_some();
        self.held.store(was_mapped, Ordering::Release);
        let again_in = match outcome {
            Ok(_) if self.permanent => Some(PERMANENT_CHECK),
            Ok(_) => Some(self.lease / 2),
            // A router that was there comes back; one that never was is not waited for.
            Err(_) if was_mapped => {
                self.found = false;
                Some(RETRY.min(self.lease / 2))
            }
            Err(_) => None,
        };
        let is_new = self.said.as_ref() != Some(&event);
        self.said = Some(event.clone());
        Step { event: is_new.then_some(event), again_in }
    }

    fn map(&mut self) -> Result<SocketAddr, NotMapped> {
        let port = self.internal.port();
        if !self.found && !self.router.find() {
            return Err(NotMapped::NoRouter { port });
        }
        self.found = true;
        let refused = |why: String| NotMapped::Refused { port, why };
        let ip = self.router.external_ip().map_err(refused)?;
        if let IpAddr::V4(v4) = ip
            && is_not_public(v4)
        {
            return Err(NotMapped::BehindAnother { external: ip });
        }
        let wanted = self.external.unwrap_or(port);
        let mut tries = 0;
        loop {
            // Those above ours first, and never one that needs privileges.
            let external = wanted.checked_add(tries).unwrap_or(1024 + tries);
            // From here on the router may have it, whatever becomes of its answer.
            self.held.store(true, Ordering::Release);
            let lease = if self.permanent { Duration::ZERO } else { self.lease };
            match self.router.add(external, self.internal, lease) {
                Ok(()) => {
                    self.external = Some(external);
                    return Ok(SocketAddr::new(ip, external));
                }
                Err(AddError::PermanentOnly) if !self.permanent => self.permanent = true,
                Err(AddError::Taken) if tries < OTHER_PORTS => tries += 1,
                Err(AddError::Taken) => return Err(refused("the port is taken".into())),
                Err(AddError::PermanentOnly) => return Err(refused("it takes no lease".into())),
                Err(AddError::Refused(why)) => return Err(refused(why)),
            }
        }
    }

    /// Takes the mapping back.
    pub(crate) fn remove(&mut self) {
        if let Some(external) = self.external.take()
            && let Err(error) = self.router.remove(external)
        {
            tracing::debug!(error, "the router keeps the mapping until its lease ends");
        }
        self.held.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const LEASE: Duration = Duration::from_secs(300);
    const OURS: Internal = Internal::new(std::net::Ipv4Addr::new(192, 168, 1, 2), 47_800);

    /// A router with a table and moods.
    struct Fake {
        there: bool,
        ip: IpAddr,
        permanent_only: bool,
        refuses: bool,
        table: BTreeMap<u16, (Internal, Duration)>,
        searches: u32,
    }

    impl Router for Fake {
        fn find(&mut self) -> bool {
            self.searches += 1;
            self.there
        }

        fn external_ip(&mut self) -> Result<IpAddr, String> {
            if self.there { Ok(self.ip) } else { Err("it does not answer".into()) }
        }

        fn add(&mut self, external: u16, internal: Internal, lease: Duration) -> Result<(), AddError> {
            if self.refuses {
                return Err(AddError::Refused("not today".into()));
            }
            if self.permanent_only && lease != Duration::ZERO {
                return Err(AddError::PermanentOnly);
            }
            if self.table.get(&external).is_some_and(|(owner, _)| *owner != internal) {
                return Err(AddError::Taken);
            }
            self.table.insert(external, (internal, lease));
            Ok(())
        }

        fn remove(&mut self, external: u16) -> Result<(), String> {
            self.table.remove(&external).map(drop).ok_or_else(|| "no such mapping".into())
        }
    }

    fn mapper() -> Mapper<Fake> {
        let router = Fake {
            there: true,
            ip: [11, 0, 0, 11].into(),
            permanent_only: false,
            refuses: false,
            table: BTreeMap::new(),
            searches: 0,
        };
        Mapper::new(router, OURS, LEASE, Arc::default())
    }

    fn mapped(port: u16, permanent: bool) -> Option<RouterEvent> {
        Some(RouterEvent::Mapped { external: ([11, 0, 0, 11], port).into(), permanent })
    }

    #[test]
    fn it_is_mapped_renewed_at_half_of_its_lease_and_taken_back() {
        let mut mapper = mapper();
        let half = Some(LEASE / 2);
        assert_eq!(mapper.step(), Step { event: mapped(47_800, false), again_in: half });
        assert!(mapper.held.load(Ordering::Acquire));
        assert_eq!(mapper.router.table[&47_800], (OURS, LEASE));
        // The router was restarted meanwhile.
        mapper.router.table.clear();
        assert_eq!(mapper.step(), Step { event: None, again_in: half }, "nothing new is said");
        assert_eq!(mapper.router.table.len(), 1);
        assert_eq!(mapper.router.searches, 1);
        mapper.remove();
        assert!(mapper.router.table.is_empty());
        assert!(!mapper.held.load(Ordering::Acquire));
    }

    #[test]
    fn where_another_has_the_port_the_next_one_is_ours() {
        let mut mapper = mapper();
        let other = Internal::new([192, 168, 1, 9].into(), 47_800);
        mapper.router.table.insert(47_800, (other, LEASE));
        assert_eq!(mapper.step().event, mapped(47_801, false));
        // It stays, also when the first becomes free.
        mapper.router.table.remove(&47_800);
        assert_eq!(mapper.step().event, None);
        mapper.remove();
        assert!(mapper.router.table.is_empty());
    }

    #[test]
    fn at_the_end_of_all_ports_there_are_more() {
        let mut mapper = mapper();
        mapper.internal.set_port(65_535);
        let other = Internal::new([192, 168, 1, 9].into(), 1);
        mapper.router.table.insert(65_535, (other, LEASE));
        assert_eq!(mapper.step().event, mapped(1025, false));
    }

    #[test]
    fn a_router_without_leases_maps_for_ever_and_it_is_said() {
        let mut mapper = mapper();
        mapper.router.permanent_only = true;
        assert_eq!(mapper.step(), Step { event: mapped(47_800, true), again_in: Some(PERMANENT_CHECK) });
        assert_eq!(mapper.router.table[&47_800].1, Duration::ZERO);
        mapper.remove();
        assert!(mapper.router.table.is_empty(), "a clean end removes it");
    }

    #[test]
    fn where_there_is_no_router_it_ends() {
        let mut mapper = mapper();
        mapper.router.there = false;
        let why = RouterEvent::NotMapped(NotMapped::NoRouter { port: 47_800 });
        assert_eq!(mapper.step(), Step { event: Some(why), again_in: None });
        assert!(!mapper.held.load(Ordering::Acquire), "nobody waits for it at the end");
    }

    #[test]
    fn a_router_behind_another_is_of_no_use() {
        let mut mapper = mapper();
        mapper.router.ip = [192, 168, 0, 7].into();
        let why = RouterEvent::NotMapped(NotMapped::BehindAnother { external: [192, 168, 0, 7].into() });
        assert_eq!(mapper.step(), Step { event: Some(why), again_in: None });
        assert!(mapper.router.table.is_empty());
    }

    #[test]
    fn a_router_that_goes_away_is_sought_until_it_is_back() {
        let mut mapper = mapper();
        mapper.step();
        mapper.router.there = false;
        let lost = mapper.step();
        assert!(matches!(lost.event, Some(RouterEvent::NotMapped(NotMapped::Refused { .. }))));
        assert_eq!(lost.again_in, Some(RETRY));
        assert!(matches!(mapper.step().event, Some(RouterEvent::NotMapped(NotMapped::NoRouter { .. }))));
        assert_eq!(mapper.step().event, None, "it is said once");
        mapper.router.there = true;
        mapper.router.ip = [11, 0, 0, 99].into();
        let back = RouterEvent::Mapped { external: ([11, 0, 0, 99], 47_800).into(), permanent: false };
        assert_eq!(mapper.step().event, Some(back));
    }

    #[test]
    fn a_router_that_says_no_is_asked_once() {
        let mut mapper = mapper();
        mapper.router.refuses = true;
        let step = mapper.step();
        let why = NotMapped::Refused { port: 47_800, why: "not today".into() };
        assert_eq!(step, Step { event: Some(RouterEvent::NotMapped(why)), again_in: None });
    }
}
