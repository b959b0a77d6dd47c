//! Keys, clicks, and what screen readers say.

use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use hyperzoom_ui_plugin::model::{CallView, Intent, Notice, RecView, Tile, TileState, Weight};

use crate::kit::{LARGE, SMALL, Stage, is_inside, stage};
use crate::people::{alone, four, me, peer};

#[test]
fn keys_do_what_their_buttons_do() {
    let mut shown = stage(LARGE, false, four());
    for key in [Key::M, Key::C, Key::K, Key::I] {
        shown.key_press(key);
    }
    shown.run();
    let wanted = [Intent::ToggleMute, Intent::ToggleCamera, Intent::Marker, Intent::CopyInvite];
    assert_eq!(shown.state().intents, wanted);
    shown.state_mut().intents.clear();
    for name in ["Mute", "Turn the camera off", "Set a marker", "Copy invite"] {
        shown.get_by_label(name).click();
        shown.run();
    }
    assert_eq!(shown.state().intents, wanted);

    shown.key_press(Key::S);
    shown.run();
    assert!(shown.state().open.statistics);
    shown.get_by_label("Hide statistics").click();
    shown.run();
    assert!(!shown.state().open.statistics);
}

#[test]
fn a_key_that_is_held_or_pressed_with_another_does_nothing_more() {
    let mut shown = stage(LARGE, false, four());
    shown.key_down(Key::M);
    shown.run();
    shown.key_down(Key::M);
    shown.run();
    shown.key_up(Key::M);
    shown.key_press_modifiers(Modifiers::COMMAND, Key::C);
    shown.key_press_modifiers(Modifiers::COMMAND, Key::S);
    shown.run();
    assert_eq!(shown.state().intents, [Intent::ToggleMute]);
    assert!(!shown.state().open.statistics);
}

#[test]
fn there_is_no_camera_to_turn_on_where_there_is_none() {
    let mut shown = stage(LARGE, false, CallView { camera_on: None, ..four() });
    shown.key_press(Key::C);
    shown.get_by_label("No camera").click();
    shown.run();
    assert!(shown.state().intents.is_empty());
}

#[test]
fn the_end_is_asked_for_once() {
    let mut shown = stage(LARGE, false, four());
    shown.key_press(Key::E);
    shown.run();
    assert!(shown.state().open.asks_to_end && shown.state().intents.is_empty());
    shown.get_by_label("Stay").click();
    shown.run();
    assert!(!shown.state().open.asks_to_end);
    // Escape is as Stay, Enter is as the button that ends it, and other keys do nothing meanwhile.
    shown.key_press(Key::E);
    shown.run();
    shown.key_press(Key::M);
    shown.key_press(Key::Escape);
    shown.run();
    assert!(!shown.state().open.asks_to_end && shown.state().intents.is_empty());
    shown.get_by_label("End the call").click();
    shown.run();
    assert!(shown.state().open.asks_to_end);
    shown.key_press(Key::Enter);
    shown.run();
    assert_eq!(shown.state().intents, [Intent::End]);
    assert!(!shown.state().open.asks_to_end);
}

#[test]
fn nothing_can_be_asked_for_while_it_ends() {
    let view = CallView { ending: true, rec: RecView::Finishing, ..four() };
    let stage_of = Stage::with(view, |open| open.asks_to_end = true);
    let mut shown = stage(LARGE, false, stage_of);
    shown.key_press(Key::M);
    shown.key_press(Key::E);
    shown.get_by_label("Mute").click();
    shown.run();
    assert!(shown.state().intents.is_empty());
    assert!(shown.query_by_label("Stay").is_none());
    shown.get_by_label("Ending the call");
}

#[test]
fn the_invite_is_copied_from_the_card_and_from_the_bar() {
    let mut shown = stage(LARGE, false, alone());
    shown.get_by_label("Copy invite").click();
    shown.run();
    shown.state_mut().view = four();
    shown.run();
    shown.get_by_label("Copy invite").click();
    shown.run();
    assert_eq!(shown.state().intents, [Intent::CopyInvite, Intent::CopyInvite]);
    shown.state_mut().view.copied = true;
    shown.run();
    shown.get_by_label("Copied");
    shown.state_mut().view.invite = None;
    shown.run();
    assert!(shown.query_by_label("Copied").is_none());
}

#[test]
fn a_guest_that_waits_has_no_invite_to_send() {
    let mut shown = stage(LARGE, false, CallView { invite: None, ..alone() });
    shown.run();
    shown.get_by_label("Waiting for the others");
    assert!(shown.query_by_label("Copy invite").is_none());
}

