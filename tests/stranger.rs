//! A host in the open: strangers get nothing from it, and do it no harm.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::net::UdpSocket;

use common::process::{HyperZoom, command, run};
use hyperzoom_protocol::{Invite, InviteKey};

#[test]
fn a_stranger_gets_no_answer_and_a_guest_still_gets_in() {
    let mut host = HyperZoom::spawn({
        let mut command =
            command(["host", "--headless", "--no-record", "--bind", "127.0.0.1", "--port", "0", "--json"]);
        command.args(["--mic", "none", "--speaker", "none"]);
        command
    });
    let invite: Invite = host.invite().parse().unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let mut bytes = 0x2545_f491_4f6c_dd1d_u64;
    for length in 0..600_usize {
        let noise: Vec<u8> = (0..length)
            .map(|_| {
                bytes ^= bytes << 13;
                bytes ^= bytes >> 7;
                bytes ^= bytes << 17;
                bytes as u8
            })
            .collect();
        stranger.send_to(&noise, invite.addr).unwrap();
    }
    // A right address with a wrong key.
    let wrong = Invite { addr: invite.addr, key: Some(InviteKey([9; 32])) }.to_string();
    let ended = run(["join", "--headless", &wrong, "--no-record", "--mic", "none", "--speaker", "none"]);
    assert_eq!(ended.code(), 3, "{}", ended.stderr);
    // The host takes datagrams in order: once the guest is in, all that came before has been looked at.
    let guest = run([
        "join",
        "--headless",
        &invite.to_string(),
        "--no-record",
        "--mic",
        "tone",
        "--speaker",
        "none",
        "--for",
        "0.5",
        "--json",
    ]);
    assert_eq!(guest.code(), 0, "{}", guest.stderr);
    let mut answer = [0; 1500];
    assert!(stranger.recv_from(&mut answer).is_err(), "a stranger was answered");
    host.wait_for("has left");
    host.interrupt();
    let host = host.wait();
    assert_eq!(host.code(), 0, "{}", host.stderr);
    assert_eq!(host.report()["peers"].as_array().unwrap().len(), 1, "{}", host.stdout);
}
