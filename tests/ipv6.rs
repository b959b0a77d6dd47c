//! Calls over IPv6, and between people of both families.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};

use common::process::{Ended, HyperZoom};
use hyperzoom_protocol::Invite;

/// Whether there is IPv6 on this machine. Where the system has none that is noted with the other tests that it forbids; any other error is
/// one.
fn there_is_ipv6() -> bool {
    /// Linux' error (EAFNOSUPPORT) that the standard library has no kind for.
    const NO_SUCH_FAMILY: i32 = 97;
    match UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => true,
        Err(error)
            if matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
                || error.raw_os_error() == Some(NO_SUCH_FAMILY) =>
        {
            hyperzoom_testkit::forbidden(&format!("this system has no IPv6: {error}"));
            false
        }
        Err(error) => panic!("no socket on ::1: {error}"),
    }
}

fn start(name: &str, args: &[&str]) -> HyperZoom {
    let all = [
        "--headless",
        "--name",
        name,
        "--mic",
        "tone",
        "--speaker",
        "none",
        "--no-record",
        "--no-upnp",
        "--json",
    ];
    HyperZoom::start([args, &all].concat())
}

fn heard(ended: &Ended, others: usize) {
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let report = ended.report();
    let peers = report["peers"].as_array().unwrap();
    assert_eq!(peers.len(), others, "{report:#}");
    for peer in peers {
        assert_eq!(peer["relayed"], false, "{report:#}");
        assert!(peer["audio"]["received"].as_u64() > Some(0), "{report:#}");
    }
}

#[test]
fn two_talk_over_ipv6_alone() {
    if !there_is_ipv6() {
        return;
    }
    let mut host = start("Ada", &["host", "--bind", "::1", "--port", "0"]);
    let invite = host.invite();
    assert!(invite.starts_with("[::1]:"), "{invite}");
    let guest = start("Bob", &["join", &invite, "--bind", "::1", "--for", "1"]).wait();
    heard(&guest, 1);
    host.wait_for("has left");
    host.interrupt();
    heard(&host.wait(), 1);
}

#[test]
fn guests_of_both_families_meet_each_other() {
    if !there_is_ipv6() {
        return;
    }
    let mut host = start("Ada", &["host", "--port", "0"]);
    let invite: Invite = host.invite().parse().unwrap();
    let at = |ip: &str| {
        let addr = SocketAddr::new(ip.parse().unwrap(), invite.addr.port());
        Invite { addr, ..invite }.to_string()
    };
    let mut old = start("Bob", &["join", &at("127.0.0.1")]);
    old.wait_for("Ada is here");
    let mut new = start("Eve", &["join", &at("::1"), "--for", "3"]);
    new.wait_for("Bob is here");
    old.wait_for("Eve has left");
    old.interrupt();
    host.wait_for("Bob has left");
    host.interrupt();
    for ended in [host.wait(), old.wait(), new.wait()] {
        heard(&ended, 2);
    }
}
