use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One peer's ladder, told one report a second.
struct Run {
    ladder: PeerLadder,
    now: Duration,
}

impl Run {
    fn new() -> Self {
        Self { ladder: PeerLadder::new(Duration::ZERO), now: Duration::ZERO }
    }

    /// So many seconds of which each is like that; where it stood after each.
    fn seconds(&mut self, seconds: u64, report: PathReport) -> Vec<Rung> {
        let mut rungs = Vec::new();
        for _ in 0..seconds {
            for _ in 0..100 {
                self.now += ms(10);
                self.ladder.advance(self.now);
            }
            self.ladder.handle_report(self.now, &report);
            rungs.push(self.ladder.rung());
        }
        rungs
    }
}

fn good() -> PathReport {
    PathReport { expected: 250, audio_kbps: 112, ..PathReport::default() }
}

fn losing(permille: u32) -> PathReport {
    PathReport { lost: permille, expected: 1000, ..good() }
}

fn standing(queue: u64) -> PathReport {
    PathReport { queue: ms(queue), most_queue: ms(queue), ..good() }
}

#[test]
fn each_bad_window_is_a_rung_down_and_the_last_is_off() {
    let mut run = Run::new();
    let rungs = run.seconds(20, standing(20));
    let mut walked = rungs.clone();
    walked.dedup();
    assert_eq!(walked, Rung::ALL, "one by one");
    assert_eq!(rungs[..2], [Rung::Full, Rung::LowRate], "two seconds are judged together: {rungs:?}");
}

#[test]
fn five_good_seconds_are_a_rung_up() {
    let mut run = Run::new();
    run.seconds(20, losing(400));
    assert_eq!(run.ladder.rung(), Rung::Off);
    let rungs = run.seconds(30, good());
    for (n, rung) in Rung::ALL.iter().rev().enumerate() {
        let held = rungs.iter().filter(|at| *at == rung).count();
        assert!(n == 4 || (5..=6).contains(&held), "{rung:?}: {held} s of {rungs:?}");
    }
    assert_eq!(rungs.last(), Some(&Rung::Full));
}

#[test]
fn a_loss_that_comes_without_a_queue_is_a_radios_and_no_reason_to_see_less() {
    let mut run = Run::new();
    assert!(run.seconds(60, losing(100)).iter().all(|rung| *rung == Rung::Full));
    let queued = PathReport { queue: ms(5), most_queue: ms(30), ..losing(30) };
    assert_eq!(run.seconds(3, queued).last(), Some(&Rung::LowRate), "with one it is too much");
}

#[test]
fn an_alarm_goes_as_far_down_as_the_full_path_says() {
    for (rate, wanted) in
        [(150, Rung::Off), (300, Rung::Small), (400, Rung::LowFps), (500, Rung::LowRate), (2000, Rung::Full)]
    {
        let mut run = Run::new();
        run.seconds(3, good());
        let alarm = PathReport { rate_kbps: Some(rate), ..standing(40) };
        run.ladder.handle_report(run.now, &alarm);
        let mut walked = vec![Rung::Full, run.ladder.rung()];
        for _ in 0..40 {
            run.now += ms(10);
            run.ladder.advance(run.now);
            walked.push(run.ladder.rung());
        }
        walked.dedup();
        assert_eq!(walked, Rung::ALL[..=wanted as usize], "{rate} kbit/s: one by one, within 0.4 s");
    }
}

#[test]
fn a_queue_is_one_alarm_however_often_it_is_reported() {
    let mut run = Run::new();
    run.seconds(4, good());
    // Twice in a minute something fills the path for 0.4 s, which is told every 50 ms.
    for _ in 0..2 {
        for _ in 0..8 {
            run.now += ms(50);
            run.ladder.advance(run.now);
            run.ladder.handle_report(run.now, &PathReport { expected: 12, ..standing(30) });
        }
        assert!(run.seconds(30, good()).iter().all(|rung| *rung == Rung::Full));
    }
}

#[test]
fn one_hiccup_changes_nothing_and_an_alarm_that_lasts_does() {
    let mut run = Run::new();
    run.seconds(3, good());
    run.ladder.handle_report(run.now, &standing(60));
    assert!(run.seconds(4, good()).iter().all(|rung| *rung == Rung::Full));
    for _ in 0..13 {
        run.now += ms(50);
        run.ladder.advance(run.now);
        run.ladder.handle_report(run.now, &standing(60));
    }
    assert_eq!(run.seconds(3, good()).last(), Some(&Rung::LowRate));
}

#[test]
fn a_handful_of_datagrams_says_nothing_of_a_loss() {
    let mut run = Run::new();
    // A camera that is off and a microphone that is muted but for a word now and then: a packet of four is lost.
    let few = PathReport { expected: 4, lost: 1, audio_kbps: 2, ..PathReport::default() };
    assert!(run.seconds(60, few).iter().all(|rung| *rung == Rung::Full));
}

