//! Any camera, in virtual time.

use proptest::prelude::*;

use super::*;
use crate::ledger::{PictureLedger, VideoCounts};

const SECOND: i64 = 1_000_000_000;

fn fresh<T>(tick: u64, picture: T) -> Tick<T> {
    Tick { tick, picture: Some(picture), entry: TickEntry { fresh: true, ..TickEntry::default() } }
}

fn repeated<T>(tick: u64, picture: Option<T>) -> Tick<T> {
    let entry = TickEntry { black: picture.is_none(), ..TickEntry::default() };
    Tick { tick, picture, entry }
}

fn counts<T>(ticks: &[Tick<T>]) -> VideoCounts {
    let mut ledger = PictureLedger::default();
    ticks.iter().for_each(|tick| ledger.push(tick.entry));
    ledger.counts(u64::MAX, u64::MAX)
}

/// Runs a camera that delivers at `moments`, each picture `latency` after its capture, and collects `ticks` ticks.
fn run(first: u64, moments: &[i64], latency: i64, ticks: usize) -> (Vec<Tick<usize>>, VideoCounts) {
    let mut machine = ConstantRate::new(first);
    let mut out = Vec::new();
    let mut pictures = moments.iter().enumerate().peekable();
    let mut now = tick_time_ns(first) - SECOND;
    while out.len() < ticks {
        while let Some((index, at)) = pictures.next_if(|(_, at)| **at + latency <= now) {
            machine.push(*at, 0, index);
        }
        out.extend(std::iter::from_fn(|| machine.poll(now)));
        now += SECOND / 1000;
    }
    out.truncate(ticks);
    let counts = counts(&out);
    (out, counts)
}

fn camera(rate_mhz: i64, seconds: i64, jitter: i64) -> Vec<i64> {
    let mut state = 88_172_645_463_325_252_u64;
    (0..seconds * rate_mhz / 1000)
        .map(|i| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let noise = if jitter == 0 { 0 } else { (state % (2 * jitter as u64)) as i64 - jitter };
            SECOND / 100 + i * 1000 * SECOND / rate_mhz + noise
        })
        .collect()
}

#[test]
fn a_camera_that_is_pulled_stands_still_for_two_seconds_and_then_is_black_until_it_is_back() {
    let before = camera(30_000, 5, 0);
    let (last, back) = (before.len(), 10 * SECOND);
    let moments: Vec<_> = before.iter().copied().chain((0..60).map(|n| back + n * SECOND / 30)).collect();
    let (ticks, counts) = run(1, &moments, 20_000_000, 330);
    let at = |tick: usize| ticks[tick - 1].picture;
    // The last of five seconds' pictures belongs to tick 149.
    assert_eq!(at(149), Some(last - 1));
    assert_eq!(at(149 + STILL_TICKS as usize), Some(last - 1));
    assert!((150 + STILL_TICKS as usize..300).all(|tick| at(tick).is_none()));
    assert_eq!(at(300), Some(last));
    assert_eq!((counts.duplicated, counts.black, counts.dropped), (150, 150 - STILL_TICKS, 0));
}

#[test]
fn a_camera_on_the_beat_gives_each_tick_its_own_picture() {
    let (ticks, counts) = run(1, &camera(30_000, 12, 0), 20_000_000, 300);
    // The first picture, of 10 ms, belongs to tick 0.
    assert!(
        ticks.iter().enumerate().all(|(i, tick)| tick.tick == i as u64 + 1 && tick.picture == Some(i + 1))
    );
    assert_eq!((counts.duplicated, counts.decimated), (0, 0));
}

#[test]
fn a_60_hz_camera_is_halved() {
    let (_, counts) = run(0, &camera(60_000, 12, 0), 10_000_000, 300);
    assert_eq!(counts.duplicated, 0);
    assert!(counts.decimated.abs_diff(300) <= 2, "{counts:?}");
}

