use super::*;

/// The round trip to the one who listens.
const fn heard(ms: u64) -> [Option<Duration>; PEERS] {
    [None, Some(Duration::from_millis(ms)), None, None]
}

const GOOD: Going = Going {
    lost_permille: [None, Some(0), None, None],
    round_trip: heard(10),
    busy: Duration::from_millis(20),
    overruns: 0,
    crowded: [false; PEERS],
};

struct Run {
    policy: FramePolicy,
    second: u64,
    changes: Vec<(u64, FrameSize)>,
}

fn run() -> Run {
    Run { policy: FramePolicy::new(), second: 0, changes: Vec::new() }
}

impl Run {
    fn go(&mut self, seconds: u64, mut going: impl FnMut(FrameSize) -> Going) -> &mut Self {
        for _ in 0..seconds {
            let before = self.policy.size();
            let size = self.policy.observe(Duration::from_secs(self.second), &going(before));
            if size != before {
                self.changes.push((self.second, size));
            }
            self.second += 1;
        }
        self
    }
}

#[test]
fn the_sizes_know_their_numbers() {
    assert_eq!(FrameSize::ALL.map(FrameSize::samples), [120, 240, 480]);
    assert_eq!(FrameSize::ALL.map(FrameSize::millis), [2.5, 5.0, 10.0]);
    assert_eq!(FrameSize::ALL.map(|size| FrameSize::from_code(size.code())), FrameSize::ALL.map(Some));
    assert_eq!(FrameSize::from_code(3), None);
    assert_eq!(FrameSize::from_millis(2.5), Some(FrameSize::Ms2_5));
    assert_eq!(FrameSize::from_millis(20.0), None);
}

#[test]
fn a_good_path_gets_the_shortest_frame_and_keeps_it() {
    assert_eq!(run().go(3600, |_| GOOD).changes, [(3, FrameSize::Ms2_5)]);
}

#[test]
fn nothing_is_tried_before_somebody_has_said_how_it_is_heard() {
    let unheard = Going { lost_permille: [None; PEERS], round_trip: [None; PEERS], ..GOOD };
    assert_eq!(run().go(60, |_| unheard).changes, []);
    let lossy = Going { lost_permille: [None, Some(10), None, None], ..GOOD };
    assert_eq!(run().go(600, |_| lossy).changes, [], "loss alone is no congestion");
}

#[test]
fn a_machine_that_is_too_slow_for_short_frames_is_asked_less_and_less_often() {
    let mut run = run();
    run.go(3600, slow);
    let tries: Vec<u64> =
        run.changes.iter().filter(|(_, size)| *size == FrameSize::Ms2_5).map(|(second, _)| *second).collect();
    assert!((4..=8).contains(&tries.len()), "{tries:?}");
    let waits: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.windows(2).all(|pair| pair[1] >= pair[0]), "{waits:?}");
    assert!(
        run.changes.windows(2).all(|pair| {
            let least = if pair[1].1 == FrameSize::Ms5 { SUSTAINED.into() } else { DWELL.as_secs() };
            pair[1].0 - pair[0].0 >= least
        }),
        "{:?}",
        run.changes
    );
    assert!(run.changes.iter().all(|(_, size)| *size != FrameSize::Ms10));
}

#[test]
fn a_congested_path_gets_longer_frames_step_by_step_and_recovers() {
    let congested = Going { lost_permille: [None, Some(80), None, None], round_trip: heard(90), ..GOOD };
    let mut run = run();
    run.go(60, |_| GOOD).go(60, |_| congested);
    assert_eq!(run.policy.size(), FrameSize::Ms10);
    assert_eq!(run.changes.len(), 3, "{:?}", run.changes);
    run.go(300, |_| GOOD);
    assert_eq!(run.policy.size(), FrameSize::Ms2_5, "{:?}", run.changes);
}

/// A machine that is too slow for 2.5 ms.
fn slow(size: FrameSize) -> Going {
    Going { overruns: if size == FrameSize::Ms2_5 { 50 } else { 0 }, ..GOOD }
}

#[test]
fn a_trial_that_fails_ends_after_two_seconds_and_what_has_held_dwells() {
    let mut run = run();
    run.go(6, slow);
    assert_eq!(run.changes, [(3, FrameSize::Ms2_5), (5, FrameSize::Ms5)]);
    let too_slow = Going { overruns: 50, ..GOOD };
    run.go(9, |_| too_slow);
    assert_eq!(run.changes.len(), 2, "it is no trial: {:?}", run.changes);
    run.go(1, |_| too_slow);
    assert_eq!(run.changes.last(), Some(&(15, FrameSize::Ms10)));
}

#[test]
fn a_report_that_is_missing_does_not_begin_the_wait_anew() {
    let unheard = Going { lost_permille: [None; PEERS], round_trip: [None; PEERS], ..GOOD };
    let mut run = run();
    run.go(3, |_| GOOD).go(20, |_| unheard);
    assert_eq!(run.changes, [], "it counts for nothing");
    run.go(1, |_| GOOD);
    assert_eq!(run.changes, [(23, FrameSize::Ms2_5)]);
}

