//! How far two rankings agree.

/// Spearman's rank correlation, -1 to 1: Pearson's correlation of the ranks, where equal values share the mean of their ranks
/// (`scipy.stats.spearmanr`). `None` for fewer than two values, for NaN, and where all values of one side are equal.
///
/// # Panics
/// If the two have different lengths.
pub fn spearman(first: &[f64], second: &[f64]) -> Option<f64> {
    assert_eq!(first.len(), second.len(), "expected as many values on both sides");
    if first.iter().chain(second).any(|value| value.is_nan()) {
        return None;
    }
    let (first, second) = (ranks(first), ranks(second));
    let mean = (first.len() as f64 + 1.0) / 2.0;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let spread = dot(&first, &first) * dot(&second, &second);
    (spread > 0.0).then(|| (dot(&first, &second) / spread.sqrt()).clamp(-1.0, 1.0))
}

/// The rank of each value, from 1; equal ones get the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = before as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|place| ranks[*place] = rank);
        before += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(ranks(&[3.0, -0.0, 0.0, 3.0, 7.0]), [3.5, 1.5, 1.5, 3.5, 5.0]);
    }

    #[test]
    fn only_the_order_matters() {
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[0.1, 10.0, 1e9]), Some(1.0));
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[5.0, 4.0, f64::NEG_INFINITY]), Some(-1.0));
    }

    #[test]
    fn without_an_order_there_is_no_correlation() {
        assert_eq!(spearman(&[], &[]), None);
        assert_eq!(spearman(&[1.0], &[2.0]), None);
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[1.0, f64::NAN], &[1.0, 2.0]), None);
    }
}
