//! A path's report as it is on the wire: microseconds, and 0 for a rate that is not known.

use std::time::Duration;

use hyperzoom_protocol::PathReport as OnWire;

use crate::PathReport;

impl From<&OnWire> for PathReport {
    fn from(report: &OnWire) -> Self {
        let micros = |us: u32| Duration::from_micros(us.into());
        Self {
            queue: micros(report.queue_us),
            most_queue: micros(report.most_queue_us),
            rate_kbps: (report.rate_kbps > 0).then_some(report.rate_kbps),
            audio_kbps: report.audio_kbps,
            expected: report.expected,
            lost: report.lost,
        }
    }
}

impl From<PathReport> for OnWire {
    fn from(report: PathReport) -> Self {
        let micros = |span: Duration| u32::try_from(span.as_micros()).unwrap_or(u32::MAX);
        Self {
            queue_us: micros(report.queue),
            most_queue_us: micros(report.most_queue),
            rate_kbps: report.rate_kbps.unwrap_or(0),
            audio_kbps: report.audio_kbps,
            expected: report.expected,
            lost: report.lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_comes_back_as_it_went() {
        for rate_kbps in [None, Some(150)] {
            let report = PathReport {
                queue: Duration::from_millis(3),
                most_queue: Duration::from_micros(12_345),
                rate_kbps,
                audio_kbps: 96,
                expected: 100,
                lost: 7,
            };
            assert_eq!(PathReport::from(&OnWire::from(report)), report);
        }
    }
}
