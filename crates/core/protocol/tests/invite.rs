//! An invite survives being pasted, and a damaged one is told apart from a wrong one.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

use hyperzoom_protocol::{Invite, InviteError, InviteKey};
use proptest::prelude::*;

const KEY: InviteKey = InviteKey(*b"0123456789abcdef0123456789ABCDEF");

fn invite() -> Invite {
    Invite { addr: "203.0.113.7:4700".parse().unwrap(), key: Some(KEY) }
}

fn error(text: &str) -> InviteError {
    text.parse::<Invite>().unwrap_err()
}

#[test]
fn an_invite_comes_back_from_its_text() {
    let text = invite().to_string();
    assert_eq!(text.parse(), Ok(invite()));
    assert_eq!(text.len(), "203.0.113.7:4700#".len() + 56);
    let six = Invite { addr: "[2001:db8::7]:4700".parse().unwrap(), key: None };
    assert_eq!(six.to_string(), "[2001:db8::7]:4700");
    assert_eq!(six.to_string().parse(), Ok(six));
}

#[test]
fn what_people_paste_around_it_does_not_matter() {
    let text = invite().to_string();
    for pasted in [
        format!("  {text}\n"),
        format!("hyperzoom join {text}"),
        format!("hyperzoom join '{text}'\r\n"),
        format!("`{text}`"),
        text.to_uppercase(),
        text.replace('o', "0").replace('b', "8"),
    ] {
        assert_eq!(pasted.parse(), Ok(invite()), "{pasted:?}");
    }
}

#[test]
fn a_mistyped_character_is_noticed() {
    let text = invite().to_string();
    let start = text.find('#').unwrap() + 1;
    let mut mistyped = 0;
    for at in start..text.len() {
        for other in "abcdefghijklmnopqrstuvwxyz234567".chars() {
            let mut bad = text.clone();
            bad.replace_range(at..=at, &other.to_string());
            if bad != text {
                assert_eq!(error(&bad), InviteError::KeyMistyped);
                mistyped += 1;
            }
        }
    }
    assert_eq!(mistyped, 56 * 31);
}

#[test]
fn neighbours_in_the_wrong_order_are_noticed() {
    let text = invite().to_string();
    let start = text.find('#').unwrap() + 1;
    for at in start..text.len() - 1 {
        let mut bad = text.clone().into_bytes();
        bad.swap(at, at + 1);
        let bad = String::from_utf8(bad).unwrap();
        if bad != text {
            assert_eq!(error(&bad), InviteError::KeyMistyped);
        }
    }
}

#[test]
fn each_damage_has_its_own_explanation() {
    let text = invite().to_string();
    assert_eq!(error(""), InviteError::Empty);
    assert_eq!(error(" hyperzoom join  "), InviteError::Space);
    assert_eq!(error("203.0.113.7"), InviteError::NoPort("203.0.113.7".into()));
    assert_eq!(error("203.0.113.7:"), InviteError::NoPort("203.0.113.7:".into()));
    assert_eq!(error("203.0.113.7#abc"), InviteError::KeyShort { found: 3 });
    assert_eq!(error("203.0.113.7:70000"), InviteError::Port("70000".into()));
    assert_eq!(error("203.0.113.7:0"), InviteError::Port("0".into()));
    assert_eq!(error("203.0.113.777:4700"), InviteError::Address("203.0.113.777".into()));
    assert_eq!(error("example.org:4700"), InviteError::Address("example.org".into()));
    assert_eq!(error("fe80::1"), InviteError::Brackets("fe80::1".into()));
    assert_eq!(error("[fe80::1]"), InviteError::NoPort("[fe80::1]".into()));
    assert_eq!(error("0.0.0.0:4700"), InviteError::Unspecified("0.0.0.0".parse().unwrap()));
    assert_eq!(error("203.0.113.7:4700#"), InviteError::NoKey);
    assert_eq!(error(&text[..text.len() - 1]), InviteError::KeyShort { found: 55 });
    assert_eq!(error(&format!("{text}a")), InviteError::KeyLong { found: 57 });
    assert_eq!(error(&text.replace(&text[20..21], "!")), InviteError::KeyCharacter('!'));
    assert_eq!(error(&text.replace('#', "# ")), InviteError::Space);
}

#[test]
fn an_explanation_says_what_to_do_and_never_the_key() {
    let text = invite().to_string();
    assert_eq!(error(&text[..40]).to_string(), "the key has 23 of 56 characters; copy the whole invite");
    assert!(!format!("{:?}", invite()).contains(&KEY.to_string()[..8]));
    assert_eq!(format!("{KEY:?}"), "InviteKey(..)");
}

proptest! {
    #[test]
    fn every_invite_comes_back(key: [u8; 32], addr: std::net::SocketAddr) {
        prop_assume!(addr.port() != 0 && !addr.ip().is_unspecified());
        let invite = Invite { addr, key: Some(InviteKey(key)) };
        // Flow labels of IPv6 are no part of an address's text.
        prop_assume!(addr.to_string().parse() == Ok(addr));
        prop_assert_eq!(invite.to_string().parse(), Ok(invite));
    }

    #[test]
    fn no_text_panics(text: String, tail in "[a-z2-7#:.\\[\\]]{0,70}") {
        let _ = text.parse::<Invite>();
        let _ = tail.parse::<Invite>();
        let _ = format!("203.0.113.7:4700#{text}").parse::<Invite>();
    }
}
