//! Proof that somebody receives at an address, of which nothing has to be remembered (as the cookies of RFC 9147 §5.1).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::noise;

/// The length of a cookie: a whole tag of HMAC-SHA-256.
pub const COOKIE_LEN: usize = 32;

/// What an address is sent, to be said again from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cookie(pub [u8; COOKIE_LEN]);

/// Makes cookies, and knows its own again.
pub struct CookieKey(hmac::Key);

impl CookieKey {
    /// A new key. None where the operating system gives no random numbers.
    #[must_use]
    pub fn random() -> Option<Self> {
        let mut key = [0; COOKIE_LEN];
        getrandom::fill(&mut key).ok()?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The cookie of an address in a period, which says how old it is.
    #[must_use]
    pub fn cookie(&self, addr: SocketAddr, period: u64) -> Cookie {
        let mut cookie = [0; COOKIE_LEN];
        cookie.copy_from_slice(hmac::sign(&self.0, &subject(addr, period)).as_ref());
        Cookie(cookie)
    }

    /// Whether that is it.
    #[must_use]
    pub fn is_cookie(&self, addr: SocketAddr, period: u64, cookie: &Cookie) -> bool {
        hmac::verify(&self.0, &subject(addr, period), &cookie.0).is_ok()
    }
}

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieKey").finish_non_exhaustive()
    }
}

/// What a cookie is about.
fn subject(addr: SocketAddr, period: u64) -> [u8; 26] {
    let ip = match addr.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = [0; 26];
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..18].copy_from_slice(&addr.port().to_be_bytes());
    bytes[18..].copy_from_slice(&period.to_be_bytes());
    bytes
}

/// The datagram that carries a cookie, in answer to attempt `sequence` of a handshake. It is not sealed: without a key there is nothing to
/// seal it with, and an answer that costs no exchange of keys is what it is for.
#[must_use]
pub fn cookie_datagram(sender_id: u8, sequence: u16, cookie: &Cookie) -> Vec<u8> {
    noise::wrap(noise::COOKIE, sender_id, sequence, &cookie.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_one_address_one_period_and_one_key() {
        let key = CookieKey::random().expect("random numbers");
        let addr: SocketAddr = ([192, 0, 2, 1], 4700).into();
        let cookie = key.cookie(addr, 7);
        assert!(key.is_cookie(addr, 7, &cookie));
        let mapped = SocketAddr::new("::ffff:192.0.2.1".parse().expect("an address"), 4700);
        assert!(key.is_cookie(mapped, 7, &cookie), "the same address");
        let others: [SocketAddr; 3] = [
            ([192, 0, 2, 1], 4701).into(),
            ([192, 0, 2, 2], 4700).into(),
            SocketAddr::new("2001:db8::1".parse().expect("an address"), 4700),
        ];
        assert!(others.iter().all(|other| !key.is_cookie(*other, 7, &cookie)));
        assert!(!key.is_cookie(addr, 6, &cookie) && !key.is_cookie(addr, 8, &cookie));
        assert!(!CookieKey::random().expect("random numbers").is_cookie(addr, 7, &cookie));
        let mut changed = cookie;
        changed.0[31] ^= 1;
        assert!(!key.is_cookie(addr, 7, &changed));
    }
}
