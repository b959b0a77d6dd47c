//! The handshake between two participants: `Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s`.
//!
//! `NNpsk0` because the invite's key is the only thing that the two share: it authenticates both, fresh ephemeral keys
//! give each handshake its own session keys, and without the key not even the first message can be read. The first
//! message can be replayed by whoever recorded it, so its receiver must not believe in its sender before a datagram
//! sealed with the new keys arrives.

use std::fmt;

use snow::{Builder, HandshakeState};

use crate::{
    Control, ControlError, HEADER_LEN, Header, InviteKey, MAX_CONTROL, MAX_DATAGRAM, RELAY_OVERHEAD,
    SecretKey,
};

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";
/// Ties the handshake to this protocol (Noise specification §6, "Prologue").
const PROLOGUE: &[u8] = b"HyperZoom/1";
/// Length of an X25519 public key, which a handshake message begins with.
const EPHEMERAL_LEN: usize = 32;
/// The length of a datagram with a [`Control::Hello`], which is filled up with zeros to it: whoever has not shown yet that he receives where
/// he says he is gets no answer that is longer than his question (as RFC 9000 §8.1), and a [`Control::Welcome`] has 375 bytes at the most.
pub const HELLO_LEN: usize = 512;
/// What a handshake message adds to its payload: ephemeral key and tag.
const MESSAGE_OVERHEAD: usize = EPHEMERAL_LEN + 16;
/// The longest payload of a handshake message that fits a datagram, and that one an envelope.
const MAX_MESSAGE_PAYLOAD: usize = MAX_DATAGRAM - RELAY_OVERHEAD - HEADER_LEN - 1 - MESSAGE_OVERHEAD;

const PROBE: u8 = 0;
const INIT: u8 = 1;
const RESPONSE: u8 = 2;
pub(crate) const SEALED: u8 = 3;
pub(crate) const COOKIE: u8 = 4;

/// What a control datagram's payload is, told by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope<'a> {
    /// Nothing: it was sent to open a way through the sender's own router.
    Probe,
    /// The first message of a handshake.
    Init(&'a [u8]),
    /// The second message of a handshake.
    Response(&'a [u8]),
    /// A sealed message, for a [`StreamOpener`](crate::StreamOpener).
    Sealed,
    /// Where there is no key: a [`Cookie`](crate::Cookie) to be said again with the next attempt of the handshake, as a proof that its
    /// sender receives where it says it is.
    Cookie(&'a [u8]),
}

impl<'a> Envelope<'a> {
    /// Reads the payload of a control datagram. None where it is nothing that we know.
    #[must_use]
    pub fn of(payload: &'a [u8]) -> Option<Self> {
        let (&tag, rest) = payload.split_first()?;
        Some(match tag {
            PROBE => Self::Probe,
            INIT => Self::Init(rest),
            RESPONSE => Self::Response(rest),
            SEALED => Self::Sealed,
            COOKIE => Self::Cookie(rest),
            _ => return None,
        })
    }
}

/// A datagram that says nothing, to open a way through the sender's own router.
#[must_use]
pub fn probe(sender_id: u8) -> Vec<u8> {
    wrap(PROBE, sender_id, 0, &[])
}

/// The two keys of a pair after its handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairKeys {
    /// Seals what goes to the other.
    pub send: SecretKey,
    /// Opens what comes from the other.
    pub receive: SecretKey,
}

/// Why a handshake message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It was not made with our key, or not in answer to our message, or was changed on its way.
    #[error("not a handshake message for our key")]
    NotOurs,
    /// It is authentic, but what it says is not understood; `version` is what it says it is, if it is a HELLO.
    #[error("a handshake message that this version does not understand")]
    NotUnderstood {
        /// The version in an unreadable HELLO.
        version: Option<u16>,
    },
    /// The operating system gave no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
}

/// The side of a handshake that begins it, waiting for the answer.
pub struct Initiator {
    state: HandshakeState,
    sequence: u16,
}

impl Initiator {
    /// Begins a handshake that carries `message`; returns also the datagram to send.
    ///
    /// `sequence` goes into the datagram's header and comes back in the answer's, so that the answers to several
    /// attempts are told apart.
    ///
    /// # Errors
    /// [`HandshakeError::NoRandomness`].
    pub fn start(
        key: Option<&InviteKey>,
        sender_id: u8,
        sequence: u16,
        message: &Control,
    ) -> Result<(Self, Vec<u8>), HandshakeError> {
        let mut state = builder(InviteKey::pre_shared(key))
            .build_initiator()
            .expect("NNpsk0 needs nothing but the pre-shared key, which is given");
        let least = match message {
            Control::Hello(_) => HELLO_LEN - HEADER_LEN - 1 - MESSAGE_OVERHEAD,
            _ => 0,
        };
        let datagram = write(&mut state, INIT, sender_id, sequence, message, least)?;
        Ok((Self { state, sequence }, datagram))
    }

