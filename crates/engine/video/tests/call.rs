//! Pictures all the way: camera, live path, decoder, each with its own thread.

use std::time::{Duration, Instant};

use hyperzoom_media::{EncodedFrame, MediaKind, PacketSink};
use hyperzoom_timing::SharedClock;
use hyperzoom_video::{CameraConfig, LiveConfig, read_stamp, start_camera, start_decoder, start_live};
use ringbuf::traits::{Producer, Split};
use ringbuf::{HeapProd, HeapRb};

/// A network that loses nothing.
struct Wire(HeapProd<EncodedFrame>);

impl PacketSink for Wire {
    fn send(&mut self, kind: MediaKind, timestamp_ms: u32, payload: &[u8]) {
        let keyframe = kind == MediaKind::VideoKeyframe;
        let frame = EncodedFrame {
            keyframe,
            contiguous: true,
            timestamp_ms,
            arrived: Duration::ZERO,
            data: payload.to_vec(),
        };
        self.0.try_push(frame).expect("the inbox holds more than the test sends");
    }

    fn skip(&mut self) {}
}

#[test]
fn the_counter_survives_1080p_to_480p_and_vp8_at_400_kbits() {
    let epoch = Instant::now();
    let (camera, _events) =
        start_camera(CameraConfig { epoch, spec: "pattern:1920x1080@30".parse().unwrap() }).unwrap();
    let (wire, inbox) = HeapRb::new(1000).split();
    let config = LiveConfig { bitrate_kbps: 400, ..LiveConfig::new(epoch, SharedClock::new()) };
    let live = start_live(config, camera.live_tap(), Box::new(Wire(wire))).unwrap();
    let mut decoder = start_decoder(inbox).unwrap();

    let mut seen = Vec::new();
    // Long enough for the second keyframe, so that both kinds of frame are looked at.
    while seen.len() < 60 {
        assert!(epoch.elapsed().as_secs() < 120, "only {} pictures came", seen.len());
        if !decoder.newest.has_new() {
            std::thread::yield_now();
            continue;
        }
        let picture = decoder.newest.latest().unwrap();
        assert_eq!((picture.shape().width, picture.shape().height), (854, 480));
        let stamp = read_stamp(picture.shape(), picture.planes()[0]).expect("the code can be read");
        // Without a session clock, session time is the process's.
        assert_eq!(u128::from(picture.timestamp_ms), stamp.time.as_millis());
        seen.push(stamp.counter);
    }
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "each picture is newer: {seen:?}");
    assert_eq!(decoder.stats().failed, 0);
    assert_eq!(live.stats().failed, 0);
    assert!(live.stats().keyframes >= 2);
}
