use std::cell::Cell;
use std::sync::mpsc::{Sender, channel, sync_channel};

use hyperzoom_media::SAMPLE_RATE;

use super::*;
use crate::convert::{Captured, Hear};
use crate::devices::{Direction, Listed};
use crate::engine::Garbage;
use crate::events::{AudioEvents, events};
use crate::loan::{Lent, lend};
use crate::owner::Message;
use crate::source::Source;

thread_local! {
    /// Whether the default device opens. A chosen one is there, and never does.
    static DEFAULT_OPENS: Cell<bool> = const { Cell::new(true) };
}

/// Panics at its third block, and tells of all others.
struct Fragile {
    blocks: u64,
    heard: Sender<u64>,
}

impl Hear for Fragile {
    fn hear(&mut self, _block: &[f32], _at: Captured) {
        self.blocks += 1;
        assert!(self.blocks != 3, "as a test has it");
        let _ = self.heard.send(self.blocks);
    }
}

impl Endpoint for Fragile {
    const DIRECTION: Direction = Direction::Microphone;

    fn check(spec: &SoundSpec) -> Result<(), AudioError> {
        Source::of(spec).map(drop)
    }

    fn open(
        self,
        owner: &Owner,
        spec: &SoundSpec,
        leave_out: usize,
    ) -> Result<(Open, Returns<Self>), Failed<Self>> {
        match Source::of(spec) {
            Ok(Some(source)) => {
                let setting = owner.setting(Self::DIRECTION, leave_out);
                stream::stand_in_microphone(spec, source, self, &setting)
            }
            Ok(None) => match spec {
                SoundSpec::Default { .. } if DEFAULT_OPENS.get() => {
                    self.open(owner, &SoundSpec::None, leave_out)
                }
                _ => {
                    Err(Failed { error: std::io::Error::other("as a test has it").into(), value: Some(self) })
                }
            },
            Err(error) => Err(Failed { error, value: Some(self) }),
        }
    }

    fn open_found(
        self,
        _owner: &Owner,
        _found: Listed,
        _leave_out: usize,
    ) -> Result<(Open, Returns<Self>), Failed<Self>> {
        unreachable!("tests have no devices")
    }
}

fn owner() -> (Owner, AudioEvents) {
    let (to_self, messages) = sync_channel(16);
    let (events, seen) = events();
    let owner = Owner {
        epoch: Instant::now(),
        refusal: crate::priority::Refusal::default(),
        messages,
        to_self,
        events,
        shapes: crate::owner::Shapes::default(),
        counts: std::sync::Arc::default(),
        live: std::sync::Arc::default(),
        ears: crate::ears::VoiceEars::new(hyperzoom_timing::SharedClock::new()),
        garbage: Garbage::nothing(),
        latest: Default::default(),
    };
    (owner, seen)
}

