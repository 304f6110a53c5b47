//! A value with the interval around it, as pictures draw it.

/// A value with the lower and the upper end of its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlotInterval {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl PlotInterval {
    pub(crate) fn is_finite(&self) -> bool {
        [self.value, self.low, self.high].into_iter().all(f64::is_finite)
    }

    /// `87.92 % (86.4 to 89.2)`.
    pub(crate) fn words(&self) -> String {
        let Self { value, low, high } = self;
        format!("{:.2} % ({:.1} to {:.1})", 100.0 * value, 100.0 * low, 100.0 * high)
    }
}
