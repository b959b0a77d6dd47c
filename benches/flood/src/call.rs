//! A call of two processes, with a stranger at the host's door or without.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hyperzoom_protocol::Invite;

use crate::Failure;
use crate::process::{Process, Use};
use crate::stranger::Stranger;

/// How long the two talk before anything is counted or sent.
const SETTLES: Duration = Duration::from_secs(1);

/// The head of the table.
pub(crate) const HEAD: &str = "stranger's      voice lost to the       voice lost to the       datagrams the   \
     network thread,  memory  log
datagrams/s     host                    guest                   socket dropped  % of a core      MB      bytes";

/// What a call came to.
pub(crate) struct Outcome {
    rate: f64,
    host: Heard,
    guest: Heard,
    /// Datagrams that the system had no room for in the host's socket, where it says.
    dropped: Option<u64>,
    used: Use,
}

/// How one heard the other.
struct Heard {
    lost: u64,
    sent: u64,
}

impl Heard {
    fn of(report: &serde_json::Value) -> Result<Self, Failure> {
        let audio = &report["peers"][0]["audio"];
        let count =
            |name: &str| audio[name].as_u64().ok_or_else(|| format!("no count of {name} in {report}"));
        let (received, lost) = (count("received")?, count("lost")?);
        Ok(Self { lost, sent: received + lost })
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.lost as f64 / self.sent.max(1) as f64;
        f.pad(&format!("{} of {} ({share:.3} %)", self.lost, self.sent))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none =
            |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        let dropped = self.dropped.map_or_else(|| "-".to_owned(), |dropped| dropped.to_string());
        write!(
            f,
            "{:<15.0} {:<23} {:<23} {dropped:<15} {:<16} {:<7} {}",
            self.rate,
            self.host,
            self.guest,
            or_none(self.used.network),
            or_none(self.used.memory),
            self.used.log,
        )
    }
}

/// Makes a call, floods its host with `rate` datagrams a second, and says what became of it.
pub(crate) fn measure(
    program: &Path,
    rate: u32,
    watched: Duration,
    open: bool,
    record: bool,
) -> Result<Outcome, Failure> {
    let folder = tempfile::tempdir()?;
    let person = |verb: &[&str], name: &str| {
        let mut command = Command::new(program);
        command.args(verb).args([
            "--headless",
            "--json",
            "--camera",
            "none",
            "--mic",
            "tone",
            "--speaker",
            "none",
        ]);
        command.args(["--bind", "127.0.0.1", "--name", name]);
        if record {
            command.arg("--folder").arg(folder.path().join(name));
        } else {
            command.arg("--no-record");
        }
        Process::start(command, folder.path().join(format!("{name}.log")))
    };
    let mut host =
        person(if open { &["host", "--port", "0", "--open"] } else { &["host", "--port", "0"] }, "host")?;
    let invite = host.line()?;
    let target = invite.parse::<Invite>().map_err(|error| format!("{invite}: {error}"))?.addr;
    let guest = person(&["join", &invite], "guest")?;
    host.wait_for("guest is here")?;
    std::thread::sleep(SETTLES);
    let (before, dropped_before) = (host.used(), dropped(target));
    let stranger = (rate > 0).then(|| Stranger::start(target, rate, open)).transpose()?;
    std::thread::sleep(watched);
    let used = host.used_since(&before);
    let rate = stranger.as_ref().map_or(0.0, Stranger::rate);
    let dropped = dropped(target).zip(dropped_before).map(|(now, before)| now - before);
    drop(stranger);
    let (guest, host) = (guest.end()?, host.end()?);
    Ok(Outcome { rate, host: Heard::of(&host)?, guest: Heard::of(&guest)?, dropped, used })
}

/// Datagrams that had no room in the buffer of the socket bound to `addr`, where the system says (Linux's `/proc/net/udp`).
fn dropped(addr: SocketAddr) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/udp").ok()?;
    let port = format!(":{:04X}", addr.port());
    let line = table
        .lines()
        .find(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&port)))?;
    line.split_whitespace().last()?.parse().ok()
}
