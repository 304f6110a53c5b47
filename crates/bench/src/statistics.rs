//! The median and the range of a few measurements.

use serde::{Serialize, Serializer};
use serde_json::json;

/// One quantity, measured once per round.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Series(pub Vec<f64>);

impl Series {
    pub(crate) fn median(&self) -> Option<f64> {
        median(&self.0)
    }

    pub(crate) fn min(&self) -> Option<f64> {
        self.0.iter().copied().reduce(f64::min)
    }

    pub(crate) fn max(&self) -> Option<f64> {
        self.0.iter().copied().reduce(f64::max)
    }
}

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = json!({ "median": self.median(), "min": self.min(), "max": self.max(), "values": self.0 });
        json.serialize(serializer)
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

/// The middle value, or the mean of the two middle values; `None` if there are none.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_does_not_depend_on_order() {
        let series = Series(vec![3.0, 1.0, 2.0]);
        assert_eq!((series.median(), series.min(), series.max()), (Some(2.0), Some(1.0), Some(3.0)));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
        assert_eq!(median(&[7.5]), Some(7.5));
        assert_eq!(Series::default().median(), None);
    }

    #[test]
    fn json_keeps_every_value_in_its_order() {
        let json = serde_json::to_value(Series(vec![2.0, 1.0])).unwrap();
        assert_eq!(json, json!({ "median": 1.5, "min": 1.0, "max": 2.0, "values": [2.0, 1.0] }));
    }
}
