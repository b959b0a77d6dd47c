//! The router of this network, spoken to over HTTP by `igd-next`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use igd_next::{AddPortError, Gateway, GatewayIpVersion, PortMappingProtocol, SearchOptions};

use super::Internal;
use super::mapper::{AddError, Router};

/// How long the router is looked for: they may take three seconds for their answer (the `MX` of the question, UPnP Device Architecture 1.1
/// §1.3.2).
const SEARCH: Duration = Duration::from_secs(4);

/// What the router's own pages call the mapping.
const DESCRIPTION: &str = "HyperZoom";

pub(super) struct Igd {
    local: Ipv4Addr,
    gateway: Option<Gateway>,
}

impl Igd {
    /// The router that this machine reaches by its interface with the address `local`.
    pub(super) fn new(local: Ipv4Addr) -> Self {
        Self { local, gateway: None }
    }

    fn gateway(&self) -> Result<&Gateway, String> {
        self.gateway.as_ref().ok_or_else(|| "it is not there".into())
    }
}

impl Router for Igd {
    fn find(&mut self) -> bool {
        let mut options = SearchOptions::default();
        options.bind_addr = (self.local, 0).into();
        options.timeout = Some(SEARCH);
        options.single_search_timeout = Some(SEARCH);
        options.gateway_ip_version = GatewayIpVersion::V4;
        match igd_next::search_gateway(options) {
            Ok(gateway) => {
                tracing::debug!(%gateway, "found a router");
                self.gateway = Some(gateway);
            }
            Err(error) => {
                tracing::debug!(%error, "no router");
                self.gateway = None;
            }
        }
        self.gateway.is_some()
    }

    fn external_ip(&mut self) -> Result<IpAddr, String> {
        self.gateway()?.get_external_ip().map_err(|error| error.to_string())
    }

    fn add(&mut self, external: u16, internal: Internal, lease: Duration) -> Result<(), AddError> {
        let gateway = self.gateway().map_err(AddError::Refused)?;
        let seconds = u32::try_from(lease.as_secs()).unwrap_or(u32::MAX);
        let added =
            gateway.add_port(PortMappingProtocol::UDP, external, internal.into(), seconds, DESCRIPTION);
        added.map_err(|error| match error {
            AddPortError::PortInUse => AddError::Taken,
            AddPortError::OnlyPermanentLeasesSupported => AddError::PermanentOnly,
            other => AddError::Refused(other.to_string()),
        })
    }

    fn remove(&mut self, external: u16) -> Result<(), String> {
        let removed = self.gateway()?.remove_port(PortMappingProtocol::UDP, external);
        removed.map_err(|error| error.to_string())
    }
}