#[test]
fn somebody_is_made_louder_with_the_keyboard_alone() {
    let mut shown = stage(LARGE, false, four());
    shown.get_by_label("Volume of Grace, 100 %").focus();
    shown.run();
    shown.key_press(Key::Enter);
    shown.run();
    shown.get_by_label("How loud you hear Grace, in percent").focus();
    shown.run();
    shown.key_press(Key::ArrowRight);
    shown.run();
    let Some(Intent::Volume { id: 1, volume }) = shown.state().intents.first().cloned() else {
        panic!("{:?}", shown.state().intents)
    };
    assert!(volume > 1.0 && volume < 1.2, "{volume}");
    // And back to how it comes with one press.
    shown.state_mut().view.tiles[1].volume = volume;
    shown.state_mut().intents.clear();
    shown.run();
    shown.get_by_label("As it comes").click();
    shown.run();
    assert_eq!(shown.state().intents, [Intent::Volume { id: 1, volume: 1.0 }]);
}

#[test]
fn nobody_makes_themselves_louder() {
    let shown = stage(LARGE, false, four());
    assert!(shown.query_by_label_contains("Volume of Ada").is_none());
    for name in ["Grace", "Linus", "Barbara"] {
        shown.get_by_label(&format!("Volume of {name}, 100 %"));
    }
}

#[test]
fn pictures_are_asked_for_where_there_are_some() {
    let mut shown = stage(LARGE, false, four());
    let places = &shown.state().places;
    let ids: Vec<u8> = places.iter().map(|place| place.id).collect();
    assert_eq!(ids, [0, 1, 3], "Linus has no camera");
    assert!(places[0].mirrored && !places[1].mirrored);
    assert!(places[2].faded && !places[1].faded, "Barbara's is old");
    shown.state_mut().view.tiles = vec![me(), Tile { state: TileState::Rejoining, ..peer(1, "Grace", 18.0) }];
    shown.run();
    assert!(shown.state().places[1].faded);
    assert!(shown.query_by_label("18 ms").is_none(), "nothing is heard of her");
    shown.get_by_label("back in a moment");
}

#[test]
fn an_alarm_stays_until_it_is_dismissed_and_is_read_out_at_once() {
    let text = "The disk is full in 3 minutes.";
    let alarm = Notice { id: 1, weight: Weight::Alarm, text: text.to_owned() };
    let note = Notice { id: 2, weight: Weight::Note, text: "Grace is back.".to_owned() };
    let mut shown = stage(LARGE, false, CallView { notices: vec![alarm, note], ..four() });
    let live = shown.get_by_label(text).accesskit_node().live();
    assert_eq!(live, egui::accesskit::Live::Assertive);
    // A quarter of a second a step.
    shown.run_steps(40);
    shown.get_by_label(text);
    assert!(shown.query_by_label("Grace is back.").is_none());
    shown.get_by_label("Dismiss").click();
    shown.run();
    assert!(shown.query_by_label(text).is_none());
}

#[test]
fn the_recording_is_said_aloud_and_never_hides() {
    for rec in [
        RecView::Off,
        RecView::Waiting,
        RecView::Failed("The disk is full.".to_owned()),
        RecView::Finishing,
        RecView::On {
            seconds: 1,
            bytes: 1,
            repeated: 0,
            gaps: 0,
            lost: Some("2 s of sound are lost".to_owned()),
        },
    ] {
        for size in [LARGE, SMALL] {
            for waiting in [false, true] {
                let shown = stage(size, false, CallView { rec: rec.clone(), waiting, ..four() });
                let rect = match &rec {
                    RecView::Finishing => shown.get_by_label_contains("Closing: ").rect(),
                    _ => shown
                        .query_all_by_label_contains("REC")
                        .chain(shown.query_all_by_label_contains("Not recording"))
                        .next()
                        .map(|node| node.rect())
                        .expect("it is said"),
                };
                assert!(is_inside(size, rect), "{rec:?}: {rect:?}");
            }
        }
    }
}

#[test]
fn everything_fits_a_small_window() {
    let view = CallView { copied: true, ..four() };
    let shown = stage(SMALL, false, Stage::with(view, |open| open.statistics = true));
    for name in ["Mute", "Turn the camera off", "Set a marker", "Hide statistics", "End the call", "Copied"] {
        let rect = shown.get_by_label(name).rect();
        assert!(is_inside(SMALL, rect), "{name}: {rect:?}");
    }
    for place in &shown.state().places {
        assert!(is_inside(SMALL, place.area));
    }
}
