//! The file after every possible crash.

use super::*;

/// What a disk writes at once.
const SECTOR: usize = 512;

#[test]
fn cut_at_any_fragment_the_growing_file_decodes_without_complaint() {
    let calls = finished(171, true, true);
    let scratch = Scratch::new();
    let types = |i: &usize| matches!(&calls[*i], Call::Write(_, data) if data == b"moof");
    let fragments: Vec<usize> = (0..calls.len()).filter(types).collect();
    assert_eq!(fragments.len(), 6);
    for (index, call) in fragments.into_iter().enumerate() {
        let file = scratch.file(&replay(&calls[..=call]));
        let ticks = if index == 5 { 171 } else { (index as u64 + 1) * 30 };
        check_video(&file, ticks);
        // The samples that the encoder puts in front lie before 0, where a reader leaves them out.
        check_audio(&file, "-0.021333");
        let (pictures, samples) = decode(&file);
        assert_eq!(pictures as u64, ticks);
        let expected = ticks as usize * 1600;
        assert!((expected - AAC_FRAME..expected + AAC_FRAME).contains(&samples), "{samples} of {expected}");
        // The encoder's delay is in there; and, after the last fragment of a take that ends well, the rest of a unit.
        let limit = if index == 5 { 2.0 * AAC_FRAME as f64 / 48_000.0 } else { 1.0 / 30.0 };
        let beyond = duration(&file, "a") - ticks as f64 / 30.0;
        assert!((0.0..limit).contains(&beyond), "{beyond} s too long");
    }
}

/// The bytes of a write after which it is torn: at every sector's border, and at odd places.
fn tears(at: u64, data: &[u8]) -> Vec<usize> {
    let len = data.len();
    let sectors = (1..=len).filter(|torn| (at as usize + torn).is_multiple_of(SECTOR));
    let odd = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 100, 701, len / 3, len / 2, len - 1];
    let mut tears: Vec<_> = sectors.chain(odd).filter(|torn| (1..len).contains(torn)).collect();
    tears.sort_unstable();
    tears.dedup();
    tears
}

#[test]
fn a_crash_at_any_call_and_within_it_leaves_what_was_whole() {
    const TICKS: usize = 95;
    let names = [(0, "Beginning"), (70_000, "Grüße")];
    let chapters = names.map(|(at, title)| Chapter { at, title: title.to_owned() });
    let calls = with_chapters(TICKS as u64, true, true, &chapters);
    // The head's two, four of each of four fragments, six of the conversion.
    assert_eq!(calls.len(), 2 + 4 * 4 + 6, "{calls:?}");
    let mut left = Vec::new();
    for done in 2..=calls.len() {
        let pictures = whole(&calls[..done], TICKS);
        let file = replay(&calls[..done]);
        read(&file, pictures..=pictures).unwrap_or_else(|wrong| panic!("after {done} calls: {wrong}"));
        left.push(Left { file, pictures, how: format!("after {done} calls") });
        let Some(Call::Write(at, data)) = calls.get(done) else { continue };
        for (number, torn) in tears(*at, data).into_iter().enumerate() {
            let mut calls = calls[..done].to_vec();
            calls.push(Call::Write(*at, data[..torn].to_vec()));
            let (file, how) = (replay(&calls), format!("{torn} of {} bytes of call {done}", data.len()));
            read(&file, pictures..=pictures).unwrap_or_else(|wrong| panic!("{how}: {wrong}"));
            // ffmpeg takes its time: it sees all the small tears, and one in sixteen of the others.
            if torn < 20 || number.is_multiple_of(16) || torn == data.len() - 1 {
                left.push(Left { file, pictures, how });
            }
        }
    }
    assert_eq!(left.last().map(|left| left.pictures), Some(TICKS));
    play(&left);
}

#[test]
fn a_disk_that_fills_up_keeps_what_it_took_and_the_file_is_converted_where_it_can_be() {
    let scratch = Scratch::new();
    // Calls 0 and 1 are the head; each fragment is four: the bytes, the sync, its type, the sync.
    for (fails_from, until, whole) in [
        (10, usize::MAX, 60),
        (11, usize::MAX, 60),
        (12, usize::MAX, 60),
        (13, usize::MAX, 60),
        (10, 11, 60),
        (16, 17, 90),
        (3, usize::MAX, 0),
    ] {
        let notebook = Notebook { fails_from, until, ..Notebook::new() };
        let (mut muxer, result) = take(notebook.clone(), 171, true, true);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
        let converted = muxer.salvage(&[]).is_ok();
        let file = replay(&notebook.calls.lock().unwrap());
        assert_eq!(converted, until != usize::MAX);
        let path = scratch.file(&file);
        if whole > 0 {
            assert_eq!(decode(&path).0, whole, "failing from call {fails_from}");
        }
        // The first four bytes after `ftyp` that are a type say which form it is.
        let at = 4 + file.windows(4).position(|it| it == b"free" || it == b"mdat").unwrap() - 4;
        assert_eq!(&file[at..at + 4], if converted { b"mdat" } else { b"free" });
    }
}
