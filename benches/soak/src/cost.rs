//! What a process takes of memory and processor, as Linux tells.

use std::time::{Duration, Instant};

use crate::Failure;

/// Clock ticks a second in `/proc`: USER_HZ, the same on all of Linux's architectures that this runs on.
const TICKS: f64 = 100.0;

/// The first minute of a process does not count: buffers grow to what they need.
pub(crate) const WARM_UP: Duration = Duration::from_secs(60);

/// One look at a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    /// Resident memory, in MB.
    pub(crate) megabytes: f64,
    /// Seconds of processor since it started.
    cpu: f64,
}

impl Sample {
    /// Looks at process `id` now.
    pub(crate) fn take(id: u32) -> Result<Self, Failure> {
        let missing = |error| format!("/proc/{id}: {error} (this benchmark needs Linux)");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).map_err(missing)?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).map_err(missing)?;
        let kilobytes: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|value| value.parse().ok())
            .ok_or("no VmRSS")?;
        // The name, which may hold anything, ends with the last parenthesis; times are the 14th and 15th fields (proc_pid_stat(5)).
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok());
        let (user, system) = ticks(14).zip(ticks(15)).ok_or("no times in stat")?;
        Ok(Self { at: Instant::now(), megabytes: kilobytes * 1024.0 / 1e6, cpu: (user + system) / TICKS })
    }
}

/// One process over time.
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) samples: Vec<Sample>,
}

impl Watched {
    /// Where the memory was after the first minute, where it is at the end, and how fast it grew in between: MB, MB, MB a minute.
    pub(crate) fn growth(&self) -> Option<(f64, f64, f64)> {
        let first = self.samples.first()?;
        let points: Vec<(f64, f64)> = self
            .samples
            .iter()
            .filter(|sample| sample.at - first.at >= WARM_UP)
            .map(|sample| ((sample.at - first.at).as_secs_f64() / 60.0, sample.megabytes))
            .collect();
        let (begin, end) = (points.first()?, points.last()?);
        // Over less than a minute any slope would be chance.
        (end.0 - begin.0 >= 1.0).then(|| (begin.1, end.1, slope(&points)))
    }

    /// The most memory that it took, in MB.
    pub(crate) fn peak(&self) -> f64 {
        self.samples.iter().map(|sample| sample.megabytes).fold(0.0, f64::max)
    }

    /// Memory over time, in seconds since `begin` and MB.
    pub(crate) fn memory(&self, begin: Instant) -> Vec<(f64, f64)> {
        self.samples.iter().map(|it| ((it.at - begin).as_secs_f64(), it.megabytes)).collect()
    }

    /// The share of one core that it took, over time: seconds since `begin`, percent.
    pub(crate) fn processor(&self, begin: Instant) -> Vec<(f64, f64)> {
        let share = |pair: &[Sample]| {
            let span = (pair[1].at - pair[0].at).as_secs_f64();
            ((pair[1].at - begin).as_secs_f64(), (pair[1].cpu - pair[0].cpu) / span * 100.0)
        };
        self.samples.windows(2).map(share).collect()
    }

    /// The share of one core that it took altogether, in percent.
    pub(crate) fn mean_processor(&self) -> f64 {
        match (self.samples.first(), self.samples.last()) {
            (Some(first), Some(last)) if last.at > first.at => {
                (last.cpu - first.cpu) / (last.at - first.at).as_secs_f64() * 100.0
            }
            _ => 0.0,
        }
    }
}

/// The slope of the line that fits the points best (least squares).
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean_x = points.iter().map(|p| p.0).sum::<f64>() / n;
    let mean_y = points.iter().map(|p| p.1).sum::<f64>() / n;
    let spread: f64 = points.iter().map(|p| (p.0 - mean_x).powi(2)).sum();
    points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum::<f64>() / spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_grows_after_the_first_minute_is_told() {
        let at = Instant::now();
        let sample = |second: u64| {
            let megabytes = if second < 60 { second as f64 * 2.0 } else { 90.0 + second as f64 / 60.0 };
            Sample { at: at + Duration::from_secs(second), megabytes, cpu: second as f64 / 4.0 }
        };
        let mut it = Watched { name: "Ada".into(), samples: (0..100).map(sample).collect() };
        assert_eq!(it.growth(), None, "too short to tell");
        it.samples.extend((100..300).map(sample));
        let (begin, end, slope) = it.growth().unwrap();
        assert!((slope - 1.0).abs() < 1e-9 && (begin - 91.0).abs() < 1e-9 && end > 94.9, "{slope}");
        assert!((it.mean_processor() - 25.0).abs() < 1e-9 && it.peak() == 118.0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_takes_something() {
        assert!(Sample::take(std::process::id()).unwrap().megabytes > 0.5);
        assert!(Sample::take(u32::MAX).unwrap_err().to_string().contains("needs Linux"));
    }
}
