//! Chapters, timecode and words, as ffprobe finds them.

use hyperzoom_testkit::media;
use proptest::prelude::*;

use super::*;

fn chapters(list: &[(u64, &str)]) -> Vec<Chapter> {
    list.iter().map(|(at, title)| Chapter { at: *at, title: (*title).to_owned() }).collect()
}

/// The chapters that ffprobe finds: begin and end in samples, and title.
fn found(path: &Path) -> Vec<(u64, u64, String)> {
    media::chapters(path).into_iter().map(|it| (it.samples(it.start), it.samples(it.end), it.title)).collect()
}

#[test]
fn chapters_are_where_they_were_put_to_the_sample() {
    let scratch = Scratch::new();
    let long = "ß".repeat(200);
    let list = chapters(&[
        (100_001, "Gespräch mit 東京 🎙"),
        (1, "Intro"),
        (47_999, ""),
        (151_999, &long),
        // Behind the end: in the metadata, but not in the file.
        (152_000, "Never"),
    ]);
    for (video, audio) in [(true, true), (true, false), (false, true)] {
        let file = scratch.file(&replay(&with_chapters(95, video, audio, &list)));
        let expected = [
            (1, 47_999, "Intro".to_owned()),
            (47_999, 100_001, String::new()),
            (100_001, 151_999, "Gespräch mit 東京 🎙".to_owned()),
            // 255 bytes would end within a letter.
            (151_999, 152_000, "ß".repeat(127)),
        ];
        assert_eq!(found(&file), expected, "{video} {audio}");
        assert_eq!(decode(&file).0, if video { 95 } else { 0 });
    }
}

#[test]
fn a_chapter_at_the_beginning_needs_no_edit_and_none_no_track() {
    let scratch = Scratch::new();
    let file = scratch.file(&replay(&with_chapters(35, true, true, &chapters(&[(0, "All")]))));
    assert_eq!(found(&file), [(0, 56_000, "All".to_owned())]);
    let plain = scratch.file(&replay(&finished(35, true, true)));
    let probe = media::ffprobe(&plain);
    assert_eq!(probe["format"]["nb_streams"], 3, "{probe:#}");
    assert!(found(&plain).is_empty());
}

#[test]
fn more_chapters_than_the_short_list_holds_are_in_the_track() {
    let scratch = Scratch::new();
    let names: Vec<String> = (0..400).map(|number| format!("Chapter {number}")).collect();
    let list: Vec<Chapter> =
        (0..).zip(&names).map(|(number, name)| Chapter { at: number * 250, title: name.clone() }).collect();
    let file = scratch.file(&replay(&with_chapters(65, true, true, &list)));
    let found = found(&file);
    assert_eq!(found.len(), 400);
    for (number, (begin, _, title)) in (0..).zip(found) {
        assert_eq!((begin, title), (number * 250, names[number as usize].clone()));
    }
}

#[test]
fn the_timecode_and_the_words_are_there_growing_cut_off_and_finished() {
    let calls = with_chapters(65, true, true, &chapters(&[(4800, "Start")]));
    let whole = replay(&calls);
    let conversion = calls.len() - 6;
    let growing = replay(&calls[..conversion]);
    // In the middle of the last fragment, which is four calls.
    let mut cut = calls[..conversion - 4].to_vec();
    let Call::Write(at, fragment) = &calls[conversion - 4] else {
        panic!("a fragment begins with its bytes")
    };
    cut.push(Call::Write(*at, fragment[..fragment.len() / 2].to_vec()));
    let torn = replay(&cut);
    let scratch = Scratch::new();
    for (form, bytes) in [("finished", whole), ("growing", growing), ("torn", torn)] {
        let probe = media::ffprobe(&scratch.file(&bytes));
        let tags = &probe["format"]["tags"];
        for (key, value) in [
            ("title", "Köln & 東京"),
            ("date", "2026-02-27T19:15:00.123Z"),
            ("creation_time", "2026-02-27T20:15:00.000000Z"),
            ("encoder", concat!("HyperZoom ", env!("CARGO_PKG_VERSION"))),
            ("session_id", "00000000a1b2c3d4"),
            ("session_name", "Köln & 東京"),
            ("recorded_by", "Bob"),
            ("started_at", "2026-02-27T19:15:00.123Z"),
            ("start_timecode", "26:03:04:05"),
        ] {
            assert_eq!(tags[key], value, "{key} of the {form} file: {tags:#}");
        }
        let comment = tags["comment"].as_str().unwrap();
        assert!(comment.contains("recorded by Bob") && comment.contains("26:03:04:05"), "{comment}");
        let video = media::stream(&probe, "video");
        assert_eq!(video["tags"]["timecode"], "26:03:04:05", "{form}: {video:#}");
        let streams = probe["streams"].as_array().unwrap();
        let timecode = streams.iter().find(|it| it["codec_tag_string"] == "tmcd").unwrap();
        assert_eq!(timecode["tags"]["timecode"], "26:03:04:05", "{form}: {timecode:#}");
        assert_eq!(found(&scratch.file(&bytes)).len(), usize::from(form == "finished"));
    }
    // Without pictures it is the sound's.
    let probe = media::ffprobe(&scratch.file(&replay(&finished(35, false, true))));
    assert_eq!(media::stream(&probe, "audio")["tags"]["timecode"], "26:03:04:05", "{probe:#}");
}

