//! What the head says, and what is read back from it.

use shiguredo_mp4::boxes::MoovBox;
use shiguredo_mp4::{BoxHeader, Decode};

use super::*;

/// Every `moov` box of a file.
fn moovs(file: &[u8]) -> Vec<MoovBox> {
    let mut found = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let (header, _) = BoxHeader::decode(rest).unwrap();
        if header.box_type == MoovBox::TYPE {
            found.push(MoovBox::decode(rest).unwrap().0);
        }
        rest = &rest[header.box_size.get() as usize..];
    }
    found
}

#[test]
fn a_movie_is_read_back_from_the_head_of_its_file() {
    for (video, audio) in [(true, true), (true, false), (false, true)] {
        let notebook = Notebook::new();
        let (mut muxer, result) = take(notebook.clone(), 35, video, audio);
        result.unwrap();
        let growing = moovs(&replay(&notebook.calls.lock().unwrap()));
        assert_eq!(growing.len(), 1);
        assert_eq!(Movie::read(&growing[0]).unwrap(), muxer.movie, "growing");
        muxer.finish(35, &[]).unwrap();
        let finished = moovs(&replay(&notebook.calls.lock().unwrap()));
        // The first lies in the `mdat` box now.
        assert_eq!(finished.len(), 1);
        assert!(finished[0].mvex_box.is_none());
        assert_eq!(Movie::read(&finished[0]).unwrap(), muxer.movie, "finished");
    }
}

#[test]
fn a_head_that_is_not_ours_is_refused_with_the_reason() {
    let notebook = Notebook::new();
    drop(take(notebook.clone(), 1, true, true));
    let moov = moovs(&replay(&notebook.calls.lock().unwrap())).remove(0);
    let refusal = |change: &dyn Fn(&mut MoovBox)| {
        let mut moov = moov.clone();
        change(&mut moov);
        Movie::read(&moov).unwrap_err().to_string()
    };
    assert!(refusal(&|moov| moov.unknown_boxes.clear()).contains("timecode"));
    assert!(refusal(&|moov| moov.unknown_boxes[0].payload.truncate(100)).contains("timecode"));
    assert!(refusal(&|moov| moov.trak_boxes.clear()).contains("neither pictures nor sound"));
    let swapped = refusal(&|moov| {
        let entries = |trak: usize| moov.trak_boxes[trak].mdia_box.minf_box.stbl_box.stsd_box.clone();
        let (video, audio) = (entries(0), entries(1));
        moov.trak_boxes[0].mdia_box.minf_box.stbl_box.stsd_box = audio;
        moov.trak_boxes[1].mdia_box.minf_box.stbl_box.stsd_box = video;
    });
    assert!(swapped.contains("not H.264"), "{swapped}");
}
