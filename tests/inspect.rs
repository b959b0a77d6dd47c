//! A call without a window is looked into from outside (`--inspect`), and takes no orders from there.
#![allow(clippy::unwrap_used, reason = "a helper fails as its test does")]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use common::process::{HyperZoom, run};
use serde_json::{Value, json};

const SYNTHETIC: [&str; 7] = ["--mic", "tone", "--speaker", "none", "--camera", "pattern", "--no-upnp"];

/// Asks one question, as any HTTP client would.
fn ask(address: &str, method: &str, params: &Value) -> Value {
    let question = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    let len = question.len();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{question}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let answer = &answer[answer.find('{').unwrap()..=answer.rfind('}').unwrap()];
    serde_json::from_str(answer).unwrap()
}

/// The entities that have a component, with all of theirs.
fn entities_with(address: &str, component: &str) -> Vec<Value> {
    let answer =
        ask(address, "world.query", &json!({"data": {"option": "all"}, "filter": {"with": [component]}}));
    answer["result"].as_array().unwrap_or_else(|| panic!("{answer:#}")).clone()
}

#[test]
fn peers_streams_and_engines_are_seen_while_the_call_runs_and_cannot_be_changed() {
    let home = tempfile::tempdir().unwrap();
    let mut host = [
        "host",
        "--headless",
        "--bind",
        "127.0.0.1",
        "--port",
        "0",
        "--inspect=0",
        "--name",
        "Ada",
        "--folder",
    ]
    .map(String::from)
    .to_vec();
    host.push(home.path().display().to_string());
    host.extend(SYNTHETIC.map(String::from));
    let mut host = HyperZoom::start(host);
    let invite = host.invite();
    let line = host.wait_for("can be asked for at");
    let address = line.rsplit("http://").next().unwrap().trim().to_owned();
    let mut guest = vec!["join", &invite, "--headless", "--no-record", "--name", "Grace"];
    guest.extend(SYNTHETIC);
    let mut guest = HyperZoom::start(guest);
    guest.wait_for("Ada is here");
    host.wait_for_all(&["Grace is here", "recording into"]);

    // What is asked for is as new as a quarter of a second.
    let seen = |component: &str, is_it: &dyn Fn(&Value) -> bool| {
        let begun = std::time::Instant::now();
        loop {
            let entities = entities_with(&address, component);
            if let Some(it) = entities.iter().find(|it| is_it(it)) {
                return it.clone();
            }
            assert!(begun.elapsed() < common::process::PATIENCE, "{component}: {entities:#?}");
        }
    };
    let grace = seen("hyperzoom::VoiceStream", &|it| {
        it["components"]["hyperzoom::VoiceStream"]["received"].as_u64() > Some(100)
            && it["components"]["hyperzoom::PictureStream"]["frames"].as_u64() > Some(0)
    });
    assert!(grace["components"]["bevy_ecs::name::Name"].to_string().contains("Grace"), "{grace:#}");
    seen("hyperzoom::RecorderEngine", &|it| {
        it["components"]["hyperzoom::RecorderEngine"]["pictures_written"].as_u64() > Some(0)
    });
    seen("hyperzoom::SessionTime", &|it| it["components"]["hyperzoom::SessionTime"]["known"] == true);

    for order in [
        "world.despawn_entity",
        "world.insert_components",
        "world.insert_resources",
        "world.mutate_components",
    ] {
        let answer = ask(&address, order, &json!({"entity": grace["entity"]}));
        assert_eq!(answer["error"]["code"], -32601, "{order}: {answer:#}");
    }
    assert_eq!(entities_with(&address, "hyperzoom::VoiceStream").len(), 1);

    for side in [host, guest] {
        side.interrupt();
        let ended = side.wait();
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
    }
}

#[test]
fn a_port_that_is_taken_is_said_before_anything_is_opened() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let inspect = format!("--inspect={}", taken.local_addr().unwrap().port());
    let ended = run(["host", "--headless", "--no-record", "--port", "0", &inspect].iter().chain(&SYNTHETIC));
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("--inspect=0"), "{}", ended.stderr);
    assert!(ended.stdout.is_empty(), "no invite: {}", ended.stdout);
}