#[test]
fn a_bad_second_now_and_then_does_not_put_the_next_trial_off_forever() {
    let mut run = run();
    run.go(120, slow);
    let lossy = Going { lost_permille: [None, Some(10), None, None], ..GOOD };
    for _ in 0..30 {
        run.go(1, |_| lossy).go(19, |_| GOOD);
    }
    assert_eq!(run.policy.size(), FrameSize::Ms2_5, "{:?}", run.changes);
    assert_eq!(run.changes.len(), 7, "three failed, and the fourth holds: {:?}", run.changes);
}

/// Two who listen, with what they lose and their round trips.
fn two(lost: [u32; 2], trips: [u64; 2]) -> Going {
    Going {
        lost_permille: [None, Some(lost[0]), Some(lost[1]), None],
        round_trip: [
            None,
            Some(Duration::from_millis(trips[0])),
            Some(Duration::from_millis(trips[1])),
            None,
        ],
        ..GOOD
    }
}

#[test]
fn each_path_is_judged_by_itself_and_the_worst_decides() {
    let mut far_and_lossy = run();
    far_and_lossy.go(30, |_| two([0, 0], [10, 200])).go(60, |_| two([50, 0], [10, 240]));
    assert_eq!(far_and_lossy.changes, [(3, FrameSize::Ms2_5)], "one loses, the queue is the other's");
    let mut near = run();
    near.go(30, |_| two([0, 0], [10, 200])).go(2, |_| two([50, 0], [60, 200]));
    assert_eq!(near.policy.size(), FrameSize::Ms5, "the queue of the near one is not hidden by the far one");
}

#[test]
fn a_longer_route_is_no_queue_after_a_minute() {
    let longer = Going { round_trip: heard(60), ..GOOD };
    let mut run = run();
    run.go(2, |_| GOOD).go(200, |_| longer);
    let [(tried, FrameSize::Ms2_5)] = run.changes[..] else { panic!("{:?}", run.changes) };
    assert!((50..=65).contains(&tried), "{tried} s");
}

#[test]
fn a_newcomer_is_not_measured_by_the_one_who_had_its_number() {
    let farther = Going { round_trip: heard(60), ..GOOD };
    let mut run = run();
    run.go(2, |_| GOOD);
    run.policy.forget(1);
    run.policy.forget(200);
    run.go(10, |_| farther);
    assert_eq!(run.changes, [(3, FrameSize::Ms2_5)]);
}

#[test]
fn one_bad_second_changes_nothing() {
    let bad = Going { overruns: 100, ..GOOD };
    let mut run = run();
    run.go(30, |_| GOOD).go(1, |_| bad).go(30, |_| GOOD);
    assert_eq!(run.changes, [(3, FrameSize::Ms2_5)]);
}

#[test]
fn a_live_thread_that_is_busy_half_the_time_gets_no_more_to_do() {
    let busy = Going { busy: Duration::from_millis(300), ..GOOD };
    assert_eq!(run().go(600, |_| busy).changes, []);
    let busier = Going { busy: Duration::from_millis(700), ..GOOD };
    assert_eq!(run().go(8, |_| busier).changes.first().map(|(_, size)| *size), Some(FrameSize::Ms10));
}

#[test]
fn a_path_that_does_not_hold_all_of_the_video_gets_no_shorter_frames() {
    let mut policy = FramePolicy::new();
    let mut crowded = Going { lost_permille: [None, Some(0), None, None], ..Going::default() };
    crowded.crowded[1] = true;
    for second in 0..60 {
        assert_eq!(policy.observe(Duration::from_secs(second), &crowded), FrameSize::Ms5);
    }
    let free = Going { crowded: [false; PEERS], ..crowded };
    let sizes: Vec<_> = (60..80).map(|second| policy.observe(Duration::from_secs(second), &free)).collect();
    assert_eq!(sizes.last(), Some(&FrameSize::Ms2_5));
}

#[test]
fn a_path_that_the_voice_alone_fills_gets_longer_frames_at_once() {
    let mut policy = FramePolicy::new();
    assert_eq!(policy.relieve(Duration::from_secs(5)), FrameSize::Ms10);
    let mut policy = FramePolicy::new();
    let free = Going { lost_permille: [None, Some(0), None, None], ..Going::default() };
    for second in 0..20 {
        policy.observe(Duration::from_secs(second), &free);
    }
    assert_eq!(policy.relieve(Duration::from_millis(20_100)), FrameSize::Ms5);
    assert_eq!(policy.relieve(Duration::from_millis(20_200)), FrameSize::Ms5, "what was queued drains first");
    assert_eq!(policy.relieve(Duration::from_millis(22_200)), FrameSize::Ms10);
}

#[test]
fn three_listeners_get_five_milliseconds_and_two_get_less_again() {
    let listeners = |count: usize| {
        let mut going = Going { busy: Duration::from_millis(20), ..Going::default() };
        going.lost_permille[..count].fill(Some(0));
        going.round_trip[..count].fill(Some(Duration::from_millis(10)));
        going
    };
    let changes = |counts: &[usize]| {
        let mut run = run();
        for count in counts {
            run.go(60, |_| listeners(*count));
        }
        run.changes
    };
    assert_eq!(changes(&[3, 3]), []);
    let (short, usual) = (FrameSize::Ms2_5, FrameSize::Ms5);
    assert_eq!(changes(&[2, 3, 1]), [(3, short), (60, usual), (120, short)]);
}
