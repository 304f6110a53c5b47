//! Memory: the most that a whole training process holds at once, the checkpoint at its end included.

use super::Ground;
use super::models::Model;
use super::results::{Peer, Results, Row, Target};
use super::trainings::{Training, Trainings};

pub fn measure(ground: &Ground, results: &mut Results, trainings: &mut Trainings, models: &[Model]) {
    for model in models {
        let pairs = trainings.any(ground, results, model);
        let mut row = |peer: &str, theirs: fn(&Training) -> Option<f64>, target: Option<Target>| {
            results.rows.push(Row {
                suite: "memory",
                model: model.name.clone(),
                what: "peak of a training".to_owned(),
                unit: "MiB",
                ours: pairs.ours.iter().filter_map(|training| training.peak_mib).collect(),
                theirs: Some(Peer { name: peer.to_owned(), series: pairs.theirs.iter().filter_map(theirs).collect() }),
                target,
            });
        };
        let most = model.aim(ground.options.device, 0.7, 0.7).map(Target::RatioAtMost);
        row("Trainer", |training| training.peak_mib, most);
        row("Trainer before saving", |training| training.peak_before_saving_mib, None);
    }
}
