//! Looking inside of a call that has no window (`--inspect`): its peers, streams and engines as entities, over Bevy's remote protocol
//! (JSON-RPC 2.0 over HTTP), for this machine alone.
//!
//! It answers the protocol's questions and takes none of its orders: any page in a browser can send a request to a port of this machine, and
//! must not end a call by it. The protocol's own crate is passed by: it brings the engine's interface, text and 3D with it, fifty crates.

mod questions;
mod server;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bevy_app::{App, Last, Plugin};
use bevy_ecs::resource::Resource;
use bevy_ecs::world::{Mut, World};

use crate::error::CommandError;
use crate::studio::{self, Mirror};
use server::Asked;

/// The protocol's usual port.
pub(crate) const PORT: &str = "15702";

/// The entities follow the call so often.
const EVERY: Duration = Duration::from_millis(250);

/// Answers questions about the call whose app it is added to, at a TCP port of 127.0.0.1.
pub(crate) struct InspectPlugin {
    url: String,
    questions: Mutex<Option<Receiver<Asked>>>,
}

impl InspectPlugin {
    /// One that is found at `port` from now on; 0 is any free one.
    ///
    /// # Errors
    /// [`CommandError::Usage`] where another program has that port.
    pub(crate) fn at(port: u16) -> Result<Self, CommandError> {
        let cannot = |error| {
            CommandError::Usage(format!(
                "--inspect: port {port} of 127.0.0.1 cannot be used ({error}): give another one, `--inspect=0` for any that is free"
            ))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(cannot)?;
        let url = format!("http://{}", listener.local_addr().map_err(cannot)?);
        let questions = server::start(listener).map_err(cannot)?;
        Ok(Self { url, questions: Mutex::new(Some(questions)) })
    }

    /// Where it is found.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Plugin for InspectPlugin {
    fn build(&self, app: &mut App) {
        studio::register(app);
        let questions = self.questions.lock().ok().and_then(|mut questions| questions.take());
        let inspected =
            Inspected { mirror: Mirror::default(), due: Instant::now(), questions: Mutex::new(questions) };
        app.insert_resource(inspected).add_systems(Last, turn);
    }
}

/// What follows the call, and who asks.
#[derive(Resource)]
struct Inspected {
    mirror: Mirror,
    due: Instant,
    questions: Mutex<Option<Receiver<Asked>>>,
}

fn turn(world: &mut World) {
    world.resource_scope(|world, mut inspected: Mut<'_, Inspected>| {
        let now = Instant::now();
        if now >= inspected.due {
            inspected.due = now + EVERY;
            let readouts = studio::readouts(world);
            inspected.mirror.follow(world, readouts);
        }
        let Ok(Some(questions)) = inspected.questions.get_mut() else { return };
        // One a turn: the call has other things to do as well.
        if let Ok(asked) = questions.try_recv() {
            asked.answer(|method, params| questions::answer(world, method, params));
        }
    });
}