#[test]
fn a_camera_that_stops_is_repeated_without_waiting_longer_than_the_patience() {
    let mut machine = ConstantRate::new(0);
    machine.push(0, 0, 'a');
    let last = tick_time_ns(90);
    let now = last + REPEAT_AFTER.as_nanos() as i64;
    let ticks: Vec<_> = std::iter::from_fn(|| machine.poll(now)).collect();
    assert_eq!((ticks.len(), counts(&ticks).duplicated), (91, 90));
    machine.push(tick_time_ns(91) - 5, 0, 'b');
    assert_eq!(machine.poll(last), None, "tick 91 may yet get a newer picture");
    machine.push(tick_time_ns(92) - 5, 0, 'c');
    assert_eq!(machine.poll(last), Some(fresh(91, 'b')));
}

#[test]
fn the_first_picture_stands_in_for_the_ticks_before_it() {
    let mut machine = ConstantRate::new(10);
    assert_eq!(machine.poll(tick_time_ns(10) + SECOND / 2), None, "there is a second to deliver the first");
    machine.push(tick_time_ns(12) - 1, 0, 'a');
    let now = tick_time_ns(13);
    assert_eq!(machine.poll(now), Some(repeated(10, Some('a'))));
    assert_eq!(machine.poll(now), Some(repeated(11, Some('a'))));
    machine.push(tick_time_ns(13) - 1, 0, 'b');
    assert_eq!(machine.poll(now), Some(fresh(12, 'a')));
}

#[test]
fn without_any_picture_ticks_are_black_after_a_second() {
    let mut machine = ConstantRate::<char>::new(0);
    assert_eq!(machine.poll(SECOND - 1), None);
    assert_eq!(machine.poll(SECOND), Some(repeated(0, None)));
}

#[test]
fn pictures_from_before_the_take_are_not_counted() {
    let mut machine = ConstantRate::new(30);
    for (i, at) in camera(60_000, 2, 0).into_iter().enumerate() {
        machine.push(at, 1, i);
    }
    let first = machine.poll(0).unwrap();
    assert_eq!(first.entry, TickEntry { fresh: true, ..TickEntry::default() });
}

