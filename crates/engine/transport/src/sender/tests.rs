use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use super::frame::PATIENCE;
use super::*;
use crate::events::LinkStats;
use crate::links::Senders;
use hyperzoom_protocol::{Header, StreamOpener};

const KEY: [u8; 32] = [7; 32];

fn socket() -> Arc<UdpSocket> {
    Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
}

/// An audio and a video sender whose peer 1 is `to`, and the receive thread's hold on them.
fn senders(turn: &Turn, to: &UdpSocket) -> (StreamSender, StreamSender, Senders) {
    let gate = Arc::new(VideoGate::default());
    let (audio, audio_link) = StreamSender::new(socket(), Stream::Audio, turn.clone(), gate.clone());
    let (video, video_link) = StreamSender::new(socket(), Stream::Video, turn.clone(), gate);
    let mut links = Senders::new(audio_link, video_link);
    let addr = to.local_addr().unwrap();
    links.tell(LinkCommand::Add { id: 1, addr, key: KEY.into(), me: 0, relayed: false });
    (audio, video, links)
}

fn sent(links: &Senders) -> (u64, u64) {
    let mut stats = LinkStats::default();
    links.fill(1, &mut stats);
    (stats.audio_sent, stats.video_sent)
}

fn next_header(socket: &UdpSocket) -> Header {
    let mut datagram = [0; MAX_DATAGRAM];
    let (len, _) = socket.recv_from(&mut datagram).unwrap();
    Header::parse(&datagram[..len]).unwrap().0
}

#[test]
fn a_payload_arrives_sealed_and_numbered() {
    let ear = socket();
    let (mut sender, _video, links) = senders(&Turn::default(), &ear);
    sender.send(MediaKind::Audio, 40, b"one");
    sender.skip();
    sender.send(MediaKind::Audio, 45, b"two");
    let mut opener = StreamOpener::new(KEY, Stream::Audio, 0);
    let mut datagram = [0; MAX_DATAGRAM];
    for (sequence, payload) in [(0, b"one"), (2, b"two")] {
        let (len, _) = ear.recv_from(&mut datagram).unwrap();
        let opened = opener.open(&mut datagram[..len]).unwrap();
        assert_eq!((opened.sequence, opened.payload), (sequence, &payload[..]));
    }
    assert_eq!(sent(&links), (2, 0));
}

#[test]
fn a_long_frame_leaves_in_fragments() {
    let ear = socket();
    let (_audio, mut sender, _links) = senders(&Turn::default(), &ear);
    sender.gate.set_pace(10_000);
    sender.send(MediaKind::VideoKeyframe, 0, &[5; 3 * MAX_PAYLOAD]);
    for fragment in 0..3 {
        let header = next_header(&ear);
        assert_eq!((header.fragment, header.fragments, header.sequence), (fragment, 3, u16::from(fragment)));
    }
}

/// The kinds and fragments of what has come.
fn come(socket: &UdpSocket) -> Vec<(PacketType, u8, u8)> {
    socket.set_nonblocking(true).unwrap();
    let mut datagram = [0; MAX_DATAGRAM];
    let mut all = Vec::new();
    while let Ok((len, _)) = socket.recv_from(&mut datagram) {
        let header = Header::parse(&datagram[..len]).unwrap().0;
        all.push((header.kind, header.fragment, header.fragments));
    }
    all
}

#[test]
fn a_slow_path_gets_short_fragments() {
    let ear = socket();
    let (_audio, mut sender, _links) = senders(&Turn::default(), &ear);
    sender.gate.set_pace(800);
    sender.send(MediaKind::VideoKeyframe, 0, &[5; 1100]);
    assert_eq!(come(&ear), [0, 1, 2].map(|n| (PacketType::VideoKeyframe, n, 3)));
}

