use super::*;

/// Bytes of a packet of 5 ms at 64 kbit/s, with its headers.
const PACKET: usize = 70;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A voice in frames of 5 ms whose packets take 20 ms and what `late` adds, by number.
fn hear(meter: &mut QueueMeter, packets: std::ops::Range<u64>, late: impl Fn(u64) -> u64) -> Vec<PathReport> {
    let reports = packets.filter_map(|n| {
        let now = ms(5 * n + 5 + 20 + late(n));
        meter.audio(now, n, (5 * n) as u32 + 3_000, PACKET);
        meter.poll(now, || (1, 0))
    });
    reports.collect()
}

#[test]
fn a_path_without_a_queue_is_reported_once_a_second() {
    let mut meter = QueueMeter::new();
    // Jitter of some milliseconds, and a hiccup of the sender's.
    let reports = hear(&mut meter, 0..2000, |n| if n == 1000 { 40 } else { n * 7 % 4 });
    assert_eq!(reports.len(), 9, "ten seconds");
    for report in reports {
        assert!(report.most_queue < NOTICE, "{report:?}");
        assert_eq!(report.rate_kbps, None);
        assert!((106..=118).contains(&report.audio_kbps), "{report:?}");
    }
}

#[test]
fn a_queue_is_told_at_once_and_its_end_too() {
    let mut meter = QueueMeter::new();
    hear(&mut meter, 0..400, |_| 0);
    // From one packet to the next it grows by 5 ms, so the path lets a packet through in 10 ms: 56 kbit/s.
    let reports = hear(&mut meter, 390..440, |n| 5 * n.saturating_sub(400));
    let told: Vec<_> = reports.iter().filter(|report| !report.queue.is_zero()).collect();
    assert!(told[0].queue >= NOTICE && told[0].queue < ALARM, "{:?}", told[0]);
    assert!(told[1].queue >= WARNING && told[1].queue < ALARM, "{:?}", told[1]);
    assert!(told[2].queue >= ALARM && told[2].queue < 2 * ALARM, "{:?}", told[2]);
    assert_eq!(told[2].rate_kbps, Some(56));
    let reports = hear(&mut meter, 490..540, |_| 0);
    let over = reports.iter().find(|report| report.queue.is_zero()).unwrap();
    assert!(over.most_queue > ALARM, "{over:?}");
}

#[test]
fn other_datagrams_count_as_what_the_path_lets_through() {
    let mut meter = QueueMeter::new();
    hear(&mut meter, 0..400, |_| 0);
    let mut told = None;
    for n in 400..440 {
        let now = ms(25 + 5 * n + 2 * (n - 400));
        meter.audio(now, n, (5 * n) as u32 + 3_000, PACKET);
        meter.other(now, 2 * PACKET);
        told = meter.poll(now, || (0, 0)).and_then(|report| report.rate_kbps).or(told);
    }
    // 210 bytes in 7 ms are 240 kbit/s.
    assert!((235..=245).contains(&told.unwrap()), "{told:?}");
}

#[test]
fn a_clock_that_is_set_makes_no_queue() {
    let mut meter = QueueMeter::new();
    hear(&mut meter, 0..400, |_| 0);
    for n in 400..800 {
        let now = ms(25 + 5 * n);
        meter.audio(now, n, (5 * n) as u32 + 2_200, PACKET);
        if let Some(report) = meter.poll(now, || (0, 0)) {
            assert!(report.most_queue < NOTICE, "{report:?}");
        }
    }
}

#[test]
fn what_comes_all_at_once_was_held_back_by_a_scheduler() {
    let mut meter = QueueMeter::new();
    let reports = hear(&mut meter, 0..4000, |n| match n % 400 {
        // 60 ms of packets, all together.
        200..=211 => 5 * (211 - n % 400),
        _ => 0,
    });
    assert!(reports.iter().all(|report| report.most_queue < NOTICE), "{reports:?}");
}

#[test]
fn a_packet_that_does_not_come_is_the_first_sign_of_a_queue_and_one_that_never_comes_is_a_mute() {
    let mut meter = QueueMeter::new();
    hear(&mut meter, 0..400, |_| 0);
    // The last one came at 2020 ms, the next is due 5 ms later.
    let mut told = Vec::new();
    for now in 2021..2400 {
        if let Some(report) = meter.poll(ms(now), || (0, 0)) {
            assert!(report.most_queue < NOTICE, "it is not known to be one: {report:?}");
            told.push((now, report.queue));
        }
    }
    told.retain(|(now, _)| *now > 2035);
    assert_eq!(told, [(2037, ms(12)), (2087, ms(24)), (2125, ms(0))]);
}

#[test]
fn longer_frames_are_no_queue() {
    let mut meter = QueueMeter::new();
    hear(&mut meter, 0..400, |_| 0);
    // Frames of 10 ms are stamped when they begin, and come when they end.
    for n in 0..400 {
        let now = ms(2000 + 10 * n + 10 + 20);
        meter.audio(now, 400 + n, 5_000 + 10 * n as u32, PACKET);
        if let Some(report) = meter.poll(now, || (0, 0)) {
            assert!(report.queue < WARNING && report.most_queue < ALARM, "{report:?}");
        }
    }
}

#[test]
fn one_who_is_muted_says_nothing_of_the_path() {
    let mut meter = QueueMeter::new();
    hear(&mut meter, 0..400, |_| 0);
    hear(&mut meter, 400..440, |n| 3 * (n - 400));
    let last = meter.poll(ms(4000), || (0, 0)).unwrap();
    assert_eq!(last.queue, ms(0), "the queue is not taken to stand for ever");
    assert_eq!(meter.poll(ms(9000), || (0, 0)), None);
}

#[test]
fn packets_out_of_order_and_repeated_numbers_are_harmless() {
    let mut meter = QueueMeter::new();
    for n in [5, 4, 4, 9, 1, u64::MAX, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18] {
        meter.audio(ms(100 + (n & 0xFF)), n, (n as u32).wrapping_mul(5), PACKET);
    }
    assert!(meter.poll(ms(5000), || (0, 0)).is_some());
}
