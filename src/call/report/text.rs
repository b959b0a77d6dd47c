//! The report as a person reads it.

use std::fmt;

use super::CallReport;

impl fmt::Display for CallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "call      {:.1} s", self.duration_seconds)?;
        for peer in &self.peers {
            let trip = peer.round_trip_ms.map_or_else(|| "?".into(), |ms| format!("{ms:.1}"));
            writeln!(
                f,
                "{:<9} {}{}; round trip {trip} ms, jitter buffer {:.1} ms; audio: {} received, {} lost, {} concealed; video: {} pictures",
                peer.name,
                peer.state,
                if peer.relayed { ", by way of the host" } else { "" },
                peer.audio.jitter_buffer_ms,
                peer.audio.received,
                peer.audio.lost,
                peer.audio.concealed,
                peer.video.decoded,
            )?;
            if let Some(it) = &peer.latency {
                writeln!(
                    f,
                    "          mouth to ear {:.1} ms: microphone to network and here {:.1}, jitter buffer {:.1}, codec {:.1}, resampling {:.1}, loudspeaker {:.1}",
                    it.mouth_to_ear_ms,
                    it.transit_ms,
                    it.jitter_buffer_ms,
                    it.codec_ms,
                    it.resampler_ms,
                    it.device_ms,
                )?;
            }
        }
        if let Some(live) = self.live_video.as_ref().filter(|live| live.shed_seconds > 0.0) {
            writeln!(
                f,
                "live      paused for {:.1} s: the recording needed the computer",
                live.shed_seconds
            )?;
        }
        match &self.recording {
            None => writeln!(f, "recording none"),
            Some(r) => {
                writeln!(
                    f,
                    "recording {:.1} s, {:.1} MB: {}",
                    r.duration_seconds,
                    r.bytes as f64 / 1e6,
                    r.folder.display()
                )?;
                if let Some(certificate) = &r.certificate {
                    writeln!(f, "sync      {}", certificate.line())?;
                }
                if r.frames_captured + r.frames_written == 0 {
                    return Ok(());
                }
                writeln!(
                    f,
                    "frames    {} captured, {} written, {} duplicated ({} black), {} decimated, {} dropped",
                    r.frames_captured,
                    r.frames_written,
                    r.frames_duplicated,
                    r.frames_black,
                    r.frames_decimated,
                    r.frames_dropped
                )
            }
        }
    }
}