#[test]
fn a_peer_whose_gate_was_shut_gets_video_again_from_a_keyframe_on() {
    let ear = socket();
    let (mut audio, mut video, _links) = senders(&Turn::default(), &ear);
    video.send(MediaKind::VideoDelta, 0, b"of no use without its keyframe");
    assert_eq!(come(&ear), []);
    video.send(MediaKind::VideoKeyframe, 0, b"one");
    video.send(MediaKind::VideoDelta, 0, b"two");
    assert_eq!(come(&ear).len(), 2);
    video.gate.set_held(1, true);
    video.send(MediaKind::VideoDelta, 0, b"three");
    video.send(MediaKind::VideoKeyframe, 0, b"four");
    audio.send(MediaKind::Audio, 0, b"heard all the same");
    assert_eq!(come(&ear), [(PacketType::Audio, 0, 0)]);
    video.gate.set_held(1, false);
    video.send(MediaKind::VideoDelta, 0, b"five");
    assert_eq!(come(&ear), []);
    video.send(MediaKind::VideoKeyframe, 0, b"six");
    video.send(MediaKind::VideoDelta, 0, b"seven");
    assert_eq!(come(&ear).len(), 2);
}

#[test]
fn what_goes_to_a_relayed_peer_goes_to_the_host_in_an_envelope() {
    let (ear, host) = (socket(), socket());
    let (mut sender, _video, mut links) = senders(&Turn::default(), &ear);
    links.tell(LinkCommand::Relay { id: 1, relayed: true });
    // Without a host it goes nowhere, and is counted as such.
    sender.send(MediaKind::Audio, 0, b"lost");
    assert_eq!(sent(&links), (0, 0));
    let host_key = [8; 32];
    let addr = host.local_addr().unwrap();
    links.tell(LinkCommand::Add { id: 0, addr, key: host_key.into(), me: 2, relayed: false });
    sender.send(MediaKind::Audio, 0, b"by the host");
    let mut opener = hyperzoom_protocol::RelayOpener::new(host_key, 2, hyperzoom_protocol::RelaySide::Host);
    let mut inner = StreamOpener::new(KEY, Stream::Audio, 0);
    let mut datagram = [0; MAX_DATAGRAM];
    let mut found = Vec::new();
    for _ in 0..2 {
        let (len, _) = host.recv_from(&mut datagram).unwrap();
        if let Ok((way, at)) = opener.open(&mut datagram[..len]) {
            assert_eq!(way, RelayWay { source: 2, target: 1, lane: Stream::Audio });
            found.push(inner.open(&mut datagram[at]).unwrap().payload.to_vec());
        }
    }
    assert_eq!(found, [b"by the host".to_vec()]);
    assert_eq!(come(&ear), [], "nothing straight");
    // And straight again, under the numbers that go on.
    links.tell(LinkCommand::Relay { id: 1, relayed: false });
    sender.send(MediaKind::Audio, 0, b"straight");
    let (len, _) = {
        ear.set_nonblocking(false).unwrap();
        ear.recv_from(&mut datagram).unwrap()
    };
    assert_eq!(inner.open(&mut datagram[..len]).unwrap().payload, b"straight");
}

#[test]
fn a_frame_waits_for_news_of_a_path_and_leaves_all_the_same_where_there_is_none() {
    let ear = socket();
    let (mut audio, mut video, _links) = senders(&Turn::default(), &ear);
    video.gate.set_paused(1, true);
    audio.send(MediaKind::Audio, 0, b"the voice waits for nothing");
    assert_eq!(come(&ear).len(), 1);
    video.send(MediaKind::VideoKeyframe, 0, b"nobody says that it goes on");
    assert_eq!(come(&ear), [(PacketType::VideoKeyframe, 0, 0)]);
}

#[test]
fn who_is_only_suspected_holds_up_nobody_else() {
    let ears = [socket(), socket(), socket()];
    let (_audio, mut video, mut links) = senders(&Turn::default(), &ears[0]);
    for (id, ear) in (2..).zip(&ears[1..]) {
        let addr = ear.local_addr().unwrap();
        links.tell(LinkCommand::Add { id, addr, key: KEY.into(), me: 0, relayed: false });
    }
    let gate = video.gate.clone();
    let suspect = |id, suspected| {
        gate.set_suspected(id, suspected);
        gate.set_paused(id, suspected);
    };
    let come = || ears.each_ref().map(|ear| come(ear).len());
    video.send(MediaKind::VideoKeyframe, 0, b"for all");
    assert_eq!(come(), [1, 1, 1]);
    // The path from one comes and goes.
    for toggle in 0..6 {
        suspect(2, toggle % 2 == 0);
        video.send(MediaKind::VideoDelta, 0, b"for the others");
        assert_eq!(come(), [1, 0, 1]);
        assert_eq!(gate.is_due_a_keyframe(2), toggle % 2 == 1, "once the suspicion is gone");
        assert!(!gate.is_due_a_keyframe(1));
    }
    video.send(MediaKind::VideoKeyframe, 0, b"and for all again");
    assert_eq!(come(), [1, 1, 1]);
    assert!(!gate.is_due_a_keyframe(2));
    video.send(MediaKind::VideoDelta, 0, b"on it goes");
    assert_eq!(come(), [1, 1, 1]);
    // Where all are suspected there is nobody to hold up, and nobody is given up.
    (1..4).for_each(|id| suspect(id, true));
    video.send(MediaKind::VideoDelta, 0, b"late");
    assert_eq!(come(), [1, 1, 1]);
}

