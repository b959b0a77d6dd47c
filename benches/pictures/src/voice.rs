//! The voice beside the pictures: as many bytes as often as a call's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperzoom_media::{MediaKind, PacketSink};
use hyperzoom_transport::StreamSender;

/// From one packet to the next.
const FRAME: Duration = Duration::from_millis(5);
/// What 64 kbit/s make of a frame.
const BYTES: usize = 40;

/// A thread that sends packets of the voice until this is dropped.
pub(crate) struct Voice {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Voice {
    /// Speaks into `audio`; its packets are stamped since `epoch`.
    pub(crate) fn start(mut audio: StreamSender, epoch: Instant) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let flag = over.clone();
        let thread = std::thread::spawn(move || {
            let mut due = epoch.elapsed();
            while !flag.load(Ordering::Relaxed) {
                std::thread::sleep(due.saturating_sub(epoch.elapsed()));
                let captured = due.saturating_sub(FRAME);
                audio.send(MediaKind::Audio, captured.as_millis() as u32, &[0x55; BYTES]);
                due += FRAME;
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