    /// The number that the attempt was started with.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        self.sequence
    }

    /// Takes the answer, the bytes of [`Envelope::Response`]. After an error it waits on.
    ///
    /// # Errors
    /// [`HandshakeError::NotOurs`], [`HandshakeError::NotUnderstood`].
    pub fn finish(&mut self, response: &[u8]) -> Result<(PairKeys, Control), HandshakeError> {
        let message = read(&mut self.state, response, Control::decode)?;
        let (send, receive) = self.state.dangerously_get_raw_split();
        Ok((PairKeys { send: send.into(), receive: receive.into() }, message))
    }
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiator").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

/// The side of a handshake that was asked, about to answer.
pub struct Responder {
    state: HandshakeState,
    sequence: u16,
}

/// What the first message of a handshake said.
#[derive(Debug)]
pub struct Received {
    /// The handshake, to be answered or dropped.
    pub responder: Responder,
    /// The sender's ephemeral key. An honest sender never uses one twice: a second message with it is a replay.
    pub ephemeral: [u8; EPHEMERAL_LEN],
    /// The message that it carried, or the error [`HandshakeError::NotUnderstood`].
    pub message: Result<Control, HandshakeError>,
}

impl Responder {
    /// Reads the first message of a handshake, the bytes of [`Envelope::Init`]. `header` is its datagram's.
    ///
    /// # Errors
    /// [`HandshakeError::NotOurs`].
    pub fn receive(
        key: Option<&InviteKey>,
        header: &Header,
        init: &[u8],
    ) -> Result<Received, HandshakeError> {
        let ephemeral = *init.first_chunk().ok_or(HandshakeError::NotOurs)?;
        let mut state = builder(InviteKey::pre_shared(key))
            .build_responder()
            .expect("NNpsk0 needs nothing but the pre-shared key, which is given");
        let message = match read(&mut state, init, Control::decode_padded) {
            Ok(message) => Ok(message),
            Err(error @ HandshakeError::NotUnderstood { .. }) => Err(error),
            Err(error) => return Err(error),
        };
        Ok(Received { responder: Self { state, sequence: header.sequence }, ephemeral, message })
    }

    /// Answers with `message`; returns the pair's keys and the datagram to send.
    ///
    /// # Errors
    /// [`HandshakeError::NoRandomness`].
    pub fn respond(
        mut self,
        sender_id: u8,
        message: &Control,
    ) -> Result<(PairKeys, Vec<u8>), HandshakeError> {
        let datagram = write(&mut self.state, RESPONSE, sender_id, self.sequence, message, 0)?;
        let (receive, send) = self.state.dangerously_get_raw_split();
        Ok((PairKeys { send: send.into(), receive: receive.into() }, datagram))
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

/// A number that nobody can guess. None where the operating system gives no random numbers.
#[must_use]
pub fn unguessable() -> Option<u32> {
    getrandom::u32().ok()
}

fn builder(psk: &[u8; 32]) -> Builder<'_> {
    let params = PATTERN.parse().expect("the pattern's name is well formed");
    Builder::new(params)
        .prologue(PROLOGUE)
        .and_then(|builder| builder.psk(0, psk))
        .expect("prologue and key are set once each")
}

fn write(
    state: &mut HandshakeState,
    envelope: u8,
    sender_id: u8,
    sequence: u16,
    message: &Control,
    least: usize,
) -> Result<Vec<u8>, HandshakeError> {
    let mut buffer = [0; MAX_CONTROL];
    let len = message.encode(&mut buffer).len().max(least);
    let payload = &buffer[..len];
    debug_assert!(payload.len() <= MAX_MESSAGE_PAYLOAD);
    let mut out = [0; MAX_DATAGRAM];
    // The buffers fit and it is our turn, so all that can fail is drawing the ephemeral key.
    let len = state.write_message(payload, &mut out).map_err(|_| HandshakeError::NoRandomness)?;
    Ok(wrap(envelope, sender_id, sequence, &out[..len]))
}

fn read(
    state: &mut HandshakeState,
    message: &[u8],
    decode: fn(&[u8]) -> Result<Control, ControlError>,
) -> Result<Control, HandshakeError> {
    let mut payload = [0; MAX_DATAGRAM];
    if message.len() > payload.len() {
        return Err(HandshakeError::NotOurs);
    }
    let len = state.read_message(message, &mut payload).map_err(|_| HandshakeError::NotOurs)?;
    let payload = &payload[..len];
    decode(payload).map_err(|_| HandshakeError::NotUnderstood { version: Control::hello_version(payload) })
}

pub(crate) fn wrap(envelope: u8, sender_id: u8, sequence: u16, body: &[u8]) -> Vec<u8> {
    let header = Header::control(sender_id, sequence, body.len() as u16 + 1);
    let mut datagram = Vec::with_capacity(HEADER_LEN + 1 + body.len());
    datagram.extend_from_slice(&header.encode());
    datagram.push(envelope);
    datagram.extend_from_slice(body);
    datagram
}
