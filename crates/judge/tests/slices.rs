//! Slices against statsmodels and scipy, on the fixture of `tests/fixtures/judge/make_slices.py`.

use judge::{RowFacts, ScoredRows, Slices};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    labels: Vec<String>,
    rows: Vec<Row>,
    slices: Vec<Expected>,
    tested: usize,
    weakest: Option<usize>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    tokens: usize,
    unknown_tokens: usize,
    truncated: bool,
    shop: String,
    price: String,
    truth: u32,
    prediction: u32,
}

impl Row {
    fn facts(&self) -> RowFacts<'_> {
        RowFacts {
            text: &self.text,
            tokens: self.tokens,
            unknown_tokens: self.unknown_tokens,
            truncated: self.truncated,
            columns: vec![self.shop.clone(), self.price.clone()],
        }
    }
}

#[derive(Deserialize)]
struct Expected {
    group: String,
    name: String,
    rows: u64,
    right: u64,
    low: f64,
    high: f64,
    p: Option<f64>,
}

#[test]
fn slices_are_those_that_statsmodels_and_scipy_compute() {
    let fixture: Fixture = test_support::fixture("judge/slices.json");
    let facts: Vec<RowFacts<'_>> = fixture.rows.iter().map(Row::facts).collect();
    let truth: Vec<u32> = fixture.rows.iter().map(|row| row.truth).collect();
    let predictions: Vec<u32> = fixture.rows.iter().map(|row| row.prediction).collect();
    let rows = ScoredRows {
        label_names: &fixture.labels,
        truth: &truth,
        predictions: &predictions,
        probabilities: &[],
        facts: &facts,
    };
    let found = Slices::of(&rows, &["shop".to_owned(), "price".to_owned()]);
    let names = |group: &str, name: &str| format!("{group}: {name}");
    assert_eq!(
        found.slices.iter().map(|slice| names(&slice.group, &slice.name)).collect::<Vec<_>>(),
        fixture.slices.iter().map(|slice| names(&slice.group, &slice.name)).collect::<Vec<_>>()
    );
    for (found, expected) in found.slices.iter().zip(&fixture.slices) {
        let name = names(&found.group, &found.name);
        assert_eq!(found.rows, expected.rows, "{name}");
        let pairs = [
            (found.accuracy.value, expected.right as f64 / expected.rows as f64),
            (found.accuracy.low, expected.low),
            (found.accuracy.high, expected.high),
        ];
        for (found, expected) in pairs {
            assert!((found - expected).abs() < 1e-9, "{name}: {found}, expected {expected}");
        }
        match (found.p_value, expected.p) {
            (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-9, "{name}: {found}, {expected}"),
            (found, expected) => assert_eq!(found, expected, "{name}"),
        }
    }
    assert_eq!((found.tested, found.weakest), (fixture.tested, fixture.weakest));
    assert!(fixture.weakest.is_some() && fixture.slices.iter().any(|slice| slice.p.is_none()), "both are seen");
}

#[test]
fn a_column_with_the_name_of_another_group_is_told_from_it() {
    let label_names = ["no".to_owned(), "yes".to_owned()];
    let columns = vec!["A".to_owned()];
    let facts: Vec<RowFacts<'_>> =
        (0..40).map(|_| RowFacts { columns: columns.clone(), ..RowFacts::default() }).collect();
    let truth = [0; 40];
    let rows =
        ScoredRows { label_names: &label_names, truth: &truth, predictions: &truth, probabilities: &[], facts: &facts };
    let found = Slices::of(&rows, &["label".to_owned()]);
    let last: Vec<_> =
        found.slices.iter().rev().take(2).map(|slice| (slice.group.as_str(), slice.name.as_str())).collect();
    assert_eq!(last, [("label (column)", "A"), ("label", "no")]);
    assert_eq!((found.tested, found.weakest), (0, None), "all rows are in one slice of each group");
    assert!(found.slices.iter().all(|slice| slice.p_value.is_none() && slice.rows == 40));
}
