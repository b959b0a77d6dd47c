//! Invites: where a host is, and the key that opens its door.

use std::fmt;
use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;

/// What `--open` sessions use in place of a secret. Everybody knows it, so it keeps nobody out; it lets open and
/// keyed sessions run the same protocol.
const OPEN_KEY: [u8; 32] = *b"HyperZoom open session: no key.\0";

const KEY_LEN: usize = 32;
const CHECK_LEN: usize = 3;
/// 35 bytes are exactly 56 characters of 5 bits.
const TEXT_LEN: usize = (KEY_LEN + CHECK_LEN) * 8 / 5;

/// The secret of a session. Whoever has it can join.
///
/// As text it is 56 characters of base32 (RFC 4648 §6), lower case: the 32 bytes and their CRC-24, so that a mistyped
/// character is told from a wrong key. It is read in either case, with 0, 1 and 8 taken for the letters they look like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InviteKey(pub [u8; 32]);

/// Where to join a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Invite {
    /// The host's address.
    pub addr: SocketAddr,
    /// The session's key; none for an open session.
    pub key: Option<InviteKey>,
}

/// What is wrong with an invite that somebody pasted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// There is nothing.
    #[error("the invite is empty; it looks like 203.0.113.7:4700#KEY")]
    Empty,
    /// There is a space inside it.
    #[error("the invite has a space in it; paste it as one piece")]
    Space,
    /// The part before `#` has no port.
    #[error("the invite's address {0:?} lacks a port; it looks like 203.0.113.7:4700")]
    NoPort(String),
    /// The port is not a number from 1 to 65535.
    #[error("the invite's port {0:?} is not a number from 1 to 65535")]
    Port(String),
    /// An IPv6 address without its brackets.
    #[error("an IPv6 address goes in brackets: [{0}]:4700")]
    Brackets(String),
    /// The address is no IP address.
    #[error("the invite's address {0:?} is not an IP address such as 203.0.113.7")]
    Address(String),
    /// The address is one that a host listens on, not one that reaches it.
    #[error("{0} means \"every address\"; the invite needs the host's own")]
    Unspecified(IpAddr),
    /// There is a `#` and nothing after it.
    #[error("the key after # is missing; copy the whole invite")]
    NoKey,
    /// The key is cut off.
    #[error("the key has {found} of {TEXT_LEN} characters; copy the whole invite")]
    KeyShort {
        /// How many there are.
        found: usize,
    },
    /// The key goes on after its end.
    #[error("the key has {found} characters instead of {TEXT_LEN}; something was pasted behind it")]
    KeyLong {
        /// How many there are.
        found: usize,
    },
    /// A character that no key has.
    #[error("the key has a {0:?} in it, which no key has; copy the invite again")]
    KeyCharacter(char),
    /// The key's checksum is wrong.
    #[error("the key is mistyped: its checksum does not fit; copy the invite again")]
    KeyMistyped,
}

impl InviteKey {
    /// The key that a handshake uses: this one, or the public one of open sessions.
    pub(crate) fn pre_shared(key: Option<&Self>) -> &[u8; 32] {
        key.map_or(&OPEN_KEY, |key| &key.0)
    }
}

impl fmt::Display for InviteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; KEY_LEN + CHECK_LEN];
        bytes[..KEY_LEN].copy_from_slice(&self.0);
        bytes[KEY_LEN..].copy_from_slice(&crc24(&self.0));
        f.write_str(&BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

impl fmt::Debug for InviteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteKey(..)")
    }
}

impl FromStr for InviteKey {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let mut symbols = [0; TEXT_LEN];
        let mut found = 0;
        for c in text.chars() {
            let symbol = match c.to_ascii_uppercase() {
                '0' => b'O',
                '1' => b'I',
                '8' => b'B',
                upper @ ('A'..='Z' | '2'..='7') => upper as u8,
                _ => return Err(InviteError::KeyCharacter(c)),
            };
            if let Some(slot) = symbols.get_mut(found) {
                *slot = symbol;
            }
            found += 1;
        }
        match found {
            0 => return Err(InviteError::NoKey),
            1..TEXT_LEN => return Err(InviteError::KeyShort { found }),
            TEXT_LEN => {}
            _ => return Err(InviteError::KeyLong { found }),
        }
        let mut bytes = [0; KEY_LEN + CHECK_LEN];
        BASE32_NOPAD
            .decode_mut(&symbols, &mut bytes)
            .expect("56 characters of the alphabet are 35 bytes without a rest");
        let (key, check) = bytes.split_first_chunk::<KEY_LEN>().expect("the buffer is longer than a key");
        if crc24(key) == check { Ok(Self(*key)) } else { Err(InviteError::KeyMistyped) }
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{}#{key}", self.addr),
            None => write!(f, "{}", self.addr),
        }
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite").field("addr", &self.addr).field("key", &self.key).finish()
    }
}

impl FromStr for Invite {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let quote = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
        let text = text.trim_matches(quote);
        // People paste the whole command that they were sent.
        let text = text.strip_prefix("hyperzoom join ").unwrap_or(text).trim_matches(quote);
        if text.is_empty() {
            return Err(InviteError::Empty);
        }
        if text.contains(char::is_whitespace) {
            return Err(InviteError::Space);
        }
        let (addr, key) = match text.split_once('#') {
            Some((addr, key)) => (addr, Some(key.parse()?)),
            None => (text, None),
        };
        Ok(Self { addr: parse_addr(addr)?, key })
    }
}

fn parse_addr(text: &str) -> Result<SocketAddr, InviteError> {
    let addr = text.parse::<SocketAddr>().map_err(|error| explain(text, &error))?;
    if addr.ip().is_unspecified() {
        return Err(InviteError::Unspecified(addr.ip()));
    }
    if addr.port() == 0 {
        return Err(InviteError::Port("0".into()));
    }
    Ok(addr)
}

fn explain(text: &str, _: &AddrParseError) -> InviteError {
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return InviteError::Brackets(text.into());
    }
    let Some((ip, port)) = text.rsplit_once(':').filter(|_| !text.ends_with(']')) else {
        return InviteError::NoPort(text.into());
    };
    if port.is_empty() {
        InviteError::NoPort(text.into())
    } else if ip.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_err() {
        InviteError::Address(ip.into())
    } else {
        InviteError::Port(port.into())
    }
}

/// CRC-24 (RFC 9580 §6.1): finds every single mistyped character, and any damage within 24 bits.
fn crc24(bytes: &[u8]) -> [u8; CHECK_LEN] {
    let mut crc = 0xB7_04CE_u32;
    for &byte in bytes {
        crc ^= u32::from(byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x100_0000 != 0 {
                crc ^= 0x186_4CFB;
            }
        }
    }
    let [_, high, middle, low] = crc.to_be_bytes();
    [high, middle, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_openpgps() {
        // The check value of CRC-24/OPENPGP in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc24(b"123456789"), [0x21, 0xCF, 0x02]);
    }
}
