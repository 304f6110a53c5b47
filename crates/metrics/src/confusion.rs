//! The confusion matrix: how often each true class was predicted as each class.

use serde::{Deserialize, Serialize};

use crate::error::{MetricsError, Result, Side};

/// Sums of counts and twice their sums fit into 64 bits, their products into 128.
const MAX_EXAMPLES: u64 = 1 << 62;

/// Counts of (true class, predicted class); rows are true, columns predicted. Holds at least one class and one example.
///
/// Serializes as its rows: `[[40, 2], [5, 53]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Vec<u64>>", into = "Vec<Vec<u64>>")]
pub struct ConfusionMatrix {
    classes: usize,
    /// Row-major, `classes` x `classes`.
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// Counts each pair of labels, which are class indices below `classes`.
    ///
    /// # Errors
    /// No classes, no pairs, lists of different length, or a label out of range (with its row).
    pub fn from_pairs(truth: &[u32], predicted: &[u32], classes: usize) -> Result<Self> {
        if classes == 0 {
            return Err(MetricsError::NoClasses);
        }
        if truth.len() != predicted.len() {
            return Err(MetricsError::Lengths { truth: truth.len(), predicted: predicted.len() });
        }
        if truth.is_empty() {
            return Err(MetricsError::Empty);
        }
        let index = |side, row, label: u32| match usize::try_from(label) {
            Ok(class) if class < classes => Ok(class),
            _ => Err(MetricsError::Label { side, row, label, classes }),
        };
        let mut counts = vec![0; classes * classes];
        for (row, (&t, &p)) in truth.iter().zip(predicted).enumerate() {
            counts[index(Side::Truth, row, t)? * classes + index(Side::Predicted, row, p)?] += 1;
        }
        Ok(Self { classes, counts })
    }

    /// A matrix from its counts, one inner list for each true class.
    ///
    /// # Errors
    /// No rows, rows that don't form a square, only zeros, or more than 2^62 examples.
    pub fn from_counts(rows: &[Vec<u64>]) -> Result<Self> {
        let classes = rows.len();
        if classes == 0 {
            return Err(MetricsError::NoClasses);
        }
        if let Some((row, found)) = rows.iter().map(Vec::len).enumerate().find(|&(_, found)| found != classes) {
            return Err(MetricsError::NotSquare { row, found, classes });
        }
        let counts: Vec<u64> = rows.concat();
        let total = counts.iter().try_fold(0u64, |sum, &count| sum.checked_add(count));
        match total {
            Some(0) => return Err(MetricsError::Empty),
            Some(total) if total <= MAX_EXAMPLES => {}
            _ => return Err(MetricsError::TooMany),
        }
        Ok(Self { classes, counts })
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How often `truth` was predicted as `predicted`.
    ///
    /// # Panics
    /// When a class is out of range.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        assert!(predicted < self.classes, "class {predicted} of {}", self.classes);
        self.counts[truth * self.classes + predicted]
    }

    /// The rows, one for each true class.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u64]> {
        self.counts.chunks_exact(self.classes)
    }

    /// The counts as nested lists, rows first.
    pub fn counts(&self) -> Vec<Vec<u64>> {
        self.rows().map(<[u64]>::to_vec).collect()
    }

    /// How many examples were counted: at least one.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many examples got their true class.
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// How many examples truly are of each class.
    pub fn support(&self) -> Vec<u64> {
        self.rows().map(|row| row.iter().sum()).collect()
    }

    /// How many examples were predicted as each class.
    pub fn predicted(&self) -> Vec<u64> {
        (0..self.classes).map(|column| self.rows().map(|row| row[column]).sum()).collect()
    }
}

impl TryFrom<Vec<Vec<u64>>> for ConfusionMatrix {
    type Error = MetricsError;

    fn try_from(rows: Vec<Vec<u64>>) -> Result<Self> {
        Self::from_counts(&rows)
    }
}

impl From<ConfusionMatrix> for Vec<Vec<u64>> {
    fn from(matrix: ConfusionMatrix) -> Self {
        matrix.counts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_true_and_columns_predicted() -> Result<()> {
        let matrix = ConfusionMatrix::from_pairs(&[0, 0, 1, 2, 2, 2], &[0, 1, 1, 0, 0, 2], 4)?;
        assert_eq!(matrix.counts(), [[1, 1, 0, 0], [0, 1, 0, 0], [2, 0, 1, 0], [0, 0, 0, 0]]);
        assert_eq!(matrix.support(), [2, 1, 3, 0]);
        assert_eq!(matrix.predicted(), [3, 2, 1, 0]);
        assert_eq!((matrix.total(), matrix.correct(), matrix.count(2, 0)), (6, 3, 2));
        Ok(())
    }

    #[test]
    fn bad_labels_are_named_with_their_row() {
        let error = |truth: &[u32], predicted: &[u32], classes| {
            ConfusionMatrix::from_pairs(truth, predicted, classes).map(|m| m.counts()).unwrap_err()
        };
        assert_eq!(error(&[], &[], 2), MetricsError::Empty);
        assert_eq!(error(&[0], &[0], 0), MetricsError::NoClasses);
        assert_eq!(error(&[0, 1], &[0], 2), MetricsError::Lengths { truth: 2, predicted: 1 });
        assert_eq!(error(&[0, 3], &[0, 1], 3), MetricsError::Label { side: Side::Truth, row: 1, label: 3, classes: 3 });
        let unlabeled = error(&[0, 1], &[0, u32::MAX], 2).to_string();
        assert!(unlabeled.starts_with("row 1: expected a predicted label below 2, found 4294967295"), "{unlabeled}");
    }

    #[test]
    fn counts_from_elsewhere_are_checked() {
        assert_eq!(ConfusionMatrix::from_counts(&[]), Err(MetricsError::NoClasses));
        assert_eq!(
            ConfusionMatrix::from_counts(&[vec![1, 2], vec![3]]),
            Err(MetricsError::NotSquare { row: 1, found: 1, classes: 2 })
        );
        assert_eq!(ConfusionMatrix::from_counts(&[vec![0]]), Err(MetricsError::Empty));
        let huge = [vec![u64::MAX, 1], vec![1, 1]];
        assert_eq!(ConfusionMatrix::from_counts(&huge), Err(MetricsError::TooMany));
    }

    #[test]
    fn json_is_the_rows_and_reads_back() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let matrix = ConfusionMatrix::from_pairs(&[0, 1, 1], &[1, 1, 0], 2)?;
        let json = serde_json::to_string(&matrix)?;
        assert_eq!(json, "[[0,1],[1,1]]");
        assert_eq!(serde_json::from_str::<ConfusionMatrix>(&json)?, matrix);
        let uneven = serde_json::from_str::<ConfusionMatrix>("[[0,1],[1]]").unwrap_err();
        assert!(uneven.to_string().contains("expected 2 counts in row 1, found 1"), "{uneven}");
        Ok(())
    }
}
