//! A connection to the sound server, as PulseAudio's native protocol has it.
//!
//! The `pulseaudio` crate's messages, without its client: that one keeps to itself when a stream underruns or is killed, cannot change
//! the buffer of a stream that plays, and clears two megabytes at each of the four hundred messages a second.

use std::ffi::CString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pulseaudio::protocol::{
    self, AuthParams, AuthReply, Command, CommandReply, CommandTag, DescriptorFlags, Prop, Props,
    ProtocolError, PulseError, SetClientNameReply, TagStructReader,
};

/// How long the server may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The channel of messages that belong to no stream.
const NO_CHANNEL: u32 = u32::MAX;

/// Room for what waits to be read.
const READ_AHEAD: usize = 64 * 1024;

/// A connection. Whoever has it reads and writes in turn.
pub(crate) struct Wire {
    reader: BufReader<Socket>,
    version: u16,
    sequence: u32,
    /// What is being written; its room is kept.
    out: Vec<u8>,
}

/// The one socket, which is read here and closed there.
#[derive(Clone)]
struct Socket(Arc<UnixStream>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

/// Ends a connection, from any thread, when it is dropped.
pub(crate) struct Hangup(Socket);

impl Drop for Hangup {
    fn drop(&mut self) {
        // The other end may have been faster.
        let _ = self.0.0.shutdown(Shutdown::Both);
    }
}

/// What the server says on its own.
#[allow(clippy::large_enum_variant, reason = "a box would be memory of the heap for each message")]
pub(crate) enum Said {
    /// Sound of a microphone follows: so many bytes, to be read from [`Wire::body`].
    Sound(usize),
    /// A message.
    Command(Command),
    /// Nothing of interest: an answer, or what only a newer server says.
    Nothing,
}

impl Wire {
    /// Connects to the server that the environment names.
    pub(crate) fn connect() -> Result<Self, String> {
        let socket = socket_path().ok_or("no server is running")?;
        let socket = UnixStream::connect(socket).map_err(|error| error.to_string())?;
        // A server that is stopped in a debugger accepts and never answers.
        let limited = socket.set_read_timeout(Some(ANSWER_TIMEOUT));
        limited
            .and_then(|()| socket.set_write_timeout(Some(ANSWER_TIMEOUT)))
            .map_err(|error| error.to_string())?;
        let mut wire = Self::over(socket);
        let cookie = pulseaudio::cookie_path_from_env().and_then(|path| std::fs::read(path).ok());
        let auth = AuthParams {
            version: protocol::MAX_VERSION,
            supports_shm: false,
            supports_memfd: false,
            cookie: cookie.unwrap_or_default(),
        };
        let answer: AuthReply = wire.ask(&Command::Auth(auth))?;
        wire.version = protocol::MAX_VERSION.min(answer.version);
        let mut props = Props::new();
        props.set(Prop::ApplicationName, c"HyperZoom");
        if let Ok(id) = CString::new(std::process::id().to_string()) {
            props.set(Prop::ApplicationProcessId, id);
        }
        let _: SetClientNameReply = wire.ask(&Command::SetClientName(props))?;
        Ok(wire)
    }

    fn over(socket: UnixStream) -> Self {
        Self {
            reader: BufReader::with_capacity(READ_AHEAD, Socket(Arc::new(socket))),
            version: protocol::MAX_VERSION,
            sequence: 0,
            out: Vec::with_capacity(READ_AHEAD),
        }
    }

    /// Asks, and waits for the answer, but not for ever.
    pub(crate) fn ask<R: CommandReply>(&mut self, question: &Command) -> Result<R, String> {
        let number = self.begin(question).map_err(|error| told(&error))?;
        loop {
            let head = protocol::read_descriptor(&mut self.reader).map_err(|error| told(&error))?;
            let mut body = (&mut self.reader).take(u64::from(head.length));
            let answer = if head.channel == NO_CHANNEL {
                answer_in(&mut body, number, self.version)
            } else {
                Ok(None)
            };
            finish(&mut body).map_err(|error| told(&error.into()))?;
            if let Some(answer) = answer.map_err(|error| told(&error))? {
                return Ok(answer);
            }
        }
    }

    /// Sends a command, and gives it a number by which its answer is known. Allocates only where the command is larger than any before.
    pub(crate) fn begin(&mut self, command: &Command) -> Result<u32, ProtocolError> {
        let number = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        self.out.clear();
        let length = protocol::encode_command_message(&mut self.out, number, command, self.version)?;
        write(&self.reader, &self.out[..length])?;
        Ok(number)
    }

    /// From here on the server may be silent for as long as it likes.
    pub(crate) fn wait_for_ever(&self) -> Result<(), String> {
        self.reader.get_ref().0.set_read_timeout(None).map_err(|error| error.to_string())
    }

    /// What ends this connection.
    pub(crate) fn hangup(&self) -> Hangup {
        Hangup(self.reader.get_ref().clone())
    }

    /// Waits for the next message. `answer` is called with the answer to question `number`.
    pub(crate) fn hear<R: CommandReply>(
        &mut self,
        number: Option<u32>,
        answer: impl FnOnce(R),
    ) -> Result<Said, ProtocolError> {
        let head = protocol::read_descriptor(&mut self.reader)?;
        if head.channel != NO_CHANNEL {
            return Ok(Said::Sound(head.length as usize));
        }
        let mut body = (&mut self.reader).take(u64::from(head.length));
        let command = match Command::read_tag_prefixed(&mut body, self.version) {
            Ok((sequence, Command::Reply)) => {
                if number == Some(sequence) {
                    match R::read(&mut TagStructReader::new(&mut body, self.version), self.version) {
                        Ok(reply) => answer(reply),
                        Err(error) => skip(error, &body)?,
                    }
                }
                None
            }
            Ok((_, command)) => Some(command),
            Err(error) => {
                skip(error, &body)?;
                None
            }
        };
        finish(&mut body)?;
        Ok(command.map_or(Said::Nothing, Said::Command))
    }

    /// The sound that was announced; all of it has to be read.
    pub(crate) fn body(&mut self) -> &mut impl Read {
        &mut self.reader
    }

    /// Sends sound: `fill` writes `bytes` bytes of it. Allocates only where that is more than ever before.
    pub(crate) fn send(
        &mut self,
        channel: u32,
        bytes: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), ProtocolError> {
        let head = protocol::DESCRIPTOR_SIZE;
        self.out.resize(head + bytes, 0);
        let length = bytes as u32;
        let descriptor = protocol::Descriptor { length, channel, offset: 0, flags: DescriptorFlags::empty() };
        if let Some(place) = self.out.first_chunk_mut() {
            protocol::encode_descriptor(place, &descriptor);
        }
        fill(&mut self.out[head..]);
        write(&self.reader, &self.out)?;
        Ok(())
    }
}

fn write(reader: &BufReader<Socket>, bytes: &[u8]) -> std::io::Result<()> {
    (&*reader.get_ref().0).write_all(bytes)
}

/// The answer to question `number`, where it is what comes.
fn answer_in<R: CommandReply>(
    body: &mut impl BufRead,
    number: u32,
    version: u16,
) -> Result<Option<R>, ProtocolError> {
    let mut fields = TagStructReader::new(body, version);
    let Ok(tag) = fields.read_enum::<CommandTag>() else { return Ok(None) };
    if fields.read_u32()? != number {
        return Ok(None);
    }
    match tag {
        CommandTag::Reply => Ok(Some(R::read(&mut fields, version)?)),
        CommandTag::Error => Err(ProtocolError::ServerError(fields.read_enum::<PulseError>()?)),
        _ => Ok(None),
    }
}

/// A message that is not understood is not for us: a newer server's, or one that is shorter than it should be, and so ends where more
/// is expected. Where there is no such end, the connection has one.
fn skip(error: ProtocolError, body: &std::io::Take<&mut BufReader<Socket>>) -> Result<(), ProtocolError> {
    match error {
        ProtocolError::Io(_) if body.limit() > 0 => Err(error),
        _ => Ok(()),
    }
}

/// Reads what is left of a message.
fn finish(body: &mut std::io::Take<&mut BufReader<Socket>>) -> std::io::Result<()> {
    while body.limit() > 0 {
        let there = body.fill_buf()?.len();
        if there == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        body.consume(there);
    }
    Ok(())
}

fn told(error: &ProtocolError) -> String {
    use std::io::ErrorKind as Kind;
    match error {
        ProtocolError::Io(error) if matches!(error.kind(), Kind::WouldBlock | Kind::TimedOut) => {
            "it does not answer".to_owned()
        }
        ProtocolError::Io(error) if error.kind() == Kind::UnexpectedEof => "it has gone".to_owned(),
        error => error.to_string(),
    }
}

/// Where the server listens, in PulseAudio's own order. (The crate's own search ends at the first that is not there, and looks into a
/// subfolder of `PULSE_RUNTIME_PATH` which does not exist.)
fn socket_path() -> Option<PathBuf> {
    let var = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(servers) = var("PULSE_SERVER") {
        // A list of addresses; one may begin with the machine's id in braces.
        let address =
            |server: &str| server.rsplit_once('}').map_or(server, |(_, address)| address).to_owned();
        let local = |address: String| {
            let path = address.strip_prefix("unix:").unwrap_or(&address);
            path.starts_with('/').then(|| PathBuf::from(path))
        };
        return servers.split_whitespace().map(address).find_map(local);
    }
    let runtime = var("PULSE_RUNTIME_PATH").map(|folder| PathBuf::from(folder).join("native"));
    let session = var("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join("pulse/native"));
    let system = Some(PathBuf::from("/var/run/pulse/native"));
    [runtime, session, system].into_iter().flatten().find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use pulseaudio::protocol::stream::BufferAttr;
    use pulseaudio::protocol::{
        Request, SetPlaybackStreamBufferAttrParams, SetPlaybackStreamBufferAttrReply, Underflow,
    };

    use super::*;

    const VERSION: u16 = protocol::MAX_VERSION;

    fn change() -> Command {
        Command::SetPlaybackStreamBufferAttr(SetPlaybackStreamBufferAttrParams {
            index: 3,
            buffer_attr: BufferAttr::default(),
            adjust_latency: true,
            early_requests: false,
        })
    }

    #[test]
    fn what_the_server_says_of_a_stream_is_understood() {
        let (mut server, client) = UnixStream::pair().unwrap();
        let mut wire = Wire::over(client);
        let underflow = Command::Underflow(Underflow { channel: 7, offset: 96 });
        protocol::write_command_message(&mut server, u32::MAX, &underflow, VERSION).unwrap();
        // Nothing that this version of the program knows.
        let unknown = [0, 0, 0, 5, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'L', 0, 0, 9, 9];
        server.write_all(&unknown).unwrap();
        // A request that ends too early.
        let request = Command::Request(Request { channel: 7, length: 960 });
        let mut short = Vec::new();
        protocol::write_command_message(&mut short, u32::MAX, &request, VERSION).unwrap();
        short.truncate(short.len() - 5);
        let length = (short.len() - protocol::DESCRIPTOR_SIZE) as u32;
        short[..4].copy_from_slice(&length.to_be_bytes());
        server.write_all(&short).unwrap();
        protocol::write_memblock(&mut server, 7, &[1, 2, 3, 4], 0).unwrap();
        let hear = |wire: &mut Wire| wire.hear::<SetPlaybackStreamBufferAttrReply>(None, drop).unwrap();
        assert!(matches!(hear(&mut wire), Said::Command(Command::Underflow(Underflow { channel: 7, .. }))));
        assert!(matches!(hear(&mut wire), Said::Nothing));
        assert!(matches!(hear(&mut wire), Said::Nothing));
        assert!(matches!(hear(&mut wire), Said::Sound(4)));
        let mut sound = [0; 4];
        wire.body().read_exact(&mut sound).unwrap();
        assert_eq!(sound, [1, 2, 3, 4]);
        // One that is cut off because the server has gone is no such message.
        let length = (length + 5).to_be_bytes();
        short[..4].copy_from_slice(&length);
        server.write_all(&short).unwrap();
        drop(server);
        assert!(wire.hear::<SetPlaybackStreamBufferAttrReply>(None, drop).is_err());
    }

    #[test]
    fn an_answer_is_found_among_other_messages_and_a_refusal_is_told() {
        let (mut server, client) = UnixStream::pair().unwrap();
        let mut wire = Wire::over(client);
        let request = Command::Request(Request { channel: 7, length: 960 });
        protocol::write_command_message(&mut server, u32::MAX, &request, VERSION).unwrap();
        let granted = SetPlaybackStreamBufferAttrReply {
            buffer_attr: BufferAttr { target_length: 1920, fragment_size: 0, ..BufferAttr::default() },
            configured_sink_latency: 2500,
        };
        protocol::write_reply_message(&mut server, 0, &granted, VERSION).unwrap();
        let answer: SetPlaybackStreamBufferAttrReply = wire.ask(&change()).unwrap();
        assert_eq!(answer.buffer_attr.target_length, 1920);
        protocol::write_error(&mut server, 1, &PulseError::NoEntity).unwrap();
        let refusal = wire.ask::<SetPlaybackStreamBufferAttrReply>(&change()).unwrap_err();
        assert!(refusal.contains("NoEntity"), "{refusal}");
        drop(server);
        assert!(wire.ask::<SetPlaybackStreamBufferAttrReply>(&change()).is_err());
    }

    #[test]
    fn the_traffic_of_a_stream_does_not_touch_the_heap() {
        let (mut server, client) = UnixStream::pair().unwrap();
        let mut wire = Wire::over(client);
        let mut seen = [0; 4096];
        for _ in 0..10 {
            let request = Command::Request(Request { channel: 7, length: 960 });
            protocol::write_command_message(&mut server, u32::MAX, &request, VERSION).unwrap();
            let calls = crate::heap_use::heap_calls(|| {
                let said = wire.hear::<SetPlaybackStreamBufferAttrReply>(None, drop).unwrap();
                assert!(matches!(said, Said::Command(Command::Request(Request { length: 960, .. }))));
                wire.send(7, 960, |out| out.fill(1)).unwrap();
                wire.begin(&change()).unwrap();
            });
            assert_eq!(calls, 0);
            assert!(server.read(&mut seen).unwrap() > protocol::DESCRIPTOR_SIZE + 960);
        }
    }
}
