//! The file after the power failed: of what was not synced, anything may be on the disk.

use proptest::prelude::*;

use super::*;

/// What a disk writes at once.
const SECTOR: usize = 512;

const TICKS: usize = 95;

/// The calls of one take with a chapter, made once for all cases.
fn calls() -> &'static [Call] {
    static CALLS: std::sync::OnceLock<Vec<Call>> = std::sync::OnceLock::new();
    CALLS.get_or_init(|| {
        with_chapters(TICKS as u64, true, true, &[Chapter { at: 5, title: "Start".to_owned() }])
    })
}

/// The power fails after `done` calls. What was synced is on the disk; of each write after that, each sector is, or is not, in
/// `percent` of cases; the file is as long as what is there, or as it was to become.
fn left(calls: &[Call], done: usize, percent: u64, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut chance = move |percent: u64| {
        // xorshift64 (Marsaglia 2003); its low bits are no use.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) % 100 < percent
    };
    let synced = synced(&calls[..done]);
    let mut file = replay(&calls[..synced]);
    for call in &calls[synced..done] {
        let Call::Write(at, data) = call else { continue };
        let mut from = 0;
        while from < data.len() {
            let border = SECTOR - (*at as usize + from) % SECTOR;
            let to = data.len().min(from + border);
            if chance(percent) {
                let at = *at as usize + from;
                if file.len() < at + to - from {
                    file.resize(at + to - from, 0);
                }
                file[at..at + to - from].copy_from_slice(&data[from..to]);
            }
            from = to;
        }
        if chance(50) {
            file.resize(file.len().max(*at as usize + data.len()), 0);
        }
    }
    file
}

/// Calls up to the last sync.
fn synced(calls: &[Call]) -> usize {
    calls.iter().rposition(|call| *call == Call::Sync).map_or(0, |last| last + 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_was_synced_is_there_whatever_became_of_the_rest(
        done in 2..=calls().len(), percent in 0..=100_u64, seed: u64,
    ) {
        let calls = calls();
        let file = left(calls, done, percent, seed);
        let (sure, possible) = (whole(&calls[..synced(&calls[..done])], TICKS), whole(&calls[..done], TICKS));
        let wrong = read(&file, sure..=possible).err();
        prop_assert_eq!(wrong, None, "after {} calls", done);
    }
}

#[test]
fn ffmpeg_plays_what_was_synced_whatever_became_of_the_rest() {
    let calls = calls();
    let mut states = Vec::new();
    // Each moment at which something is not synced; a third of the sectors, half and most of them.
    for done in 3..=calls.len() {
        for percent in [30, 50, 90] {
            let file = left(calls, done, percent, (done as u64 * 1_000_003) << 8 | percent);
            // The type of a fragment that was whole may have come through.
            let sure = whole(&calls[..synced(&calls[..done])], TICKS);
            let possible = whole(&calls[..done], TICKS);
            let pictures = if read(&file, sure..=sure).is_ok() { sure } else { possible };
            states.push(Left { file, pictures, how: format!("{percent} % after {done} calls") });
        }
    }
    assert!(states.iter().filter(|it| it.pictures > 0).count() > 50);
    play(&states);
}
