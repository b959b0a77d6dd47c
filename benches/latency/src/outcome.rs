//! What a measurement came to.

use std::fmt;

/// The delays of the chirps that were heard, in milliseconds, and how many were not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    delays: Vec<f64>,
    lost: usize,
    /// What the program under test says itself, in milliseconds.
    pub(crate) own: Option<f64>,
    /// Its own figure by stages, for a line of its own.
    pub(crate) stages: Option<String>,
}

impl FromIterator<Option<f64>> for Outcome {
    fn from_iter<I: IntoIterator<Item = Option<f64>>>(delays: I) -> Self {
        let mut outcome = Self::default();
        for delay in delays {
            match delay {
                Some(ms) => outcome.delays.push(ms),
                None => outcome.lost += 1,
            }
        }
        outcome.delays.sort_by(f64::total_cmp);
        outcome
    }
}

impl Outcome {
    /// The delay that this part of the chirps, from 0 to 1, does not exceed; linear between two of them. `None` where none was heard.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        let place = part * (self.delays.len().checked_sub(1)?) as f64;
        let (below, above) = (self.delays[place.floor() as usize], self.delays[place.ceil() as usize]);
        Some(below + (above - below) * place.fract())
    }
}

/// The head of the table that outcomes are lines of.
pub(crate) const HEAD: &str =
    "                                                  median     p95   worst  lost      own figure";

/// A line of the table.
pub(crate) struct Line<'a>(pub(crate) &'a str, pub(crate) &'a Outcome);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, outcome) = self;
        let ms = |part| outcome.quantile(part).map_or_else(|| "-".into(), |ms| format!("{ms:.2}"));
        let lost = format!("{}/{}", outcome.lost, outcome.lost + outcome.delays.len());
        write!(f, "{name:<48} {:>7} {:>7} {:>7} {lost:>7}", ms(0.5), ms(0.95), ms(1.0))?;
        if let Some(own) = outcome.own {
            write!(f, " {own:>12.2}")?;
        }
        match &outcome.stages {
            Some(stages) => write!(f, "\n    {stages}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_delays() {
        let outcome: Outcome = [Some(3.0), None, Some(1.0), Some(2.0), Some(10.0)].into_iter().collect();
        assert_eq!(outcome.quantile(0.5), Some(2.5));
        assert_eq!(outcome.quantile(1.0), Some(10.0));
        assert_eq!(outcome.lost, 1);
        assert_eq!(Outcome::default().quantile(0.5), None);
    }
}
