//! Calls between homes behind real routers: network namespaces, the kernel's own NAT, and a real `miniupnpd`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::fs::File;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::process::{Ended, HyperZoom, PATIENCE};
use hyperzoom_protocol::{Invite, InviteKey};
use serde_json::Value;

/// The script that builds homes, routers, and the network between them.
const TOWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nat/town");

/// The time between two looks at a router.
const LOOK: Duration = Duration::from_millis(50);

/// Held by whoever has a town: they all have the same names.
const LOCK: &str = "/run/hyperzoom-town.lock";

/// Homes behind routers, torn down when it is dropped.
struct Town {
    /// Another checkout's tests wait until it is free, which it is at the latest when this process ends.
    _lock: File,
}

impl Town {
    /// None where the system does not let us build one; that is noted as a skipped test.
    fn build(homes: &[&str]) -> Option<Self> {
        let locked = File::create(LOCK).and_then(|file| file.lock().map(|()| file));
        let lock = match locked {
            Ok(lock) => lock,
            Err(error) => {
                hyperzoom_testkit::skipped(&format!(
                    "no network namespaces here (they take root): {LOCK}: {error}"
                ));
                return None;
            }
        };
        let built = town(&[&["up"], homes].concat());
        if built.status.success() {
            return Some(Self { _lock: lock });
        }
        town(&["down"]);
        let why = String::from_utf8_lossy(&built.stderr).trim().replace('\n', "; ");
        hyperzoom_testkit::skipped(&format!("no network namespaces here (they take root): {why}"));
        None
    }

    /// `hyperzoom` in somebody's home, without devices but a tone for its microphone.
    fn start(&self, home: &str, args: &[&str]) -> HyperZoom {
        let mut command = Command::new(TOWN);
        command.args(["exec", home, env!("CARGO_BIN_EXE_hyperzoom")]).args(args);
        command.args([
            "--headless",
            "--name",
            home,
            "--mic",
            "tone",
            "--speaker",
            "none",
            "--no-record",
            "--json",
        ]);
        // Its router is spoken to directly, whatever this machine's way to the web is.
        command.env_remove("http_proxy").env_remove("HTTP_PROXY");
        // What a program that is killed leaves of its call.
        command.env("XDG_DATA_HOME", env!("CARGO_TARGET_TMPDIR"));
        HyperZoom::spawn(command)
    }

    /// The ports that a router leads to its home.
    fn table(&self, home: &str) -> Vec<String> {
        let table = town(&["table", home]);
        assert!(table.status.success(), "{}", String::from_utf8_lossy(&table.stderr));
        let text = String::from_utf8(table.stdout).unwrap();
        text.lines().filter(|line| line.contains("dnat")).map(|line| line.trim().to_owned()).collect()
    }

    /// How often a router was asked for something.
    fn requests(&self, home: &str, action: &str) -> usize {
        let text = String::from_utf8(town(&["requests", home]).stdout).unwrap();
        text.lines().filter(|line| line.contains(action)).count()
    }

