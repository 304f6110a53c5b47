//! Rows that miss steps and catch up later have the bits of rows that miss none.

use super::*;

/// The rows that step `step` uses: some in every step, some now and then, and the last ones never.
fn used(step: u64) -> Vec<i64> {
    let mut ids: Vec<i64> = (0..25).map(|index| (index * 7 + step as i64 * (index % 5) * 13) % 290).collect();
    ids.extend([0, 31, 32]);
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn model(precision: Kind) -> Model {
    Model::new(vec![(TABLE.to_owned(), generated(0, &[300, 21]))], precision)
}

fn row_gradient(step: u64) -> Gradient {
    let ids = used(step);
    Gradient::Rows { values: generated(1000 + step, &[ids.len() as i64, 21]) * 0.05, ids: Tensor::from_slice(&ids) }
}

fn same_rows(ours: &Tensor, theirs: &Tensor, ids: &[i64]) -> bool {
    let rows = |tensor: &Tensor| tensor.index_select(0, &Tensor::from_slice(ids));
    rows(ours).equal(&rows(theirs))
}

/// More steps than a row may miss, with a step of the whole table and a look at all rows in between.
#[test]
fn rows_that_catch_up_have_the_bits_of_a_dense_update() {
    for (name, precision) in
        ["adamw", "adam"].into_iter().flat_map(|name| [Kind::Float, Kind::BFloat16].map(|kind| (name, kind)))
    {
        for weight_decay in [0.0, 0.1] {
            let settings = OptimizerSettings { weight_decay, ..settings(kind(name)) };
            let (later, at_once) = (model(precision), model(precision));
            let (mut ours, mut theirs) = (later.optimizer(&settings), at_once.optimizer(&settings));
            let what = format!("{name}, {precision:?}, weight decay {weight_decay}");
            let mut behind = 0;
            for step in 0..600 {
                let ids = used(step);
                ours.catch_up_weights(&later.weights(), Some(&ids)).expect("rows of the table");
                let read = |model: &Model| model.computes.first().unwrap_or(&model.masters[0]).shallow_clone();
                assert!(same_rows(&read(&later), &read(&at_once), &ids), "{what}: read by step {step}");
                behind += usize::from(!later.masters[0].equal(&at_once.masters[0]));

                let dense_gradient = row_gradient(step).to_dense(&[300, 21]);
                let ours_gradient =
                    if step == 290 { Gradient::Dense(dense_gradient.copy()) } else { row_gradient(step) };
                ours.update(&later.weights(), &[Some(ours_gradient)], &scale(step)).expect("a step");
                theirs.step_weights(&at_once.weights(), &[dense(dense_gradient)], &scale(step)).expect("a step");
                if step == 330 {
                    ours.catch_up_weights(&later.weights(), None).expect("all rows");
                    assert!(later.masters[0].equal(&at_once.masters[0]), "{what}: after step {step}");
                }
            }
            assert!(behind > 500, "{what}: rows were behind before {behind} steps");
            ours.catch_up_weights(&later.weights(), None).expect("all rows");
            assert_same_bits(&later.masters[0], &at_once.masters[0], &what);
            if precision == Kind::BFloat16 {
                assert_same_bits(&later.computes[0], &at_once.computes[0], &what);
            }
            for ((name, ours), (_, theirs)) in ours.state().iter().zip(theirs.state()) {
                assert_same_bits(ours, theirs, &format!("{what}, {name}"));
            }
        }
    }
}

/// A row that a pass has not asked for is updated by its gradient nevertheless, after the steps that it missed.
#[test]
fn a_row_with_a_gradient_catches_up_first() {
    let (later, at_once) = (model(Kind::Float), model(Kind::Float));
    let (mut ours, mut theirs) =
        (later.optimizer(&settings(kind("adamw"))), at_once.optimizer(&settings(kind("adamw"))));
    for step in 0..40 {
        ours.update(&later.weights(), &[Some(row_gradient(step))], &scale(step)).expect("a step");
        theirs.step_weights(&at_once.weights(), &[Some(row_gradient(step))], &scale(step)).expect("a step");
        assert!(same_rows(&later.masters[0], &at_once.masters[0], &used(step)), "step {step}");
    }
    assert!(!later.masters[0].equal(&at_once.masters[0]), "other rows are behind");
}

#[test]
fn state_is_not_read_while_rows_are_behind() {
    let later = model(Kind::Float);
    let mut optimizer = later.optimizer(&settings(kind("adamw")));
    optimizer.update(&later.weights(), &[Some(row_gradient(0))], &scale(0)).expect("a step");
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| optimizer.state().len()));
    assert!(read.is_err());
    optimizer.catch_up_weights(&later.weights(), None).expect("all rows");
    assert_eq!(optimizer.state().len(), 2);
    let error = optimizer.update(&later.weights(), &[Some(row_gradient(1))], &scale(1));
    error.expect("a step");
    let error = optimizer.catch_up_weights(&later.weights(), Some(&[300])).expect_err("the table has 300 rows");
    assert!(error.to_string().contains("from 0 to 299"), "{error}");
}
