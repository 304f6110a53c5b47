//! What must hold of rows of probabilities before anything is computed from them.

use crate::error::{MetricsError, Result, Side};

/// Checks that there is a row of `classes` probabilities for each true class, that true classes are below `classes`, and that
/// probabilities are numbers from 0 to 1.
///
/// # Errors
/// The first row that isn't so; no rows; no classes.
pub fn check_probabilities(truth: &[u32], probabilities: &[Vec<f32>], classes: usize) -> Result<()> {
    if classes == 0 {
        return Err(MetricsError::NoClasses);
    }
    if truth.len() != probabilities.len() {
        return Err(MetricsError::Lengths { truth: truth.len(), predicted: probabilities.len() });
    }
    if truth.is_empty() {
        return Err(MetricsError::Empty);
    }
    for (row, (&label, probabilities)) in truth.iter().zip(probabilities).enumerate() {
        if label as usize >= classes {
            return Err(MetricsError::Label { side: Side::Truth, row, label, classes });
        }
        if probabilities.len() != classes {
            return Err(MetricsError::ProbabilityCount { row, found: probabilities.len(), classes });
        }
        if let Some(found) = probabilities.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return Err(MetricsError::Probability { row, found: found.to_string() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_probability_is_named_with_its_row() {
        let check = |truth: &[u32], rows: &[[f32; 2]]| {
            let rows: Vec<Vec<f32>> = rows.iter().map(|row| row.to_vec()).collect();
            check_probabilities(truth, &rows, 2).map_err(|error| error.to_string())
        };
        assert_eq!(check(&[0, 1], &[[1.0, 0.0], [0.25, 0.75]]), Ok(()));
        let error = check(&[0, 1], &[[1.0, 0.0], [f32::NAN, 0.75]]).unwrap_err();
        assert!(error.starts_with("row 1: expected probabilities from 0 to 1, found NaN"), "{error}");
        let error = check(&[0, 2], &[[1.0, 0.0], [0.25, 0.75]]).unwrap_err();
        assert!(error.starts_with("row 1: expected a true label below 2, found 2"), "{error}");
        assert!(check(&[0], &[[1.5, 0.0]]).unwrap_err().contains("found 1.5"));
        assert_eq!(check(&[], &[]).unwrap_err(), MetricsError::Empty.to_string());
        let error = check_probabilities(&[0], &[vec![0.5; 3]], 2).unwrap_err().to_string();
        assert!(error.starts_with("row 0: expected 2 probabilities, found 3"), "{error}");
    }
}