    /// Waits until something holds. Each look starts a process, so there is a pause between two.
    fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let since = Instant::now();
        while !holds(self) {
            assert!(since.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        town(&["down"]);
    }
}

fn town(args: &[&str]) -> Output {
    Command::new(TOWN).args(args).output().unwrap()
}

/// What a report says of somebody.
fn peer(ended: &Ended, name: &str) -> Value {
    let report = ended.report();
    let peers = report["peers"].as_array().unwrap();
    peers.iter().find(|p| p["name"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}")).clone()
}

/// That each of these heard all the others, and by which way.
fn heard_each_other(people: &[(&str, &Ended)], relayed: impl Fn(&str, &str) -> bool) {
    for (name, ended) in people {
        assert_eq!(ended.code(), 0, "{name}: {}", ended.stderr);
        for (other, _) in people.iter().filter(|(other, _)| other != name) {
            let peer = peer(ended, other);
            assert_eq!(peer["relayed"], relayed(name, other), "{name} to {other}: {peer:#}");
            let received = peer["audio"]["received"].as_u64().unwrap();
            assert!(received > 100, "{name} heard {received} packets of {other}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_router_lets_guests_in_as_long_as_the_call_lasts_and_two_of_them_meet() {
    let Some(town) = Town::build(&["ada:upnp", "grace:cone", "linus:cone"]) else { return };
    let mut ada = town.start("ada", &["host", "--upnp-lease", "4"]);
    let invite = ada.invite();
    assert!(invite.starts_with("11.0.0.11:47800#"), "the router's address: {invite}");
    let table = town.table("ada");
    assert_eq!(table.len(), 1, "{table:?}");
    assert!(table[0].contains("dport 47800") && table[0].contains("192.168.1.2:47800"), "{table:?}");

    // These two have nothing but their routers' habit to let answers in.
    let mut grace = town.start("grace", &["join", &invite, "--no-upnp"]);
    grace.wait_for("ada is here");
    let mut linus = town.start("linus", &["join", &invite, "--no-upnp", "--for", "6"]);
    linus.wait_for("grace is here");
    grace.wait_for("linus is here");
    grace.wait_for("linus has left");
    // The first lease has ended by now, as the second has: it was renewed.
    town.until("renewed", |town| town.requests("ada", "AddPortMapping") >= 4);
    assert_eq!(town.table("ada").len(), 1);
    grace.interrupt();
    ada.wait_for("grace has left");
    ada.interrupt();
    let (ada, grace, linus) = (ada.wait(), grace.wait(), linus.wait());
    assert_eq!(ada.report()["external_address"], "11.0.0.11:47800");
    heard_each_other(&[("ada", &ada), ("grace", &grace), ("linus", &linus)], |_, _| false);
    assert_eq!(town.table("ada"), Vec::<String>::new(), "taken back at the end");
}

#[test]
fn a_mapping_goes_with_its_program_and_at_the_latest_with_its_lease() {
    let Some(town) = Town::build(&["ada:upnp"]) else { return };
    let mut terminated = town.start("ada", &["host"]);
    terminated.invite();
    assert_eq!(town.table("ada").len(), 1);
    terminated.terminate();
    assert_eq!(terminated.wait().code(), 0);
    assert_eq!(town.table("ada"), Vec::<String>::new(), "taken back at SIGTERM");

    // A guest that finds no host: its mapping goes as well.
    let invite = Invite { addr: ([11, 0, 0, 1], 9).into(), key: Some(InviteKey([9; 32])) }.to_string();
    let asked = town.requests("ada", "AddPortMapping");
    let lost = town.start("ada", &["join", &invite]).wait();
    assert_eq!(lost.code(), 3, "{}", lost.stderr);
    assert!(town.requests("ada", "AddPortMapping") > asked, "there was a mapping");
    assert_eq!(town.table("ada"), Vec::<String>::new(), "taken back after a failed join");

    let mut killed = town.start("ada", &["host", "--upnp-lease", "4"]);
    killed.invite();
    killed.kill();
    drop(killed);
    assert_eq!(town.table("ada").len(), 1, "nobody was there to take it back");
    town.until("the lease ends", |town| town.table("ada").is_empty());
}

#[test]
fn guests_behind_symmetric_routers_are_relayed_by_their_host() {
    let Some(town) = Town::build(&["ada:public", "grace:symmetric", "linus:symmetric"]) else { return };
    let mut ada = town.start("ada", &["host", "--no-upnp"]);
    let invite = ada.invite();
    let mut grace = town.start("grace", &["join", &invite, "--no-upnp"]);
    grace.wait_for("ada is here");
    let mut linus = town.start("linus", &["join", &invite, "--no-upnp", "--for", "9"]);
    assert!(linus.wait_for("grace is here").contains("by way of the host"));
    assert!(grace.wait_for("linus is here").contains("by way of the host"));
    grace.wait_for("linus has left");
    grace.interrupt();
    ada.wait_for("grace has left");
    ada.interrupt();
    let (ada, grace, linus) = (ada.wait(), grace.wait(), linus.wait());
    let guests = ["grace", "linus"];
    heard_each_other(&[("ada", &ada), ("grace", &grace), ("linus", &linus)], |from, to| {
        guests.contains(&from) && guests.contains(&to)
    });
}

#[test]
fn two_guests_in_one_home_meet_there_although_their_router_leads_nothing_back() {
    let Some(town) = Town::build(&["ada:public", "grace:symmetric", "linus@grace"]) else { return };
    let mut ada = town.start("ada", &["host", "--no-upnp"]);
    let invite = ada.invite();
    let mut grace = town.start("grace", &["join", &invite, "--no-upnp"]);
    grace.wait_for("ada is here");
    let mut linus = town.start("linus", &["join", &invite, "--no-upnp", "--for", "6"]);
    linus.wait_for("grace is here");
    grace.wait_for("linus is here");
    grace.wait_for("linus has left");
    grace.interrupt();
    ada.wait_for("grace has left");
    ada.interrupt();
    let (ada, grace, linus) = (ada.wait(), grace.wait(), linus.wait());
    heard_each_other(&[("ada", &ada), ("grace", &grace), ("linus", &linus)], |_, _| false);
}

#[test]
fn when_the_host_leaves_those_whom_it_relayed_are_told() {
    let Some(town) = Town::build(&["ada:public", "grace:symmetric", "linus:symmetric"]) else { return };
    let mut ada = town.start("ada", &["host", "--no-upnp"]);
    let invite = ada.invite();
    let mut grace = town.start("grace", &["join", &invite, "--no-upnp"]);
    grace.wait_for("ada is here");
    let mut linus = town.start("linus", &["join", &invite, "--no-upnp"]);
    linus.wait_for("grace is here");
    grace.wait_for("linus is here");
    ada.interrupt();
    assert_eq!(ada.wait().code(), 0);
    grace.wait_for("linus: disconnected (the host");
    linus.wait_for("grace: disconnected (the host");
    grace.interrupt();
    linus.interrupt();
    assert_eq!((grace.wait().code(), linus.wait().code()), (0, 0));
}
