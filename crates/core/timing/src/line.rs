//! Weighted least-squares lines, with a normal prior on their slope.

/// Standard deviation of the difference between two crystals' rates, before anything was measured: 100 ppm.
pub(crate) const SKEW_PRIOR: f64 = 100e-6;

/// No pair of working crystals differs by more: 1000 ppm.
pub(crate) const SKEW_LIMIT: f64 = 1e-3;

/// Points with weights, about their centre of gravity, where nothing cancels: a prior only stiffens the slope.
///
/// Moments in nanoseconds go into both `x` and `y`, and weights are in 1/ns².
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cloud {
    /// The sum of the weights.
    pub(crate) mass: f64,
    /// The centre of gravity.
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Σ w·(x − x̄)².
    pub(crate) spread: f64,
    /// Σ w·(x − x̄)·(y − ȳ).
    pub(crate) product: f64,
}

impl Cloud {
    /// Gathers points of `(x, y, weight)`; at least one must weigh something.
    pub(crate) fn of(points: impl Iterator<Item = (f64, f64, f64)> + Clone) -> Self {
        let mut it = Self { mass: 0.0, x: 0.0, y: 0.0, spread: 0.0, product: 0.0 };
        for (x, y, weight) in points.clone() {
            it.mass += weight;
            it.x += weight * x;
            it.y += weight * y;
        }
        it.x /= it.mass;
        it.y /= it.mass;
        for (x, y, weight) in points {
            let dx = x - it.x;
            it.spread += weight * dx * dx;
            it.product += weight * dx * (y - it.y);
        }
        it
    }
}

/// What a prior of 0 ± [`SKEW_PRIOR`] adds to the spread that slopes are divided by.
pub(crate) fn prior_spread() -> f64 {
    1.0 / (SKEW_PRIOR * SKEW_PRIOR)
}