#[test]
fn the_other_readers_take_chapters_and_every_form() {
    let calls = with_chapters(65, true, true, &chapters(&[(4800, "Größe"), (96_000, "二")]));
    let whole = replay(&calls);
    let mut reader = ::mp4::Mp4Reader::read_header(std::io::Cursor::new(&whole), whole.len() as u64).unwrap();
    assert_eq!(reader.tracks()[&4].sample_count(), 2);
    let text = reader.read_sample(4, 1).unwrap().unwrap();
    assert_eq!(&text.bytes[2..9], "Größe".as_bytes());
    if !hyperzoom_testkit::have(&media::gstreamer::PROGRAMS) {
        return;
    }
    let scratch = Scratch::new();
    for (form, bytes) in [("finished", whole), ("growing", replay(&calls[..calls.len() - 6]))] {
        let decoded = media::gstreamer::decode(&scratch.file(&bytes));
        assert_eq!(decoded.pictures.len(), 65, "{form}");
        assert_eq!(decoded.pictures[64], 64 * 1_000_000_000 / 30, "{form}");
    }
}

#[test]
fn a_take_without_a_session_name_is_called_after_whose_it_is() {
    let about = About { session_name: None, ..about() };
    let notebook = Notebook::new();
    let mut aac = AacEncoder::new().unwrap();
    let movie = Movie {
        created: std::time::Duration::ZERO,
        start_tick: u64::from(u32::MAX) * 30,
        about,
        video: None,
        audio: Some(AudioConfig::new(aac.config(), aac.delay()).unwrap()),
    };
    let mut muxer = Muxer::create(Box::new(notebook.clone()), movie).unwrap();
    let mut units = Vec::new();
    aac.encode(&[0.1; 4800], &mut |unit| units.push(unit)).unwrap();
    aac.finish(&mut |unit| units.push(unit)).unwrap();
    for unit in units {
        muxer.unit(unit).unwrap();
    }
    muxer.finish(3, &[]).unwrap();
    let recording = reader::read(&mut std::io::Cursor::new(replay(&notebook.calls.lock().unwrap()))).unwrap();
    let probe = media::ffprobe(&Scratch::new().file(&replay(&notebook.calls.lock().unwrap())));
    assert_eq!(probe["format"]["tags"]["title"], "HyperZoom Bob");
    // 136 years into a session, the 32 bits of the track have begun anew, at a midnight; the words have not.
    let tick = recording.movie.unwrap().start_tick;
    assert_eq!(tick, u64::from(u32::MAX) * 30);
    assert_eq!(u64::from(recording.timecode.unwrap()) % (24 * 3600 * 30), tick % (24 * 3600 * 30));
}

proptest! {
    #[test]
    fn our_own_reader_finds_every_chapter_again(
        list in prop::collection::vec((0..60_000_u64, ".{0,300}"), 0..20),
    ) {
        let list: Vec<Chapter> = list.into_iter().map(|(at, title)| Chapter { at, title }).collect();
        let notebook = Notebook::new();
        let aac = AacEncoder::new().unwrap();
        let movie = Movie {
            created: std::time::Duration::ZERO,
            start_tick: 7,
            about: about(),
            video: None,
            audio: Some(AudioConfig::new(aac.config(), 0).unwrap()),
        };
        let mut muxer = Muxer::create(Box::new(notebook.clone()), movie).unwrap();
        for _ in 0..50 {
            muxer.unit(vec![0x21; 10]).unwrap();
        }
        muxer.finish(31, &list).unwrap();
        let file = replay(&notebook.calls.lock().unwrap());
        let recording = reader::read(&mut std::io::Cursor::new(file)).unwrap();
        prop_assert_eq!(recording.chapters, super::super::chapters::fitting(&list, 31 * 1600));
    }
}
