//! That a link does what its conditions say, no more and no less.

use std::time::Duration;

use hyperzoom_netem::{Conditions, Link, LinkStats};
use proptest::prelude::*;

const FRAME: Duration = Duration::from_millis(5);

/// Sends `count` numbered datagrams 5 ms apart; returns what arrived, with its moment, in order of arrival.
fn run(conditions: Conditions, seed: u64, count: u64) -> (Vec<(Duration, u64)>, LinkStats) {
    let mut link = Link::new(conditions, seed);
    let mut arrived = Vec::new();
    for n in 0..count {
        let now = FRAME * n as u32;
        while let Some((at, datagram)) = link.poll_timed(now) {
            arrived.push((at, number(&datagram)));
        }
        link.send(now, n.to_be_bytes().to_vec());
    }
    while let Some(at) = link.next_at() {
        let datagram = link.poll(at).expect("it is due");
        arrived.push((at, number(&datagram)));
    }
    (arrived, link.stats())
}

fn number(datagram: &[u8]) -> u64 {
    u64::from_be_bytes(datagram.try_into().expect("the tests send eight bytes"))
}

/// Average length in datagrams of a run of missing ones.
fn mean_burst(arrived: &[(Duration, u64)]) -> f64 {
    let gaps: Vec<u64> =
        arrived.windows(2).map(|pair| pair[1].1 - pair[0].1 - 1).filter(|gap| *gap > 0).collect();
    gaps.iter().sum::<u64>() as f64 / gaps.len() as f64
}

#[test]
fn a_perfect_link_delivers_everything_at_once() {
    let (arrived, stats) = run(Conditions::PERFECT, 1, 1000);
    assert!(arrived.iter().enumerate().all(|(i, (at, n))| i as u64 == *n && *at == FRAME * i as u32));
    assert_eq!(stats, LinkStats { sent: 1000, delivered: 1000, ..LinkStats::default() });
}

#[test]
fn nothing_arrives_before_its_time() {
    let mut link = Link::new(Conditions { delay: Duration::from_millis(20), ..Conditions::PERFECT }, 1);
    link.send(Duration::from_millis(5), vec![1]);
    assert_eq!(link.poll(Duration::from_millis(24)), None);
    assert_eq!(link.poll(Duration::from_millis(25)), Some(vec![1]));
    assert_eq!((link.next_at(), link.poll(Duration::MAX)), (None, None));
}

#[test]
fn the_same_seed_gives_the_same_call_and_another_seed_another() {
    assert_eq!(run(Conditions::ROUGH, 7, 5000), run(Conditions::ROUGH, 7, 5000));
    assert_ne!(run(Conditions::ROUGH, 7, 5000), run(Conditions::ROUGH, 8, 5000));
}

#[test]
fn independent_loss_has_the_rate_asked_for_and_no_bursts() {
    let (arrived, stats) = run(Conditions { loss: 0.05, ..Conditions::PERFECT }, 3, 200_000);
    let share = stats.lost as f64 / stats.sent as f64;
    assert!((0.045..0.055).contains(&share), "{share}");
    // Independent losses at 5 % run 1 / 0.95 long.
    assert!((1.0..1.1).contains(&mean_burst(&arrived)));
}

#[test]
fn bursts_have_the_length_and_the_rate_asked_for() {
    let burst_mean = Duration::from_millis(50);
    let (arrived, stats) = run(Conditions { loss: 0.05, burst_mean, ..Conditions::PERFECT }, 3, 400_000);
    let share = stats.lost as f64 / stats.sent as f64;
    assert!((0.045..0.055).contains(&share), "{share}");
    // Seen every 5 ms, a burst of 50 ms on average is 1 / (1 - p(bad → bad)) datagrams: rates 1/50 and 0.05/0.95/50 a
    // ms.
    let memory = (-5.0f64 * (1.0 / 50.0 + 0.05 / 0.95 / 50.0)).exp();
    let expected = 1.0 / (1.0 - (0.05 + 0.95 * memory));
    let mean = mean_burst(&arrived);
    assert!((mean / expected - 1.0).abs() < 0.05, "{mean}, expected {expected}");
}

#[test]
fn jitter_alone_keeps_the_order_and_its_bounds() {
    let (delay, jitter) = (Duration::from_millis(10), Duration::from_millis(20));
    let (arrived, _) = run(Conditions { delay, jitter, ..Conditions::PERFECT }, 5, 10_000);
    assert_eq!(arrived.len(), 10_000);
    assert!(arrived.is_sorted_by_key(|(_, n)| *n));
    let took = |(at, n): &(Duration, u64)| *at - FRAME * *n as u32;
    assert!(arrived.iter().all(|a| (delay..=delay + jitter).contains(&took(a))));
    assert!(arrived.iter().any(|a| took(a) > delay + jitter * 9 / 10));
}

#[test]
fn reordered_and_doubled_datagrams_are_as_many_as_asked_for() {
    let conditions = Conditions { reorder: 0.1, duplicate: 0.2, ..Conditions::PERFECT };
    let (arrived, stats) = run(conditions, 5, 20_000);
    let overtaken = arrived.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
    assert!((1_500..2_500).contains(&overtaken), "{overtaken}");
    assert!((3_700..4_300).contains(&stats.duplicated), "{stats:?}");
    assert_eq!(stats.delivered, 20_000 + stats.duplicated);
}

#[test]
fn a_slow_path_queues_and_then_overflows() {
    // 8 kbit/s is one byte a millisecond.
    let queue = Duration::from_millis(100);
    let mut link = Link::new(Conditions { rate_bps: Some(8_000), queue, ..Conditions::PERFECT }, 1);
    for _ in 0..20 {
        link.send(Duration::ZERO, vec![0; 10]);
    }
    assert_eq!(link.stats().overflowed, 9);
    assert_eq!(link.next_at(), Some(Duration::from_millis(10)));
    assert_eq!((0..200).filter(|ms| link.poll(Duration::from_millis(*ms)).is_some()).count(), 11);
}

#[test]
fn a_cut_link_delivers_nothing_and_heals() {
    let mut link = Link::new(Conditions { loss: 1.0, ..Conditions::PERFECT }, 1);
    link.send(Duration::ZERO, vec![1]);
    link.set_conditions(Conditions::PERFECT);
    link.send(Duration::from_secs(1), vec![2]);
    assert_eq!(link.poll(Duration::from_secs(1)), Some(vec![2]));
    assert_eq!(link.poll(Duration::from_secs(1)), None);
}

proptest! {
    #[test]
    fn every_datagram_is_accounted_for(
        loss in 0.0..1.0f64, burst_ms in 0u64..100, jitter_ms in 0u64..50, reorder in 0.0..1.0f64,
        duplicate in 0.0..1.0f64, rate_bps in proptest::option::of(1u64..1_000_000), seed: u64,
    ) {
        let conditions = Conditions {
            loss, reorder, duplicate, rate_bps,
            burst_mean: Duration::from_millis(burst_ms), jitter: Duration::from_millis(jitter_ms),
            ..Conditions::PERFECT
        };
        let (arrived, stats) = run(conditions, seed, 300);
        prop_assert_eq!(stats.sent, 300);
        prop_assert_eq!(stats.delivered, stats.sent - stats.lost - stats.overflowed + stats.duplicated);
        prop_assert_eq!(arrived.len() as u64, stats.delivered);
        prop_assert!(arrived.is_sorted_by_key(|(at, _)| *at));
    }
}