#[test]
fn a_panic_in_a_callback_costs_the_stream_and_not_the_call() {
    let (mut owner, mut seen) = owner();
    let (heard, hears) = channel();
    let mut end = End::start(&mut owner, SoundSpec::None, Fragile { blocks: 0, heard }).ok().unwrap();
    let patience = Instant::now() + Duration::from_secs(20);
    while hears.try_iter().max() < Some(10) {
        assert!(Instant::now() < patience, "it is not heard again");
        end.look_after(&mut owner);
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(matches!(seen.poll(), Some(AudioEvent::DeviceLost { reason, .. }) if reason.contains("bug")));
    assert!(matches!(seen.poll(), Some(AudioEvent::DeviceBack { .. })));
    assert_eq!(end.opened(), 2);
}

#[test]
fn what_cannot_be_had_leaves_what_there_is() {
    let (mut owner, mut seen) = owner();
    let (heard, hears) = channel();
    let mut end = End::start(&mut owner, SoundSpec::None, Fragile { blocks: 3, heard }).ok().unwrap();
    assert!(!end.switch(&mut owner, SoundSpec::File("/nowhere/voice.wav".into())));
    assert!(
        matches!(seen.poll(), Some(AudioEvent::NotSwitched { reason, .. }) if reason.contains("voice.wav"))
    );
    assert_eq!((end.opened(), end.chosen()), (1, &SoundSpec::None), "it was not even closed");
    assert!(end.switch(&mut owner, SoundSpec::Tone(440.0)));
    let Some(AudioEvent::Switched { shape, .. }) = seen.poll() else { panic!("it was not told") };
    assert_eq!((shape.node.as_str(), shape.rate), ("tone:440", SAMPLE_RATE));
    let before = hears.try_iter().max();
    assert!(hears.recv().ok() > before);
}

#[test]
fn a_stream_that_dies_young_is_opened_again_less_and_less_often() {
    let (mut owner, _seen) = owner();
    let (heard, _hears) = channel();
    let mut end = End::start(&mut owner, SoundSpec::None, Fragile { blocks: 3, heard }).ok().unwrap();
    let mut delay = RETRY;
    for _ in 0..8 {
        let before = Instant::now();
        // Young, however slow this machine is.
        end.opened_at = before + LONGEST;
        end.give_up(&mut owner, "as a test has it".to_owned(), None);
        assert!(end.again_at >= before + delay);
        delay = (delay * 2).min(LONGEST);
        end.retry(&mut owner);
        assert!(end.open().is_some());
    }
    assert_eq!(end.delay, LONGEST);
    let Some(long_ago) = Instant::now().checked_sub(LIVED) else { return };
    end.opened_at = long_ago;
    end.give_up(&mut owner, "as a test has it".to_owned(), None);
    assert!(end.again_at <= Instant::now(), "it had worked");
    assert_eq!(end.delay, RETRY);
}

#[test]
fn a_callback_that_comes_back_late_is_used_again() {
    let (mut owner, mut seen) = owner();
    let (heard, _hears) = channel();
    let mut end = End::start(&mut owner, SoundSpec::None, Fragile { blocks: 3, heard }).ok().unwrap();
    let value = end.close(&owner).unwrap();
    let Lent { loan, returns, .. } = lend(value);
    end.state = State::Gone(Some(returns));
    assert!(!end.switch(&mut owner, SoundSpec::Tone(440.0)), "the host still has it");
    assert!(matches!(seen.poll(), Some(AudioEvent::Warning(_))));
    end.look_after(&mut owner);
    assert!(end.open().is_none() && seen.poll().is_none());
    drop(loan);
    end.look_after(&mut owner);
    assert!(end.open().is_some());
    assert!(matches!(seen.poll(), Some(AudioEvent::DeviceBack { .. })));
}

#[test]
fn a_default_device_that_is_lost_in_the_chosen_ones_stead_is_told_of_again() {
    let (mut owner, mut seen) = owner();
    let (heard, _hears) = channel();
    let mut end = End::start(&mut owner, SoundSpec::None, Fragile { blocks: 3, heard }).ok().unwrap();
    end.spec = SoundSpec::Device { host: None, name: "headset".to_owned() };
    end.give_up(&mut owner, "unplugged".to_owned(), None);
    assert!(matches!(seen.poll(), Some(AudioEvent::DeviceLost { .. })));
    end.retry(&mut owner);
    assert!(matches!(seen.poll(), Some(AudioEvent::FellBack { .. })));
    end.go_back(&mut owner);
    assert!(end.open().is_some() && seen.poll().is_none(), "nothing has changed");
    assert_eq!(end.patience, RETRY * 2);

    DEFAULT_OPENS.set(false);
    end.go_back(&mut owner);
    assert!(matches!(seen.poll(), Some(AudioEvent::DeviceLost { reason, .. }) if reason.contains("headset")));
    end.retry(&mut owner);
    assert!(end.open().is_none() && seen.poll().is_none());
    DEFAULT_OPENS.set(true);
    end.retry(&mut owner);
    assert!(matches!(seen.poll(), Some(AudioEvent::FellBack { .. })), "its return is news");

    end.give_up(&mut owner, "unplugged".to_owned(), None);
    assert!(matches!(seen.poll(), Some(AudioEvent::DeviceLost { .. })));
    end.retry(&mut owner);
    assert!(matches!(seen.poll(), Some(AudioEvent::FellBack { .. })), "and so is this one");
}

#[test]
fn an_error_of_a_stream_before_the_latest_is_known_as_one() {
    let (owner, _seen) = owner();
    let before = owner.setting(Direction::Microphone, 0);
    let latest = owner.setting(Direction::Microphone, 0);
    let other = owner.setting(Direction::Loudspeaker, 0);
    for (setting, counts) in [(before, false), (latest, true), (other, true)] {
        (setting.on_error)(cpal::ErrorKind::DeviceNotAvailable.into());
        let Ok(Message::Error(direction, number, _)) = owner.messages.try_recv() else {
            panic!("it is not told");
        };
        assert_eq!(owner.is_latest(direction, number), counts);
    }
}