#[test]
fn one_long_round_trip_is_a_hiccup_and_a_route_may_become_longer() {
    let mut run = Run::new();
    let mut trips = |trip: &dyn Fn(u64) -> u64, seconds: u64| {
        let mut lowest = Rung::Full;
        for second in 0..seconds {
            run.ladder.handle_round_trip(run.now, ms(trip(second)));
            for _ in 0..100 {
                run.now += ms(10);
                run.ladder.advance(run.now);
            }
            lowest = lowest.max(run.ladder.rung());
        }
        (lowest, run.ladder.rung())
    };
    assert_eq!(trips(&|second| if second % 5 == 3 { 200 } else { 20 }, 60), (Rung::Full, Rung::Full));
    let (lowest, last) = trips(&|_| 120, 90);
    assert_eq!(last, Rung::Full, "from {lowest:?} on: it is the way's own length");
}

#[test]
fn what_was_queued_before_a_step_does_not_count_against_the_next_rung() {
    let mut run = Run::new();
    run.seconds(3, good());
    run.ladder.handle_report(run.now, &PathReport { rate_kbps: Some(500), ..standing(40) });
    assert_eq!(run.ladder.rung(), Rung::LowRate);
    for _ in 0..5 {
        run.now += ms(100);
        run.ladder.handle_report(run.now, &PathReport { rate_kbps: Some(150), ..standing(30) });
    }
    assert_eq!(run.ladder.rung(), Rung::LowRate, "the queue drains");
}

#[test]
fn a_path_that_does_not_hold_the_filling_is_left_alone_for_longer_each_time() {
    let mut run = Run::new();
    run.seconds(20, losing(400));
    let mut tries = Vec::new();
    let mut was = 0;
    for _ in 0..300 {
        run.seconds(1, good());
        let filling = run.ladder.filling_kbps(run.now);
        if filling > 0 && was == 0 {
            tries.push(run.now.as_secs());
        }
        if filling > 40 {
            run.ladder.handle_report(run.now, &standing(14));
            assert!(run.ladder.filling_kbps(run.now) > 0, "it may be a machine that is busy");
            run.ladder.handle_report(run.now + ms(100), &standing(14));
            assert_eq!(run.ladder.filling_kbps(run.now), 0);
        }
        was = run.ladder.filling_kbps(run.now);
    }
    assert_eq!(run.ladder.rung(), Rung::Off, "no video was sent over it");
    let waits: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.len() >= 4, "{waits:?}");
    assert!(waits.windows(2).all(|pair| pair[1] >= pair[0]), "{waits:?}");
    assert!(waits[0] <= 10 && waits.last().is_some_and(|wait| (18..=26).contains(wait)), "{waits:?}");
}

#[test]
fn one_who_is_muted_is_judged_by_the_round_trip() {
    let mut run = Run::new();
    let mut trips = |trip: u64, seconds: u64| {
        for _ in 0..seconds * 10 {
            run.now += ms(100);
            run.ladder.handle_round_trip(run.now, ms(trip));
            run.ladder.advance(run.now);
        }
        run.ladder.rung()
    };
    assert_eq!(trips(20, 10), Rung::Full);
    assert_eq!(trips(120, 20), Rung::Off);
    assert_eq!(trips(20, 40), Rung::Full);
}

#[test]
fn large_frames_leave_faster_where_that_makes_no_queue() {
    let mut run = Run::new();
    assert_eq!(run.ladder.pace_kbps(), 600);
    run.seconds(40, good());
    assert_eq!(run.ladder.pace_kbps(), *MOST_PACE.start(), "nothing is known of how far it is");
    for (trip, pace) in [(20, 600), (10, 814), (1, 1222)] {
        run.ladder.handle_round_trip(run.now, ms(trip));
        run.seconds(20, good());
        assert_eq!(run.ladder.pace_kbps(), pace, "{trip} ms");
    }
    let short = PathReport { most_queue: ms(9), ..good() };
    run.seconds(5, short);
    assert_eq!(run.ladder.pace_kbps(), Rung::Full.pace_kbps());
    run.seconds(30, short);
    assert_eq!(run.ladder.rung(), Rung::Full);
}

#[test]
fn a_queue_that_comes_and_goes_with_the_frames_is_too_much_as_well() {
    let mut run = Run::new();
    run.seconds(4, good());
    for n in 0..40 {
        run.now += ms(50);
        run.ladder.advance(run.now);
        let report = if n % 2 == 0 { standing(15) } else { PathReport { most_queue: ms(15), ..good() } };
        run.ladder.handle_report(run.now, &PathReport { expected: 12, ..report });
    }
    assert_eq!(run.seconds(1, good()), [Rung::LowRate]);
}