#[test]
fn lost_pictures_belong_to_the_ticks_that_lack_them() {
    let mut machine = ConstantRate::new(0);
    machine.push(0, 0, 'a');
    // Three are missing, at ticks 1 to 3, and later the one of tick 7.
    machine.push(tick_time_ns(4), 3, 'b');
    machine.push(tick_time_ns(5), 0, 'c');
    machine.push(tick_time_ns(6), 0, 'd');
    machine.push(tick_time_ns(8), 1, 'e');
    machine.push(tick_time_ns(9), 0, 'f');
    let ticks: Vec<_> = std::iter::from_fn(|| machine.poll(0)).collect();
    let dropped: Vec<_> = ticks.iter().map(|tick| tick.entry.dropped).collect();
    assert_eq!(dropped, [0, 3, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(
        counts(&ticks),
        VideoCounts { captured: 9, written: 9, duplicated: 4, black: 0, decimated: 0, dropped: 4 }
    );
}

#[test]
fn a_clock_that_steps_back_keeps_the_order() {
    let mut machine = ConstantRate::new(1);
    machine.push(tick_time_ns(1) - 10, 0, 'a');
    machine.push(tick_time_ns(1) - 20, 0, 'b');
    machine.push(tick_time_ns(3), 0, 'c');
    assert_eq!(machine.poll(0).and_then(|tick| tick.picture), Some('b'));
}

/// A camera of a certain rate and phase, whose stamps are off by up to 20 ms to either side, and whose pictures arrive 20 ms
/// after their stamps.
struct Shaky {
    /// When each picture truly was.
    truth: Vec<i64>,
    stamps: Vec<i64>,
}

impl Shaky {
    fn new(phase: i64, periods: impl IntoIterator<Item = i64>, seed: u64) -> Self {
        let mut state = seed | 1;
        let (mut truth, mut stamps, mut at) = (Vec::new(), Vec::new(), phase);
        for period in periods {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            truth.push(at);
            stamps.push(at + (state % 40_000_001) as i64 - 20_000_000);
            at += period;
        }
        Self { truth, stamps }
    }

    fn steady(rate_mhz: i64, seconds: i64, phase: i64, seed: u64) -> Self {
        let count = (seconds * rate_mhz / 1000) as usize;
        let mut shaky = Self::new(phase, std::iter::repeat_n(0, count), seed);
        for (i, (truth, stamp)) in shaky.truth.iter_mut().zip(&mut shaky.stamps).enumerate() {
            let at = i as i64 * 1000 * SECOND / rate_mhz;
            *truth += at;
            *stamp += at;
        }
        shaky
    }
}

/// What can be seen of the choice of pictures.
#[derive(Debug, Default, PartialEq)]
struct Cadence {
    repeats: usize,
    decimated: usize,
    longest_repeat: usize,
    /// Ticks between two repeats, or between two decimations where there are no repeats: least and most.
    spacing: Option<(usize, usize)>,
}

impl Cadence {
    /// Of the pictures shown, one a tick.
    fn of(shown: &[usize]) -> Self {
        let mut it = Self::default();
        let (mut run, mut at) = (0, Vec::new());
        for (i, pair) in shown.windows(2).enumerate() {
            let step = pair[1] - pair[0];
            run = if step == 0 { run + 1 } else { 0 };
            it.longest_repeat = it.longest_repeat.max(run);
            it.repeats += usize::from(step == 0);
            it.decimated += step.max(1) - 1;
            if step != 1 {
                at.push(i);
            }
        }
        let gaps = || at.windows(2).map(|pair| pair[1] - pair[0]);
        it.spacing = gaps().min().zip(gaps().max());
        it
    }

    /// What a camera without jitter would get: each tick the picture that is nearest to it.
    fn ideal(truth: &[i64], period: i64, ticks: std::ops::Range<u64>) -> Self {
        let half = period.min(SECOND / 30) / 2;
        let shown: Vec<_> =
            ticks.map(|tick| truth.partition_point(|at| *at <= tick_time_ns(tick) + half)).collect();
        Self::of(&shown)
    }
}

/// Ticks until the fit is good enough to be held to the ideal: twenty seconds. Until then a picture in the middle between two
/// ticks may go to either.
const WARM: usize = 600;

fn shown(ticks: &[Tick<usize>]) -> Vec<usize> {
    ticks.iter().map(|tick| tick.picture.unwrap()).collect()
}

/// How much later than they truly were the pictures are shown, each at its first tick, in ns.
fn distances<'a>(ticks: &'a [Tick<usize>], truth: &'a [i64]) -> impl Iterator<Item = i64> + 'a {
    let fresh = ticks.iter().filter(|tick| tick.entry.fresh);
    fresh.filter_map(|tick| Some(tick_time_ns(tick.tick) - truth[tick.picture?]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn jitter_makes_no_cadence_worse_than_the_rate_demands(
        rate in prop::sample::select(vec![24_000_i64, 29_970, 30_000, 30_020, 60_000, 25_000, 15_000, 50_000]),
        phase in 0..SECOND / 15,
        seed: u64,
    ) {
        let seconds = 120;
        let camera = Shaky::steady(rate, seconds + 2, phase, seed);
        let length = seconds as usize * 30;
        let (ticks, all) = run(3, &camera.stamps, 20_000_000, length);
        prop_assert_eq!((all.written, all.dropped), (length as u64, 0));
        prop_assert!(ticks.windows(2).all(|pair| pair[1].tick == pair[0].tick + 1));
        let warm = &ticks[WARM..];
        let span = warm[0].tick..warm[0].tick + warm.len() as u64;
        let (got, ideal) = (Cadence::of(&shown(warm)), Cadence::ideal(&camera.truth, 1000 * SECOND / rate, span));
        prop_assert!(got.repeats <= ideal.repeats + 1, "{:?} {:?}", got, ideal);
        prop_assert!(got.decimated <= ideal.decimated + 1, "{:?} {:?}", got, ideal);
        // A camera of 15 pictures a second that is in the middle between ticks may move from one to the other once.
        let moves = usize::from(rate == 15_000);
        prop_assert!(got.longest_repeat <= ideal.longest_repeat.max(1) + moves, "{:?} {:?}", got, ideal);
        let worst = distances(warm, &camera.truth).map(i64::abs).max().unwrap();
        prop_assert!(worst <= SECOND / 30, "a picture is {} ns from its time", worst);
    }

    #[test]
    fn a_camera_that_changes_its_rate_stalls_or_restarts_is_followed_within_a_second(
        (before, after) in prop::sample::select(vec![(30, 15), (15, 30), (30, 20), (30, 25), (60, 30), (30, 60), (30, 30)]),
        pause in prop::sample::select(vec![0, SECOND / 5, 3 * SECOND]),
        seed: u64,
    ) {
        let halves = [before, after].map(|rate| std::iter::repeat_n(SECOND / rate, 10 * rate as usize));
        let [mut first, second] = halves.map(Iterator::collect::<Vec<_>>);
        *first.last_mut().unwrap() += pause;
        let camera = Shaky::new(SECOND / 7, first.into_iter().chain(second), seed);
        let (ticks, counts) = run(3, &camera.stamps, 20_000_000, 18 * 30);
        prop_assert_eq!(counts.captured + counts.duplicated, counts.written + counts.decimated);
        let changed = camera.truth[10 * before as usize];
        for (name, from, to) in [("before", 2 * SECOND, 10 * SECOND), ("after", changed + SECOND * 3 / 2, 18 * SECOND)] {
            let part: Vec<_> = ticks
                .iter()
                .filter(|tick| (from..to).contains(&tick_time_ns(tick.tick)))
                .cloned()
                .collect();
            let Some(worst) = distances(&part, &camera.truth).map(i64::abs).max() else { continue };
            prop_assert!(worst <= SECOND / 30, "{}: a picture is {} ns from its time", name, worst);
        }
        // Also while it is being followed: the bounds of choice, fit and jitter together.
        let worst = distances(&ticks[1..], &camera.truth).map(i64::abs).max().unwrap();
        prop_assert!(worst <= SECOND / 60 + DEAD_BAND + 40_000_000 + 1, "{} ns from its time", worst);
    }
}

/// The four cameras that the product is promised to take, over ten minutes: what each of them shows.
#[test]
fn the_cadence_of_common_cameras_is_that_of_cameras_without_jitter() {
    for (rate, seed) in [(24_000, 1), (29_970, 2), (30_020, 3), (60_000, 4)] {
        for phase in [0, 4_000_000, 11_000_000, 16_666_667, 25_000_000] {
            let camera = Shaky::steady(rate, 602, phase, seed);
            let (ticks, all) = run(0, &camera.stamps, 20_000_000, 18_000);
            assert_eq!((all.written, all.dropped), (18_000, 0));
            let warm = &ticks[WARM..];
            let got = Cadence::of(&shown(warm));
            let mean = distances(warm, &camera.truth).sum::<i64>() / warm.len() as i64;
            // A camera that keeps its phase to the ticks keeps its distance, half a picture at most; another's comes to nothing.
            let keeps = if rate == 60_000 || rate == 24_000 { SECOND / 120 } else { 0 };
            assert!(mean.abs() <= keeps + DEAD_BAND + 1_000_000, "{rate}: {mean} ns");
            match rate {
                // Every fourth picture twice.
                24_000 => {
                    assert_eq!((got.decimated, got.longest_repeat), (0, 1), "{got:?}");
                    assert!(got.repeats.abs_diff(17_400 / 5) <= 1, "{got:?}");
                    assert_eq!(got.spacing, Some((5, 5)), "phase {phase}: {got:?}");
                }
                // One twice in 33.4 s, one left out in 50 s, and never a pair of both.
                29_970 => assert!(got.decimated == 0 && (17..=18).contains(&got.repeats), "{got:?}"),
                30_020 => assert!(got.repeats == 0 && (11..=12).contains(&got.decimated), "{got:?}"),
                _ => assert!(
                    got.repeats == 0 && shown(warm).windows(2).all(|pair| pair[1] == pair[0] + 2),
                    "phase {phase}: {got:?}"
                ),
            }
        }
    }
}
