//! Start-up: seconds from the start of the process to the end of the first training step, on the same clock for both.
//!
//! Trainer tokenizes the sentences in that time, as its script does at every start; ours were prepared before.

use super::Ground;
use super::models::Model;
use super::results::{Peer, Results, Row, Target};
use super::trainings::Trainings;

pub fn measure(ground: &Ground, results: &mut Results, trainings: &mut Trainings, models: &[Model]) {
    for model in models {
        let pairs = trainings.any(ground, results, model);
        results.rows.push(Row {
            suite: "start-up",
            model: model.name.clone(),
            what: "to the end of the first step".to_owned(),
            unit: "s",
            ours: pairs.ours.iter().filter_map(|training| training.first_step).collect(),
            theirs: Some(Peer {
                name: "Trainer".to_owned(),
                series: pairs.theirs.iter().filter_map(|training| training.first_step).collect(),
            }),
            target: model.aim(ground.options.device, 1.5, 3.0).map(Target::OursAtMost),
        });
    }
}
