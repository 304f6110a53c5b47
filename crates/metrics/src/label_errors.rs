//! Labels that are likely wrong, by confident learning (Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in
//! dataset labels", 2021). The probabilities must come from a model that was not trained on these rows.

/// cleanlab takes a probability for as high as a threshold if it is lower by no more than this.
const SLACK: f64 = 1e-6;
/// The lowest threshold of a class, as in cleanlab.
const LOWEST_THRESHOLD: f64 = 2e-6;

/// The rows whose label is likely wrong, the likeliest first: by the probability of their label, from the lowest up, and of equal
/// ones the first.
///
/// A model is confident of a class where its probability is at least the mean over the rows with that label. A row is found if
/// the model is confident of another class than the row's label, and gives the label less than the highest probability: what cleanlab's
/// `find_label_issues` gives with `filter_by="confident_learning"` and `return_indices_ranked_by="self_confidence"`.
///
/// # Panics
/// If there aren't as many rows of probabilities as labels, or a row has none for its label.
pub fn label_issues(labels: &[u32], probabilities: &[Vec<f32>]) -> Vec<usize> {
    assert_eq!(labels.len(), probabilities.len(), "one row of probabilities for each label");
    let thresholds = thresholds(labels, probabilities);
    let is_issue = |row: &usize| {
        let (label, row) = (labels[*row] as usize, &probabilities[*row]);
        f64::from(row[label]) < f64::from(row[argmax(row)]) - SLACK
            && confident_class(row, &thresholds).is_some_and(|class| class != label)
    };
    let mut issues: Vec<usize> = (0..labels.len()).filter(is_issue).collect();
    let self_confidence = |row: usize| probabilities[row][labels[row] as usize];
    issues.sort_by(|one, other| self_confidence(*one).total_cmp(&self_confidence(*other)));
    issues
}

/// The mean probability of each class over the rows with its label; infinite for a class without rows.
fn thresholds(labels: &[u32], probabilities: &[Vec<f32>]) -> Vec<f64> {
    let classes = probabilities.first().map_or(0, Vec::len);
    let (mut sums, mut counts) = (vec![0.0; classes], vec![0u64; classes]);
    for (label, row) in labels.iter().zip(probabilities) {
        sums[*label as usize] += f64::from(row[*label as usize]);
        counts[*label as usize] += 1;
    }
    let mean = |(sum, count): (f64, u64)| match count {
        0 => f64::INFINITY,
        count => (sum / count as f64).max(LOWEST_THRESHOLD),
    };
    sums.into_iter().zip(counts).map(mean).collect()
}

/// The class that the model is confident of; of several the most probable class of all.
fn confident_class(row: &[f32], thresholds: &[f64]) -> Option<usize> {
    let mut confident = (0..row.len()).filter(|class| f64::from(row[*class]) >= thresholds[*class] - SLACK);
    let first = confident.next()?;
    Some(if confident.next().is_some() { argmax(row) } else { first })
}

/// The class with the highest probability; of equal ones the first.
fn argmax(row: &[f32]) -> usize {
    (0..row.len()).rev().max_by(|one, other| row[*one].total_cmp(&row[*other])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_the_model_is_sure_is_of_another_class_is_found() {
        let rows = [[0.9, 0.1], [0.8, 0.2], [0.05, 0.95], [0.2, 0.8], [0.1, 0.9], [0.45, 0.55]].map(Vec::from);
        // Thresholds: 0.55 for class 0 and 0.85 for class 1. The last row is a mistake of which the model is not confident.
        let labels = [0, 0, 0, 1, 1, 0];
        assert_eq!(thresholds(&labels, &rows).len(), 2);
        assert_eq!(label_issues(&labels, &rows), [2]);
        assert_eq!(label_issues(&[0, 1, 0, 1, 1, 0], &rows), [2, 1], "the less probable label first");
        assert_eq!(label_issues(&[], &[]), [0usize; 0]);
    }

    #[test]
    fn nothing_is_confidently_of_a_class_without_rows() {
        let rows = [[0.1, 0.9], [0.6, 0.4]].map(Vec::from);
        assert_eq!(label_issues(&[0, 0], &rows), [0usize; 0]);
    }
}