#[test]
fn a_frame_waits_for_news_once_and_not_with_each_datagram() {
    let ear = socket();
    let (_audio, mut video, _links) = senders(&Turn::default(), &ear);
    video.send(MediaKind::VideoKeyframe, 0, b"one");
    video.gate.set_paused(1, true);
    video.links[0].as_mut().unwrap().gets_frame = true;
    let mut waited = Duration::ZERO;
    video.wait_for_news(&mut waited);
    let first = waited;
    assert!(first >= PATIENCE);
    video.wait_for_news(&mut waited);
    assert_eq!(waited, first);
}

#[test]
fn a_removed_peer_gets_nothing_more() {
    let ear = socket();
    let (mut sender, _video, mut links) = senders(&Turn::default(), &ear);
    links.tell(LinkCommand::Remove { id: 1 });
    sender.send(MediaKind::Audio, 0, b"late");
    assert_eq!(sent(&links), (0, 0));
}

#[test]
fn nothing_is_sent_once_the_receive_thread_has_gone() {
    let ear = socket();
    let (mut sender, _video, links) = senders(&Turn::default(), &ear);
    sender.send(MediaKind::Audio, 0, b"one");
    drop(links);
    sender.send(MediaKind::Audio, 0, b"two");
    sender.skip();
    assert_eq!(sender.counters.datagrams[1].load(Ordering::Relaxed), 1);
}

#[test]
fn a_sender_that_sends_nothing_is_told_no_more_than_it_must_know() {
    let ear = socket();
    let (mut sender, _video, mut links) = senders(&Turn::default(), &ear);
    let elsewhere = "127.0.0.1:9".parse().unwrap();
    for _ in 0..1000 {
        for id in 1..=3 {
            links.tell(LinkCommand::Remove { id });
            links.tell(LinkCommand::Add { id, addr: elsewhere, key: KEY.into(), me: 0, relayed: false });
            links.tell(LinkCommand::Move { id, addr: elsewhere });
        }
    }
    assert!(links.waiting() <= 12, "{} commands wait", links.waiting());
    // What it is told last holds.
    links.tell(LinkCommand::Remove { id: 2 });
    links.tell(LinkCommand::Move { id: 1, addr: ear.local_addr().unwrap() });
    for _ in 0..2 {
        sender.skip();
        links.flush();
    }
    sender.send(MediaKind::Audio, 0, b"here");
    assert_eq!(next_header(&ear).kind, PacketType::Audio);
    assert_eq!(sender.links.iter().flatten().map(|link| link.id).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn audio_that_is_ready_leaves_before_the_rest_of_a_picture() {
    let ear = socket();
    let turn = Turn::new(std::time::Duration::from_secs(3600));
    let (mut audio, mut video, _links) = senders(&turn, &ear);
    let held = turn.audio();
    let (ready, is_ready) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        ready.send(()).unwrap();
        video.send(MediaKind::VideoKeyframe, 0, &[5; 3 * MAX_PAYLOAD]);
    });
    is_ready.recv().unwrap();
    // Both are ready now, and audio has said so first.
    audio.send(MediaKind::Audio, 0, b"first");
    drop(held);
    thread.join().unwrap();
    assert_eq!(next_header(&ear).kind, PacketType::Audio);
    assert_eq!(next_header(&ear).kind, PacketType::VideoKeyframe);
}
